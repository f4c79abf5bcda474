"""The outcome of a retraining, read from the journal: its candidates, the winner and the reference.

A retraining is a race: a run of each finalist chooses one of them, and further seeds, which have chosen none, judge
that one and the reference. In one of before every finalist had all seeds, and the best mean over them won.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import optuna

from search.algorithms import pareto
from search.journal import front, prediction, records
from search.journal.trial import Trial
from search.spec.objective import Objective, mean
from search.spec.objectives import Objectives

REFERENCE = "reference"
"""The name of the candidate that is the workload's defaults."""
MAY_WIN = "reference may win"
"""The attribute of a retraining in which it may; in one of before it could not, and its trial was a finalist too."""
RACE = "race"
"""The attribute of a retraining that is a race: the seed that chooses, None of one finalist, and those that judge."""
CHOOSES = "chooses"
"""The attribute of a run that chooses a finalist, and judges none."""
TRIAL = "trial "
"""Begins the name of every other candidate."""
TEST = "test "
"""Begins the attributes of a retraining that hold test metrics."""


@dataclass(frozen=True)
class Candidate:
    """One configuration of a retraining, with a run for each seed."""

    name: str
    """'trial 17', or 'reference' for the workload's defaults."""
    runs: tuple[Trial, ...]
    """Those that judge it; of one that was not chosen, the one that might have chosen it."""
    tests: dict[str, list[float]]
    """Each test metric over the seeds; empty where it was not computed."""
    choosing: tuple[Trial, ...] = ()
    """Those that might have chosen it, in a race."""

    @property
    def is_judged(self) -> bool:
        """Return whether its runs have chosen no finalist: what they come to flatters none."""
        return self.runs != self.choosing

    @property
    def all_runs(self) -> tuple[Trial, ...]:
        """Return every run of it, in the order in which they were begun."""
        return (*self.choosing, *self.runs) if self.is_judged else self.runs

    @property
    def trial(self) -> int | None:
        """Return the number of its trial in the search; None where it is the reference."""
        if self.name == REFERENCE:
            return None
        return int(self.name.removeprefix(TRIAL))

    @property
    def label(self) -> str:
        """Return its name for a person: 'trial 17', or 'defaults'."""
        return label_of(self.name)

    @property
    def is_sound(self) -> bool:
        """Return whether every seed trained to its end: a configuration with a diverged seed cannot win."""
        return all(run.ending == "complete" and run.value is not None for run in self.all_runs)

    @property
    def values(self) -> list[float]:
        """Return the best value of each seed that has one."""
        return [run.value for run in self.runs if run.value is not None]

    def values_of(self, at: int, objectives: Objectives) -> list[float]:
        """Return the value of one of the objectives, by its place, of each seed that has one."""
        if at == 0:
            return self.values
        points = [front.point(run, objectives) for run in self.runs]
        return [point[at] for point in points if point]

    def by_objective(self, objectives: Objectives) -> list[tuple[str, list[float]]]:
        """Return each objective's name, and its value of each seed that has one."""
        return [(name, self.values_of(at, objectives)) for at, name in enumerate(objectives.names)]

    @property
    def mean(self) -> float:
        """Return the mean of the values, of which there must be one."""
        return mean(self.values)

    @property
    def config(self) -> dict[str, Any]:
        """Return the full workload config of its first seed."""
        return dict(self.runs[0].attributes["config"])

    def best_run(self, objective: Objective) -> Trial:
        """Return the run with the best value, of which there must be one."""
        best = objective.best(self.runs)
        assert best is not None
        return best


@dataclass(frozen=True)
class Outcome:
    """The outcome of one retraining: its candidates, and which of them won."""

    candidates: tuple[Candidate, ...]
    """The finalists in the order of the search, then the reference if there is one."""
    winner: Candidate | None
    """The sound candidate that was judged and has the best mean; None where there is none."""
    reference: Candidate | None
    may_win: bool = False
    """Whether the reference might have won."""
    chosen_by: int | None = None
    """The seed that chose among the finalists; None where there was one, and in a retraining of before."""
    judged_by: tuple[int, ...] = ()
    """The seeds that judged, in a race; none in a retraining of before, in which all seeds chose."""

    @property
    def is_race(self) -> bool:
        """Return whether one run of each finalist chose; else every finalist was judged."""
        return bool(self.judged_by)

    @property
    def defaults_win(self) -> bool:
        """Return whether the winner is the reference."""
        return self.winner is not None and self.winner is self.reference

    @property
    def finalists(self) -> list[Candidate]:
        """Return the candidates but for the reference."""
        return [candidate for candidate in self.candidates if candidate is not self.reference]

    def opponent(self, objective: Objective) -> Candidate | None:
        """Return what the winner is held against: the reference, or where that wins the best sound finalist."""
        if not self.defaults_win:
            return self.reference
        ranked = [candidate for candidate in self.ranked(objective) if candidate.is_sound and candidate.is_judged]
        return ranked[1] if len(ranked) > 1 else None

    def ranked(self, objective: Objective) -> list[Candidate]:
        """Return the finalists, the sound ones by their mean and then the others; last the reference, if it lost.

        One that was judged comes before those that it was chosen from.
        """
        sound = []
        unsound = []
        for candidate in self.finalists:
            if candidate.is_sound:
                sound.append(candidate)
            else:
                unsound.append(candidate)
        sound.sort(key=lambda candidate: (not candidate.is_judged, objective.sign * candidate.mean))
        ranked = sound + unsound
        if self.reference:
            ranked.insert(0 if self.defaults_win else len(ranked), self.reference)
        return ranked


def finalists(
    trials: Iterable[Trial],
    count: int,
    objectives: Objectives,
    reference: Mapping[str, Any] | None = None,
    *,
    is_race: bool = True,
) -> list[Trial]:
    """Return the best `count` trials by the values that are predicted of them; never a diverged or a failed one.

    No two of them have the same configuration, and none that of the reference, which is a candidate of its own. Those
    of a retraining of before are the complete ones by value, then the stopped ones. Of several objectives they are
    spread over the front.
    """
    if objectives.are_several:
        ranked = front.along(trials, 2 * count, objectives)  # of which some may repeat another
    elif is_race:
        ranked = prediction.ranked(trials, objectives.first)
    else:
        ranked = objectives.first.ranked(trial for trial in trials if trial.may_win)
        ranked.sort(key=lambda trial: trial.ending != "complete")
    chosen: list[Trial] = []
    for trial in ranked:
        if len(chosen) == count:
            break
        if trial.params != reference and all(trial.params != other.params for other in chosen):
            chosen.append(trial)
    return chosen


def judge(retraining: optuna.Study, objectives: Objectives) -> Outcome:
    """Return the outcome of a retraining in the journal, as far as its runs have ended."""
    # Group the runs, one a seed, by their candidate.
    runs_of: dict[str, list[Trial]] = {}
    for run in records.read(retraining, objectives.first):
        runs_of.setdefault(run.attributes["candidate"], []).append(run)
    candidates = [_candidate(name, runs, retraining.user_attrs) for name, runs in runs_of.items()]
    # The winner has the best mean over seeds, of the judged candidates whose seeds all trained to their end.
    may_win = bool(retraining.user_attrs.get(MAY_WIN))
    reference: Candidate | None = None
    able: list[Candidate] = []
    for candidate in candidates:
        is_reference = candidate.name == REFERENCE
        if is_reference:
            reference = candidate
        if candidate.is_sound and candidate.is_judged and (may_win or not is_reference):
            able.append(candidate)
    winner = _best(able, objectives)
    chosen_by, judged_by = _seeds(retraining.user_attrs)
    return Outcome(tuple(candidates), winner, reference, may_win, chosen_by, judged_by)


def _seeds(attributes: dict[str, Any]) -> tuple[int | None, tuple[int, ...]]:
    """Return the seed that chose and those that judged, of a race. Raises ValueError where they are no seeds."""
    chosen_by, judged_by = attributes.get(RACE, (None, ()))
    seeds = list(judged_by)
    if chosen_by is not None:
        seeds.append(chosen_by)
    for seed in seeds:
        if type(seed) is not int:
            raise ValueError(f"a race has the seed {seed!r}")
    return chosen_by, tuple(judged_by)


def _best(able: Sequence[Candidate], objectives: Objectives) -> Candidate | None:
    """Return the candidate with the best mean; of several objectives the chosen one, unless the other dominates it."""
    if not objectives.are_several:
        return min(able, key=lambda candidate: objectives.first.sign * candidate.mean, default=None)
    points = [[mean(values) for _, values in candidate.by_objective(objectives) if values] for candidate in able]
    placed = [at for at, point in enumerate(points) if len(point) == len(objectives.all)]
    if not placed:
        return None
    on_front = pareto.front(objectives.losses([points[at] for at in placed]))
    chosen = [at for at in placed if able[at].name != REFERENCE]
    for at in [*chosen, *placed]:
        if placed.index(at) in on_front:
            return able[at]
    return None


def _candidate(name: str, runs: list[Trial], attributes: dict[str, Any]) -> Candidate:
    """Return a candidate of these runs: those that judge it, where there are any, are what it is told by."""
    choosing = [run for run in runs if run.attributes.get(CHOOSES)]
    judging = [run for run in runs if not run.attributes.get(CHOOSES)]
    told_by = judging or choosing
    return Candidate(name, tuple(told_by), _tests(told_by, attributes), tuple(choosing))


def _tests(runs: list[Trial], attributes: dict[str, Any]) -> dict[str, list[float]]:
    """Return the values of each test metric over these runs, from the attributes of their retraining.

    They are not attributes of the runs themselves, since Optuna takes none of a trial that has been told.
    """
    tests: dict[str, list[float]] = {}
    for run in runs:
        metrics = attributes.get(scores_key(run.number), {})
        for name, value in metrics.items():
            tests.setdefault(name, []).append(float(value))
    return tests


def name_of(trial: Trial) -> str:
    """Return the name of the candidate that retrains a trial's configuration."""
    return f"{TRIAL}{trial.number}"


def label_of(name: str) -> str:
    """Return the name of a candidate for a person."""
    return "defaults" if name == REFERENCE else name


def is_tested(retraining: optuna.Study) -> bool:
    """Return whether a retraining has computed test metrics."""
    return any(key.startswith(TEST) for key in retraining.user_attrs)


def scores_key(run: int) -> str:
    """Return the attribute of a retraining that holds the test metrics of a run."""
    return f"{TEST}{run}"

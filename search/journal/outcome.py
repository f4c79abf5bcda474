"""The outcome of a retraining, read from the journal: its candidates, the winner and the reference."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import optuna

from search.journal import records
from search.journal.trial import LIMIT, Trial
from search.spec.objective import Objective, mean

REFERENCE = "reference"
"""The name of the candidate that is the workload's defaults."""
MAY_WIN = "reference may win"
"""The attribute of a retraining in which it may; in one of before it could not, and its trial was a finalist too."""
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
    tests: dict[str, list[float]]
    """Each test metric over the seeds; empty where it was not computed."""

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
        return all(run.ending == "complete" and run.value is not None for run in self.runs)

    @property
    def values(self) -> list[float]:
        """Return the best value of each seed that has one."""
        return [run.value for run in self.runs if run.value is not None]

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
    """The sound candidate with the best mean; None where there is none."""
    reference: Candidate | None
    may_win: bool = False
    """Whether the reference might have won."""

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
        ranked = [candidate for candidate in self.ranked(objective) if candidate.is_sound]
        return ranked[1] if len(ranked) > 1 else None

    def ranked(self, objective: Objective) -> list[Candidate]:
        """Return the finalists, the sound ones by their mean and then the others; last the reference, if it lost."""
        sound = []
        unsound = []
        for candidate in self.finalists:
            if candidate.is_sound:
                sound.append(candidate)
            else:
                unsound.append(candidate)
        sound.sort(key=lambda candidate: objective.sign * candidate.mean)
        ranked = sound + unsound
        if self.reference:
            ranked.insert(0 if self.defaults_win else len(ranked), self.reference)
        return ranked


def finalists(
    trials: Iterable[Trial], count: int, objective: Objective, reference: Mapping[str, Any] | None = None
) -> list[Trial]:
    """Return the best `count` trials: complete ones first, then stopped ones; never a diverged or a failed one.

    No two of them have the same configuration, and none that of the reference, which is a candidate of its own.
    """
    ranked = objective.ranked(trial for trial in trials if trial.may_win)
    # What the end of the search cut off was stopped for no fault of its own: it may be what reached the target.
    ranked.sort(key=lambda trial: trial.ending != "complete" and LIMIT not in trial.attributes)
    chosen: list[Trial] = []
    for trial in ranked:
        if len(chosen) == count:
            break
        if trial.params != reference and all(trial.params != other.params for other in chosen):
            chosen.append(trial)
    return chosen


def judge(retraining: optuna.Study, objective: Objective) -> Outcome:
    """Return the outcome of a retraining in the journal, as far as its runs have ended."""
    # Group the runs, one a seed, by their candidate.
    runs_of: dict[str, list[Trial]] = {}
    for run in records.read(retraining, objective):
        runs_of.setdefault(run.attributes["candidate"], []).append(run)
    candidates = []
    for name, runs in runs_of.items():
        candidates.append(Candidate(name, tuple(runs), _tests(runs, retraining.user_attrs)))
    # The winner has the best mean over seeds, of the candidates whose seeds all trained to their end.
    may_win = bool(retraining.user_attrs.get(MAY_WIN))
    reference: Candidate | None = None
    able: list[Candidate] = []
    for candidate in candidates:
        is_reference = candidate.name == REFERENCE
        if is_reference:
            reference = candidate
        if candidate.is_sound and (may_win or not is_reference):
            able.append(candidate)
    winner = min(able, key=lambda candidate: objective.sign * candidate.mean, default=None)
    return Outcome(tuple(candidates), winner, reference, may_win)


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

"""The outcome of a retraining, read from the journal: its candidates, the winner and the reference."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import optuna

from search.journal import records
from search.journal.trial import Trial
from search.spec.objective import Objective, mean

REFERENCE = "reference"
"""The name of the candidate that is the workload's defaults."""
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
    """The sound finalist with the best mean; None where there is none."""
    reference: Candidate | None

    def ranked(self, objective: Objective) -> list[Candidate]:
        """Return the finalists, the sound ones by their mean and then the others, and last the reference."""
        sound = []
        unsound = []
        for candidate in self.candidates:
            if candidate is self.reference:
                continue
            if candidate.is_sound:
                sound.append(candidate)
            else:
                unsound.append(candidate)
        sound.sort(key=lambda candidate: objective.sign * candidate.mean)
        ranked = sound + unsound
        if self.reference:
            ranked.append(self.reference)
        return ranked


def finalists(trials: Iterable[Trial], count: int, objective: Objective) -> list[Trial]:
    """Return the best `count` trials: complete ones first, then stopped ones; never a diverged or a failed one.

    No two of them have the same configuration.
    """
    ranked = objective.ranked(trial for trial in trials if trial.may_win)
    ranked.sort(key=lambda trial: trial.ending != "complete")
    chosen: list[Trial] = []
    for trial in ranked:
        if len(chosen) == count:
            break
        if all(trial.params != other.params for other in chosen):
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
    # The winner has the best mean over seeds, of the finalists whose seeds all trained to their end.
    reference: Candidate | None = None
    able: list[Candidate] = []
    for candidate in candidates:
        if candidate.name == REFERENCE:
            reference = candidate
        elif candidate.is_sound:
            able.append(candidate)
    winner = min(able, key=lambda candidate: objective.sign * candidate.mean, default=None)
    return Outcome(tuple(candidates), winner, reference)


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


def is_tested(retraining: optuna.Study) -> bool:
    """Return whether a retraining has computed test metrics."""
    return any(key.startswith(TEST) for key in retraining.user_attrs)


def scores_key(run: int) -> str:
    """Return the attribute of a retraining that holds the test metrics of a run."""
    return f"{TEST}{run}"

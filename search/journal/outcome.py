"""What a retraining found: its candidates, the winner and the reference, read from the journal."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import optuna

from search.journal import records
from search.journal.trial import Trial
from search.spec.objective import Objective, mean

REFERENCE = "reference"
"""The candidate that is the workload's defaults."""
TRIAL = "trial "
TEST = "test "


@dataclass(frozen=True)
class Candidate:
    """One configuration with the runs of all its seeds."""

    name: str
    """'trial 17', or 'reference' for the workload's defaults."""
    runs: tuple[Trial, ...]
    tests: dict[str, list[float]]
    """Each test metric over the seeds; empty where it was not computed."""

    @property
    def trial(self) -> int | None:
        """Return the number of its trial; None where it is the reference."""
        return None if self.name == REFERENCE else int(self.name.removeprefix(TRIAL))

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
        """Return the mean of the values; there must be one."""
        return mean(self.values)

    @property
    def config(self) -> dict[str, Any]:
        """Return the full workload config of its first seed."""
        return dict(self.runs[0].attributes["config"])

    def best_run(self, objective: Objective) -> Trial:
        """Return the run with the best value; one must have a value."""
        best = objective.best(self.runs)
        assert best is not None
        return best


@dataclass(frozen=True)
class Outcome:
    """One retraining."""

    candidates: tuple[Candidate, ...]
    """The finalists in the order of the search, then the reference if there is one."""
    winner: Candidate | None
    """The sound finalist with the best mean; None where there is none."""
    reference: Candidate | None

    def ranked(self, objective: Objective) -> list[Candidate]:
        """Return the finalists, the sound ones by their mean and then the others, and last the reference."""
        finalists = [candidate for candidate in self.candidates if candidate is not self.reference]
        sound = [candidate for candidate in finalists if candidate.is_sound]
        sound.sort(key=lambda candidate: objective.sign * candidate.mean)
        ranked = sound + [candidate for candidate in finalists if not candidate.is_sound]
        if self.reference:
            ranked.append(self.reference)
        return ranked


def finalists(trials: Iterable[Trial], count: int, objective: Objective) -> list[Trial]:
    """Return the complete trials by value, then stopped ones to fill up; never a diverged or a failed one."""
    ranked = objective.ranked(trial for trial in trials if trial.may_win)
    ranked.sort(key=lambda trial: trial.ending != "complete")
    return ranked[:count]


def judge(retraining: optuna.Study, objective: Objective) -> Outcome:
    """Return what a retraining in the journal found."""
    runs: dict[str, list[Trial]] = {}
    for run in records.read(retraining, objective):
        runs.setdefault(run.attributes["candidate"], []).append(run)
    scores = retraining.user_attrs
    candidates = []
    for name, its_runs in runs.items():
        candidates.append(Candidate(name, tuple(its_runs), _tests(its_runs, scores)))
    # The winner: the best mean over seeds, of the finalists whose seeds all trained to their end.
    able = [candidate for candidate in candidates if candidate.is_sound and candidate.name != REFERENCE]
    winner = min(able, key=lambda candidate: objective.sign * candidate.mean, default=None)
    reference = next((candidate for candidate in candidates if candidate.name == REFERENCE), None)
    return Outcome(tuple(candidates), winner, reference)


def _tests(runs: list[Trial], scores: dict[str, Any]) -> dict[str, list[float]]:
    """Return the test metrics of these runs, which stand at the study: a closed trial takes no more attributes."""
    rows = [scores[scores_key(run.number)] for run in runs if scores_key(run.number) in scores]
    tests: dict[str, list[float]] = {}
    for row in rows:
        for name, value in row.items():
            tests.setdefault(name, []).append(float(value))
    return tests


def name_of(trial: Trial) -> str:
    """Return the name of the candidate that is a trial's configuration."""
    return f"{TRIAL}{trial.number}"


def is_tested(retraining: optuna.Study) -> bool:
    """Return whether a retraining has looked at the test part."""
    return any(key.startswith(TEST) for key in retraining.user_attrs)


def scores_key(run: int) -> str:
    """Return the attribute of a retraining that holds the test metrics of a run."""
    return f"{TEST}{run}"

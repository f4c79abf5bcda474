"""What a retraining found: its candidates, the winner and the reference, read from the journal."""

import math
import statistics
from dataclasses import dataclass
from typing import Any

import optuna

from search import journal

REFERENCE = "reference"


@dataclass(frozen=True)
class Candidate:
    """One configuration with the runs of all its seeds."""

    name: str
    """'trial 17', or 'reference' for the workload's defaults."""
    runs: tuple[journal.Trial, ...]
    tests: dict[str, list[float]]
    """Each test metric over the seeds; empty where it was not computed."""

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

    def best_run(self, mode: str) -> journal.Trial:
        """Return the run with the best value."""
        found = journal.best(self.runs, mode)
        assert found is not None
        return found


@dataclass(frozen=True)
class Outcome:
    """One retraining."""

    candidates: tuple[Candidate, ...]
    """The finalists in the order of the search, then the reference if there is one."""
    winner: Candidate | None
    """The sound finalist with the best mean; None where there is none."""
    reference: Candidate | None

    def ranked(self, mode: str) -> list[Candidate]:
        """Return the finalists, the sound ones by their mean and then the others, and last the reference."""
        sign = 1 if mode == "min" else -1
        finalists = [each for each in self.candidates if each is not self.reference]
        finalists.sort(key=lambda each: (not each.is_sound, sign * each.mean if each.is_sound else 0.0))
        return [*finalists, *([self.reference] if self.reference else [])]


def finalists(trials: list[journal.Trial], count: int, mode: str) -> list[journal.Trial]:
    """Return the complete trials by value, then stopped ones to fill up; never a diverged or a failed one."""
    able = journal.ranked((trial for trial in trials if trial.may_win), mode)
    return sorted(able, key=lambda trial: trial.ending != "complete")[:count]


def of(retraining: optuna.Study, metric: str, mode: str) -> Outcome:
    """Return what a retraining in the journal found."""
    runs: dict[str, list[journal.Trial]] = {}
    for run in journal.read(retraining, metric):
        runs.setdefault(run.attributes["candidate"], []).append(run)
    scores = retraining.user_attrs
    found = [Candidate(name, tuple(its), _tests(its, scores)) for name, its in runs.items()]
    able = [candidate for candidate in found if candidate.is_sound and candidate.name != REFERENCE]
    chosen = min if mode == "min" else max
    winner = chosen(able, key=lambda candidate: candidate.mean) if able else None
    reference = next((candidate for candidate in found if candidate.name == REFERENCE), None)
    return Outcome(tuple(found), winner, reference)


def spread(values: list[float]) -> str:
    """Return 'mean ± standard deviation' over seeds, as text for a person."""
    if not values:
        return "-"
    center = mean(values)
    if len(values) == 1 or not all(map(math.isfinite, values)):
        return f"{center:.5g}"
    error = deviation(values)
    return f"{center:.5f} ± {error:.5f}" if 1e-4 <= abs(center) < 1e4 else f"{center:.4g} ± {error:.2g}"


def mean(values: list[float]) -> float:
    """Return the mean of values, of which there must be one; also of such as are near the largest there is."""
    try:
        return statistics.fmean(values)
    except OverflowError:
        return math.fsum(value / len(values) for value in values)


def deviation(values: list[float]) -> float:
    """Return the standard deviation of finite values, of which there must be two; infinite where no float holds it."""
    try:
        return statistics.stdev(values)
    except OverflowError:
        return math.inf


def _tests(runs: list[journal.Trial], scores: dict[str, Any]) -> dict[str, list[float]]:
    """Return the test metrics of these runs, which stand at the study: a closed trial takes no more attributes."""
    rows = [scores[f"test {run.number}"] for run in runs if f"test {run.number}" in scores]
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: [float(row[name]) for row in rows if name in row] for name in names}

"""A trial as a value: its epochs, its ending, and where it was trained.

| ending | when |
|---|---|
| complete | trained to `epochs`, or the workload ended by itself |
| stopped | the scheduler stopped it, or a limit ended the search |
| diverged | the first non-finite metric |
| failed | an exception, a metric that is missing or no number, a lost process |
| infeasible | Config refused it where it was to be trained, or `train` raised ValueError before its first epoch |

An infeasible one counts as no trial: another is proposed in its place.
"""

import math
from dataclasses import dataclass
from typing import Any, Literal

from search.spec.objective import Objective

Ending = Literal["complete", "stopped", "diverged", "failed", "infeasible"]
State = Ending | Literal["running"]
Where = tuple[str, int, float]
"""The host, the pid, and when training began there, in seconds since 1970."""
WORDS: dict[State, str] = {
    "complete": "complete",
    "stopped": "stopped early",
    "diverged": "diverged",
    "failed": "failed",
}
"""The endings of trials that count, as they are shown to a user."""
FAILURE = "failure"
"""The attribute that says why a trial failed."""
INFEASIBLE = "infeasible"
"""The attribute that says why a configuration is infeasible."""
REFUSED = "refused"
"""The attribute that says how many proposals Config had refused before a trial's own."""
KIND = "kind of failure"
"""The attribute that says what failures have in common: the exception's type, and where it was raised."""
STOPPED_AT = "stopped at"
"""The attribute that holds the epoch at which the scheduler stopped it."""
LIMIT = "limit"
"""The attribute that names the setting whose limit ended the search, and with it a trial that was running."""
WHERE = "where"
"""The attribute that says where it was trained."""


@dataclass(frozen=True)
class Trial:
    """One configuration as it was trained, read from the journal."""

    number: int
    ending: State
    value: float | None
    """The best finite value of the metric; None where there is none."""
    best_epoch: int
    """Where that value was reached, counted from 1; 0 where there is none."""
    params: dict[str, Any]
    """The sampled hyperparameters."""
    epochs: tuple[dict[str, float], ...]
    """The raw metrics of every epoch, and elapsed_s: seconds of training up to its end."""
    attributes: dict[str, Any]
    """What else was noted: the failure, and in a retraining the candidate and its full config."""
    started: float
    """Seconds since 1970."""
    seconds: float
    """From the proposal to the ending; NaN while it runs."""

    @property
    def worked(self) -> float:
        """Return how long it was trained, in seconds; 0 where no epoch has ended."""
        return self.epochs[-1]["elapsed_s"] if self.epochs else 0.0

    @property
    def where(self) -> Where | None:
        """Return where it was trained last; None where that was not recorded."""
        recorded = self.attributes.get(WHERE)
        if not recorded:
            return None
        host, pid, began = recorded
        return str(host), int(pid), float(began)

    @property
    def may_win(self) -> bool:
        """Return whether it has a finite value and neither diverged nor failed."""
        return self.ending in ("complete", "stopped") and self.value is not None

    def curve(self, objective: Objective) -> list[float]:
        """Return the metric at every epoch; NaN where an epoch lacks it."""
        return [objective.value_in(metrics) for metrics in self.epochs]

    def points(self, objective: Objective) -> list[tuple[int, float]]:
        """Return (epoch, value) of every epoch, counted from 1, that has the metric."""
        points = []
        for epoch, metrics in enumerate(self.epochs, 1):
            if objective.metric in metrics:
                points.append((epoch, metrics[objective.metric]))
        return points

    def running_best(self, objective: Objective) -> list[float | None]:
        """Return the best value so far at every epoch; None before the first finite one."""
        return objective.running_best(self.curve(objective))

    def diverged_at(self, epoch: int, objective: Objective) -> bool:
        """Return whether the metric of an epoch, counted from 1, is not finite; one that lacks it decides nothing."""
        metrics = self.epochs[epoch - 1]
        return objective.metric in metrics and not math.isfinite(metrics[objective.metric])

    def settled(self, epochs: int, objective: Objective) -> Ending | None:
        """Return how it ended, where its writer died before it recorded that; None where it must be trained again."""
        if FAILURE in self.attributes:
            return "failed"
        if INFEASIBLE in self.attributes:
            return "infeasible"
        if self.epochs and self.diverged_at(len(self.epochs), objective):
            return "diverged"
        if len(self.epochs) >= epochs:
            return "complete" if self.value is not None else None
        if self.epochs and self.attributes.get(STOPPED_AT) == len(self.epochs):
            return "stopped"
        return None

"""ASHA, the stopping variant of asynchronous successive halving.

Li et al., A System for Massively Parallel Hyperparameter Tuning, MLSys 2020, https://arxiv.org/abs/1810.05934.

Rungs lie at grace_period * reduction_factor**k epochs, below the epochs of a full trial. A trial that reaches a rung
goes on where it is among the best 1/reduction_factor of all that reached it so far, itself included (at least one
is): the rule of Optuna's SuccessiveHalvingPruner. Ray's own AsyncHyperBandScheduler compares with an interpolated
percentile of the others, which decides differently now and then, and lets a NaN train on. A trial is judged by its
best epoch so far, not by the one that falls on the rung.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from search.errors import check_types, require


@dataclass(frozen=True)
class ASHA:
    """ASHA's two numbers. Raises UserError at a value that breaks its rule."""

    grace_period: int = 3
    """Epochs that every trial may train: the first rung."""
    reduction_factor: int = 3
    """At each rung one in so many goes on, and the next rung is so many times higher."""

    def __post_init__(self) -> None:
        check_types(self)
        require(self, "grace_period", ">= 1", self.grace_period >= 1)
        require(self, "reduction_factor", ">= 2", self.reduction_factor >= 2)

    def rungs(self, epochs: int) -> list[int]:
        """Return the epochs at which trials of so many epochs are compared, lowest first."""
        return powers(self.grace_period, self.reduction_factor, epochs - 1)

    def chances(self, epochs: int) -> list[float]:
        """Return with what chance a trial goes on at each rung, before anything is known."""
        return [1 / self.reduction_factor for _ in self.rungs(epochs)]

    def rule(self, epochs: int) -> "SuccessiveHalving":
        """Return the rule for a search whose full trials train so many epochs."""
        return SuccessiveHalving(self.rungs(epochs), self.reduction_factor)


def powers(first: int, factor: int, last: int) -> list[int]:
    """Return first * factor**k for k = 0, 1, ..., as far as `last`, which may be one of them."""
    numbers = []
    number = first
    while number <= last:
        numbers.append(number)
        number *= factor
    return numbers


class SuccessiveHalving:
    """The rule itself: which trials go on."""

    def __init__(self, rungs: Iterable[int], reduction_factor: int) -> None:
        self._reduction_factor = reduction_factor
        self._losses: dict[int, dict[int, float]] = {rung: {} for rung in rungs}
        """The loss of each trial that reached a rung, by rung and trial."""

    def goes_on(self, trial: int, epoch: int, loss: float) -> bool:
        """Take in a trial's best loss so far, which is finite, at an epoch; return whether it goes on.

        A trial that is at a rung for the second time, trained again after its process died, went on there before.
        """
        if epoch not in self._losses:
            return True
        losses = self._losses[epoch]
        was_here = trial in losses
        losses[trial] = loss
        # The top 1/reduction_factor of those that are at the rung so far, and at least one.
        promoted = max(1, len(losses) // self._reduction_factor)
        threshold = sorted(losses.values())[promoted - 1]
        return was_here or loss <= threshold

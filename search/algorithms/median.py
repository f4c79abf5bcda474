"""The median stopping rule: a trial ends whose best is worse than the median of the others' averages so far.

Golovin et al., Google Vizier: A Service for Black-Box Optimization, KDD 2017, https://doi.org/10.1145/3097983.3098043.

As in the paper, the best loss so far of a trial is held against the median of the running averages of those that came
as far. An average is over what a rule is told, which is the best so far at each comparison. Optuna's MedianPruner
takes in place of the averages the values at that very epoch, of complete trials only. Of trials that came as far, as
here, those would be stricter from comparison to comparison, since who is left has passed all before; averages lag
behind, so that a trial that keeps improving goes on.
"""

import statistics
from collections.abc import Iterable
from dataclasses import dataclass

from search.errors import check_types, require


@dataclass(frozen=True)
class MedianStopping:
    """The rule's three numbers. Raises UserError at a value that breaks its rule."""

    grace_period: int = 3
    """Epochs that every trial may train: the first comparison."""
    interval: int = 1
    """Epochs from one comparison to the next."""
    min_trials: int = 4
    """Others that must have come as far before a trial can be stopped."""

    def __post_init__(self) -> None:
        check_types(self)
        require(self, "grace_period", ">= 1", self.grace_period >= 1)
        require(self, "interval", ">= 1", self.interval >= 1)
        require(self, "min_trials", ">= 1", self.min_trials >= 1)

    def rungs(self, epochs: int) -> list[int]:
        """Return the epochs at which trials of so many epochs are compared, lowest first."""
        return list(range(self.grace_period, epochs, self.interval))

    def chances(self, epochs: int) -> list[float]:
        """Return with what chance a trial goes on at each: of two trials one is better than the median at all."""
        rungs = self.rungs(epochs)
        return [0.5 ** (1 / len(rungs)) for _ in rungs]

    def rule(self, epochs: int) -> "MedianRule":
        """Return the rule for a search whose full trials train so many epochs."""
        return MedianRule(self.rungs(epochs), self.min_trials)


class MedianRule:
    """The rule itself: which trials go on."""

    def __init__(self, rungs: Iterable[int], min_trials: int) -> None:
        self._rungs = list(rungs)
        self._min_trials = min_trials
        self._losses: dict[int, dict[int, float]] = {}
        """The best loss so far of a trial at each rung that it reached, by trial and rung."""
        self._averages: dict[int, dict[int, float]] = {rung: {} for rung in self._rungs}
        """The mean of a trial's losses up to a rung, by rung and trial."""

    def goes_on(self, trial: int, epoch: int, loss: float) -> bool:
        """Take in a trial's best loss so far at an epoch; return whether it goes on."""
        if epoch not in self._averages:
            return True
        averages = self._averages[epoch]
        was_here = trial in averages
        others = [average for number, average in averages.items() if number != trial]
        # Its own running average, for those that come after it.
        losses = self._losses.setdefault(trial, {})
        losses[epoch] = loss
        averages[trial] = statistics.fmean(value for rung, value in losses.items() if rung <= epoch)
        if was_here or len(others) < self._min_trials:
            return True
        return loss <= statistics.median(others)

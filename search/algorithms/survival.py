"""With what chance the trials of a search go on at each rung, drawn from what became of those before them.

Each of DRAWS ways in which a search may go on is a column of the arrays below.
"""

import itertools
import operator
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from search.algorithms.schedulers import Scheduler

DRAWS = 256
DRIFT = 0.8
"""Standard deviation of the log-odds to go on, of those ahead against those seen, from search to search."""
KEPT = 1 - 1 / 24
"""What is left of a trial's weight after each that came to its rung later: a sampler learns."""
PASSED = 0
FAILED = 1
SHARE = 2
"""Columns of what was seen at a rung: how many went on, how many did not, and which share of their way there those had
trained."""

Floats = npt.NDArray[np.float64]


class Odds(NamedTuple):
    """What may become of a trial on its way to each end: the rungs, then the last epoch."""

    passes: Floats
    """[ends, draws]: the chance to go on there."""
    share: Floats
    """[ends, 1]: of the way there, what those train that do not go on."""


class Survival:
    """With what chance a trial goes on at a rung, or reaches its end; nothing seen, it is the scheduler's at a rung."""

    def __init__(self, rungs: Sequence[int], epochs: int, chances: Sequence[float]) -> None:
        self.ends = [*rungs, epochs]
        self.begins = [0, *rungs]
        self._come = [1.0, *itertools.accumulate(chances, operator.mul)]
        """[ends]: the share of all trials that come so far, nothing seen."""
        # The prior counts as one trial at each rung; nearly every trial beyond the last of them reaches its end.
        at_rungs = [[chance, 1 - chance, 1 - chance] for chance in chances]
        at_end = [1.0, 0.05, 0.05]
        self._seen = np.array([*at_rungs, at_end])
        """[ends, 3]: PASSED, FAILED and SHARE."""
        self._reached = np.zeros(len(self.ends))
        """[ends]: how many trials came there."""

    @classmethod
    def under(cls, scheduler: Scheduler | None, epochs: int) -> "Survival":
        """Return the chances of trials that are stopped by a scheduler, nothing seen."""
        if scheduler is None:
            return cls([], epochs, [])
        return cls(scheduler.rungs(epochs), epochs, scheduler.chances(epochs))

    def learn(self, before: int, epoch: int, has_ended: bool) -> None:
        """Take in that a trial has got from one epoch to another."""
        last = self.ends[-1]
        for at, (begin, end) in enumerate(zip(self.begins, self.ends, strict=True)):
            has_passed = before <= end < epoch or before < end == epoch == last
            was_on_its_way = begin < epoch <= end or epoch == begin == 0
            if has_passed:
                self._count(at, [1, 0, 0])
            elif has_ended and epoch < last and was_on_its_way:
                self._count(at, [0, 1, (epoch - begin) / (end - begin)])

    def _count(self, at: int, seen: list[float]) -> None:
        self._reached[at] += 1
        self._seen[at] = self._seen[at] * KEPT + seen

    def odds(self, random: np.random.Generator, gain: float) -> Odds:
        """Return the odds in each draw; at the rungs the log-odds are `gain` above those seen."""
        passed = self._seen[:, [PASSED]]
        failed = self._seen[:, [FAILED]]
        # What the chances may be, by what was seen: a Beta distribution each.
        passes = random.beta(passed, failed, size=(len(self.ends), DRAWS)).clip(1e-6, 1 - 1e-6)
        # What they will be at the rungs: moved by what the sampler learns, which is uncertain in the same way for all.
        log_odds = np.log(passes / (1 - passes)) + gain + DRIFT * random.standard_normal(DRAWS)
        passes[:-1] = (1 / (1 + np.exp(-log_odds)))[:-1]
        return Odds(passes, self._seen[:, [SHARE]] / failed)

    def epochs(self, random: np.random.Generator, at: Floats, odds: Odds) -> Floats:
        """Return the epochs of trials at their end [trials, draws], which have trained `at` [trials, 1] so far.

        The first at a rung go on there, since the best of so few does.
        """
        epochs = np.zeros((len(at), DRAWS))
        is_alive = np.ones((len(at), DRAWS), bool)
        for rung, (begin, end) in enumerate(zip(self.begins, self.ends, strict=True)):
            chance = odds.passes[rung]
            if end < self.ends[-1]:
                # Of those that come here next, the nth is at least as likely to go on as one in n.
                order = self._reached[rung] + 1 + np.arange(len(at))[:, np.newaxis] * self._come[rung]
                chance = np.maximum(chance, 1 / order)
            passes = is_alive & ((at >= end) | (random.random(is_alive.shape) < chance))
            ends_here = is_alive & ~passes
            epochs[passes] = end
            epochs[ends_here] = begin + odds.share[rung, 0] * (end - begin)
            is_alive = passes
        latest: Floats = np.maximum(epochs, at)
        return latest

    def sums(self, random: np.random.Generator, trials: int, odds: Odds) -> Floats:
        """Return the epochs that so many new trials will have trained together [draws]."""
        left = np.full(DRAWS, trials)
        epochs = np.zeros(DRAWS)
        for at, (begin, end) in enumerate(zip(self.begins, self.ends, strict=True)):
            passes = random.binomial(left, odds.passes[at])
            epochs += (passes + (left - passes) * odds.share[at]) * (end - begin)
            left = passes
        return epochs

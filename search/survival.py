"""With what chance a trial goes on at each rung, told by those that came there, and how many epochs it then trains."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

DRAWS = 256
KEPT = 1 - 1 / 24
"""What is left of a trial's weight after each that came to its rung later: a sampler learns."""
DRIFT = 0.8
"""Standard deviation of the log-odds to go on, of those ahead against those seen, from search to search."""

Floats = npt.NDArray[np.float64]


class Survival:
    """With what chance a trial goes on at a rung, or reaches its end; nothing seen, one in `factor` does at a rung."""

    def __init__(self, rungs: Sequence[int], epochs: int, factor: int) -> None:
        self.ends, self.begins = [*rungs, epochs], [0, *rungs]
        prior = [1 / factor, 1 - 1 / factor, 1 - 1 / factor]
        self._factor = factor
        self._seen = np.array([*([prior] * len(rungs)), [1.0, 0.05, 0.05]])
        """[ends, 3]: how many went on, how many did not, and which share of their way there those had trained."""
        self._reached = np.zeros(len(self.ends))

    def learn(self, before: int, epoch: int, has_ended: bool) -> None:
        """Take in that a trial has got from one epoch to another."""
        for at, (begin, end) in enumerate(zip(self.begins, self.ends, strict=True)):
            if before <= end < epoch or before < end == epoch == self.ends[-1]:
                self._count(at, 1, 0, 0)
            elif has_ended and epoch < self.ends[-1] and (begin < epoch <= end or epoch == begin == 0):
                self._count(at, 0, 1, (epoch - begin) / (end - begin))

    def _count(self, at: int, *seen: float) -> None:
        self._reached[at] += 1
        self._seen[at] = self._seen[at] * KEPT + seen

    def chances(self, random: np.random.Generator, gain: float) -> tuple[Floats, Floats]:
        """Return the chance to go on at each end in each draw [ends, draws], and the share [ends, 1]."""
        passed, failed, share = self._seen.T[:, :, np.newaxis]
        found = random.beta(passed, failed, size=(len(self.ends), DRAWS)).clip(1e-6, 1 - 1e-6)
        moved = np.log(found / (1 - found)) + gain + DRIFT * random.standard_normal(DRAWS)
        found[:-1] = (1 / (1 + np.exp(-moved)))[:-1]
        return found, share / failed

    def epochs(self, random: np.random.Generator, at: Floats, chances: Floats, share: Floats) -> Floats:
        """Return the epochs of trials at their end [trials, draws], which have trained `at` [trials, 1] so far.

        The first at a rung go on there, since the best of so few does.
        """
        found, alive = np.zeros((len(at), DRAWS)), np.ones((len(at), DRAWS), bool)
        for rung, (begin, end) in enumerate(zip(self.begins, self.ends, strict=True)):
            order = self._reached[rung] + 1 + np.arange(len(at))[:, np.newaxis] / self._factor**rung
            chance = np.maximum(chances[rung], 1 / order if end < self.ends[-1] else 0)
            passes = alive & ((at >= end) | (random.random(alive.shape) < chance))
            found = np.where(passes, end, np.where(alive, begin + share[rung] * (end - begin), found))
            alive = passes
        latest: Floats = np.maximum(found, at)
        return latest

    def sums(self, random: np.random.Generator, trials: int, chances: Floats, share: Floats) -> Floats:
        """Return the epochs that so many new trials will have trained together [draws]."""
        left, found = np.full(DRAWS, trials), np.zeros(DRAWS)
        for at, (begin, end) in enumerate(zip(self.begins, self.ends, strict=True)):
            passes = random.binomial(left, chances[at])
            found += (passes + (left - passes) * share[at]) * (end - begin)
            left = passes
        return found

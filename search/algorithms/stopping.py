"""What ends a search before it has all its trials: a time, epochs, patience, or a target; whichever comes first.

The rule is pure: it is told what the trials report and the seconds that have passed, and a resume tells a new one all
that the journal holds.

**Patience** counts the trials that ended, one after another, without an improvement beyond the noise. An improvement is
a best value better than that of the last improvement by more than two deviations of the noise, so that many small steps
are one together. A trial that diverged or failed is none.

**The noise** is that of the metric from epoch to epoch, as the search's own trials show it: of each trial that went
far (to its end, or at least two thirds of a full trial's epochs) the last quarter of its curve, at least four epochs,
where it is about straight. There x[e-1] - 2 x[e] + x[e+1] is free of what a straight line adds, and has 6 times the
variance of an epoch's own noise; the median of its magnitude, over 0.6745, is a deviation. The noise is the median of
those over the better half of these trials: what is far from the best may be noisier by far, and a curve or two that
jump move no median. It is 0 as long as none went far, or epochs are too few for a second difference: then any
improvement is one.

Of the 400 curves of tests/curves.parquet it is 0.00008 for the best forty. The deviation of their value from seed to
seed is 0.00005 to 0.0003; over the last half of the curves, where the learning rate is still high, the noise would be
0.0006.
"""

import math
import statistics
from collections.abc import Sequence
from typing import NamedTuple

FAR = 2 / 3
"""Of a full trial's epochs: who trained so many went far."""
LATE = 1 / 4
LEAST_LATE = 4
"""Of a curve, the share at its end, and the least epochs, whose noise counts."""
DEVIATIONS = 2
"""Of the noise, by which a value must be better to be an improvement."""
NORMAL = 0.6745
"""The median of the magnitude of a normal variable of deviation 1."""


class Limits(NamedTuple):
    """What ends a search; None where that does not."""

    seconds: float | None = None
    epochs: int | None = None
    patience: int | None = None
    target: float | None = None
    """As a loss: lower is better."""


class Reason(NamedTuple):
    """Why a search has ended."""

    setting: str
    """The name of the setting whose limit was reached."""
    note: str = ""
    """More on it, as text."""


class Stopping:
    """The limits of one search, and what it has come to so far."""

    def __init__(self, limits: Limits, epochs: int) -> None:
        """`epochs` are those of a full trial."""
        self.limits = limits
        self.seconds = 0.0
        """Of searching, over all sessions."""
        self.trained = 0
        """Epochs, of all trials."""
        self.without = 0
        """Trials that have ended since the last improvement."""
        self.reason: Reason | None = None
        """The limit that was reached first; None as long as none was."""
        self._epochs = epochs
        self._curves: dict[int, dict[int, float]] = {}
        """The loss of each epoch, by trial and epoch; NaN of an epoch that lacks the metric."""
        self._scatters: list[tuple[float, float]] = []
        """Of each trial that went far its loss, and the noise from epoch to epoch."""
        self._reference = math.inf
        """The loss of the last improvement."""

    def pass_time(self, seconds: float) -> None:
        """Take in how many seconds of searching have passed in all."""
        self.seconds = seconds
        if self.limits.seconds is not None and seconds >= self.limits.seconds:
            self._reach(Reason("time_budget"))

    def hear(self, trial: int, epoch: int, loss: float) -> None:
        """Take in a trial's loss of an epoch, counted from 1; one that is trained again has been counted."""
        curve = self._curves.setdefault(trial, {})
        self.trained += epoch not in curve
        curve[epoch] = loss
        target = self.limits.target
        if target is not None and loss <= target:
            self._reach(Reason("target", f"in trial {trial}"))
        if self.limits.epochs is not None and self.trained >= self.limits.epochs:
            self._reach(Reason("epoch_budget"))

    def end(self, trial: int, *, is_complete: bool, may_win: bool) -> None:
        """Take in that a trial has ended: by itself or at its last epoch, and with a value that counts."""
        curve = [loss for _, loss in sorted(self._curves.get(trial, {}).items())]
        finite = list(filter(math.isfinite, curve))
        if may_win and finite:
            self._learn_noise(min(finite), curve, is_complete=is_complete)
        # The noise takes a look at all trials: it is asked for only where it decides.
        best = min(finite) if may_win and finite else math.inf
        if best < self._reference and best < self._reference - DEVIATIONS * self.noise:
            self._reference = best
            self.without = 0
        else:
            self.without += 1
        if not self.reason and self.limits.patience is not None and self.without >= self.limits.patience:
            self._reach(Reason("patience", f"the noise is {self.noise:.2g}"))

    def left(self, trial: int) -> int | None:
        """Return the epoch of a trial at which the epochs are spent, if nothing else is trained; None without a limit.

        It is at least 1.
        """
        if self.limits.epochs is None:
            return None
        others = self.trained - len(self._curves.get(trial, {}))
        return max(1, self.limits.epochs - others)

    @property
    def noise(self) -> float:
        """Return the deviation of the metric from epoch to epoch, of good trials near their end; 0 if unknown."""
        if not self._scatters:
            return 0.0
        better = sorted(self._scatters)[: (len(self._scatters) + 1) // 2]
        return statistics.median(scatter for _, scatter in better)

    def _learn_noise(self, loss: float, curve: Sequence[float], *, is_complete: bool) -> None:
        """Take in the noise of a trial that went far."""
        if not is_complete and len(curve) < FAR * self._epochs:
            return
        late = curve[-max(LEAST_LATE, round(LATE * len(curve))) :]
        second = [late[at - 1] - 2 * late[at] + late[at + 1] for at in range(1, len(late) - 1)]
        finite = [abs(value) for value in second if math.isfinite(value)]
        if finite:
            self._scatters.append((loss, statistics.median(finite) / NORMAL / math.sqrt(6)))

    def _reach(self, reason: Reason) -> None:
        self.reason = self.reason or reason

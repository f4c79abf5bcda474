"""ASHA, the stopping variant of asynchronous successive halving, which stops a diverged trial at once.

Li et al., A System for Massively Parallel Hyperparameter Tuning, MLSys 2020, https://arxiv.org/abs/1810.05934.

Rungs lie at grace_period * reduction_factor**k epochs, below the epochs of a full trial. A trial that reaches a rung
goes on where it is among the best 1/reduction_factor of all that reached it so far, itself included (at least one
is): the rule of Optuna's SuccessiveHalvingPruner. Ray's own AsyncHyperBandScheduler compares with an interpolated
percentile of the others, which decides differently now and then, and lets a NaN train on. A trial is judged by its
best epoch so far, not by the one that falls on the rung.
"""

import math
from collections.abc import Callable
from typing import Any

from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler

from search import journal
from search.config import Halving


class Rungs:
    """The rule itself: which trials go on. What stood in the journal is replayed through it with `recall`."""

    def __init__(self, halving: Halving | None, epochs: int, mode: str) -> None:
        self._reduction_factor = halving.reduction_factor if halving else 1
        self._mode = mode
        self._sign = 1.0 if mode == "min" else -1.0
        rungs = halving.rungs(epochs) if halving else []
        self._reached: dict[int, dict[int, float]] = {epoch: {} for epoch in rungs}

    def goes_on(self, trial: int, epoch: int, best: float) -> bool:
        """Take in a trial's best value so far at an epoch, counted from 1; return whether it goes on.

        A trial that is at a rung for the second time, trained again after its process died, went on there before.
        """
        if not math.isfinite(best):
            return False
        if epoch not in self._reached:
            return True
        reached = self._reached[epoch]
        again = trial in reached
        reached[trial] = self._sign * best
        promoted = max(1, len(reached) // self._reduction_factor)
        return again or reached[trial] <= sorted(reached.values())[promoted - 1]

    def recall(self, trial: journal.Trial, metric: str) -> None:
        """Take in a trial of an earlier session, epoch by epoch."""
        for epoch, (metrics, best) in enumerate(zip(trial.epochs, trial.bests(metric, self._mode), strict=True), 1):
            is_finite = math.isfinite(metrics.get(metric, math.nan))
            self.goes_on(trial.number, epoch, math.nan if best is None or not is_finite else best)


class Scheduler(FIFOScheduler):
    """Asks the rungs at every result that Tune has; starts trials in the order of their proposals.

    A trial without a number only lends its process, until `wants_back` says otherwise.
    """

    def __init__(self, rungs: Rungs, wants_back: Callable[[], bool] = lambda: False) -> None:
        FIFOScheduler.__init__(self)
        self._rungs, self._wants_back = rungs, wants_back

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        """Return CONTINUE or STOP for an epoch that did not end its trial by itself."""
        if trial.config["number"] is None:
            goes_on = not self._wants_back()
        else:
            goes_on = self._rungs.goes_on(trial.config["number"], result["epoch"], result["value"])
        return TrialScheduler.CONTINUE if goes_on else TrialScheduler.STOP

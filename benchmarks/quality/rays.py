"""Ray Tune's own: OptunaSearch and its ASHA, driven as its controller drives them, without a cluster."""

from types import SimpleNamespace
from typing import Any

from ray.tune.schedulers import AsyncHyperBandScheduler, TrialScheduler
from ray.tune.search.optuna import OptunaSearch

from benchmarks.quality.tables import Params, Table

METRIC = "loss"
CONTROLLER: Any = None
"""Neither of them looks at it."""


class Rays:
    """A search as a user of Ray Tune sets it up: the metric is reported as it is."""

    def __init__(self, table: Table, seed: int, grace_period: int = 1, reduction_factor: float = 4) -> None:
        self._searcher = OptunaSearch(dict(table.space), metric=METRIC, mode="min", seed=seed)
        self._scheduler = AsyncHyperBandScheduler(
            metric=METRIC,
            mode="min",
            max_t=table.epochs,
            grace_period=grace_period,
            reduction_factor=reduction_factor,
        )
        self._params: dict[int, Params] = {}
        self._last: dict[int, float] = {}

    def ask(self) -> tuple[int, Params]:
        """Return the next trial."""
        number = len(self._params)
        params = self._searcher.suggest(str(number))
        assert params is not None
        self._scheduler.on_trial_add(CONTROLLER, self._trial(number))
        self._params[number] = params
        return number, params

    def hear(self, number: int, epoch: int, loss: float, *, is_last: bool) -> bool:
        """Do what TuneController._process_trial_result does with a result."""
        result = {METRIC: loss, "training_iteration": epoch}
        self._last[number] = loss
        trial = self._trial(number)
        decision = self._scheduler.on_trial_result(CONTROLLER, trial, result)
        if decision == TrialScheduler.CONTINUE and not is_last:
            self._searcher.on_trial_result(str(number), result)
            return True
        self._scheduler.on_trial_complete(CONTROLLER, trial, result)
        self._searcher.on_trial_complete(str(number), result)
        return False

    def chosen(self) -> Params | None:
        """Return the trial whose newest loss is the best, as ResultGrid.get_best_result does; one may still run."""
        if not self._last:
            return None
        return self._params[min(self._last, key=lambda number: self._last[number])]

    @staticmethod
    def _trial(number: int) -> Any:
        return SimpleNamespace(trial_id=str(number))

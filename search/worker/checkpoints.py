"""Checkpoints of a run that is retrained: the pickled model at its best epoch, and at those that a film will show."""

from collections.abc import Mapping
from typing import Any

import cloudpickle
import numpy as np

from search.worker import process
from search.worker.guard import Guard
from search.worker.training import Order, Training

MOST_EPOCHS = 16
"""Checkpoints that a run keeps at most."""
FEWEST_EPOCHS = 3
"""Checkpoints of which a film can be made: a run that has room for fewer keeps none."""
MOST_BYTES = 32_000_000
"""Size of all checkpoints of a run together, at most."""


def spread(epochs: int, count: int) -> list[int]:
    """Return at most `count` of the epochs 1 to `epochs`, in geometric steps, the first and the last included.

    Rounding makes neighbours equal, so more steps are tried until they give more than `count` different epochs.
    """
    chosen: list[int] = []
    for steps in range(count, 2 * max(count, epochs)):
        rounded = np.geomspace(1, epochs, steps).round().astype(int)
        distinct = sorted(set(rounded.tolist()))
        if len(distinct) > count:
            break
        chosen = distinct
    return chosen


class Checkpoints:
    """The pickled models of one run, by epoch: at most MOST_EPOCHS, and MOST_BYTES together.

    There are none where FEWEST_EPOCHS models of the first one's size would not fit.
    """

    def __init__(self) -> None:
        self.models: dict[int, bytes] = {}
        self._epochs = 0
        self._chosen = {1}
        self._bytes_left = MOST_BYTES

    def want(self, epoch: int, epochs: int) -> bool:
        """Return whether the model of an epoch, counted from 1, of a run of `epochs` is to be added."""
        self._epochs = epochs
        return epoch in self._chosen

    def add(self, epoch: int, model: bytes | None) -> None:
        """Keep the pickled model of an epoch that was wanted; the size of the first decides how many follow.

        None stands for a model that cannot be pickled, and an empty one for none: no later one is wanted.
        """
        if epoch == 1 and model:
            self._choose(len(model))
        if not model or len(model) > self._bytes_left:
            self._chosen = set()
        elif self._chosen:
            self._bytes_left -= len(model)
            self.models[epoch] = model

    def _choose(self, model_bytes: int) -> None:
        """Choose the epochs to keep, for models of this size."""
        fitting = min(MOST_EPOCHS, MOST_BYTES // model_bytes)
        if fitting >= FEWEST_EPOCHS:
            self._chosen = set(spread(self._epochs, fitting))
        else:
            self._chosen = set()


class Copies:
    """Pickled copies of a run's live model: at its best epoch, and checkpoints where the workload can draw them."""

    def __init__(self, order: Order) -> None:
        self.best: bytes | None = None
        """None where it cannot be pickled; empty where the workload yields no model."""
        self.checkpoints = Checkpoints()
        self._order = order
        self._value: float | None = None

    def take(self, training: Training, result: Mapping[str, Any]) -> None:
        """Pickle the model after an epoch's result, where it is the best so far or a wanted checkpoint."""
        is_best = result["best"] != self._value
        self._value = result["best"]
        is_wanted = bool(result["epochs"]) and self._wants(result["epoch"], training.epochs)
        if not is_best and not is_wanted:
            return
        pickled = b"" if training.model is None else pickle(training.model)[0]
        if is_best:
            self.best = pickled
        if is_wanted:
            self.checkpoints.add(result["epoch"], pickled)

    def _wants(self, epoch: int, epochs: int | None) -> bool:
        if epochs is None:
            return False
        is_drawn = process.prepare(self._order.workload, self._order.gpus).plot is not None
        return is_drawn and self.checkpoints.want(epoch, epochs)


def pickle(model: Any) -> tuple[bytes | None, str]:
    """Return the live model as a pickle; or None and why, with the traceback in the log, where it cannot be pickled."""
    with Guard() as guard:
        pickled: bytes = cloudpickle.dumps(model)
        return pickled, ""
    guard.print()
    return None, guard.failure

"""What a retraining keeps of a run on its way: the model, pickled, at some epochs. A film is made of it."""

import traceback
from collections.abc import Mapping
from typing import Any

import cloudpickle
import numpy as np

from search.worker import process
from search.worker.training import Order, Training

MOST = 16
"""Epochs that are kept."""
FEWEST = 3
LIMIT = 32_000_000
"""Bytes that are kept of a run."""


def spread(epochs: int, count: int) -> list[int]:
    """Return at most so many epochs, counted from 1, with the first and the last: in geometric steps."""
    found: list[int] = []
    for steps in range(count, 2 * max(count, epochs)):
        tried = sorted(set(np.geomspace(1, epochs, steps).round().astype(int).tolist()))
        if len(tried) > count:
            break
        found = tried
    return found


class Checkpoints:
    """The pickled models of one run, by epoch: at most MOST, and LIMIT bytes; none where FEWEST do not fit."""

    def __init__(self) -> None:
        self.models: dict[int, bytes] = {}
        self._epochs = 0
        self._chosen = {1}
        self._left = LIMIT

    def want(self, epoch: int, epochs: int) -> bool:
        """Return whether the model of an epoch of so many is to be added."""
        self._epochs = epochs
        return epoch in self._chosen

    def add(self, epoch: int, model: bytes | None) -> None:
        """Keep a pickled model that was wanted; the size of the first decides how many are.

        None, which is one that cannot be pickled, is the last.
        """
        if epoch == 1 and model:
            fitting = min(MOST, LIMIT // len(model))
            self._chosen = set(spread(self._epochs, fitting)) if fitting >= FEWEST else set()
        if model is None or len(model) > self._left:
            self._chosen = set()
        elif self._chosen:
            self._left -= len(model)
            self.models[epoch] = model


class Copies:
    """Pickled copies of a run's live model: at its best epoch, and on its way where that will be drawn."""

    def __init__(self, order: Order) -> None:
        self.best: bytes | None = None
        self.checkpoints = Checkpoints()
        self._order = order
        self._value: float | None = None

    def take(self, training: Training, result: Mapping[str, Any]) -> None:
        """Copy the model after a pull, where it is the best so far or one to be drawn."""
        improved = result["best"] != self._value
        self._value = result["best"]
        wanted = bool(result["epochs"]) and self._wants(result["epoch"], training.config.epochs)
        copied = _pickle(training.model) if improved or wanted else None
        if improved:
            self.best = copied
        if wanted:
            self.checkpoints.add(result["epoch"], copied)

    def _wants(self, epoch: int, epochs: int) -> bool:
        is_drawn = process.prepare(self._order.workload, self._order.gpus).plot is not None
        return is_drawn and self.checkpoints.want(epoch, epochs)


def _pickle(model: Any) -> bytes | None:
    """Return a copy of the live model; None, and the reason in the log, where it cannot be pickled."""
    try:
        copied: bytes = cloudpickle.dumps(model)
    except Exception:  # whatever a foreign object raises
        traceback.print_exc()
        return None
    return copied

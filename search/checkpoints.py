"""What a retraining keeps of a run on its way: the model, pickled, at some epochs. A film is made of it."""

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

T = TypeVar("T")
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


def evenly(items: Sequence[T]) -> list[T]:
    """Return the last, the first, then what halves the gaps: the first few are then spread over all."""
    last = len(items) - 1
    order = [last, 0] if last > 0 else [0] if last == 0 else []
    gaps = [(0, last)]
    while gaps:
        between = [(low, (low + high) // 2, high) for low, high in gaps if high - low > 1]
        order += [middle for _, middle, _ in between]
        gaps = [gap for low, middle, high in between for gap in ((low, middle), (middle, high))]
    return [items[at] for at in order]


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

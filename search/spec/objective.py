"""What a search is for: a metric, and whether a low or a high value of it is good; the statistics of such values."""

import math
import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol, TypeVar

MODES = ("min", "max")


class Valued(Protocol):
    """What can be ranked: a trial, or whatever else has a value."""

    @property
    def value(self) -> float | None:
        """The value; None where there is none."""
        ...


T = TypeVar("T", bound=Valued)


@dataclass(frozen=True)
class Objective:
    """One metric and its mode.

    >>> accuracy = Objective("accuracy", "max")
    >>> accuracy.is_better(0.9, than=0.8)
    True
    >>> accuracy.running_best([0.5, 0.9, 0.7])
    [0.5, 0.9, 0.9]
    """

    metric: str
    mode: str = "min"
    """min or max."""

    @property
    def direction(self) -> Literal["minimize", "maximize"]:
        """Return Optuna's word for the mode."""
        return "minimize" if self.mode == "min" else "maximize"

    @property
    def sign(self) -> int:
        """Return what a value is multiplied by to become a loss, of which the lowest is the best."""
        return 1 if self.mode == "min" else -1

    def value_in(self, metrics: Mapping[str, float]) -> float:
        """Return the metric of one epoch; NaN where that lacks it."""
        return metrics.get(self.metric, math.nan)

    def is_better(self, value: float, than: float | None) -> bool:
        """Return whether a value is finite and beats another; None is beaten by any."""
        if not math.isfinite(value):
            return False
        return than is None or self.sign * value < self.sign * than

    def best_of(self, values: Iterable[float]) -> float:
        """Return the best of finite values, of which there must be one."""
        return min(values) if self.mode == "min" else max(values)

    def running_best(self, values: Iterable[float]) -> list[float | None]:
        """Return the best finite value up to each of these; None before the first finite one."""
        bests: list[float | None] = []
        best: float | None = None
        for value in values:
            if self.is_better(value, best):
                best = value
            bests.append(best)
        return bests

    def ranked(self, items: Iterable[T]) -> list[T]:
        """Return the items that have a value, the best first; of equals the one that came first."""
        valued = [(item.value, item) for item in items if item.value is not None]
        valued.sort(key=lambda pair: self.sign * pair[0])
        return [item for _, item in valued]

    def best(self, items: Iterable[T]) -> T | None:
        """Return the item with the best value; None where none has one."""
        return next(iter(self.ranked(items)), None)


def mean(values: list[float]) -> float:
    """Return the mean of values, of which there must be one; also of such as are near the largest there is."""
    try:
        return statistics.fmean(values)
    except OverflowError:
        return math.fsum(value / len(values) for value in values)


def deviation(values: list[float]) -> float:
    """Return the standard deviation of finite values, of which there must be two; infinite where no float holds it."""
    try:
        return statistics.stdev(values)
    except OverflowError:
        return math.inf

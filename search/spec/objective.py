"""The objective of a search: a metric, its mode (min or max), and how values of it are compared and summarized."""

import math
import re
import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol, TypeVar

MODES = ("min", "max")
LOSSES = {
    *("loss", "losses", "error", "errors", "err", "cost", "regret", "perplexity", "ppl"),
    *("mse", "rmse", "mae", "mape", "nll", "bce", "wer", "cer", "fid"),
}
"""Words that say of a metric that it is to be minimized."""
BESIDES = {
    *("val", "valid", "validation", "test", "train", "training", "eval", "dev", "mean", "avg", "total", "rate", "best"),
    *("squared", "absolute", "root", "cross", "entropy", "word", "character", "percentage", "log"),
}
"""Words that may stand beside those without a change of what is better, as neg and free may not."""


class Valued(Protocol):
    """What can be ranked: anything that has a value, such as a trial."""

    @property
    def value(self) -> float | None:
        """The value of the objective's metric; None where there is none."""
        ...


T = TypeVar("T", bound=Valued)


def mode_of(metric: str) -> str:
    """Return min where a metric's name says so, as val_loss does; empty where it does not, and somebody must say."""
    spaced = re.sub("([a-z])([A-Z])", r"\1 \2", metric)
    words = set(re.split(r"[ _/.]", spaced.lower()))
    return "min" if words & LOSSES and words <= LOSSES | BESIDES else ""


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
        """Return the mode in Optuna's words."""
        return "minimize" if self.mode == "min" else "maximize"

    @property
    def sign(self) -> int:
        """Return the factor, 1 or -1, that turns a value into a loss, of which the lowest is the best."""
        return 1 if self.mode == "min" else -1

    def value_in(self, metrics: Mapping[str, float]) -> float:
        """Return the objective's metric among those of an epoch; NaN where it is missing."""
        return metrics.get(self.metric, math.nan)

    def is_better(self, value: float, than: float | None) -> bool:
        """Return whether a value is finite and better than another; every finite value is better than None."""
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
        """Return the items that have a value, the best first; equal ones keep their order."""
        with_loss = [(self.sign * item.value, item) for item in items if item.value is not None]
        with_loss.sort(key=lambda pair: pair[0])
        return [item for _, item in with_loss]

    def best(self, items: Iterable[T]) -> T | None:
        """Return the item with the best value; None where no item has one."""
        ranked = self.ranked(items)
        return ranked[0] if ranked else None


def mean(values: list[float]) -> float:
    """Return the mean of at least one value, also where the sum of all would overflow a float."""
    try:
        return statistics.fmean(values)
    except OverflowError:
        return statistics.mean(values)  # exact, and slow


def deviation(values: list[float]) -> float:
    """Return the standard deviation of at least two finite values; infinite where it would overflow a float."""
    try:
        return statistics.stdev(values)
    except OverflowError:
        return math.inf

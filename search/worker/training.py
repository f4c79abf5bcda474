"""Training of one config in a worker process, an epoch at a time, with an honest account of how each went."""

import math
import os
import platform
import time
import traceback
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from search.errors import suggestion
from search.journal.trial import Ending, Where
from search.spec.objective import Objective
from search.worker import isolation, process
from search.worker.isolation import Surroundings

REPORT_INTERVAL_S = 0.2
"""Time that a process trains between reports where no rung comes first: a report costs milliseconds."""
SILENT = "reported nothing for longer than epoch_timeout ({:g} s)"


@dataclass(frozen=True)
class Order:
    """What a worker process is to train: a workload, its values, its share of a GPU, and the objective."""

    workload: str
    gpus: float
    objective: Objective
    values: Mapping[str, Any]
    timeout: float | None = None
    """Time limit of an epoch, in seconds; None sets none."""


class Training:
    """One config being trained: the workload's generator, and the result of the epoch that it yielded last.

    A result is a dict:
        epoch: how many there were, counted from 1; 0 before the first has ended
        metrics: those of this epoch, floats by name
        best: the best finite value of the objective's metric so far, or None
        value: the same, or NaN where this epoch's is not finite
        elapsed_s: seconds of training up to the end of this epoch
        ended: whether no epoch follows
        failure, traceback: texts, where the workload broke its contract
    """

    def __init__(self, order: Order) -> None:
        self._order = order
        self._generator: Iterator[tuple[Mapping[str, Any], Any]] | None = None
        self._surroundings: Surroundings | None = None
        self.where: Where = (platform.node(), os.getpid(), time.time())
        self.config: Any = None
        self.model: Any = None
        self._last: dict[str, Any] = {"epoch": 0, "metrics": {}, "best": None, "value": math.nan, "elapsed_s": 0.0}

    def advance(self, rungs: Collection[int] = (), seconds: float = REPORT_INTERVAL_S) -> dict[str, Any]:
        """Train epochs until one is at a rung or the last, or so many seconds have passed.

        Returns the last result with two more keys: `epochs`, a list of (epoch, metrics with elapsed_s, best) of each
        epoch that was trained here, and `where`.
        """
        epochs = []
        begin = time.monotonic()
        while True:
            before = self._last["epoch"]
            result = self.pull()
            if result["epoch"] > before:
                metrics = {**result["metrics"], "elapsed_s": result["elapsed_s"]}
                epochs.append((result["epoch"], metrics, result["best"]))
            if result["ended"] or result["epoch"] in rungs or time.monotonic() - begin >= seconds:
                return {**result, "epochs": epochs, "where": self.where}

    def pull(self) -> dict[str, Any]:
        """Train one epoch and return its result. What the workload raises is a failure in the result, never raised."""
        begin = time.perf_counter()
        try:
            with process.time_limit(self._order.timeout, SILENT):
                if self._generator is None:
                    self._generator = self._start()
                metrics, self.model = next(self._generator)
                numbers = _numbers(metrics)
        except StopIteration:
            if self._last["epoch"] == 0:
                return self._failure("train yielded nothing; it must yield (metrics, model) once an epoch")
            return {**self._last, "ended": True}
        except (Exception, SystemExit) as error:
            return self._failure(f"{type(error).__name__}: {error}", traceback.format_exc())
        return self._epoch(metrics, numbers, seconds=time.perf_counter() - begin)

    def _start(self) -> Iterator[tuple[Mapping[str, Any], Any]]:
        """Return the workload's generator, in a process whose state was noted and whose generators are seeded."""
        workload = process.prepare(self._order.workload, self._order.gpus)
        self._surroundings = Surroundings(self._order.workload)
        process.hold_memory(self._order.gpus)
        self.config = workload.resolve(workload.build(self._order.values))
        isolation.seed(self.config.seed)
        return iter(workload.train(self.config))

    def _epoch(self, metrics: Mapping[str, Any], numbers: dict[str, float], seconds: float) -> dict[str, Any]:
        """Return the result of an epoch that yielded these metrics: a failure where the objective's is no number."""
        objective = self._order.objective
        if objective.metric not in metrics:
            return self._failure(f"train yields no {objective.metric!r}, {suggestion(objective.metric, metrics)}")
        if objective.metric not in numbers:
            return self._failure(f"{objective.metric} must be a number, but got {metrics[objective.metric]!r:.80}")
        value = numbers[objective.metric]
        best = self._last["best"]
        if objective.is_better(value, best):
            best = value
        epoch = self._last["epoch"] + 1
        self._last = {
            "epoch": epoch,
            "metrics": numbers,
            "best": best,
            "value": best if math.isfinite(value) else math.nan,
            "elapsed_s": self._last["elapsed_s"] + seconds,
        }
        return {**self._last, "ended": epoch >= self.config.epochs or not math.isfinite(value)}

    def _failure(self, failure: str, text: str = "") -> dict[str, Any]:
        return {**self._last, "value": math.nan, "ended": True, "failure": failure, "traceback": text}

    def close(self) -> str:
        """Close the workload's generator and restore the process's state, so that the next trial starts clean.

        Returns what could not be restored, as text; where that is not empty, the process must not be used again.
        """
        try:
            if self._generator is not None and hasattr(self._generator, "close"):
                self._generator.close()
        except (Exception, SystemExit):
            traceback.print_exc()  # its results have been reported, and stand
        self._generator = None
        self.model = None
        return self._surroundings.restore() if self._surroundings else ""


def ending(result: Mapping[str, Any]) -> Ending:
    """Return how a trial with this last result ended; the scheduler stopped it where it had not ended by itself."""
    if result.get("failure"):
        return "failed"
    if not math.isfinite(result["value"]):
        return "diverged"
    return "complete" if result["ended"] else "stopped"


def _numbers(metrics: Mapping[str, Any]) -> dict[str, float]:
    """Return those metrics that are numbers, scalars of NumPy and torch included, as floats."""
    numbers = {}
    for name, value in metrics.items():
        if isinstance(value, str | bytes):
            continue
        try:
            numbers[str(name)] = float(value)
        except (TypeError, ValueError):
            continue
    return numbers

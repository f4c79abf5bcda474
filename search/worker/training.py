"""Training of one config in a worker process, an epoch at a time, with an honest account of how each went."""

import math
import os
import platform
import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from search.errors import shown, suggestion
from search.journal.trial import Ending, Where
from search.spec.objective import Objective
from search.worker import isolation, metrics, process
from search.worker.guard import Guard
from search.worker.isolation import Surroundings

REPORT_INTERVAL_S = 0.2
"""Time that a process trains between reports where no rung comes first: a report costs milliseconds."""
END = object()
"""Stands for the end of a workload's generator."""
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
        self.values: dict[str, Any] = {}
        """The full config as it is trained, as plain values; empty before it was built."""
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
        with Guard() as guard:
            begin = time.perf_counter()
            with process.time_limit(self._order.timeout, SILENT):
                if self._generator is None:
                    self._generator = self._start()
                yielded = next(self._generator, END)
                if yielded is not END:
                    given, self.model = _unpack(yielded)
                    numbers, others = metrics.read(given, "the metrics of train")
            if yielded is END:
                return self._end()
            return self._epoch(numbers, others, seconds=time.perf_counter() - begin)
        return self._failure(guard.failure, guard.traceback)

    def _start(self) -> Iterator[tuple[Mapping[str, Any], Any]]:
        """Return the workload's generator, in a process whose state was noted and whose generators are seeded."""
        workload = process.prepare(self._order.workload, self._order.gpus)
        self._surroundings = Surroundings(self._order.workload)
        process.hold_memory(self._order.gpus)
        self.config = workload.resolve(workload.build(self._order.values))
        self.values = workload.values_of(self.config)
        isolation.seed(self.values["seed"])
        return iter(workload.train(self.config))

    def _end(self) -> dict[str, Any]:
        """Return the result of a workload that has ended by itself: the last one, or a failure where there is none."""
        if self._last["epoch"] == 0:
            return self._failure("train yielded nothing; it must yield (metrics, model) once an epoch")
        return {**self._last, "ended": True}

    def _epoch(self, numbers: dict[str, float], others: dict[str, str], seconds: float) -> dict[str, Any]:
        """Return the result of an epoch that yielded these metrics: a failure where the objective's is no number."""
        objective = self._order.objective
        metric = objective.metric
        if metric in others:
            return self._failure(f"{metric} must be a number, but {others[metric]}")
        if metric not in numbers:
            return self._failure(f"train yields no {metric!r}, {suggestion(metric, [*numbers, *others])}")
        value = numbers[metric]
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
        return {**self._last, "ended": epoch >= self.values["epochs"] or not math.isfinite(value)}

    def _failure(self, failure: str, text: str = "") -> dict[str, Any]:
        return {**self._last, "value": math.nan, "ended": True, "failure": failure, "traceback": text}

    def close(self) -> str:
        """Close the workload's generator and restore the process's state, so that the next trial starts clean.

        Returns what could not be restored, as text; where that is not empty, the process must not be used again.
        """
        with Guard() as guard:
            if self._generator is not None and hasattr(self._generator, "close"):
                self._generator.close()
        guard.print()  # its results have been reported, and stand
        self._generator = None
        self.model = None
        left = ""
        with Guard() as guard:
            if self._surroundings:
                left = self._surroundings.restore()
        guard.print()
        return f"what could not be restored: {guard.failure}" if guard.failure else left


def ending(result: Mapping[str, Any]) -> Ending:
    """Return how a trial with this last result ended; the scheduler stopped it where it had not ended by itself."""
    if result.get("failure"):
        return "failed"
    if not math.isfinite(result["value"]):
        return "diverged"
    return "complete" if result["ended"] else "stopped"


def _unpack(yielded: Any) -> tuple[Any, Any]:
    """Return the metrics and the model of what `train` yields. Raises TypeError where it yields anything else."""
    try:
        given, model = yielded
    except (TypeError, ValueError):
        raise TypeError(f"train must yield (metrics, model) once an epoch, but got {shown(yielded)}") from None
    return given, model

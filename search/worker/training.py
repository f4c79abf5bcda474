"""A config being trained in a worker process: an epoch at a time, and truthfully how each went."""

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
"""That a process trains before it reports, where there is nothing to decide: a report costs milliseconds."""
SILENT = "reported nothing for longer than epoch_timeout ({:g} s)"


@dataclass(frozen=True)
class Order:
    """What to train: a workload, its values, the share of a GPU for it, and what decides."""

    workload: str
    gpus: float
    objective: Objective
    values: Mapping[str, Any]
    timeout: float | None = None
    """Seconds that an epoch may take."""


class Training:
    """One config being trained.

    A pull returns epoch, metrics, best (the best finite value so far or None), value (the same, or NaN where this
    epoch's metric is not finite), elapsed_s, ended, and, where the workload broke its contract, failure and traceback.
    """

    def __init__(self, order: Order) -> None:
        self._order = order
        self._generator: Iterator[tuple[Mapping[str, Any], Any]] | None = None
        self._surroundings: Surroundings | None = None
        self.where: Where = platform.node(), os.getpid(), time.time()
        self.config: Any = None
        self.model: Any = None
        self._last: dict[str, Any] = {"epoch": 0, "metrics": {}, "best": None, "value": math.nan, "elapsed_s": 0.0}

    def advance(self, rungs: Collection[int] = (), seconds: float = REPORT_INTERVAL_S) -> dict[str, Any]:
        """Pull until there is something to decide, at a rung or the end, or so many seconds have passed.

        Returns the last pull, `epochs`: those that were trained, each as epoch, metrics with elapsed_s, best, and
        `where` it is trained.
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
        """Train one epoch. Never raises what the workload raises."""
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
        return self._epoch(metrics, numbers, time.perf_counter() - begin)

    def _start(self) -> Iterator[tuple[Mapping[str, Any], Any]]:
        workload = process.prepare(self._order.workload, self._order.gpus)
        self._surroundings = Surroundings(self._order.workload)
        process.hold_memory(self._order.gpus)
        self.config = workload.resolve(workload.build(self._order.values))
        isolation.seed(self.config.seed)
        return iter(workload.train(self.config))

    def _epoch(self, metrics: Mapping[str, Any], numbers: dict[str, float], seconds: float) -> dict[str, Any]:
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

    def close(self) -> None:
        """End the workload's generator and clear up, so that nothing reaches the process's next trial."""
        try:
            if self._generator is not None and hasattr(self._generator, "close"):
                self._generator.close()
        except (Exception, SystemExit):
            traceback.print_exc()  # its numbers are in already; the trial's file has the rest
        self._generator = self.model = None
        if self._surroundings:
            self._surroundings.restore()


def ending(result: Mapping[str, Any]) -> Ending:
    """Return how a trial ended whose last pull this was; the scheduler stopped it where it had not ended itself."""
    if result.get("failure"):
        return "failed"
    if not math.isfinite(result["value"]):
        return "diverged"
    return "complete" if result["ended"] else "stopped"


def _numbers(metrics: Mapping[str, Any]) -> dict[str, float]:
    """Return the metrics that are numbers, numpy's and torch's too, as floats."""
    numbers = {}
    for name, value in metrics.items():
        if isinstance(value, str | bytes):
            continue
        try:
            numbers[str(name)] = float(value)
        except (TypeError, ValueError):
            continue
    return numbers

"""Training of one config in a worker process, an epoch at a time, with an honest account of how each went."""

import math
import os
import platform
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from search.errors import suggestion
from search.journal.trial import Ending, Where
from search.spec.command import Command
from search.spec.objective import Objective
from search.worker import isolation, metrics, process, yields
from search.worker.guard import Guard
from search.worker.isolation import Surroundings

REPORT_INTERVAL_S = 0.2
"""Time that a process trains between reports where no rung comes first: a report costs milliseconds."""
END = object()
"""Stands for the end of what a workload yields."""
SILENT = "reported nothing for longer than epoch_timeout ({:g} s)"


@dataclass(frozen=True)
class Order:
    """What a worker process is to train: a workload, its values, its share of a GPU, and the objective."""

    workload: str | Command
    gpus: float
    objective: Objective
    values: Mapping[str, Any]
    timeout: float | None = None
    """Time limit of an epoch, in seconds; None sets none."""
    epochs: int | None = None
    """Of a full trial, where the workload's Config does not say; None trains until the workload ends by itself."""
    others: Sequence[str] = ()
    """The metrics of further objectives, of which a trial needs a value, too."""
    folder: Path | None = None
    """The trial's own, which is made anew; None makes a temporary one where the workload asks for it."""


class Training:
    """One config being trained: what the workload yields, and the result of the epoch that came last.

    A result is a dict:
        epoch: how many there were, counted from 1; 0 before the first has ended
        metrics: those of this epoch, floats by name
        best: the best finite value of the objective's metric so far, or None
        value: the same, or NaN where this epoch's is not finite; an epoch that lacks the metric decides nothing
        notes: lines for the user on metrics that are not recorded; each stands in one result of a training
        elapsed_s: seconds of training up to the end of this epoch
        ended: whether no epoch follows
        failure, traceback: texts, where the workload broke its contract
        infeasible: whether it refused the config, where it did
    """

    def __init__(self, order: Order) -> None:
        self._order = order
        self._yields: Iterator[Any] | None = None
        self.epochs: int | None = order.epochs
        """Of the whole training; None where the workload ends by itself."""
        self._knows_epochs = False
        """Whether the workload is told its epochs, so that it ends by itself."""
        self._folder = process.OwnFolder(order.folder)
        self._lacking = list(order.others)
        """The metrics of further objectives of which there was no finite value."""
        self._told: set[str] = set()
        """The metrics of which there was a note."""
        self._surroundings: Surroundings | None = None
        self.where: Where = (platform.node(), os.getpid(), time.time())
        self.config: Any = None
        self.values: dict[str, Any] = {}
        """The full config as it is trained, as plain values; empty before it was built."""
        self.model: Any = None
        self._step = ""
        """What is called: `build`, `train`, or empty."""
        self._last: dict[str, Any] = {"epoch": 0, "metrics": {}, "best": None, "value": None, "elapsed_s": 0.0}

    def advance(self, rungs: Collection[int] = (), seconds: float = REPORT_INTERVAL_S) -> dict[str, Any]:
        """Train epochs until one is at a rung or the last, or so many seconds have passed.

        Returns the last result with two more keys: `epochs`, a list of (epoch, metrics with elapsed_s, best) of each
        epoch that was trained here, and `where`. Its `notes` are those of all of them.
        """
        epochs = []
        notes: list[str] = []
        begin = time.monotonic()
        while True:
            before = self._last["epoch"]
            result = self.pull()
            if result["epoch"] > before:
                metrics = {**result["metrics"], "elapsed_s": result["elapsed_s"]}
                epochs.append((result["epoch"], metrics, result["best"]))
            notes += result.get("notes", [])
            if result["ended"] or result["epoch"] in rungs or time.monotonic() - begin >= seconds:
                return {**result, "epochs": epochs, "notes": notes, "where": self.where}

    def pull(self) -> dict[str, Any]:
        """Train one epoch and return its result. What the workload raises is a failure in the result, never raised."""
        with Guard() as guard:
            begin = time.perf_counter()
            with process.time_limit(self._order.timeout, SILENT):
                if self._yields is None:
                    self._yields = self._start()
                yielded = next(self._yields, END)
                self._step = ""
                if yielded is not END:
                    given, self.model = yields.unpack(yielded)
                    numbers, others = metrics.read(given, "the metrics of train", self._order.objective.metric)
            if yielded is END:
                return self._end()
            return self._epoch(numbers, others, seconds=time.perf_counter() - begin)
        failed = self._failure(guard.failure, guard.traceback)
        if self._last["epoch"] == 0 and (self._step == "build" or (self._step == "train" and guard.is_refusal)):
            failed["infeasible"] = True
        return failed

    def _start(self) -> Iterator[Any]:
        """Return what the workload yields, in a process whose state was noted and whose generators are seeded."""
        workload = process.prepare(self._order.workload, self._order.gpus)
        self._surroundings = Surroundings(workload.module)
        process.hold_memory(self._order.gpus)
        folder = self._folder.make(is_wanted="folder" in workload.gets)
        self._step = "build"
        built = workload.build(self._order.values)
        self._step = ""
        self.config = workload.resolve(built)
        seed = self._order.values.get("seed", 0)
        self.values = workload.values_of(self.config, self._order.values)
        self.values.setdefault("seed", seed)
        self._knows_epochs = "epochs" in workload.names()
        self.epochs = self.values.get("epochs", self._order.epochs)
        isolation.seed(self.values["seed"])
        self._step = "train"
        return yields.of(workload, self.config, folder)

    def _end(self) -> dict[str, Any]:
        """Return the result of a workload that has ended by itself: the last one, or a failure where there is none."""
        if self._last["epoch"] == 0:
            return self._failure(f"train ended without an epoch; it must {yields.FORMS}")
        return self._checked({**self._last, "ended": True})

    def _epoch(self, numbers: dict[str, float], others: dict[str, str], seconds: float) -> dict[str, Any]:
        """Return the result of an epoch that yielded these metrics: a failure where the objective's is no number."""
        objective = self._order.objective
        metric = objective.metric
        if metric in others:
            return self._failure(f"{metric} must be a number, but {others[metric]}")
        value = numbers.get(metric)
        best = self._last["best"]
        if value is not None and objective.is_better(value, best):
            best = value
        self._lacking = [name for name in self._lacking if not math.isfinite(numbers.get(name, math.nan))]
        epoch = self._last["epoch"] + 1
        is_finite = value is None or math.isfinite(value)
        self._last = {
            "epoch": epoch,
            "metrics": numbers,
            "best": best,
            "value": best if is_finite else math.nan,
            "elapsed_s": self._last["elapsed_s"] + seconds,
        }
        is_last = self.epochs is not None and epoch >= self.epochs
        result = {**self._last, "notes": self._notes(numbers, others), "ended": is_last or not is_finite}
        return self._checked(result)

    def _checked(self, result: dict[str, Any]) -> dict[str, Any]:
        """Return a result; a failure where the training has ended and no epoch of it had an objective's metric."""
        if not result["ended"] or (result["value"] is not None and not math.isfinite(result["value"])):
            return result
        lacking = self._lacking if result["value"] is not None else [self._order.objective.metric]
        for metric in lacking:
            return self._failure(f"train yields no {metric!r}, {suggestion(metric, self._last['metrics'])}")
        return result

    def _notes(self, numbers: Mapping[str, float], others: Mapping[str, str]) -> list[str]:
        """Return lines on what was given and is not recorded, and on the objective's metric where it is not there."""
        notes = []
        for name, why in others.items():
            if name not in self._told:
                notes.append(f"the metric {name!r} must be a number to be recorded, but {why}")
        self._told |= others.keys()
        metric = self._order.objective.metric
        if metric not in numbers and metric not in self._told and self._last["best"] is None:
            there = ", ".join(map(repr, numbers)) or "nothing"
            notes.append(f"no {metric!r} in the first epoch, which decides nothing; there is {there}")
            self._told.add(metric)
        return notes

    def _failure(self, failure: str, text: str = "") -> dict[str, Any]:
        return {**self._last, "value": math.nan, "ended": True, "failure": failure, "traceback": text}

    def settle(self, result: Mapping[str, Any]) -> list[str]:
        """Let the workload run from its last epoch to its own end, where it knows of both, as to save its model.

        Call it when the model of that epoch was taken. Returns lines for the user on what went wrong: the epochs stand.
        """
        is_last = result["epoch"] == self.epochs and ending(result) == "complete"
        if not (is_last and self._knows_epochs):
            return []
        with Guard() as guard, process.time_limit(self._limit_s, SILENT):
            line = yields.settle(self._yields)
            return [line] if line else []
        guard.print()
        return [f"train raised {guard.failure} after its last epoch; the trial is complete"]

    @property
    def _limit_s(self) -> float | None:
        """Return the time that a workload has to end; a program is ended within a time of its own."""
        return None if isinstance(self._order.workload, Command) else self._order.timeout

    def close(self) -> str:
        """End the workload where it stands and restore the process's state, so that the next trial starts clean.

        Returns what could not be restored, as text; where that is not empty, the process must not be used again.
        """
        left = ""
        with Guard() as guard, process.time_limit(self._limit_s, SILENT):  # a trainer may go on to its own end
            left = yields.close(self._yields)
        guard.print()  # its results have been reported, and stand
        self._yields = None
        self.model = None
        with Guard() as guard:
            if self._surroundings:
                left = self._surroundings.restore() or left
            self._folder.remove_if_empty()
        guard.print()
        return f"what could not be restored: {guard.failure}" if guard.failure else left


def ending(result: Mapping[str, Any]) -> Ending:
    """Return how a trial with this last result ended; the scheduler stopped it where it had not ended by itself."""
    if result.get("infeasible"):
        return "infeasible"
    if result.get("failure"):
        return "failed"
    if result["value"] is not None and not math.isfinite(result["value"]):
        return "diverged"
    return "complete" if result["ended"] else "stopped"

"""Inside a worker process: pull a workload, an epoch at a time, and say truthfully how each pull went."""

import faulthandler
import math
import os
import platform
import signal
import sys
import time
import traceback
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from io import TextIOWrapper
from pathlib import Path
from types import FrameType
from typing import Any, TextIO

from search import journal, residue
from search.residue import Surroundings
from search.workload import Workload, load, suggestion

LENT = "process"
"""In a result: a handle, pickled, to a process that waits for other work."""
SILENT_FOR = 0.2
"""Seconds that a process trains before it reports, where there is nothing to decide: a report costs milliseconds."""
SILENT = "reported nothing for longer than epoch_timeout ({:g} s)"


@cache
def prepare(name: str, gpus: float) -> Workload:
    """Import a workload in a process that has this share of a GPU; with none it sees no GPU."""
    if gpus == 0:
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
    with residue.importing():
        return load(name)


def hold_memory(gpus: float) -> None:
    """Hold this process's tensors to its share of a GPU.

    Ray's `gpu: 0.25` is bookkeeping: nothing keeps a trial from taking all of the memory. The limit is torch's, so it
    is set where the workload uses torch; it covers torch's allocator, not the CUDA context.
    """
    torch = sys.modules.get("torch")
    if torch and 0 < gpus < 1 and torch.cuda.is_available():
        torch.cuda.set_per_process_memory_fraction(gpus)


def redirect_output(path: Path) -> None:
    """Send what this process prints from here on, from C too, to the end of a file, in whole lines.

    Retraining has one file for several processes, and Ray's workers write each piece of a print on its own: two lines
    would come out mixed.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    try:
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    except OSError:
        return  # another machine of the cluster, which does not share the folder: Ray's own logs have it
    os.dup2(file, 1)
    os.dup2(file, 2)
    if file > 2:
        os.close(file)
    else:  # a workload has closed the streams that it was given, so the file has become one of them
        os.set_inheritable(file, True)
    sys.stdout, sys.stderr = (_whole_lines(stream, number) for number, stream in enumerate((sys.stdout, sys.stderr), 1))


def _whole_lines(stream: TextIO, number: int) -> TextIO:
    if isinstance(stream, TextIOWrapper) and stream.line_buffering and not stream.write_through:
        return stream
    return open(number, "w", buffering=1, encoding="utf-8", errors="backslashreplace", closefd=False)


@contextmanager
def time_limit(seconds: float | None, message: str = SILENT) -> Iterator[None]:
    """Raise TimeoutError in what takes longer than so many seconds; where it sits in C and hears nothing, end it.

    In that case the process ends within a second more, after its stacks were printed.
    """
    if seconds is None:
        yield
        return

    def late(number: int, frame: FrameType | None) -> None:
        raise TimeoutError(message.format(seconds))

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    faulthandler.dump_traceback_later(seconds + 1, exit=True, file=2)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        faulthandler.cancel_dump_traceback_later()


def remove_if_empty(path: Path) -> None:
    """Remove the file of a trial that printed nothing."""
    sys.stdout.flush()
    sys.stderr.flush()
    if path.exists() and path.stat().st_size == 0:
        path.unlink(missing_ok=True)


@dataclass(frozen=True)
class Order:
    """What to train: a workload, its values, the share of a GPU for it, and which metric decides."""

    workload: str
    gpus: float
    metric: str
    mode: str
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
        self.where: journal.Where = platform.node(), os.getpid(), time.time()
        self.config: Any = None
        self.model: Any = None
        self._last: dict[str, Any] = {"epoch": 0, "metrics": {}, "best": None, "value": math.nan, "elapsed_s": 0.0}

    def advance(self, rungs: Collection[int] = (), seconds: float = SILENT_FOR) -> dict[str, Any]:
        """Pull until there is something to decide, at a rung or the end, or so many seconds have passed.

        Returns the last pull, `epochs`: those that were trained, each as epoch, metrics with elapsed_s, best, and
        `where` it is trained.
        """
        epochs, begin = [], time.monotonic()
        while True:
            before = self._last["epoch"]
            result = self.pull()
            if result["epoch"] > before:
                epochs.append((result["epoch"], result["metrics"] | {"elapsed_s": result["elapsed_s"]}, result["best"]))
            if result["ended"] or result["epoch"] in rungs or time.monotonic() - begin >= seconds:
                return {**result, "epochs": epochs, "where": self.where}

    def pull(self) -> dict[str, Any]:
        """Train one epoch. Never raises what the workload raises."""
        begin = time.perf_counter()
        try:
            with time_limit(self._order.timeout):
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
        workload = prepare(self._order.workload, self._order.gpus)
        self._surroundings = Surroundings(self._order.workload)
        hold_memory(self._order.gpus)
        self.config = workload.resolve(workload.build(self._order.values))
        residue.seed(self.config.seed)
        return iter(workload.train(self.config))

    def _epoch(self, metrics: Mapping[str, Any], numbers: dict[str, float], seconds: float) -> dict[str, Any]:
        if self._order.metric not in metrics:
            return self._failure(f"train yields no {self._order.metric!r}, {suggestion(self._order.metric, metrics)}")
        if self._order.metric not in numbers:
            return self._failure(f"{self._order.metric} must be a number, but got {metrics[self._order.metric]!r:.80}")
        value, best = numbers[self._order.metric], self._last["best"]
        if journal.better(value, best, self._order.mode):
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


def ending(result: Mapping[str, Any]) -> journal.Ending:
    """Return how a trial ended whose last pull this was; the scheduler stopped it where it had not ended itself."""
    if result.get("failure"):
        return "failed"
    if not math.isfinite(result["value"]):
        return "diverged"
    return "complete" if result["ended"] else "stopped"


def _numbers(metrics: Mapping[str, Any]) -> dict[str, float]:
    """Return the metrics that are numbers, numpy's and torch's too, as floats."""
    found = {}
    for name, value in metrics.items():
        if not isinstance(value, str | bytes):
            try:
                found[str(name)] = float(value)
            except (TypeError, ValueError):
                continue
    return found

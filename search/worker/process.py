"""What a worker process sets up for itself: its share of a GPU, its log file, and its time limits."""

import faulthandler
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from io import TextIOWrapper
from pathlib import Path
from types import FrameType
from typing import TextIO

from search.spec.command import Command
from search.spec.workload import Workload, load
from search.worker import forking, isolation

TOO_LONG = "it took longer than {:g} s"
FOLDER = "SEARCH_TRIAL_DIR"
"""The variable of the environment that names the folder of the trial that is being trained."""


@cache
def prepare(name: str | Command, gpus: float) -> Workload:
    """Import a workload and return it; `gpus` is this process's share, and with 0 it sees no GPU at all.

    From here on SIGTERM, as of a node that is taken back, ends the process, and its trial is trained again: Ray's own
    handler would raise SystemExit in the workload, as if that had raised it, and in each process that it forks, which a
    Pool would then wait for. Nor does a workload find Ray's arguments.
    """
    del sys.argv[1:]
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    forking.part_children()
    if gpus == 0:
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
    if os.getcwd() not in sys.path:  # noqa: PTH109 - a text is what stands there
        sys.path.insert(0, os.getcwd())  # noqa: PTH109
    with isolation.importing():
        return load(name)


def hold_memory(gpus: float) -> None:
    """Limit this process's tensors to its share of a GPU's memory.

    Ray's `gpu: 0.25` is bookkeeping: it does not keep a trial from taking all of the memory. The limit is torch's own,
    so it is set only where the workload uses torch, and it covers torch's allocator, not the CUDA context.
    """
    torch = sys.modules.get("torch")
    if torch and 0 < gpus < 1 and torch.cuda.is_available():
        torch.cuda.set_per_process_memory_fraction(gpus)


def redirect_output(path: Path) -> None:
    """Append whatever this process prints from here on, C libraries included, to a file, line by line.

    Several processes of a retraining share one file, and Ray's workers write each piece of a print by itself, which
    would mix their lines.
    """
    _flush()
    try:
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    except OSError:
        return  # another machine of the cluster, which does not share the folder: Ray's own logs have it
    os.dup2(file, 1)
    os.dup2(file, 2)
    if file > 2:
        os.close(file)
    else:  # a workload has closed the streams that it was given, so the file has become one of them
        os.set_inheritable(file, True)
    sys.stdout = _in_whole_lines(sys.stdout, 1)
    sys.stderr = _in_whole_lines(sys.stderr, 2)


def _flush() -> None:
    """Write what is buffered. A workload may have closed a stream or its file, or put anything in its place."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(Exception):
            stream.flush()


def _in_whole_lines(stream: TextIO, number: int) -> TextIO:
    """Return a stream that writes to a file descriptor line by line: the one given, where it does so already."""
    if isinstance(stream, TextIOWrapper) and stream.line_buffering and not (stream.write_through or stream.closed):
        return stream
    return open(number, "w", buffering=1, encoding="utf-8", errors="backslashreplace", closefd=False)


@contextmanager
def time_limit(seconds: float | None, message: str = TOO_LONG) -> Iterator[None]:
    """Raise TimeoutError in the block when it takes longer than this, and at its end where it has swallowed that.

    None sets no limit. A block that hangs in C code, or swallows the exception and goes on, is not waited for: a second
    later the process prints its stacks and exits.
    """
    if seconds is None:
        yield
        return
    is_late = False

    def late(number: int, frame: FrameType | None) -> None:
        nonlocal is_late
        is_late = True
        raise TimeoutError(message.format(seconds))

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    faulthandler.dump_traceback_later(seconds + 1, exit=True, file=2)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()  # first: the alarm may still raise in here
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    if is_late:
        raise TimeoutError(message.format(seconds))


class OwnFolder:
    """The folder of one trial, which the workload may ask for, and finds in the environment as SEARCH_TRIAL_DIR."""

    def __init__(self, path: Path | None) -> None:
        self._path = path

    def make(self, *, is_wanted: bool) -> Path | None:
        """Make it anew and return it; without a path a temporary one, where it `is_wanted`.

        So where it cannot be made, as on another machine of a cluster. Raises OSError where that cannot be made.
        """
        if self._path is not None:
            shutil.rmtree(self._path, ignore_errors=True)  # of a process that died while it trained this trial
            try:
                self._path.parent.mkdir(exist_ok=True)  # but not the study's own, which may have been moved
                self._path.mkdir()
            except OSError:
                self._path = None
        if self._path is None and is_wanted:
            self._path = Path(tempfile.mkdtemp(prefix="search-trial-"))
        if self._path is not None:
            os.environ[FOLDER] = str(self._path)
        return self._path

    def remove_if_empty(self) -> None:
        """Remove it where nothing was written into it."""
        if self._path is not None:
            with suppress(OSError):
                self._path.rmdir()


def remove_if_empty(path: Path) -> None:
    """Remove the log file of a trial that printed nothing."""
    _flush()
    if path.exists() and path.stat().st_size == 0:
        path.unlink(missing_ok=True)

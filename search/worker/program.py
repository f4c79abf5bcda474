"""A program that runs beside a worker process: it is started, its lines are read and logged, and it is ended."""

import os
import re
import select
import signal
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator
from contextlib import suppress

from search.worker import keeper

MOST_LINE_BYTES = 1_000_000
"""Of a line that is passed on."""
MOST_TOLD = 20
"""Lines of its end that are kept."""
MOST_TOLD_BYTES = 1000
"""Of each of them."""
PATIENCE_S = 5.0
"""Time in which its keeper must have ended all, beyond the keeper's own."""
OF_RAY = ("PYTHONBREAKPOINT", "RAY_JOB_ID", "RAY_RAYLET_PID")
"""Variables of the environment that Ray has set for the worker process: with them `breakpoint()` would wait for Ray."""
PIECE_BYTES = 65_536
LINE_END = re.compile(rb"[\r\n]")


class Program:
    """A program's process, under a keeper, and the lines that it prints, which go to this process's output, too."""

    def __init__(self, words: list[str]) -> None:
        """Start it. Raises OSError where that cannot be, as of arguments that are too long."""
        self._name = words[0]
        self._control, theirs = socket.socketpair()
        self._pipe, pipe = os.pipe()
        os.set_blocking(self._pipe, False)
        self._rest = b""
        """What was read of a line that has not ended."""
        self._is_too_long = False
        """Whether the beginning of that line was longer than MOST_LINE_BYTES."""
        self._last: deque[str] = deque(maxlen=MOST_TOLD)
        self._is_closed = False
        self._left = ""
        self._deadline: float | None = None
        self.is_late = False
        """Whether it has printed, or run, until the deadline."""
        environment = {name: value for name, value in os.environ.items() if name not in OF_RAY}
        command = [sys.executable, "-I", "-S", keeper.__file__, str(theirs.fileno()), str(keeper.GRACE_S), *words]
        try:
            self._keeper = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=pipe,
                stderr=pipe,
                pass_fds=[theirs.fileno()],
                env={**environment, "PYTHONUNBUFFERED": "1"},
                start_new_session=True,
            )
        except BaseException:
            self._close_ends()
            raise
        finally:
            theirs.close()
            os.close(pipe)

    def lines(self) -> Iterator[bytes]:
        """Yield each line that it prints, without its end; end where the program has, and all that comes of it.

        A line ends with a carriage return, too, as those of a progress bar do. One of more than MOST_LINE_BYTES is
        left out.
        """
        while piece := self._read():
            yield from self._take(piece)
        yield from self._take(b"\n" if self._rest else b"")

    def _take(self, piece: bytes) -> list[bytes]:
        """Log the lines that end with this piece, as a whole: others may print to the same file; return them."""
        printed = self._rest + piece
        *ended, self._rest = LINE_END.split(printed)
        log(printed[: len(printed) - len(self._rest)])
        for line in ended:
            if line.strip():
                self._last.append(line[:MOST_TOLD_BYTES].decode(errors="replace"))
        if ended and self._is_too_long:
            del ended[0]
            self._is_too_long = False
        if len(self._rest) > MOST_LINE_BYTES:
            log(self._rest)
            self._rest = b""
            self._is_too_long = True
        return ended

    def _read(self) -> bytes:
        """Return what it prints next; nothing where it has ended, or the deadline has come."""
        if self._is_closed:
            return b""
        control = self._control.fileno()
        waited_for = [self._pipe, control]
        while True:
            wait_s = None if self._deadline is None else self._deadline - time.monotonic()
            self.is_late = wait_s is not None and wait_s <= 0
            if self.is_late:
                return b""
            ready, _, _ = select.select(waited_for, [], [], wait_s)
            if self._pipe in ready:
                piece = self._read_pipe()
                if piece:
                    return piece
                waited_for = [control]  # it has closed its output, and may go on
            if control in ready:
                return self._read_pipe()

    def _read_pipe(self) -> bytes:
        piece = b""
        with suppress(BlockingIOError):
            piece = os.read(self._pipe, PIECE_BYTES)
        return piece

    def told(self) -> list[str]:
        """Return its last lines, without empty ones."""
        return list(self._last)

    def end_within(self, seconds: float) -> None:
        """Let `lines` end after this time, with `is_late`, where the program has not."""
        self._deadline = time.monotonic() + seconds

    def wait(self) -> int:
        """Return the exit code of a program that has ended: 128 + the number of the signal that ended it."""
        return self._keeper.wait()

    def close(self) -> str:
        """End it, where it has not ended, and all that comes of it; return what could not be ended, as text."""
        if self._is_closed:
            return self._left
        with suppress(OSError):
            self._control.shutdown(socket.SHUT_WR)
        self.end_within(keeper.GRACE_S + PATIENCE_S)
        for _ in self.lines():  # what it prints at its end: a full pipe would hold it up
            pass
        self._close_ends()
        try:
            self._keeper.wait(0 if self.is_late else PATIENCE_S)
        except subprocess.TimeoutExpired:
            self._keeper.kill()
            self._keeper.wait()
            self._left = f"a running process of {self._name}"
        return self._left

    def _close_ends(self) -> None:
        self._is_closed = True
        self._control.close()
        os.close(self._pipe)


def shown_code(code: int) -> str:
    """Return an exit code as text, with the name of the signal that it stands for."""
    if code > 128:
        with suppress(ValueError):
            return f"exit code {code} ({signal.Signals(code - 128).name})"
    return f"exit code {code}"


def log(data: bytes) -> None:
    """Write to this process's output, which is the trial's log; a full disk ends no trial."""
    with suppress(OSError):
        while data:
            data = data[os.write(1, data) :]

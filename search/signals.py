"""Graceful shutdown on SIGINT, SIGTERM and SIGHUP: Ctrl-C, `kill`, a closed terminal.

The signal handlers run in the main thread, between two steps of Python. Where that thread sits in Ray's C++, which may
have been ended by the same signal, they do not run for a minute. So a thread of our own hears of every signal, too: it
secures what there is at once, and ends the process where the main thread has not left soon, or at a second signal.
"""

import os
import select
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
PATIENCE_S = 10.0
"""That the main thread has to leave."""
FAULT = 255
"""Stands among the numbers of signals for `Shutdown.fail`."""
ONE_WISH_S = 0.3
"""In which signals are one wish to end: `timeout` sends two."""


class Interrupted(KeyboardInterrupt):
    """A signal asks the program to end. Its text says what is kept, and how to go on."""

    def __init__(self, message: str = "interrupted", exit_code: int = 128 + signal.SIGINT) -> None:
        super().__init__(message)
        self.exit_code = exit_code
        """What shells give a signal: 128 + its number."""


class Shutdown:
    """Turns the first signal into Interrupted: at once, or, while it is held, where `check` is called.

    `secure` is called in another thread when the first signal comes. `leave` is called before the process is ended
    without the main thread's help; without it the process is never ended, and a second signal is not held.
    In a thread that is not the main one no signal is heard: Python tells only that one.
    """

    def __init__(self, secure: Callable[[], None], leave: Callable[[], None] | None) -> None:
        self._secure = secure
        self._leave = leave
        self._held = False
        self._taken = 0
        """The number of the first signal; 0 before it."""
        self._writing = -1
        """The end of a pipe into which the number of each signal is written, while one is listened for."""

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Listen, and give the signals back at the end, when all is secured.

        A program that a signal is ending ignores the next ones: one before its exit would cost its last words.
        """
        if not is_main_thread():
            yield
            return
        before = {number: signal.getsignal(number) for number in SIGNALS}
        reading, self._writing = os.pipe()
        os.set_blocking(self._writing, False)
        waker = signal.set_wakeup_fd(self._writing, warn_on_full_buffer=False)
        thread = threading.Thread(target=self._listen_too, args=(reading,), daemon=True)
        thread.start()
        self.listen()
        try:
            yield
        finally:
            signal.set_wakeup_fd(waker)
            os.close(self._writing)
            self._writing = -1
            thread.join()
            is_ending = bool(self._taken) and self._leave is not None
            for number, handler in before.items():
                signal.signal(number, signal.SIG_IGN if is_ending else handler)

    def listen(self) -> None:
        """Listen again: ray.init() takes SIGTERM for itself. A SIGHUP that `nohup` has ignored stays so."""
        if is_main_thread():
            for number in SIGNALS:
                if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
                    signal.signal(number, self._take)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Let a first signal wait for `check`: raised in the middle of Tune, or of Optuna, it would do harm."""
        was_held = self._held
        self._held = True
        try:
            yield
        finally:
            self._held = was_held

    def check(self) -> None:
        """Raise Interrupted where a signal has come."""
        if self._taken:
            raise Interrupted

    def fail(self) -> None:
        """Secure what there is, and end the process with exit code 1 where the main thread does not leave soon.

        For another thread, which sees that what the main thread waits for will never come.
        """
        if self._writing >= 0:
            os.write(self._writing, bytes([FAULT]))

    @property
    def is_wished(self) -> bool:
        """Return whether a signal has come."""
        return bool(self._taken)

    @property
    def exit_code(self) -> int:
        """Return that of the first signal. Ray turns Interrupted into a plain KeyboardInterrupt, which has none."""
        return 128 + (self._taken or signal.SIGINT)

    def _take(self, number: int, frame: FrameType | None) -> None:
        is_first = not self._taken
        if is_first:
            self._taken = number
        is_urgent = not is_first and self._leave is None
        if is_urgent or (is_first and not self._held):
            raise Interrupted

    def _listen_too(self, reading: int) -> None:
        """Wait for the first signal; secure; then wait for the end, a second signal, or the end of patience."""
        with os.fdopen(reading, "rb", buffering=0):
            first = _next_signal(reading, None)
            if not first:
                return
            securing = threading.Thread(target=self._secure, daemon=True)
            securing.start()
            begin = time.monotonic()
            second = _next_signal(reading, PATIENCE_S)
            while second == FAULT or (second and time.monotonic() - begin < ONE_WISH_S):
                second = _next_signal(reading, PATIENCE_S)
            if self._leave is None or second == 0:  # nothing is left to do but to secure
                securing.join()
                return
            if second is None:
                securing.join(PATIENCE_S)
            self._leave()
            os._exit(1 if first == FAULT else 128 + first)


def is_main_thread() -> bool:
    """Return whether this is the thread that Python tells of signals, and lets set their handlers."""
    return threading.current_thread() is threading.main_thread()


def _next_signal(reading: int, seconds: float | None) -> int | None:
    """Return the number of the next of SIGNALS, or FAULT; 0 where nobody listens any more, None after a time."""
    deadline = None if seconds is None else time.monotonic() + seconds
    while select.select([reading], [], [], None if deadline is None else max(0.0, deadline - time.monotonic()))[0]:
        number = os.read(reading, 1)
        if not number:
            return 0
        if number[0] in (*SIGNALS, FAULT):
            return number[0]
    return None

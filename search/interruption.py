"""A wish to end - Ctrl-C, SIGTERM, a closed terminal - taken where it does no harm, and granted in any case.

The signal handlers run in the main thread, between two steps of Python. Where that thread sits in Ray's C++, which may
have been ended by the same signal, they do not run for a minute. So a thread of our own hears of every signal, too: it
secures what there is at once, and ends the process where the main thread has not left soon, or at a second wish.
"""

import os
import select
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

WISHES = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
PATIENCE = 10.0
"""Seconds that the main thread has to leave."""
ONE_WISH = 0.3
"""Seconds in which signals are one wish: `timeout` sends two."""


class Interrupted(KeyboardInterrupt):
    """Somebody wishes the program to end."""


class Interruption:
    """Turns the first signal into Interrupted: at once, or, while it is held, where `check` is called.

    `secure` is called in another thread when the first signal comes, `leave` before the process is ended without the
    main thread's help.
    """

    def __init__(self, secure: Callable[[], None], leave: Callable[[], None]) -> None:
        self._secure, self._leave = secure, leave
        self._held = False
        self._taken = 0

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Listen, and give the signals back at the end, when all is secured."""
        before = {number: signal.getsignal(number) for number in WISHES}
        heard, told = os.pipe()
        os.set_blocking(told, False)
        waker = signal.set_wakeup_fd(told, warn_on_full_buffer=False)
        thread = threading.Thread(target=self._listen_too, args=(heard,), daemon=True)
        thread.start()
        self.listen()
        try:
            yield
        finally:
            signal.set_wakeup_fd(waker)
            os.close(told)
            thread.join()
            for number, handler in before.items():
                signal.signal(number, handler)

    def listen(self) -> None:
        """Listen again: ray.init() takes SIGTERM for itself."""
        for number in WISHES:
            signal.signal(number, self._take)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Let a first signal wait for `check`: raised in the middle of Tune, or of Optuna, it would do harm."""
        self._held = True
        try:
            yield
        finally:
            self._held = False

    def check(self) -> None:
        """Raise Interrupted where a signal has come."""
        if self._taken:
            raise Interrupted

    @property
    def exit_code(self) -> int:
        """Return what shells give a signal: 128 + its number. Ray turns Interrupted into a plain KeyboardInterrupt."""
        return 128 + (self._taken or signal.SIGINT)

    def _take(self, number: int, frame: FrameType | None) -> None:
        if not self._taken:
            self._taken = number
            if not self._held:
                raise Interrupted

    def _listen_too(self, heard: int) -> None:
        """Wait for the first wish; secure; then wait for the end, a second wish, or the end of patience."""
        with os.fdopen(heard, "rb", buffering=0):
            if not (first := _wish(heard, None)):
                return
            securing = threading.Thread(target=self._secure, daemon=True)
            securing.start()
            begin = time.monotonic()
            while (second := _wish(heard, PATIENCE)) and time.monotonic() - begin < ONE_WISH:
                pass
            if second is None:
                securing.join(PATIENCE)
            elif second == 0:
                securing.join()
                return
            self._leave()
            os._exit(128 + first)


def _wish(heard: int, seconds: float | None) -> int | None:
    """Return the number of the next signal that wishes the end, 0 where nobody listens any more, None after a time."""
    deadline = None if seconds is None else time.monotonic() + seconds
    while select.select([heard], [], [], None if deadline is None else max(0.0, deadline - time.monotonic()))[0]:
        number = os.read(heard, 1)
        if not number:
            return 0
        if number[0] in WISHES:
            return number[0]
    return None

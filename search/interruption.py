"""A wish to end - Ctrl-C, SIGTERM, a closed terminal - taken where it does no harm."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

WISHES = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(KeyboardInterrupt):
    """Somebody wishes the program to end."""


class Interruption:
    """Turns the signals into Interrupted: at once, or, a Ctrl-C while it is held, where `check` is called."""

    def __init__(self) -> None:
        self._held = False
        self._taken = 0

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Listen, and give the signals back at the end."""
        before = {number: signal.getsignal(number) for number in WISHES}
        self.listen()
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def listen(self) -> None:
        """Listen again: ray.init() takes SIGTERM for itself."""
        for number in WISHES:
            signal.signal(number, self._take)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Let a first Ctrl-C wait for `check`; a second one interrupts at once all the same."""
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
        """Let a first Ctrl-C wait. SIGTERM may have ended Ray too, whose next call would then not return."""
        waits = self._held and not self._taken and number == signal.SIGINT
        self._taken = number
        if not waits:
            raise Interrupted

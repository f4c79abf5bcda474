"""A trainer that owns its loop, `train(config, report)`, pulled like a generator.

The trainer runs in a greenlet: on a stack of its own, in the same thread. So signals, CUDA's current device and what
torch keeps for each thread are where a trainer expects them. docs/design.md says what was seen with threads.
"""

import inspect
import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from contextvars import copy_context
from typing import Any, Protocol, Self

from greenlet import getcurrent, greenlet

from search.errors import shown

MOST_REFUSALS = 3
"""Calls of `report` that a trainer may make after it was told to end; at the next one it is abandoned."""
ABANDONED: list[greenlet] = []
"""Trainers that went on. They are kept, as a greenlet that is freed is told to end once more."""
SIGNALS = (signal.SIGALRM, signal.SIGTERM)
"""Those that a worker needs: for the time limit of an epoch, and for its own end. Lightning takes both, and at its end
puts back what it found, which may be the limit of an epoch long ago."""


class Report(Protocol):
    """What a trainer's callback calls once an epoch."""

    def __call__(self, metrics: Any, model: Any = None) -> None:
        """Return where the trial goes on; raise Ended where it ends."""


class Ended(BaseException):
    """Raised by `report` where the trial has ended; no Exception, so that `except Exception` lets it through."""


class Pushed:
    """An iterator over what a function passes to `report`. The function runs within `next`, up to its next report.

    It is pulled and closed in the thread that made it. Close it once it was pulled: it is not freed otherwise.

    >>> def train(report):
    ...     for epoch in range(3):
    ...         report({"loss": 1 / (1 + epoch)}, "model")
    >>> pushed = Pushed(train)
    >>> next(pushed)
    ({'loss': 1.0}, 'model')
    >>> pushed.close()
    ''
    """

    def __init__(self, function: Callable[[Report], object]) -> None:
        """Take a function that runs the trainer; the first pull calls it."""
        self._function: Callable[[Report], object] | None = function
        """None once it was called."""
        self._thread = threading.get_ident()
        self._trainer: greenlet | None = None
        """The greenlet in which the function runs; None before it has begun, and when it has ended."""
        self._reporter: greenlet | None = None
        """The one that waits in `report`: the trainer, or one that the trainer has made."""
        self._is_running = False

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> tuple[Any, Any]:
        """Run the trainer until its next report, and return (metrics, model).

        Raises StopIteration when the function has returned, and whatever that raises.
        """
        if self._function is not None:
            self._trainer = self._reporter = greenlet(self._run)
            self._trainer.gr_context = copy_context()  # else an empty one, in which np.seterr, say, is as by default
        if self._trainer is not None:
            reported: tuple[Any, Any] = self._resume()
            if self._trainer is not None:
                return reported
        raise StopIteration

    def close(self) -> str:
        """End the trainer where it stands: `report` raises Ended there, so that the trainer's own clean-up runs.

        Returns what could not be ended, as text; where that is not empty, the process must not be used again. Raises
        whatever the clean-up raises.
        """
        self._function = None
        for _ in range(1 + MOST_REFUSALS):
            if self._trainer is None:
                return ""
            with suppress(Ended):
                self._resume(Ended("the trial has ended"))
        if self._trainer is None:
            return ""
        ABANDONED.append(self._reporter)
        self._trainer = self._reporter = None
        return f"a trainer that goes on after it was told to end {1 + MOST_REFUSALS} times"

    def report(self, metrics: Any = None, model: Any = None, **named: Any) -> None:
        """Give the metrics of an epoch, and its model, to whoever pulls; return when the trial is to go on.

        Raises Ended where the trial has ended, TypeError where metrics are given by keywords, and RuntimeError where it
        is not called by what `train` runs.
        """
        if named:
            name = next(iter(named))
            raise TypeError(f"report takes a mapping of metrics, as report({{'{name}': {shown(named[name])}}})")
        if threading.get_ident() != self._thread:
            name = threading.current_thread().name
            raise RuntimeError(f"report must be called in the thread that called train, but got a call in {name!r}")
        if self._trainer is None or not self._is_running:
            raise RuntimeError("report must be called while train runs, but train has ended or waits")
        self._reporter = getcurrent()
        self._trainer.parent.switch((metrics, model))

    def __deepcopy__(self, memo: object) -> Self:
        """Return itself: a model may hold the callback that reports, and copies are made of models."""
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle, with a model, as one that has ended."""
        return _ended, ()

    def _run(self) -> None:
        """Call the function, in the trainer's greenlet. A StopIteration would be taken for its end."""
        function = self._function
        self._function = None
        assert function is not None
        try:
            returned = function(self.report)
        except StopIteration as error:
            raise RuntimeError("train raised StopIteration") from error
        if inspect.isgenerator(returned) or inspect.iscoroutine(returned):
            kind = type(returned).__name__
            raise TypeError(f"train(config, report) must call report, not yield or await, but it returned a {kind}")

    def _resume(self, *error: BaseException) -> Any:
        """Go on in `report`, which raises the error if there is one; return what is reported next."""
        trainer, reporter = self._trainer, self._reporter
        assert trainer is not None
        assert reporter is not None
        trainer.parent = getcurrent()  # where it comes back to
        handlers = _signal_handlers()
        self._is_running = True
        try:
            return reporter.throw(*error) if error else reporter.switch()
        finally:
            self._is_running = False
            if trainer.dead:
                self._trainer = self._reporter = None
            else:
                handlers.pop(signal.SIGALRM, None)  # a trainer may have limits of its own while it lasts
            for number, handler in handlers.items():
                if signal.getsignal(number) != handler:
                    signal.signal(number, handler)


def _ended() -> Pushed:
    pushed = Pushed(lambda report: None)
    pushed.close()
    return pushed


def _signal_handlers() -> dict[signal.Signals, Any]:
    """Return what handles SIGNALS; nothing outside the main thread, which alone may change it."""
    if threading.current_thread() is not threading.main_thread():
        return {}
    handlers = {number: signal.getsignal(number) for number in SIGNALS}
    return {number: handler for number, handler in handlers.items() if handler is not None}

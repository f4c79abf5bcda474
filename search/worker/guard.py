"""The guard around a workload's own code: whatever that raises becomes text, and ends no process."""

import builtins
import sys
import traceback
from contextlib import suppress
from types import TracebackType
from typing import Self

from search.errors import UserError, describe, writable
from search.spec.sources import OURS_FOLDER

NAMES = vars(builtins)
BUILTINS = NAMES.copy()
"""Python's own, as they were before a workload was imported."""
MOST_CHARACTERS = 100_000
"""Of a traceback, at most; of a longer one the beginning and the end are kept."""


class ProgramError(Exception):
    """A program that is trained has failed: the text says how, and `output` is the end of what it printed."""

    def __init__(self, failure: str, output: str) -> None:
        super().__init__(failure)
        self.output = output


class Guard:
    """Ends its block where that raises, and holds what can be told of the exception, as plain text.

    It takes BaseException: a KeyboardInterrupt or a CancelledError in a worker process is the workload's own, since Ray
    blocks Ctrl-C there. Nothing of the exception is kept, as its frames hold the model.

    >>> with Guard() as guard:
    ...     raise KeyError("x")
    >>> guard.failure
    "KeyError: 'x'"
    """

    def __init__(self) -> None:
        self.failure = ""
        """Its type and text in one line; empty where nothing was raised."""
        self.traceback = ""
        self.is_refusal = False
        """Whether it is the exception that says of a value that it is none to take, and no mistake of the user's."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> bool:
        """Return True, which ends the exception here."""
        NAMES.update({**BUILTINS, **NAMES})  # those that the workload has deleted, without which nothing below works
        if isinstance(error, ProgramError):  # where we noticed it says nothing
            self.failure = str(error)
            self.traceback = f"{error}\nthe end of its output:\n{error.output}" if error.output else self.failure
        elif error is not None:
            self.is_refusal = issubclass(type(error), ValueError) and not issubclass(type(error), UserError)
            self.failure = describe(error)
            self.traceback = _traceback_of(error) or self.failure
        return True

    def print(self) -> None:
        """Print the traceback, if there is one, where the process prints its errors."""
        if self.failure:
            tell(self.traceback)


def tell(text: str) -> None:
    """Print to the error stream; a workload may have closed or removed that, or print itself."""
    with suppress(Exception):
        sys.stderr.write(f"{text}\n")


def _traceback_of(error: BaseException) -> str:
    """Return the traceback as text; empty where none can be made."""
    try:
        at = error.__traceback__
        while at is not None and at.tb_frame.f_code.co_filename.startswith(OURS_FOLDER):  # up to the workload's own
            at = at.tb_next
        text = "".join(traceback.format_exception(type(error), error, at))
        if len(text) > MOST_CHARACTERS:
            half = MOST_CHARACTERS // 2
            text = f"{text[:half]}\n...\n{text[-half:]}"
        return writable(text)
    except BaseException:  # an exception's own attributes may raise anything
        return ""

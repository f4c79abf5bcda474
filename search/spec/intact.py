"""The process as it was, whatever a workload does to it while it is imported and looked at."""

import builtins
import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import NoReturn

from search.errors import UserError, describe
from search.spec.sources import is_users

STREAMS = ("stdin", "stdout", "stderr")
"""By their file descriptors."""


@contextmanager
def intact(workload: str) -> Iterator[None]:
    """Look at a workload in the block: afterwards this process is as before, but for what was imported.

    That holds for its streams and hooks, Python's builtins, the import path, to which folders may have been added, the
    limit of recursion, and the working folder. `os._exit` raises SystemExit in the block.

    Raises UserError where the workload's own code, or what it did to Python, raises anything but that and
    KeyboardInterrupt.
    """
    before = Before()
    try:
        with before.restored():
            yield
    except (UserError, KeyboardInterrupt):
        raise
    except BaseException as error:
        place = _place_in_a_users_file(sys.exc_info()[2])
        if not (place or before.was_changed):
            raise
        raise UserError(
            f"workload {workload!r} must leave Python as it is, and its module be one that can be looked at, but it "
            f"raises {describe(error)}{place}"
        ) from None


class Before:
    """The state of this process, which `restored` puts back."""

    def __init__(self) -> None:
        self._builtins = vars(builtins).copy()
        self._system = {name: getattr(sys, name) for name in (*STREAMS, "excepthook", "displayhook", "path")}
        self._path = sys.path.copy()
        self._limit = sys.getrecursionlimit()
        self._folder: Path | None = None
        with suppress(FileNotFoundError):  # it has been removed
            self._folder = Path.cwd()
        self._leave = os._exit
        self.was_changed = False
        """Whether something was put back without which Python's own code fails."""

    @contextmanager
    def restored(self) -> Iterator[None]:
        """Put everything back after the block, in which `os._exit` raises SystemExit."""
        names = vars(builtins)
        system = vars(sys)
        files = _duplicates()
        os._exit = _refuse_to_leave  # type: ignore[assignment]
        try:
            yield
        finally:
            # First what the lines below need: any of the builtins may be gone.
            changed = names.copy()
            names.update(self._builtins)
            os._exit = self._leave
            added = [entry for entry in system["path"] if isinstance(entry, str) and entry not in self._path]
            self.was_changed = (
                any(changed.get(name) is not value for name, value in self._builtins.items())
                or sys.getrecursionlimit() < self._limit
                or any(entry not in system["path"] for entry in self._path)
            )
            system.update(self._system)
            sys.path[:] = [*added, *self._path]
            sys.setrecursionlimit(self._limit)
            sys.settrace(None)
            sys.setprofile(None)
            if self._folder:
                os.chdir(self._folder)
            _put_back(files)


def _duplicates() -> dict[int, int]:
    """Return a duplicate of the file descriptor of each standard stream that is open."""
    duplicates = {}
    for number in range(len(STREAMS)):
        with suppress(OSError):
            duplicates[number] = os.dup(number)
    return duplicates


def _put_back(files: dict[int, int]) -> None:
    """Give the standard streams their files back, and open those anew that were closed."""
    for number, file in files.items():
        os.dup2(file, number)
        os.close(file)
        name = STREAMS[number]
        if getattr(getattr(sys, name), "closed", False):
            setattr(sys, name, open(number, "w" if number else "r", buffering=1, closefd=False))  # noqa: SIM115


def _refuse_to_leave(code: int) -> NoReturn:
    raise SystemExit(f"os._exit({code})")


def _place_in_a_users_file(trace: TracebackType | None) -> str:
    """Return the last line of a traceback that is in a file of the user's, in brackets; empty where none is."""
    place = ""
    for frame, line in traceback.walk_tb(trace):
        file = frame.f_code.co_filename
        if is_users(file):
            place = f" ({file}, line {line})"
    return place

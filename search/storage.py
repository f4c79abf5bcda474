"""The journal's file: Optuna's storage of a study that has one writer, opened, written and mended."""

import json
from collections import deque
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from itertools import takewhile
from pathlib import Path
from typing import Any

from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.storages.journal._file import BaseJournalFileLock

LAST = 2**20
"""Bytes at the end of a journal that may not have reached the disk: what was written together, and more."""


class Storage(JournalStorage):
    """Optuna's storage in a journal file, which is made where there is none. Only the study's Writer may write it."""

    def __init__(self, path: Path) -> None:
        self._file = File(path)
        super().__init__(self._file)

    @contextmanager
    def together(self) -> Iterator[None]:
        """Write what is recorded in here at its end, at once: the system is asked once to have it on the disk.

        A record for itself costs half a millisecond, and an epoch is two, for which the controller of a search, and so
        a process that waits for its answer, would wait. Raises OSError where the file cannot be written.
        """
        if self._file.waiting is not None:
            yield
            return
        self._file.waiting = []
        try:
            yield
        finally:
            self._file.write_waiting()


class File(JournalFileBackend):
    """The file of a Storage."""

    def __init__(self, path: Path) -> None:
        super().__init__(str(path.absolute()), lock_obj=Unlocked())
        self.waiting: list[dict[str, Any]] | None = None
        """Records that will be written together; None where each is written for itself."""
        self.written: int | None = None
        """How many records come before those; None until that has been asked."""

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Write records, or let them wait."""
        if self.waiting is None:
            super().append_logs(logs)
        else:
            self.waiting += logs

    def write_waiting(self) -> None:
        """Write the records that wait."""
        waiting, first = self.waiting, self.written
        self.waiting = self.written = None
        if waiting:
            super().append_logs(waiting)
            deque(super().read_logs(first or 0), maxlen=0)  # it remembers where they end, and begins there next time

    def read_logs(self, log_number_from: int) -> Generator[dict[str, Any], None, None]:
        """Yield the records from a number on, those that wait included."""
        if self.waiting is None or self.written is None:
            for record in super().read_logs(log_number_from):
                log_number_from += 1
                yield record
        if self.waiting is not None:
            self.written = log_number_from if self.written is None else self.written
            yield from self.waiting[log_number_from - self.written :]


class Reader(JournalStorage):
    """Optuna's storage in a journal that somebody else may be writing; what would write raises PermissionError.

    A last line of which a part is written yet is read when it is whole.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(Sealed(path))


class Sealed(File):
    """The file of a Reader."""

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Refuse to write."""
        raise PermissionError("a study that is only read must not be written")


class Unlocked(BaseJournalFileLock):
    """Stands for Optuna's lock, a link that a killed writer leaves behind: search.writer has the one that counts."""

    def acquire(self) -> bool:
        """Go ahead."""
        return True

    def release(self) -> None:
        """Do nothing."""


def file_of(folder: Path) -> Path:
    """Return the journal in the folder of a study. Raises ValueError where there is none."""
    file = folder / "journal.log"
    if not file.is_file():
        raise ValueError(f"a study is a folder with a journal.log, but {folder} has none")
    return file


def mend(folder: Path) -> None:
    """Cut off the last records where a killed writer or a power cut left one broken: all after it would be lost, too.

    What was written together may be whole again behind it. Longer ago than LAST it is no such end, but damage, of which
    the study's reader will tell.
    Only for the study's Writer. Raises ValueError where the file is no journal, which is nobody's to change; OSError.
    """
    file = file_of(folder)
    with file.open("r+b") as stream:
        lines = stream.readlines()
        if not lines or not _is_record(lines[0]):
            raise ValueError(f"{file} must be the journal of a search, but its first line is no record")
        size = sum(map(len, takewhile(_is_record, lines)))
        if sum(map(len, lines)) - size <= LAST:
            stream.truncate(size)


def _is_record(line: bytes) -> bool:
    try:
        return line.endswith(b"\n") and "op_code" in json.loads(line)
    except (ValueError, TypeError, RecursionError):
        return False

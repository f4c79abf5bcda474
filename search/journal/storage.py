"""The journal's file: Optuna's storage of a study that has one writer, opened, written and mended."""

import fcntl
import json
import os
import socket
from collections import deque
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from itertools import takewhile
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.storages.journal._file import BaseJournalFileLock

from search.errors import UserError

JOURNAL = "journal.log"
"""The file in the folder of a study."""
TAIL_BYTES = 2**20
"""At the end of a journal, that may not have reached the disk: what was written together, and more."""


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
        waiting = self.waiting
        first = self.written or 0
        self.waiting = None
        self.written = None
        if waiting:
            super().append_logs(waiting)
            deque(super().read_logs(first), maxlen=0)  # Optuna remembers where they end, and begins there next time

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
    """Stands for Optuna's lock, a link that a killed writer leaves behind: Writer has the one that counts."""

    def acquire(self) -> bool:
        """Go ahead."""
        return True

    def release(self) -> None:
        """Do nothing."""


def file_of(folder: Path) -> Path:
    """Return the journal in the folder of a study. Raises UserError where there is none."""
    file = folder / JOURNAL
    if not file.is_file():
        raise UserError(f"a study is a folder with a {JOURNAL}, but {folder} has none")
    return file


def mend(folder: Path) -> None:
    """Cut the journal of a study back to its last whole record, which a killed writer or a power cut left torn.

    Optuna would glue the next record to the stump and lose both. Of records that were written together, some behind the
    broken one may be whole: they go, too. A broken record further from the end than TAIL_BYTES is corruption, not a
    torn write: leave it for search.study.load to report.

    Only for the study's Writer. Raises UserError where the file is no journal, which is nobody's to change; OSError.
    """
    file = file_of(folder)
    with file.open("r+b") as stream:
        lines = stream.readlines()
        if not lines or not _is_record(lines[0]):
            raise UserError(f"{file} must be the journal of a search, but its first line is no record")
        whole_bytes = sum(map(len, takewhile(_is_record, lines)))
        all_bytes = sum(map(len, lines))
        if all_bytes - whole_bytes <= TAIL_BYTES:
            stream.truncate(whole_bytes)


def _is_record(line: bytes) -> bool:
    try:
        return line.endswith(b"\n") and "op_code" in json.loads(line)
    except (ValueError, TypeError, RecursionError):
        return False


class Writer:
    """The right to write the study of a folder, from here until it is given up or this process is gone.

    The operating system holds the lock, so a killed writer leaves none behind.

    Raises UserError where the folder holds no study or cannot be written, or where another process has the right: its
    pid and host are named.
    """

    def __init__(self, folder: Path) -> None:
        file_of(folder)
        try:
            descriptor = os.open(folder / "writer.lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o644)
            self._file = os.fdopen(descriptor, "r+", encoding="utf-8")
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            other = self._file.read().strip() or "another process"
            self._file.close()
            raise UserError(
                f"a study has one writer at a time, but {folder} is written by {other}; wait for it"
            ) from None
        except OSError as error:
            raise UserError(f"a study's folder must take writing and locks, but: {error}") from None
        self._file.truncate(0)
        self._file.write(f"pid {os.getpid()} on {socket.gethostname()}\n")
        self._file.flush()

    def close(self) -> None:
        """Give up the right."""
        self._file.close()

    def __enter__(self) -> Self:
        """Return it."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Give up the right."""
        self.close()

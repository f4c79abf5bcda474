"""The journal file: Optuna's storage of a study, whose records are written in batches, by one writer at a time."""

import fcntl
import os
import socket
from collections import deque
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from optuna.storages.journal import JournalFileBackend
from optuna.storages.journal._file import BaseJournalFileLock

from search.errors import UserError
from search.journal.replay import LinearStorage

JOURNAL = "journal.log"
"""The name of the journal in the folder of a study."""
BATCH = "batch"
"""The key in the first of the records that are written together, which Optuna does not read."""
NO_WRITER = "a study's folder must take writing and locks, but: {}"


class Storage(LinearStorage):
    """Optuna's storage in a journal file, created where there is none. Writing to it takes the study's Writer."""

    def __init__(self, path: Path) -> None:
        self._file = File(path)
        super().__init__(self._file)

    @contextmanager
    def together(self) -> Iterator[None]:
        """Write all records of the block together at its end, with one fsync.

        Each record on its own costs half a millisecond, and an epoch has two: the search's controller would wait for
        them, and so would the process that waits for its answer. Raises OSError where the file cannot be written.
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
    """Optuna's journal file, whose writes can be collected and made together; `Storage` has one."""

    def __init__(self, path: Path) -> None:
        super().__init__(str(path.absolute()), lock_obj=Unlocked())
        self.waiting: list[dict[str, Any]] | None = None
        """Records that will be written together; None where each is written at once."""
        self.written: int | None = None
        """How many records of the file come before those; None until `read_logs` has counted."""

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Write records, or collect them while `waiting` is a list."""
        if self.waiting is None:
            self._write_batch(logs)
        else:
            self.waiting += logs

    def write_waiting(self) -> None:
        """Write the collected records, and from here on each at once."""
        waiting = self.waiting
        first = self.written or 0
        self.waiting = None
        self.written = None
        if waiting:
            self._write_batch(waiting)
            deque(super().read_logs(first), maxlen=0)  # Optuna remembers where they end, and begins there next time

    def _write_batch(self, records: list[dict[str, Any]]) -> None:
        """Write records, the first one marked: by that a torn batch is told from damage before it."""
        super().append_logs([{**records[0], BATCH: True}, *records[1:]])

    def read_logs(self, log_number_from: int) -> Generator[dict[str, Any], None, None]:
        """Yield the records from this number on, counted from 0, the collected ones included."""
        if self.waiting is None or self.written is None:
            for record in super().read_logs(log_number_from):
                log_number_from += 1
                yield record
        if self.waiting is not None:
            if self.written is None:
                self.written = log_number_from
            yield from self.waiting[log_number_from - self.written :]


class Reader(LinearStorage):
    """Optuna's storage on a journal that another process may be writing; an attempt to write raises PermissionError.

    A last line that is only partly written is read when it is whole.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(Sealed(path))


class Sealed(File):
    """A journal file that cannot be written; `Reader` has one."""

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Raise PermissionError, whatever is to be written."""
        raise PermissionError("a study that is only read must not be written")


class Unlocked(BaseJournalFileLock):
    """No lock, in place of Optuna's, whose lock file a killed writer leaves behind; `Writer` holds the real one."""

    def acquire(self) -> bool:
        """Return True: the Writer's lock is held already."""
        return True

    def release(self) -> None:
        """Keep the Writer's lock, which is released when the Writer is closed."""


def file_of(folder: Path) -> Path:
    """Return the path of the journal in a study's folder. Raises UserError where there is no such file."""
    file = folder / JOURNAL
    if not file.is_file():
        raise UserError(f"a study is a folder with a {JOURNAL}, but {folder} has none")
    return file


class Writer:
    """The exclusive lock for writing a study, held until `close` or the end of this process.

    It is the operating system's lock (flock), so a killed writer leaves none behind.

    Raises UserError where the folder holds no study or cannot be written, or where another process holds the lock: the
    message names its pid and host.
    """

    def __init__(self, folder: Path) -> None:
        file_of(folder)
        try:
            descriptor = os.open(folder / "writer.lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
        except OSError as error:
            raise UserError(NO_WRITER.format(error)) from None
        self._file = os.fdopen(descriptor, "r+", encoding="utf-8")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            other = self._file.read().strip() or "another process"
            self._file.close()
            raise UserError(
                f"a study has one writer at a time, but {folder} is written by {other}; wait for it"
            ) from None
        except OSError as error:
            self._file.close()
            raise UserError(NO_WRITER.format(error)) from None
        self._file.truncate(0)
        self._file.write(f"pid {os.getpid()} on {socket.gethostname()}\n")
        self._file.flush()

    def close(self) -> None:
        """Release the lock: another process may write from here on."""
        self._file.close()

    def __enter__(self) -> Self:
        """Return this lock, which is held already."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Release the lock, also where the block raised."""
        self.close()

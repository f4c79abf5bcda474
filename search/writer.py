"""The one process that may write a study: a second is refused."""

import fcntl
import os
import socket
from pathlib import Path
from types import TracebackType
from typing import Self

from search.storage import file_of


class Writer:
    """The right to write the study of a folder, from here until it is given up or this process is gone.

    The operating system holds the lock, so a killed writer leaves none behind.

    Raises ValueError where the folder holds no study, OSError where another process has the right, whose pid and host
    are named, or where the folder cannot be written.
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
            raise OSError(
                f"a study has one writer at a time, but {folder} is written by {other}; wait for it"
            ) from None
        except OSError as error:
            raise OSError(f"a study's folder must take writing and locks, but: {error}") from None
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

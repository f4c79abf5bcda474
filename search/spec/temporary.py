"""Temporary folders that tell whether their maker lives: each holds a file that is locked until that has ended.

A killed process leaves its folders behind. Whoever comes next removes those whose lock is free, and no others: not a
folder without such a file, which is somebody else's.
"""

import fcntl
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

LOCK = ".owner"
"""The name of the locked file in such a folder."""
WRITTEN = re.compile(r"\..+-(\d{1,9})")
"""The name of a file that `files.write` is about to rename: it ends with the id of the thread that writes it."""


class TemporaryFolder:
    """A folder in `parent`, whose name begins with `prefix`, until it is removed. Raises OSError."""

    def __init__(self, parent: Path, prefix: str) -> None:
        self.path = Path(tempfile.mkdtemp(dir=parent, prefix=prefix))
        # Under its name the file is locked from the start, so that nobody takes it for a dead process's.
        hidden = self.path / f"{LOCK}-new"
        self._file = os.open(hidden, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        with suppress(OSError):  # a file system without locks: nobody can take it for free then
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            hidden.rename(self.path / LOCK)

    def remove(self) -> None:
        """Remove the folder and all that is in it, as far as that goes."""
        shutil.rmtree(self.path, ignore_errors=True)
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


@contextmanager
def folder(parent: Path, prefix: str) -> Iterator[Path]:
    """Yield a folder that is removed at the end of the block."""
    temporary = TemporaryFolder(parent, prefix)
    try:
        yield temporary.path
    finally:
        temporary.remove()


def sweep(parent: Path, prefix: str) -> None:
    """Remove the folders of `TemporaryFolder` in `parent`, of this prefix and this user, whose makers are dead."""
    with suppress(OSError):
        for path in list(parent.glob(f"{prefix}*")):
            with suppress(OSError):
                _remove_if_dead(path)


def _remove_if_dead(path: Path) -> None:
    status = path.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid():
        return
    file = os.open(path / LOCK, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # raises where its maker lives
        shutil.rmtree(path, ignore_errors=True)
    finally:
        os.close(file)


def sweep_study(path: Path) -> None:
    """Remove what killed writers have left half written in a study's folder; for its writer alone."""
    for leftover in list(path.glob(".best-*")):
        if leftover.is_dir() and not leftover.is_symlink():
            shutil.rmtree(leftover, ignore_errors=True)
    for parent in (path, path / "plots"):
        for leftover in list(parent.glob(".*-*")):
            written = WRITTEN.fullmatch(leftover.name)
            if written and leftover.is_file() and not _is_thread(int(written[1])):
                leftover.unlink(missing_ok=True)


def _is_thread(number: int) -> bool:
    """Return whether a thread of this id lives on this machine: a command that is no writer may be drawing."""
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True

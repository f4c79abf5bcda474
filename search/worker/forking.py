"""What the processes that a workload forks must not inherit of the process that trains it.

Ray's raylet notices that a process of its own has died where its sockets are closed. A child that was forked holds
them, too: a trial whose process died would wait for as long as a worker of a DataLoader or a Pool lives.
"""

import ctypes
import os
import signal
import stat
import sys
import threading
from contextlib import suppress
from pathlib import Path

PR_SET_PDEATHSIG = 1
"""Of prctl(2): the signal that a process gets where the thread that forked it has ended."""


def part_children() -> None:
    """Have each child that this process forks from here on close the sockets of now, and die with this process.

    A child that another thread than the main one forks does not die with it: the system would end it with that thread.
    """
    sockets = _sockets()
    libc = ctypes.CDLL(None)
    parent = os.getpid()
    is_main = False

    def before() -> None:
        nonlocal is_main
        is_main = threading.current_thread() is threading.main_thread()

    def in_child() -> None:
        for number, inode in sockets.items():
            if _inode_of_socket(number) == inode:
                os.close(number)
        if is_main and sys.platform == "linux" and os.getpid() != parent:
            libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)

    os.register_at_fork(before=before, after_in_child=in_child)


def _sockets() -> dict[int, int]:
    """Return the inode of each socket of this process, by its number; none where the system does not tell."""
    sockets = {}
    with suppress(OSError):
        for entry in list(Path("/proc/self/fd").iterdir()):
            inode = _inode_of_socket(int(entry.name))
            if inode:
                sockets[int(entry.name)] = inode
    return sockets


def _inode_of_socket(number: int) -> int:
    """Return the inode of an open socket, 0 where this is the number of anything else."""
    with suppress(OSError):
        status = os.fstat(number)
        if stat.S_ISSOCK(status.st_mode):
            return status.st_ino
    return 0

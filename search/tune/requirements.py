"""What Ray needs of this machine, checked before anything starts: without it Ray waits, or dies without a word."""

import errno
import resource
import socket
import sys
import tempfile
from pathlib import Path

from search.errors import UserError

FILES = 56
"""Open files that Ray's processes need (Ray 2.60): 57 were counted for two trials at once, 109 for twenty."""
FILES_A_TRIAL = 4
"""And so many more for each trial that runs at once."""


def check(concurrent: int, *, is_our_ray: bool) -> None:
    """Raise UserError where a Ray for so many trials at once could not run on this machine, or not join a cluster."""
    check_folder()
    check_docstrings()
    check_home()
    if is_our_ray:
        check_loopback()
        check_open_files(concurrent)


def check_folder() -> None:
    """Raise UserError where the working folder has been removed: neither Ray nor a process of its own starts there."""
    try:
        Path.cwd()
    except FileNotFoundError:
        raise UserError("a search needs its working folder, but that was removed; go to one that exists") from None


def check_docstrings() -> None:
    """Raise UserError where Python drops docstrings: Ray's own modules read theirs when they are imported."""
    if sys.flags.optimize >= 2:
        raise UserError("Ray needs its docstrings, but python -OO (or PYTHONOPTIMIZE=2) drops them; take -O, or none")


def check_home() -> None:
    """Raise UserError where Ray could not write its authentication token, under ~/.ray."""
    try:
        folder = Path("~/.ray").expanduser()
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except (OSError, RuntimeError) as error:
        raise UserError(f"Ray needs a HOME that can be written, for its token, but: {error}; set HOME") from None


def check_loopback() -> None:
    """Raise UserError where nothing can be reached at 127.0.0.1: Ray's processes would wait for each other's ports."""
    try:
        with socket.create_server(("127.0.0.1", 0)) as server:
            socket.create_connection(server.getsockname(), timeout=1).close()
    except OSError as error:
        fix = "bring its loopback up, as by `ip link set lo up`, or leave the sandbox that has none"
        if error.errno == errno.EADDRNOTAVAIL:  # the loopback is up, but knows only IPv6
            fix = "give its loopback that address, as by `ip addr add 127.0.0.1/8 dev lo`"
        raise UserError(f"Ray needs a machine that reaches itself at 127.0.0.1, but: {error}; {fix}") from None


def check_open_files(concurrent: int) -> None:
    """Raise UserError where the hard limit, to which Ray raises its own, denies its processes their files."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = FILES + FILES_A_TRIAL * concurrent
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise UserError(
            f"Ray needs to open {needed} files for {concurrent} trials at once, but the limit is {hard}; "
            f"raise it, as by `ulimit -n 4096`"
        )

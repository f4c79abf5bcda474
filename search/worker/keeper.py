"""The keeper of a script: a small process between a worker process and the script that it trains.

python -I -S keeper.py SOCKET GRACE_S PROGRAM ARGUMENT ...

It runs the program in a process group of its own, and ends all that comes of it, where the other end of the socket is
closed, by a worker that has seen enough or that was killed, or where the program has ended and left processes behind:
SIGTERM to the group, SIGKILL after GRACE_S. Its exit code is the program's, or 128 + the number of the signal.

Ray kills the children of a worker that it ends, so the keeper proper is a child of the process that is started here.
On Linux it adopts the processes that the program's own leave, and so finds also those that have left the group.
"""

import os
import select
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import suppress

GRACE_S = 10.0
"""Time between SIGTERM and SIGKILL."""
POLL_S = 0.01
PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
CANNOT_RUN = 127
"""Exit code where the program cannot be run, as a shell's."""


def main() -> int:
    """Fork the keeper proper, wait for it, and return its exit code."""
    control = int(sys.argv[1])
    os.set_inheritable(control, False)
    keeper = os.fork()
    if keeper:
        os.close(control)
        _, status = os.waitpid(keeper, 0)
        return code_of(status)
    return keep(control, float(sys.argv[2]), sys.argv[3:])


def keep(control: int, grace_s: float, words: list[str]) -> int:
    """Run a program until it ends or the socket is closed; end what is left of it, and return its exit code."""
    _prctl(PR_SET_CHILD_SUBREAPER, 1)
    # SIGCHLD wakes the loop below.
    awake, woken = os.pipe()
    os.set_blocking(woken, False)
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    signal.set_wakeup_fd(woken, warn_on_full_buffer=False)
    script = os.fork()
    if script == 0:
        _become(words)
    with suppress(OSError):  # it has done so itself, and runs already
        os.setpgid(script, script)
    children = Children(script)
    while children.code is None:
        ready, _, _ = select.select([control, awake], [], [])
        if awake in ready:
            os.read(awake, 512)
        children.reap()
        if control in ready:
            break
    children.end(grace_s)
    return CANNOT_RUN if children.code is None else children.code


def _become(words: list[str]) -> None:
    """Become the program, in a process group of its own, with signals as a shell would give them."""
    try:
        os.setpgid(0, 0)
        _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        for number in signal.valid_signals():
            with suppress(OSError, ValueError):  # of SIGKILL, say
                signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, [])
        os.execvp(words[0], words)
    except BaseException as error:
        os.write(2, f"{words[0]} cannot be run: {error}\n".encode(errors="backslashreplace"))
    finally:
        os._exit(CANNOT_RUN)


class Children:
    """A program's process, and all that come of it."""

    def __init__(self, script: int) -> None:
        self._script = script
        self._are_left = True
        self.code: int | None = None
        """The program's exit code; None as long as it runs."""

    def reap(self) -> None:
        """Take in the processes that have ended."""
        try:
            while True:
                ended, status = os.waitpid(-1, os.WNOHANG)
                if not ended:
                    return
                if ended == self._script:
                    self.code = code_of(status)
        except ChildProcessError:
            self._are_left = False

    def end(self, grace_s: float) -> None:
        """End all that are left: by SIGTERM to the group and to what was adopted, later by SIGKILL to each."""
        if not self._is_any_left():
            return
        self._signal(signal.SIGTERM)
        self._signal(signal.SIGCONT)  # a stopped process takes no other signal
        deadline = time.monotonic() + grace_s
        while self._is_any_left():
            if time.monotonic() >= deadline:
                self._signal(signal.SIGKILL)
            time.sleep(POLL_S)

    def _is_any_left(self) -> bool:
        self.reap()
        if self._are_left:
            return True
        try:  # where no process is adopted, the group may still have one
            os.killpg(self._script, 0)
        except (ProcessLookupError, PermissionError):
            return False
        return True

    def _signal(self, number: int) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._script, number)
        for child in _children_of(os.getpid()):
            if child != self._script:
                with suppress(ProcessLookupError, PermissionError):
                    os.kill(child, number)


def _children_of(parent: int) -> Iterator[int]:
    """Yield the processes that have this parent, where the system tells."""
    try:
        names = os.listdir("/proc")  # noqa: PTH208 - pathlib takes half of the time that this process takes to start
    except OSError:
        return
    for name in names:
        if not name.isdigit():
            continue
        with suppress(OSError, ValueError, IndexError):
            with open(f"/proc/{name}/stat", "rb") as file:  # noqa: PTH123
                after_name = file.read().rpartition(b")")[2].split()
            if int(after_name[1]) == parent:
                yield int(name)


def code_of(status: int) -> int:
    """Return a process's status as a shell's exit code."""
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def _prctl(option: int, value: int) -> None:
    """Ask Linux for something; other systems do without."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


if __name__ == "__main__":
    os._exit(main())

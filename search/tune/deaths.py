"""Why a process died: what Ray says, what the process printed last, and what the kernel counts.

Ray's raylet, whose children they are, tells of a process that was killed and of one that called os._exit the same: that
its socket was closed. Neither a signal's number nor an exit code can be had from it.
"""

import os
import re
from pathlib import Path

from search.errors import one_line

FEWER = "train fewer at once, by a greater cpus_per_trial, or smaller ones"
FULL = re.compile(r"was ([\d.]+)GB used / ([\d.]+)GB limit")
"""What Ray says of a process that its memory monitor has killed; read from Ray 2.60."""
FATAL = re.compile(r"^Fatal Python error: (.+)$", re.MULTILINE)
"""What Python prints before it dies of a signal such as a segmentation fault."""
LOGGED = re.compile(r"^\[[^]]* [EFC] [^]]*\] \(\w+\) [\w.]+:\d+:\s*(.+)$", re.MULTILINE)
"""An error, or what ended it, in the log of one of Ray's own processes."""
LOG_LINE = "--- the process that trained this trial died"
"""Begins the line that stands in a trial's log between two of its processes."""
TAIL_BYTES = 2**16
"""The end of a log, in which last words are looked for."""


def reason(told: str, printed: str, kills_before: float) -> str:
    """Return why a process died, in brackets and after a space; empty where nobody knows.

    Args:
        told: The text of Ray's error.
        printed: What the process printed last.
        kills_before: What `memory_kills` returned when it was last known to be alive.

    """
    full = FULL.search(told)
    fatal = FATAL.findall(printed)
    if full:
        return f" (killed for memory by Ray, with {full[1]} of {full[2]} GB in use; {FEWER})"
    if fatal:
        return f" ({fatal[-1]:.100})"
    if memory_kills() > kills_before:
        return f" (killed for memory by the system, it seems; {FEWER})"
    return ""


def memory_kills(file: Path = Path("/proc/vmstat")) -> int:
    """Return how many processes the kernel has ended for want of memory since it was started; 0 where it tells none."""
    try:
        found = re.search(r"^oom_kill (\d+)$", file.read_text(encoding="ascii"), re.MULTILINE)
    except OSError:
        return 0
    return int(found[1]) if found else 0


def last_words(log: Path) -> str:
    """Return the end of what the last process of a trial printed to its log; empty where that cannot be read."""
    try:
        with log.open("rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - TAIL_BYTES))
            return file.read().decode(errors="replace").rpartition(LOG_LINE)[2]
    except OSError:
        return ""


def of_ray(folder: Path) -> str:
    """Return why a Ray of this temporary folder did not start, as its processes logged it; empty where none did."""
    for name in ("gcs_server", "raylet"):
        for log in sorted(folder.glob(f"session_*/logs/{name}.err")):
            told = LOGGED.search(last_words(log))
            if told:
                return f" ({name}: {one_line(told[1], 200)})"
    return ""

"""The memory that a worker process takes, with its child processes and on the GPU."""

import resource
import sys
from contextlib import suppress

import psutil

RESOURCE_UNIT = 1 if sys.platform == "darwin" else 1024
"""Bytes in which the system counts the most memory that a process held."""


def resident_bytes() -> int:
    """Return the memory that this process holds now."""
    held: int = psutil.Process().memory_info().rss
    return held


def peak_bytes() -> int:
    """Return the most memory that this process has held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * RESOURCE_UNIT


def children_bytes() -> int:
    """Return the memory that the child processes hold now; what several share counts once, where the system tells."""
    held = 0
    for child in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):
            full = child.memory_full_info()
            held += getattr(full, "pss", full.rss)
    return held


def gpu_bytes() -> int:
    """Return the most memory of a GPU that torch has held for this process."""
    torch = sys.modules.get("torch")
    if torch and torch.cuda.is_initialized():
        return int(torch.cuda.max_memory_reserved())
    return 0

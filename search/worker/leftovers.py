"""What a trial leaves in its process that cannot be put back: threads, changed objects of the workload's, memory.

Another trial's numbers may depend on it, so the process is not used again.
"""

import multiprocessing.process
import os
import random
import sys
import threading
import time
from collections import deque
from collections.abc import Mapping
from concurrent.futures.thread import _worker  # what each thread of a ThreadPoolExecutor runs
from contextlib import suppress
from functools import cache
from pathlib import Path
from types import FunctionType, ModuleType, SimpleNamespace
from typing import Any

import numpy as np

from search.worker.plain import MOST_ENTRIES, PLAIN, is_plain

MOST_LOOKS = 20_000
"""Values that are looked at, at most."""
SAMPLE = 4096
"""Numbers of an array that are compared: training changes nearly all of them."""
MOST_GROWTH_BYTES = 500_000_000
"""Memory by which a process may have grown since the end of its first trial."""
PATIENCE_S = 0.5
"""Time that the threads of a trial have to end after it, all together."""
FAMILIAR = ("ray", "tqdm")
"""Packages whose threads serve the process, not a trial."""


class Leftovers:
    """A process as it is before a trial, to find afterwards what that has left behind."""

    def __init__(self, modules: Mapping[str, ModuleType]) -> None:
        """Look at the process; `modules` are the workload's own, by name."""
        self._modules = modules
        self._threads = set(threading.enumerate())
        self._children = set(multiprocessing.process.active_children())
        self._objects: dict[tuple[str, str], Any] = {}
        """The objects at the top of the modules, by module and name."""
        for name, module in modules.items():
            for key, value in list(vars(module).items()):
                if not (key.startswith("__") or is_plain(value)):
                    self._objects[name, key] = value
        self._marks = self._look()

    def find(self) -> str:
        """Return what the trial has left behind, as text; empty where that is nothing.

        Names that now stand for other objects are put back. What was empty before and is filled now is no change: a
        workload loads its data once.
        """
        changed = self._changed()  # in any case, as it puts back
        if thread := self._running_thread():
            return f"the running thread {thread!r}"
        for child in set(multiprocessing.process.active_children()) - self._children:
            return f"the running process {child.name!r}"
        for name in changed:
            return f"a changed {name}"
        grown = _memory_bytes() - _first_memory_bytes()
        if grown > MOST_GROWTH_BYTES:
            return f"{grown / 1e6:.0f} MB of memory"
        return ""

    def _running_thread(self) -> str:
        """Return the name of a thread that the trial began and that does not end by itself now; empty without one."""
        deadline = time.monotonic() + PATIENCE_S
        new = set(threading.enumerate()) - self._threads
        for thread in sorted(new, key=lambda thread: thread.name):
            function = getattr(thread, "_target", None) or type(thread).run
            if str(getattr(function, "__module__", "")).partition(".")[0] in FAMILIAR:
                continue
            if isinstance(thread, threading._DummyThread) or _waits_for_work(thread):
                continue
            thread.join(max(0.0, deadline - time.monotonic()))
            if thread.is_alive():
                return thread.name
        return ""

    def _changed(self) -> list[str]:
        """Put back the names that now stand for other objects; return the names of what has changed within."""
        for (name, key), value in self._objects.items():
            if vars(self._modules[name]).get(key) is not value:
                setattr(self._modules[name], key, value)
        now = self._look()
        changed = []
        for name, mark in self._marks.items():
            if mark is not None and now.get(name) != mark:
                changed.append(name)
        return changed

    def _look(self) -> dict[str, Any]:
        """Return a mark of every value within the objects at the top of the workload's modules, by its name."""
        marks: dict[str, Any] = {}
        seen: set[int] = set()
        unseen = deque((f"{name}.{key}", value) for (name, key), value in self._objects.items())
        for _ in range(MOST_LOOKS):
            if not unseen:
                break
            name, value = unseen.popleft()
            if type(value) in PLAIN:
                marks[name] = None if value is None else repr(value)  # as text a NaN is itself
            elif id(value) not in seen:
                seen.add(id(value))
                with suppress(Exception):  # whatever a foreign object raises: it is not looked at
                    mark = _mark_of(value)
                    if mark is not None:
                        marks[name] = mark
                    unseen += [(name + place, part) for place, part in self._parts_of(value).items()]
        return marks

    def _parts_of(self, value: Any) -> Mapping[str, Any]:
        """Return what a container, a network or an object of the workload's own holds, by its place in it."""
        torch = sys.modules.get("torch")
        if torch and isinstance(value, torch.nn.Module):
            tensors = [*value.named_parameters(), *value.named_buffers()]
            return {f".{place}": tensor for place, tensor in tensors}
        if isinstance(value, dict) and len(value) <= MOST_ENTRIES:
            return {f"[{key!r}]": part for key, part in value.items() if type(key) in PLAIN}
        if isinstance(value, list | tuple | deque) and len(value) <= MOST_ENTRIES:
            return {f"[{index}]": part for index, part in enumerate(value)}
        origin = type(value).__module__
        is_own = origin in self._modules or origin.partition(".")[0] == "sklearn"
        if is_own or isinstance(value, SimpleNamespace):
            slots = [slot for kind in type(value).__mro__ for slot in getattr(kind, "__slots__", ())]
            names = [*getattr(value, "__dict__", {}), *slots]
            return {f".{name}": getattr(value, name, None) for name in names}
        if isinstance(value, FunctionType) and value.__module__ in self._modules:
            return {**{f".{name}": part for name, part in vars(value).items()}, "'s default": value.__defaults__}
        return {}


def _waits_for_work(thread: threading.Thread) -> bool:
    """Return whether a thread is of a pool of which none works, such as that of torch.compile: it changes nothing."""
    if getattr(thread, "_target", None) is not _worker:
        return False
    pool = getattr(thread, "_args", [lambda: None])[0]()
    return pool is not None and pool._work_queue.empty() and pool._idle_semaphore._value >= len(pool._threads)


def _mark_of(value: Any) -> Any:
    """Return what tells an array or a random generator from itself in another state; None of anything else."""
    torch = sys.modules.get("torch")
    if torch and isinstance(value, torch.Tensor):
        sample = value.detach().flatten()[:: _step(value.numel())].cpu().contiguous()
        return value.shape, sample.view(torch.uint8).numpy().tobytes()
    if torch and isinstance(value, torch.Generator):
        return value.get_state().numpy().tobytes()
    if isinstance(value, np.ndarray):
        return value.shape, np.asarray(value.flat[:: _step(value.size)]).tobytes()
    if isinstance(value, np.random.Generator):
        return repr(value.bit_generator.state)
    if isinstance(value, np.random.RandomState):
        return repr(value.get_state())
    if isinstance(value, random.Random):
        return value.getstate()
    return None


def _step(size: int) -> int:
    return max(1, size // SAMPLE)


def _memory_bytes() -> int:
    """Return the memory that this process holds, on the CPU where the system tells, and as tensors on the GPU."""
    pages = 0
    with suppress(OSError):
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    torch = sys.modules.get("torch")
    on_gpu: int = torch.cuda.memory_allocated() if torch and torch.cuda.is_initialized() else 0
    return pages * os.sysconf("SC_PAGE_SIZE") + on_gpu


@cache
def _first_memory_bytes() -> int:
    """Return what this process held when this was called first, after its first trial."""
    return _memory_bytes()

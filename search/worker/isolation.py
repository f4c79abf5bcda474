"""Isolation of the trials that one process trains after another: its global state is restored between them.

A process is reused because a new one costs seconds, and because what a workload loaded once - its data, its compiled
code - should stay. What must not stay is whatever could change another trial's numbers: the state of the global random
generators, the working folder and the environment, torch's process-wide settings, and the plain values (numbers, texts,
lists and dicts of them) at the top of the workload's own modules. What cannot be put back costs the process.
"""

import copy
import gc
import os
import random
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from search.spec.sources import own_tops
from search.worker.leftovers import Leftovers
from search.worker.plain import is_plain


class Surroundings:
    """The global state of a process as it was before a trial, which `restore` puts back."""

    def __init__(self, workload: str) -> None:
        self._folder = Path.cwd()
        self._environment = dict(os.environ)
        self._path = list(sys.path)
        self._settings = [(get, setting, get()) for get, setting in _torch_settings()]
        self._modules = _own_modules(workload)
        self._plain = {name: _plain_values(module) for name, module in self._modules.items()}
        self._leftovers = Leftovers(self._modules)

    def restore(self) -> str:
        """Put everything back, and free the memory that nothing refers to any more.

        Returns what could not be put back, as text; where that is not empty, the process must not be used again.
        """
        # The process: its environment, working folder and import path.
        os.environ.clear()
        os.environ.update(self._environment)
        os.chdir(self._folder)
        sys.path[:] = self._path
        # torch's process-wide settings.
        for get, setting, value in self._settings:
            if get() != value:  # torch's setters import half of torch
                setting(value)
        # The plain values at the top of the workload's modules.
        for name, module in self._modules.items():
            for key, value in self._plain[name].items():
                _put_back(module, key, value)
        # What the trial leaves in memory, on the CPU and on the GPU.
        gc.collect()
        _freeze_once()
        torch = sys.modules.get("torch")
        if torch and torch.cuda.is_initialized():
            torch.cuda.empty_cache()
        return self._leftovers.find()


@contextmanager
def uncollected() -> Iterator[None]:
    """Turn Python's garbage collection off in the block, and on again after it where it was on."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


@contextmanager
def importing() -> Iterator[None]:
    """Turn garbage collection off while the block imports, and exempt what it imported from every later collection.

    Importing Tune and torch makes some 300,000 objects, of which 97 % stay. Collecting among them takes a fifth of the
    time, and would take it again between any two trials. Where the block imports nothing new, what it made may be
    garbage as well, and is not exempt.
    """
    before = len(sys.modules)
    with uncollected():
        yield
        if len(sys.modules) > before:
            gc.freeze()


@cache
def _freeze_once() -> None:
    """Exempt what the first trial has imported and loaded from the collections after the later ones."""
    gc.freeze()


def seed(number: int) -> None:
    """Seed the global random generators of Python, NumPy and torch: a workload that seeds none still repeats."""
    random.seed(number)
    np.random.seed(number)
    if torch := sys.modules.get("torch"):
        torch.manual_seed(number)


def _own_modules(workload: str) -> dict[str, ModuleType]:
    """Return, by name, all that has been imported of a workload's package, and of its folder."""
    tops = own_tops(workload.partition(".")[0])
    imported = list(sys.modules.items())
    modules = [(name, module) for name, module in imported if isinstance(module, ModuleType)]
    return {name: module for name, module in modules if name.partition(".")[0] in tops}


def _plain_values(module: ModuleType) -> dict[str, Any]:
    plain = {}
    for name, value in list(vars(module).items()):
        if not name.startswith("__") and is_plain(value):
            plain[name] = copy.deepcopy(value)
    return plain


def _put_back(module: ModuleType, name: str, value: Any) -> None:
    """Give a module's name its old value back; a list, dict or set in place, as others may refer to it; caches stay."""
    now = vars(module).get(name)
    if type(now) is type(value) and not is_plain(now):
        if isinstance(now, dict) and isinstance(value, dict):
            now.update(copy.deepcopy(value))
        return  # what came beside it is the workload's data
    if type(now) is type(value) and now == value:  # of another type, whose == may raise, as an array's does
        return
    if isinstance(now, list) and isinstance(value, list):
        now[:] = copy.deepcopy(value)
    elif isinstance(now, dict | set) and type(now) is type(value):
        now.clear()
        now.update(copy.deepcopy(value))
    else:
        setattr(module, name, copy.deepcopy(value))


def _torch_settings() -> list[tuple[Callable[[], Any], Callable[[Any], None]]]:
    """Return the getter and the setter of each; none where torch has not been imported."""
    torch = sys.modules.get("torch")
    if not torch:
        return []
    return [
        (torch.get_default_dtype, torch.set_default_dtype),
        (torch.get_num_threads, torch.set_num_threads),
        (torch.is_grad_enabled, torch.set_grad_enabled),
        (torch.are_deterministic_algorithms_enabled, torch.use_deterministic_algorithms),
    ]

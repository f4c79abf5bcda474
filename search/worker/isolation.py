"""What a trial must not leave to the next one in the same process.

A process is used again because a new one costs seconds, and because what a workload loaded once - its data, its
compiled code - is to stay. What must not stay is what could change another trial's numbers: the state of the global
random generators, the working folder and the environment, torch's process-wide settings, and the plain values
(numbers, texts, lists and dicts of them) at the top of the workload's own modules.
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

PLAIN = (type(None), bool, int, float, complex, str, bytes)
MANY = 1000
"""A container with more entries than this is data, not a setting."""


class Surroundings:
    """A process as it was before a trial."""

    def __init__(self, workload: str) -> None:
        self._package = workload.partition(".")[0]
        self._folder = Path.cwd()
        self._environment = dict(os.environ)
        self._path = list(sys.path)
        self._settings = [(get, setting, get()) for get, setting in _torch_settings()]
        self._plain = {name: _plain_values(module) for name, module in self._modules()}

    def _modules(self) -> list[tuple[str, ModuleType]]:
        """Return the modules of the workload's package that have been imported."""
        inside = f"{self._package}."
        found = list(sys.modules.items())
        return [(name, module) for name, module in found if f"{name}.".startswith(inside)]

    def restore(self) -> None:
        """Put everything back, and free what nobody holds any more."""
        os.environ.clear()
        os.environ.update(self._environment)
        os.chdir(self._folder)
        sys.path[:] = self._path
        for get, setting, value in self._settings:
            if get() != value:  # torch's setters import half of torch
                setting(value)
        for name, module in self._modules():
            for key, value in self._plain.get(name, {}).items():
                _put_back(module, key, value)
        gc.collect()
        _keep_what_a_first_trial_made()
        torch = sys.modules.get("torch")
        if torch and torch.cuda.is_initialized():
            torch.cuda.empty_cache()


@contextmanager
def uncollected() -> Iterator[None]:
    """Look for no garbage in here."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


@contextmanager
def importing() -> Iterator[None]:
    """Look for no garbage in here, and keep what there is at the end for the life of the process.

    Importing Tune and torch makes some 300,000 objects, of which 97 % stay. To look for garbage among them takes a
    fifth of the time, and would take it again between any two trials. Where nothing was left to import, what there is
    may be garbage as well, and is not kept.
    """
    before = len(sys.modules)
    with uncollected():
        yield
        if len(sys.modules) > before:
            gc.freeze()


@cache
def _keep_what_a_first_trial_made() -> None:
    """Keep what the first trial has imported and loaded: it is looked at no more after each of the next."""
    gc.freeze()


def seed(number: int) -> None:
    """Seed every global generator, for a workload that forgets one: a trial is then still the same each time."""
    random.seed(number)
    np.random.seed(number)
    if torch := sys.modules.get("torch"):
        torch.manual_seed(number)


def is_plain(value: Any, depth: int = 3) -> bool:
    """Return whether a value is a number, a text, or a small container of such."""
    if type(value) in PLAIN:
        return True
    if type(value) not in (list, tuple, set, dict) or depth == 0 or len(value) > MANY:
        return False
    inner = [*value, *value.values()] if isinstance(value, dict) else value
    return all(is_plain(each, depth - 1) for each in inner)


def _plain_values(module: ModuleType) -> dict[str, Any]:
    values = list(vars(module).items())
    return {name: copy.deepcopy(value) for name, value in values if not name.startswith("__") and is_plain(value)}


def _put_back(module: ModuleType, name: str, value: Any) -> None:
    """Give a module's name its old value, in the old list or dict, which others may hold too; caches stay."""
    now = vars(module).get(name)
    if type(now) is type(value) and not is_plain(now):
        return  # it was an empty dict, and is now the workload's cache of data
    if now == value and type(now) is type(value):
        return
    if isinstance(now, list) and isinstance(value, list):
        now[:] = copy.deepcopy(value)
    elif isinstance(now, dict | set) and type(now) is type(value):
        now.clear()
        now.update(copy.deepcopy(value))
    else:
        setattr(module, name, copy.deepcopy(value))


def _torch_settings() -> list[tuple[Callable[[], Any], Callable[[Any], None]]]:
    torch = sys.modules.get("torch")
    if not torch:
        return []
    return [
        (torch.get_default_dtype, torch.set_default_dtype),
        (torch.get_num_threads, torch.set_num_threads),
        (torch.is_grad_enabled, torch.set_grad_enabled),
        (torch.are_deterministic_algorithms_enabled, torch.use_deterministic_algorithms),
    ]

"""A hyperparameter search on Ray Tune: Optuna proposes, ASHA stops the weak, the best are retrained and judged.

>>> import search
>>> study = search.run("configs/search.yaml")
>>> study = search.load("results/wave")

What people may import stands in `__all__`; the rooms below are ours to change. Nothing of it is imported before it is
asked for: a worker process needs little of it. (Their types stand in __init__.pyi.)
"""

import sys

from search import shadows

if sys.argv[:1] == ["-m"]:  # a command is being started, and Python looks into the working folder first
    shadows.watch()

import importlib
from typing import Any

__version__ = "0.1.0"
__all__ = ["Objective", "Study", "StudyConfig", "UserError", "load", "run"]

_HOMES = {
    "Objective": "search.spec.objective",
    "Study": "search.study",
    "StudyConfig": "search.spec.config",
    "UserError": "search.errors",
    "load": "search.study",
}


def __getattr__(name: str) -> Any:
    """Import what is asked for."""
    if name == "run":
        return importlib.import_module("search.run")  # the command's module, which can be called
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'search' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])

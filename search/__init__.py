"""A hyperparameter search on Ray Tune: Optuna proposes, ASHA stops the weak, the best are retrained and judged.

>>> import search
>>> study = search.run("configs/search.yaml")
>>> study = search.load("results/sine")

What people may import stands in `__all__`; the rooms below are ours to change. Nothing of it is imported before it is
asked for: a worker process needs little of it. (Their types stand in __init__.pyi.)
"""

import sys

from search import shadows

if sys.argv[:1] == ["-m"]:  # a command is being started, and Python looks into the working folder first
    shadows.watch()

import importlib
import signal
import sys
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


def _is_started_as_a_program() -> bool:
    """Return whether this process was started as `python -m search.NAME`, and is about to import that."""
    words = sys.orig_argv
    if sys.argv[:1] != ["-m"] or "-m" not in words:
        return False
    return words[words.index("-m") + 1].startswith("search.")


if _is_started_as_a_program() and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    # Until cli.guarded listens, Ctrl-C ends it as `kill` does: raised in an import it may become anything.
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def __getattr__(name: str) -> Any:
    """Import what is asked for."""
    if name == "run":
        return importlib.import_module("search.run")  # the command's module, which can be called
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'search' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])

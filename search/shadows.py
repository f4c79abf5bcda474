"""A file in the working folder that hides a module of Python's or of an installed package, as `random.py` does.

`python -m` looks into the working folder first, so whatever imports that module, numpy for one, gets the user's file.
This imports nothing that such a file could hide: Python itself has imported both modules before.
"""

import os
import sys
from types import TracebackType


def hides(error: BaseException, *, is_sure: bool = False) -> str:
    """Return which file of the working folder an error comes from, with the fix; empty where it comes from none.

    Args:
        error: What an import, or the use of a module, raised.
        is_sure: Whether it counts also where it does not name the module.

    """
    if not isinstance(error, ImportError | AttributeError) and not is_sure:
        return ""
    text = str(error)
    folder = os.path.realpath(os.curdir)
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__dict__", {}).get("__file__")
        if not isinstance(file, str) or "." in name or os.path.dirname(os.path.realpath(file)) != folder:  # noqa: PTH120
            continue
        if (is_sure or f"'{name}'" in text or f"'{name}." in text) and _is_anothers(name, folder):
            return f"{file} hides the module {name}, which others import; give it another name"
    return ""


def _is_anothers(name: str, folder: str) -> bool:
    """Return whether there is a module of this name outside of a folder."""
    if name in sys.stdlib_module_names:
        return True
    for path in sys.path:
        if os.path.realpath(path) != folder:
            place = os.path.join(path, name)  # noqa: PTH118 - pathlib is what may be hidden
            if os.path.isdir(place) or os.path.isfile(f"{place}.py"):  # noqa: PTH112, PTH113
                return True
    return False


def watch() -> None:
    """From here on tell of such a file in one line where an import ends the program; of a Ctrl-C, too."""
    sys.excepthook = _tell


def _tell(kind: type[BaseException], error: BaseException, at: TracebackType | None) -> None:
    if isinstance(error, KeyboardInterrupt):
        print("interrupted", file=sys.stderr, flush=True)
        os._exit(130)
    if hidden := hides(error, is_sure=True):
        print(f"error: {hidden}", file=sys.stderr, flush=True)
        os._exit(2)
    sys.__excepthook__(kind, error, at)

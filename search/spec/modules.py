"""The import of a workload's module: by its dotted name, or from its file."""

import argparse
import ast
import importlib
import inspect
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.machinery import PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

from search.errors import UserError, describe
from search.spec.paths import is_file
from search.spec.sources import INSTALLED, OURS

PYTHON = "Python's library"
TAKEN = "{} has a module {!r}, too, and one would hide the other; rename yours"


def import_module(name: str) -> Any:
    """Import a module by its dotted name, or from the file of this path, under the file's own name.

    Raises UserError where there is none, it lies in a study, its name is taken, or it raises.
    """
    if is_file(name):
        return _import_file(Path(name))
    rule = f"workload {name!r} must be an importable module"
    if not all(part.isidentifier() for part in name.split(".")):
        raise UserError(f"{rule}, named with dots as in package.module, or the path of a file that ends in .py")
    if name == "__main__":
        raise UserError(f"{rule} in a file of its own, as other processes import it; move Config and train into one")
    top = name.partition(".")[0]
    if top in sys.stdlib_module_names:
        raise UserError(f"{rule}, but {TAKEN.format(PYTHON, top)}")
    if folder := _study_of(name):
        raise UserError(f"{rule} of yours, but it lies in {folder}, a study: what comes with results is never run")
    return _imported(name, rule)


def _import_file(path: Path) -> Any:
    rule = f"workload '{path}' must be a file of yours that can be imported"
    if not path.is_file():
        raise UserError(
            f"{rule}, but there is none; its path is that from the config's folder, or from the working one"
        )
    name = path.stem
    if not (path.suffix == ".py" and name.isidentifier()):
        raise UserError(f"{rule}, named with letters, digits and _, and .py at the end; rename it")
    folder = path.resolve().parent
    for parent in (folder, *folder.parents):
        if (parent / "journal.log").exists():
            raise UserError(f"{rule}, but it lies in {parent}, a study: what comes with results is never run")
    _check_name(path, rule)
    # Its folder comes first, as where Python runs it; a module of that name from another folder goes.
    if sys.path[:1] != [str(folder)]:
        sys.path.insert(0, str(folder))
    known = sys.modules.get(name)
    if known is not None and _file_of(known) != path.resolve():
        del sys.modules[name]
    return _imported(name, rule)


def _check_name(path: Path, rule: str) -> None:
    """Raise UserError where a file has the name of another module: somewhere one would be imported for the other."""
    name = path.stem
    owner = ""
    if name in sys.stdlib_module_names:
        owner = PYTHON
    elif name == OURS or _is_installed(name, path):
        owner = "an installed package"
    if owner:
        raise UserError(f"{rule}, but {TAKEN.format(owner, name)}")


def _is_installed(name: str, path: Path) -> bool:
    """Return whether another file than this is installed as a module of this name, or was imported from there."""
    installed = [folder for folder in sys.path if INSTALLED.match(f"{folder}/")]
    found = PathFinder.find_spec(name, installed)
    if found is not None and found.origin and Path(found.origin).resolve() != path.resolve():
        return True
    known = sys.modules.get(name)
    return known is not None and _file_of(known) != path.resolve() and bool(INSTALLED.match(str(_file_of(known))))


def _file_of(module: ModuleType) -> Path | None:
    file = vars(module).get("__file__")
    return Path(file).resolve() if file else None


def _imported(name: str, rule: str) -> Any:
    """Import a module. Raises UserError, which begins with the rule, where that is not found or raises."""
    try:
        with _without_arguments(name):
            return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise UserError(f"{rule}, but: {error}; run from the folder it lies in, or install it") from None
    except (Exception, SystemExit) as error:
        fix = ""
        if isinstance(error, SystemExit):
            fix = '; what ends the program, as parse_args() may, belongs under `if __name__ == "__main__":`'
        raise UserError(f"{rule}, but it raises {describe(error)} ({_place_of(error, name)}){fix}") from error


@contextmanager
def _without_arguments(name: str) -> Iterator[None]:
    """Import in the block as a program without arguments: ours are none of a workload's, nor are those of a Ray worker.

    What argparse refuses is raised as the text of SystemExit, in place of lines on the screen.
    """

    def refuse(parser: argparse.ArgumentParser, message: str) -> NoReturn:
        raise SystemExit(message)

    arguments = sys.argv
    error = argparse.ArgumentParser.error
    sys.argv = [name]
    argparse.ArgumentParser.error = refuse  # type: ignore[method-assign, assignment]
    try:
        yield
    finally:
        sys.argv = arguments
        argparse.ArgumentParser.error = error  # type: ignore[method-assign]


def _place_of(error: BaseException, name: str) -> str:
    """Return the last line that led to an error of an import, in the workload's own package or in files of the user's.

    The lines below it, of Python's library and of installed packages, say little of the mistake.
    """
    package = name.partition(".")[0]
    place = name
    for frame, line in traceback.walk_tb(error.__traceback__):
        file = frame.f_code.co_filename
        module = str(frame.f_globals.get("__name__"))
        if module.partition(".")[0] == package or (module != __name__ and not INSTALLED.match(file)):
            place = f"{file}, line {line}"
    if isinstance(error, SyntaxError) and error.filename and not INSTALLED.match(str(error.filename)):
        place = f"{error.filename}, line {error.lineno}"
    return place


def _study_of(name: str) -> str:
    """Return the study's folder from which a module would be imported; empty where it would be from none.

    A foreign study, unpacked into results/theirs, may name results.theirs.anything as its workload, whose code must not
    run. So this looks for the folder of each part, without an import.
    """
    with suppress(OSError):  # a name too long for a file: there is no such module either
        for root in sys.path:
            folder = Path(root)
            for part in name.split(".")[:-1]:
                folder /= part
                if not folder.is_dir():
                    break
                if (folder / "journal.log").exists():
                    return str(folder)
    return ""


def is_program(module: Any) -> bool:
    """Return whether a module trains one config from the command line.

    It has a main block, an `if` at its top that compares `__name__` with "__main__", and speaks of --config.
    """
    try:
        source = inspect.getsource(module)
        tree = ast.parse(source)
    except Exception:  # of what the module says of itself, as its __file__
        return False
    return "--config" in source and any(isinstance(node, ast.If) and _asks_for_main(node.test) for node in tree.body)


def _asks_for_main(test: ast.expr) -> bool:
    """Return whether a condition is `__name__ == "__main__"`, either way round, or a conjunction that holds it."""
    if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.And):
        return any(map(_asks_for_main, test.values))
    if not (isinstance(test, ast.Compare) and len(test.ops) == 1 and isinstance(test.ops[0], ast.Eq)):
        return False
    sides = {ast.unparse(side) for side in (test.left, test.comparators[0])}
    return sides == {"__name__", "'__main__'"}

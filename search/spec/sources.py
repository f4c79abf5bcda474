"""The sources of a workload: its module and what that imports of the user's own, whatever else is installed."""

import ast
import hashlib
import importlib.util
import os
import re
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType

from search.spec.command import Command

OURS = __package__.partition(".")[0]
OURS_FOLDER = f"{Path(__file__).parents[1]}{os.sep}"
"""Begins the path of each file of this package."""
INSTALLED = re.compile(rf"<|{re.escape(sysconfig.get_path('stdlib'))}/|.*/(site|dist)-packages/")
"""Matches the file of code that no user writes: Python's library, installed packages, and what is in no file."""
MOST_BYTES = 10_000_000
"""Size of a file among the words of a command that is looked into, at most."""
MOST_LISTED = 3
"""Files that a person is told of."""


def digests(workload: str | Command) -> dict[str, str]:
    """Return a digest of each file of a workload's sources, by its path in the folder that it is imported from.

    The files are those that its module imports by a statement, at its top or within: of its own package, and of its own
    folder unless that is where packages are installed. What is imported in another way is not seen, nor is data. Of a
    command they are its program, and the scripts and configs among its words, with what the former import of Python.
    """
    if isinstance(workload, Command):
        return _of_command(workload)
    if workload.endswith(".py"):
        file = Path(workload).resolve()
        return _followed(file.parent, file.stem, None)
    top = workload.partition(".")[0]
    folder = folder_of(top)
    if folder is None:
        return {}
    tops = {top} if INSTALLED.match(f"{folder}/") else None
    return _followed(folder, workload, tops)


def _of_command(command: Command) -> dict[str, str]:
    """Return the digests of a command's files, by their path from the working folder."""
    found: dict[str, str] = {}
    module = command.module()
    launcher = folder_of(module.partition(".")[0]) if module else None
    if launcher is not None and not INSTALLED.match(f"{launcher}/"):  # torch.distributed.run is none of the user's
        found |= digests(module)
    for path in command.files():
        if path.stat().st_size > MOST_BYTES or INSTALLED.match(str(path.absolute())):
            continue
        source = path.read_bytes()
        found[path.as_posix()] = _digest(source)
        if path.suffix != ".py":
            continue
        folder = path.absolute().parent
        for imported in _imports(source, Path(path.name)):
            for name, digest in _followed(folder, imported, None).items():
                found[(path.parent / name).as_posix()] = digest
    return dict(sorted(found.items()))


def _followed(folder: Path, module: str, tops: set[str] | None) -> dict[str, str]:
    """Return the digests of a module of a folder and of what it imports from there, of the packages `tops` alone."""
    found: dict[str, str] = {}
    unread = [module]
    seen = {module}
    while unread:
        for path in _files(folder, unread.pop()):
            name = path.relative_to(folder).as_posix()
            if name in found:
                continue
            source = path.read_bytes()
            found[name] = _digest(source)
            for imported in _imports(source, path.relative_to(folder)):
                if imported not in seen and (tops is None or imported.partition(".")[0] in tops):
                    seen.add(imported)
                    unread.append(imported)
    return dict(sorted(found.items()))


def _digest(source: bytes) -> str:
    return hashlib.sha256(source.replace(b"\r\n", b"\n")).hexdigest()[:16]


def is_users(file: str) -> bool:
    """Return whether a file of code is the user's own: neither installed nor of this package."""
    return not (INSTALLED.match(file) or file.startswith(OURS_FOLDER))


def own_tops(top: str) -> set[str]:
    """Return the packages and modules at the top, imported by now, that are a workload's own: with it in one folder."""
    if not top:  # a command's
        return set()
    folder = folder_of(top)
    tops = {top}
    if folder is None or INSTALLED.match(f"{folder}/"):
        return tops
    for name, module in list(sys.modules.items()):
        if "." in name or name in (OURS, "__main__") or not isinstance(module, ModuleType):
            continue
        file = _file_of(module)
        if file and os.path.dirname(file) in (str(folder), f"{folder}{os.sep}{name}"):  # noqa: PTH120 - of a thousand modules
            tops.add(name)
    return tops


def folder_of(top: str) -> Path | None:
    """Return the folder that a package or a module at the top is imported from; None where it is from no file."""
    try:
        spec = importlib.util.find_spec(top)
    except ValueError:  # what stands in sys.modules has none
        file = _file_of(sys.modules[top])
        return Path(file).absolute().parent if file else None
    if spec is None:
        return None
    if spec.submodule_search_locations:
        return Path(next(iter(spec.submodule_search_locations))).absolute().parent
    return Path(spec.origin).absolute().parent if spec.has_location and spec.origin else None


def _file_of(module: ModuleType) -> str | None:
    """Return the file that a module names, without its own __getattr__, which may do anything."""
    file: str | None = object.__getattribute__(module, "__dict__").get("__file__")
    return file


def _files(folder: Path, module: str) -> Iterator[Path]:
    """Yield the files that an import of a module runs: those of the packages around it, and its own."""
    path = folder
    for part in module.split("."):
        path /= part
        for file in (path / "__init__.py", path.with_name(f"{part}.py")):
            if file.is_file():
                yield file


def _imports(source: bytes, path: Path) -> Iterator[str]:
    """Yield the names that a file imports, in full; some are of what a module holds, not of a module."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return
    package = path.parts[:-1]
    for node in ast.walk(tree):
        if not isinstance(node, ast.Import | ast.ImportFrom):
            continue
        parts: list[str] = []
        if isinstance(node, ast.ImportFrom):
            if node.level:  # relative: to the file's own package, or to one above it
                parts += package[: len(package) - node.level + 1]
            if node.module:
                parts.append(node.module)
        for alias in node.names:
            yield ".".join([*parts, alias.name])


def difference(before: Mapping[str, str], now: Mapping[str, str]) -> str:
    """Return which files differ between two digests, as text; empty where none does."""
    names = [name for name in sorted({*before, *now}) if before.get(name) != now.get(name)]
    more = len(names) - MOST_LISTED
    if more > 0:
        names[MOST_LISTED:] = [f"{more} more"]
    return ", ".join(names)

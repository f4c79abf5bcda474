"""The laws of docs/design.md that are about files: who may import whom. A new file in a room needs no entry here."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ROOMS = (
    "shadows",
    "errors",
    "algorithms",
    "spec",
    "journal",
    "analysis",
    "views",
    "study",
    "best_file",
    "creation",
    "continuation",
    "warm_start",
    "request",
    "worker",
    "tune",
    "retraining",
    "signals",
    "session",
    "cli",
    "commands",
)
"""The rooms of search/ and the files at its root that have a floor of their own, from the ground up.

A room imports only rooms above it in this table, and itself. Every other file at the root is a command.
"""
FILES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts): path
    for package in ("search", "heart")
    for path in sorted((ROOT / package).rglob("*.py"))
    if path.name != "__init__.py"
}
"""Every file of code, by the name of its module."""


def imports(path: Path) -> set[str]:
    """Return the full names of all that a file imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports by a relative name"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def imported_files(module: str) -> set[str]:
    """Return the modules of ours that a module imports."""
    names = imports(FILES[module])
    return {name for name in FILES for imported in names if imported == name or imported.startswith(f"{name}.")}


def room(module: str) -> str:
    """Return the room of a module of search."""
    first = module.split(".")[1]
    return first if first in ROOMS else "commands"


def test_every_room_of_the_table_is_there_and_every_folder_is_a_room_of_it() -> None:
    folders = {path.parent.name for path in (ROOT / "search").glob("*/__init__.py")}
    assert folders <= set(ROOMS)
    assert {room(module) for module in FILES if module.startswith("search.")} == set(ROOMS)


@pytest.mark.parametrize("module", [module for module in FILES if module.startswith("search.")])
def test_a_room_imports_only_the_rooms_above_it(module: str) -> None:
    floor = ROOMS.index(room(module))
    for imported in imported_files(module):
        assert ROOMS.index(room(imported)) <= floor, f"{module} imports {imported}"
    assert "TYPE_CHECKING" not in FILES[module].read_text(encoding="utf-8")


def test_no_files_import_each_other_in_a_circle() -> None:
    left = {module: imported_files(module) - {module} for module in FILES}
    while left:
        free = {module for module, imported in left.items() if not imported & left.keys()}
        assert free, f"in a circle, or behind one: {sorted(left)}"
        for module in free:
            del left[module]


def test_only_the_room_tune_imports_ray() -> None:
    """Wherever in a file: a finished study opens, draws and reports without Ray."""
    for module, path in FILES.items():
        packages = {name.split(".")[0] for name in imports(path)}
        assert "ray" not in packages or room(module) == "tune", module


def test_the_workload_knows_nothing_of_the_framework() -> None:
    for module in FILES:
        if module.startswith("heart."):
            packages = {name.split(".")[0] for name in imports(FILES[module])}
            assert packages.isdisjoint({"search", "ray", "optuna"}), module


def test_the_framework_never_names_its_first_workload() -> None:
    paths = [path for path in (ROOT / "search").rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    assert len(paths) > 60
    for path in paths:
        assert not re.search("heart", path.read_text(encoding="utf-8"), re.IGNORECASE), path


def test_each_room_says_what_it_is_for_and_what_it_may_import() -> None:
    for path in (ROOT / "search").glob("*/__init__.py"):
        text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        assert "import" in text, path


def test_no_file_is_longer_than_300_lines() -> None:
    for path in FILES.values():
        assert len(path.read_text(encoding="utf-8").splitlines()) <= 300, path


def test_the_toy_needs_no_torch() -> None:
    assert not any(name.startswith("torch") for name in imports(ROOT / "tests" / "toy.py"))

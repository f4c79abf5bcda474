"""The laws of docs/design.md that are about files."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SEARCH = [
    *("workload", "space", "config", "storage", "journal", "writer", "tables", "provenance", "study", "residue"),
    *("worker", "shortcuts", "share", "cluster", "outcome", "interruption", "program", "tally", "survival"),
    *("forecast", "sampler", "searcher", "scheduler", "trial", "tuning", "sparkline", "display", "summary", "session"),
    *("opening", "tasks", "retrain", "axes", "plot", "hindsight", "audit", "table", "watch", "run"),
]
HEART = ["config", "data", "model", "eager", "fused", "graph", "plot", "history", "program", "train", "predict"]
FILES = sorted([*(ROOT / "search").glob("*.py"), *(ROOT / "heart").glob("*.py")])


def imports(path: Path) -> set[str]:
    """Return the full names of all that a file imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def test_the_orders_name_every_file() -> None:
    assert sorted(SEARCH) == sorted(path.stem for path in (ROOT / "search").glob("[!_]*.py"))
    assert sorted(HEART) == sorted(path.stem for path in (ROOT / "heart").glob("[!_]*.py"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_file_imports_only_those_above_it(path: Path) -> None:
    package = path.parent.name
    order = SEARCH if package == "search" else HEART
    above = set(order[: order.index(path.stem)]) if path.stem in order else set()
    for name in imports(path):
        first, *rest = name.split(".")
        if first == package and rest and rest[0] in order:
            assert rest[0] in above or (path.stem, rest[0]) == ("train", "program"), f"{path.name} imports {name}"
    assert "TYPE_CHECKING" not in path.read_text(encoding="utf-8")


def test_the_workload_knows_nothing_of_the_framework() -> None:
    for path in (ROOT / "heart").glob("*.py"):
        assert {name.split(".")[0] for name in imports(path)}.isdisjoint({"search", "ray", "optuna"}), path


def test_the_framework_never_names_its_first_workload() -> None:
    for path in (ROOT / "search").glob("*.py"):
        assert not re.search("heart", path.read_text(encoding="utf-8"), re.IGNORECASE), path


def test_the_toy_needs_no_torch() -> None:
    assert not any(name.startswith("torch") for name in imports(ROOT / "tests" / "toy.py"))

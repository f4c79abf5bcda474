"""The laws of docs/design.md that are about files."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SEARCH = [
    *("extras", "workload", "space", "words", "colours", "config", "files", "storage", "journal", "writer"),
    *("tables", "provenance", "outcome", "importance", "verdict", "snapshot", "axes", "pictures", "soundness"),
    *("study", "residue", "worker", "shortcuts", "share", "cluster", "interruption", "program", "tally", "survival"),
    *("forecast", "sampler", "searcher", "scheduler", "trial", "tracker", "trackers", "tracking", "tuning"),
    *("sparkline", "display", "summary", "session", "opening", "checkpoints", "images", "sheet", "film", "drawing"),
    *(
        "errands",
        "tasks",
        "gallery",
        "retrain",
        "plot",
        "hindsight",
        "audit",
        "page",
        "report",
        "watch",
        "run",
        "table",
    ),
]
PAGE = ["rows", "advice", "answers", "layers", "charts", "listing", "vega"]
"""In search/page."""
HEART = ["config", "data", "model", "eager", "fused", "graph", "plot", "history", "program", "train", "predict"]
FILES = sorted([*(ROOT / "search").rglob("*.py"), *(ROOT / "heart").glob("*.py")])


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
    assert sorted(SEARCH) == sorted(["page", *(path.stem for path in (ROOT / "search").glob("[!_]*.py"))])
    assert sorted(PAGE) == sorted(path.stem for path in (ROOT / "search" / "page").glob("[!_]*.py"))
    assert sorted(HEART) == sorted(path.stem for path in (ROOT / "heart").glob("[!_]*.py"))


def above(path: Path) -> set[str]:
    """Return the modules of its package that a file may import."""
    if path.parent.name == "page":
        own = PAGE[: PAGE.index(path.stem)] if path.stem in PAGE else []
        return {*SEARCH[: SEARCH.index("page")], *(f"page.{name}" for name in own)}
    order = SEARCH if path.parent.name == "search" else HEART
    found = set(order[: order.index(path.stem)]) if path.stem in order else set()
    return found | {f"page.{name}" for name in PAGE if "page" in found}


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_file_imports_only_those_above_it(path: Path) -> None:
    package = path.relative_to(ROOT).parts[0]
    names = {*SEARCH, *(f"page.{name}" for name in PAGE)} if package == "search" else {*HEART}
    for imported in imports(path):
        first, *rest = imported.split(".")
        name = ".".join(rest[: 2 if rest[:1] == ["page"] else 1])
        if first == package and name in names - {"page"}:
            assert name in above(path) or (path.stem, name) == ("train", "program"), f"{path.name} imports {imported}"
    assert "TYPE_CHECKING" not in path.read_text(encoding="utf-8")


def test_the_workload_knows_nothing_of_the_framework() -> None:
    for path in (ROOT / "heart").glob("*.py"):
        assert {name.split(".")[0] for name in imports(path)}.isdisjoint({"search", "ray", "optuna"}), path


def test_the_framework_never_names_its_first_workload() -> None:
    for path in [each for kind in ("py", "html", "css", "js") for each in (ROOT / "search").rglob(f"*.{kind}")]:
        assert not re.search("heart", path.read_text(encoding="utf-8"), re.IGNORECASE), path


def test_the_toy_needs_no_torch() -> None:
    assert not any(name.startswith("torch") for name in imports(ROOT / "tests" / "toy.py"))

"""The sources of a workload: what its module imports of the user's own, and whether it has changed."""

import importlib
import sys
from pathlib import Path
from types import ModuleType

import pytest

from search.spec import sources

FILES = {
    "job.py": "import os, numpy\nimport helper\nfrom kit import nets\n",
    "helper.py": "X = 1\n",
    "kit/__init__.py": "",
    "kit/nets.py": "from . import parts\nfrom .deep.layer import width as w\n\ndef late():\n    from kit import lazy\n",
    "kit/parts.py": "import json\nimport helper\n",
    "kit/lazy.py": "",
    "kit/deep/__init__.py": "from ..parts import nothing\n",
    "kit/deep/layer.py": "this is no Python\n",
    "kit/unused.py": "",
    "other.py": "",
}
USED = ["helper.py", "job.py", "kit/__init__.py", "kit/deep/__init__.py", "kit/deep/layer.py"]
USED += ["kit/lazy.py", "kit/nets.py", "kit/parts.py"]


def lay(folder: Path) -> Path:
    for name, text in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return folder


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(str(tmp_path))
    return lay(tmp_path)


def test_they_are_what_the_module_imports_of_its_own_folder_at_the_top_or_within(here: Path) -> None:
    assert list(sources.digests("job")) == USED
    assert "job" not in sys.modules


@pytest.mark.parametrize("name", USED)
def test_a_change_of_any_of_them_is_told_by_its_name(name: str, here: Path) -> None:
    before = sources.digests("job")
    assert sources.difference(before, sources.digests("job")) == ""
    (here / name).write_text(FILES[name] + "# changed\n", encoding="utf-8")
    assert sources.difference(before, sources.digests("job")) == name


def test_what_it_does_not_import_may_change_and_so_may_line_endings(here: Path) -> None:
    before = sources.digests("job")
    (here / "kit" / "unused.py").write_text("X = 2\n", encoding="utf-8")
    (here / "helper.py").write_bytes(b"X = 1\r\n")
    assert sources.digests("job") == before


def test_many_changes_are_told_in_short() -> None:
    before = {"a": "1", "b": "1", "c": "1", "d": "1", "e": "1"}
    assert sources.difference(before, {"f": "1", "e": "1"}) == "a, b, c, 2 more"


def test_of_an_installed_workload_they_are_those_of_its_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = lay(tmp_path / "site-packages")
    monkeypatch.syspath_prepend(str(folder))
    assert list(sources.digests("kit.nets")) == [name for name in USED if name.startswith("kit/")]


def test_a_module_without_a_file_has_none() -> None:
    assert sources.digests("sys") == {}
    assert sources.digests("there.is.none") == {}


def test_a_workloads_own_are_the_modules_of_its_folder_unless_packages_are_installed_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder, own in ((tmp_path / "mine", {"job", "helper", "kit"}), (tmp_path / "site-packages", {"job"})):
        lay(folder)
        (folder / "job.py").write_text("import os, helper\nimport kit\n", encoding="utf-8")
        with monkeypatch.context() as patch:
            patch.syspath_prepend(str(folder))
            importlib.import_module("job")
            assert sources.own_tops("job") == own
        for name in ("job", "helper", "kit"):
            del sys.modules[name]


def test_modules_that_answer_with_an_error_or_are_none_are_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    class Lazy(ModuleType):
        def __getattr__(self, name: str) -> object:
            raise RuntimeError("not now")

    monkeypatch.setitem(sys.modules, "a_lazy_one", Lazy("a_lazy_one"))
    monkeypatch.setitem(sys.modules, "no_module", object())
    assert "tests" in sources.own_tops("tests")


def test_a_workload_that_stands_for_itself_without_a_spec_has_the_file_that_it_names(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replaced = ModuleType("job")
    replaced.__file__ = str(here / "job.py")
    monkeypatch.setitem(sys.modules, "job", replaced)
    assert list(sources.digests("job")) == USED
    assert "job" in sources.own_tops("job")
    del replaced.__file__
    assert sources.digests("job") == {}
    assert sources.own_tops("job") == {"job"}

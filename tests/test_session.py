"""What a session is begun with: the study that goes on, and its workload as it was."""

import shutil
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from search import retrain, session
from search.cli import Terminal
from search.request import Asked
from search.run import main
from search.spec import sources
from tests import studies
from tests.programs import CONFIG, X
from tests.studies import SHARE

WORKLOAD = f"""{CONFIG}
from edited_helper import depth

def train(config):
    yield {{"loss": depth(config.x)}}, None
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of a study whose workload has been edited since its last session."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in ("edited", "edited_helper"):
        monkeypatch.delitem(sys.modules, name, raising=False)  # that of the test before
    helper = tmp_path / "edited_helper.py"
    helper.write_text("def depth(x): return x**2\n", encoding="utf-8")
    (tmp_path / "edited.py").write_text(WORKLOAD, encoding="utf-8")
    made = studies.new({"workload": "edited", "metric": "loss", "space": {"x": X}, "name": "s"})
    made.begin_session(SHARE, sources.digests("edited"))
    helper.write_text("def depth(x): return x**4\n", encoding="utf-8")
    return made.folder


def test_a_study_whose_workload_was_edited_does_not_go_on_without_a_word(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (folder / "journal.log").read_bytes()
    assert main(["--resume", str(folder)]) == 2
    assert capsys.readouterr().err == (
        "error: a study that goes on must have its workload's sources as they were, else old and new trials do not "
        "compare, but edited_helper.py changed; put that back, start a new study, or add --allow-changes\n"
    )
    assert (folder / "journal.log").read_bytes() == before


def test_it_goes_on_where_that_is_asked_for_and_says_what_changed_once(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = "changed since a session began: edited_helper.py; what was trained before and after may not compare\n"
    for allow_changes, expected in ((True, said), (False, "")):
        with ExitStack() as holding:
            asked = Asked(None, resume=folder, allow_changes=allow_changes)
            session.begin(asked, holding, Terminal(), str)
        assert capsys.readouterr().out == expected


def test_the_command_of_a_study_from_elsewhere_is_not_run_unless_its_user_gives_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    config = {"command": "sh -c 'touch evil' sh {x}", "metric": "loss", "space": {"x": X}, "epochs": 1, "name": "s"}
    made = studies.new(config)
    made.begin_session(SHARE, {})
    shutil.copytree(made.folder, tmp_path / "theirs")
    for program, arguments in ((main, ["--resume", "theirs"]), (retrain.main, ["theirs"])):
        assert program(arguments) == 2
        assert "theirs is a copy, and would run \"sh -c 'touch evil' sh {x}\"; if that is" in capsys.readouterr().err
    made.folder.rename(tmp_path / "renamed")
    for asked in (
        Asked(None, resume=tmp_path / "renamed"),
        Asked(config, resume=tmp_path / "theirs"),
        Asked(None, resume=tmp_path / "theirs"),
    ):
        with ExitStack() as holding:
            session.begin(asked, holding, Terminal(), str)
    assert not (tmp_path / "evil").exists()

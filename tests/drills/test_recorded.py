"""Studies and proposals that were recorded before: they are read, derived, resumed and proposed as they were then."""

import html
import json
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from search import best_file, study
from search.analysis import tables
from search.retraining import finalists
from tests import record
from tests.programs import Done, start
from tests.record import PROPOSALS, RECORDED, STUDIES, added, copy, placed, said, written

RETRAINED = ("finished", "faulty")
CHANGED = ("journal.log", "study.yaml")
"""What a session writes in any case: that it was there."""


def text(name: str) -> str:
    return (RECORDED / name).read_text(encoding="utf-8")


def check_the_files(folder: Path, name: str, but: tuple[str, ...] = ()) -> None:
    """Every file that was recorded is in the folder, to the last byte."""
    recorded = [path for path in (RECORDED / name).rglob("*") if path.is_file() and path.name not in but]
    assert recorded
    for path in recorded:
        assert (folder / path.relative_to(RECORDED / name)).read_bytes() == path.read_bytes(), path


def without_ray(module: str, folder: Path) -> Done:
    """Run a program on a study, in a process that lists all that it imports."""
    done = start(module, f"results/{folder.name}", cwd=folder.parent.parent, PYTHONPROFILEIMPORTTIME="1")
    assert done.returncode == 0, done.stderr
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "optuna" in imported
    assert "ray" not in imported
    return done


@pytest.mark.parametrize("name", STUDIES)
def test_a_recorded_study_says_what_it_said(name: str, tmp_path: Path) -> None:
    made = study.load(copy(name, tmp_path))
    assert written(said(made) | placed(made)) == text(f"{name}.json")


@pytest.mark.parametrize("name", STUDIES)
def test_the_tables_of_a_recorded_study_are_derived_byte_for_byte(name: str, tmp_path: Path) -> None:
    made = study.load(copy(name, tmp_path))
    for file in ("trials.csv", "curves.csv"):
        (made.folder / file).unlink()
    made.write_tables()
    check_the_files(made.folder, name)


@pytest.mark.parametrize("name", STUDIES)
def test_the_frames_of_a_recorded_study_are_its_tables(name: str, tmp_path: Path) -> None:
    made = study.load(copy(name, tmp_path))
    assert tables.csv(made.trials_dataframe()) == text(f"{name}/trials.csv")
    assert made.curves_dataframe().to_csv(index=False) == text(f"{name}/curves.csv")


@pytest.mark.parametrize("name", RETRAINED)
def test_the_best_config_of_a_recorded_retraining_is_written_byte_for_byte(name: str, tmp_path: Path) -> None:
    made = study.load(copy(name, tmp_path))
    found = made.outcome()
    assert found is not None
    assert found.winner is not None
    (made.folder / "best.yaml").unlink()
    best_file.write(made, *finalists.best_of(found, made.objective))
    check_the_files(made.folder, name)
    assert made.best_config() == YAML(typ="safe").load(RECORDED / name / "best.yaml")


def test_the_best_so_far_of_an_interrupted_study_is_written_byte_for_byte(tmp_path: Path) -> None:
    made = study.load(copy("interrupted", tmp_path))
    (made.folder / "best.yaml").unlink()
    best_file.write_interim(made)
    check_the_files(made.folder, "interrupted")
    assert made.best_config() == YAML(typ="safe").load(RECORDED / "interrupted" / "best.yaml")


@pytest.mark.parametrize("name", STUDIES)
def test_a_recorded_study_is_drawn_and_reported_without_ray(name: str, tmp_path: Path) -> None:
    folder = copy(name, tmp_path)
    for file in ("trials.csv", "curves.csv"):
        (folder / file).unlink()
    drawn = without_ray("search.plot", folder).stdout.split()
    names = ("curves", "history", "hyperparameters", "importances")
    assert drawn == [f"results/{name}/plots/{each}.png" for each in names]
    assert all((tmp_path / each).read_bytes().startswith(b"\x89PNG") for each in drawn)
    without_ray("search.report", folder)
    page = html.unescape((folder / "report.html").read_text(encoding="utf-8"))
    told = record.read(f"{name}.json")
    winners = [each["name"] for each in told.get("candidates", []) if each["wins"]]
    failures = [each["failure"] for each in told["trials"] if "failure" in each]
    assert [each for each in (name, *winners, *failures) if each not in page] == []
    check_the_files(folder, name)


def test_a_recorded_audit_is_told_again_without_ray(tmp_path: Path) -> None:
    folder = copy("finished", tmp_path)
    (folder / "audit.csv").unlink()
    said_again = without_ray("search.audit", folder).stdout
    assert "7 of 7 trained again repeat their epochs to the last bit" in said_again
    check_the_files(folder, "finished")


@pytest.mark.parametrize("name", RETRAINED)
def test_a_finished_study_that_is_resumed_stays_as_it_is(name: str, tmp_path: Path) -> None:
    folder = copy(name, tmp_path)
    assert record.run(tmp_path, "--resume", f"results/{name}") == text(f"{name}.txt")
    check_the_files(folder, name, but=CHANGED)
    assert (tmp_path / "best.yaml").read_bytes() == (RECORDED / name / "best.yaml").read_bytes()
    before, after = ((each / "journal.log").read_bytes() for each in (RECORDED / name, folder))
    assert after.startswith(before)
    added = [json.loads(line)["user_attr"] for line in after[len(before) :].splitlines()]
    assert [[*each] for each in added] == [["config"], ["sessions"]]
    sessions = YAML(typ="safe").load(folder / "study.yaml")["sessions"]
    assert sessions[:1] == YAML(typ="safe").load(RECORDED / name / "study.yaml")["sessions"]
    assert len(sessions) == 2


def test_a_recorded_study_that_is_retrained_has_the_same_winner_on_seeds_that_did_not_choose_it(
    tmp_path: Path,
) -> None:
    """Before, the seeds 1 and 2 chose and judged; now 1 chooses, and 2 and 3 judge."""
    folder = copy("finished", tmp_path)
    before = study.load(folder)
    chosen = before.best_config()
    assert chosen is not None
    assert before.snapshot().is_current
    (folder / "best.yaml").unlink()
    done = start("search.retrain", "results/finished", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    made = study.load(folder)
    assert len(made.finished()) == 2
    assert made.best_config() == {**chosen, "seed": 2}
    assert "judged on seeds 2 and 3" in (folder / "best.yaml").read_text(encoding="utf-8")
    assert made.snapshot().is_current
    check_the_files(folder, "finished", but=("journal.log", "curves.csv", "best.yaml", "metrics.json"))


def test_an_interrupted_study_goes_on_to_the_recorded_end(tmp_path: Path) -> None:
    """One trial at a time: the same proposals, values, endings and epochs to the last digit, the same winner.

    And the same journal, record by record, but for what a session says of itself and for the times.
    """
    copy("interrupted", tmp_path)
    made = record.resume(tmp_path, "interrupted")
    assert written(said(made)) == text("resumed.json")
    assert added(made.folder) == text("resumed.log")
    for best in (made.folder / "best.yaml", tmp_path / "best.yaml"):
        assert best.read_text(encoding="utf-8") == text("resumed.yaml")


OTHERS = [pytest.param(name, marks=pytest.mark.full) for name in ("random 0", "tpe 1", "tpe 2")]


@pytest.mark.parametrize("name", ["tpe 0", *OTHERS])
def test_a_search_proposes_and_finds_what_it_did(name: str, tmp_path: Path) -> None:
    """One trial at a time: to the last digit."""
    made = record.search(tmp_path, "s", PROPOSALS[name])
    assert written({name: said(made)["trials"]}) == written({name: record.read("proposals.json")[name]})

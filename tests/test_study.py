"""A run folder: what a study gives of itself, and what it never loses of it."""

import dataclasses
import subprocess
import sys
import threading
import time
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from pandas.testing import assert_frame_equal
from ruamel.yaml import YAML

from search import best_file, creation, study
from search.errors import UserError
from search.journal.records import OpenTrial
from search.spec import workload
from search.spec.config import StudyConfig
from search.spec.workload import Workload
from search.study import Study
from tests import studies
from tests.programs import ENVIRONMENT, LEAST
from tests.studies import new


def test_a_study_gives_its_tables_best_config_and_figures(tmp_path: Path) -> None:
    made = studies.create(tmp_path, "s", num_samples=5)
    for depth in (5.0, 3.0, 4.0):
        studies.add(made, studies.curve(depth, 9), "complete")
    studies.add(made, studies.curve(1.0, 3, diverges=True), "diverged")
    made.write_tables()
    best_file.write_interim(made)
    assert_frame_equal(made.trials_dataframe(), pd.read_csv(made.folder / "trials.csv"), check_dtype=False)
    assert_frame_equal(made.curves_dataframe(), pd.read_csv(made.folder / "curves.csv"), check_dtype=False)
    best = made.best_config()
    assert best == YAML(typ="safe").load(made.folder / "best.yaml")
    assert best == {**made.defaults, **made.trials()[1].params, "seed": 0}
    assert list(made.figures()) == ["curves", "history", "hyperparameters", "importances"]
    studies.retrain(made, {"trial 2": [2.0, 1.0], "reference": [3.0, 3.0]}, {}, "test_loss")
    assert made.best_config() == {**made.defaults, **made.trials()[2].params, "seed": 2}


def test_a_study_without_a_value_has_no_best_config(tmp_path: Path) -> None:
    assert studies.create(tmp_path, "s").best_config() is None


def test_an_interim_best_never_takes_the_place_of_a_retrainings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One thread has seen that no retraining is finished, and is about to write, when another finishes it."""
    made = new({**LEAST, "name": "s", "output": str(tmp_path)})
    trial = OpenTrial(made.search, made.search.ask())
    trial.add(1, {"loss": 1.0, "elapsed_s": 0.1}, 1.0)
    trial.end("complete")
    retraining = made.add(study.RETRAINING, jobs=[])
    finishing = threading.Thread(target=best_file.finish, args=(made, retraining, ({"x": 1.0}, "retrained")))
    write = best_file.write

    def write_late(made: Study, values: dict[str, float], note: str) -> None:
        if threading.current_thread() is not finishing:
            finishing.start()
            finishing.join(timeout=0.5)
        write(made, values, note)

    monkeypatch.setattr(best_file, "write", write_late)
    best_file.write_interim(study.load(made.folder))
    finishing.join()
    assert "retrained" in (made.folder / "best.yaml").read_text(encoding="utf-8").replace("not retrained", "")


def test_an_interim_best_is_written_until_a_retraining_has_finished_and_never_after(tmp_path: Path) -> None:
    made = studies.create(tmp_path, "s", num_samples=2)
    for depth in (5.0, 3.0):
        studies.add(made, studies.curve(depth, 9), "complete")
    best = made.folder / "best.yaml"
    best_file.write_interim(made)
    assert "(trial 1); not retrained" in best.read_text(encoding="utf-8")
    retraining = made.add(study.RETRAINING, jobs=[])
    best_file.write(made, {"x": 1.0}, "half of it")  # a retraining that was cut short
    best_file.write_interim(made)
    assert "(trial 1); not retrained" in best.read_text(encoding="utf-8")
    best_file.finish(made, retraining, ({"x": 2.0}, "retrained"))
    kept = best.read_bytes()
    best_file.write_interim(made)
    best_file.write_interim(study.load(made.folder))
    assert best.read_bytes() == kept


def test_a_retraining_whose_best_cannot_be_written_has_not_finished(tmp_path: Path) -> None:
    """It would else be the newest, and --resume would show a best.yaml that is not its."""
    made = studies.create(tmp_path, "s", num_samples=1)
    retraining = made.add(study.RETRAINING, jobs=[])
    (made.folder / "best.yaml").mkdir()
    with pytest.raises(OSError, match=r"best\.yaml"):
        best_file.finish(made, retraining, ({"x": 2.0}, "retrained"))
    assert study.load(made.folder).finished() == []


def test_the_newest_retraining_that_has_finished_is_the_one_that_counts(tmp_path: Path) -> None:
    """Of more than nine, whose numbers are no texts; one that was cut short is none."""
    made = studies.create(tmp_path, "s", num_samples=2)
    for depth in (5.0, 3.0):
        studies.add(made, studies.curve(depth, 9), "complete")
    for count in range(1, 12):
        studies.retrain(made, {"trial 1": [float(count)]}, {}, "test_loss")
    made.add(study.RETRAINING, jobs=[])
    again = study.load(made.folder)
    assert [each.study_name for each in again.others(study.RETRAINING)] == [f"s/retraining {at}" for at in range(1, 13)]
    assert len(again.finished()) == 11
    found = again.outcome()
    assert found is not None
    assert found.candidates[0].values == [11.0]


def test_the_best_config_holds_what_was_fixed_in_place_of_the_workloads_default(tmp_path: Path) -> None:
    made = studies.create(tmp_path, "s", fixed={"limit": 7.0, "epochs": 4}, seed=5)
    studies.add(made, [1.0], "complete")
    best = made.best_config()
    assert best is not None
    assert (best["limit"], best["epochs"], best["seed"]) == (7.0, 4, 5)


def test_a_name_that_a_link_to_nowhere_has_is_taken(tmp_path: Path) -> None:
    (tmp_path / "s").symlink_to(tmp_path / "nowhere")
    with pytest.raises(UserError, match="a study's name must be new"):
        studies.create(tmp_path, "s")
    assert [path.name for path in tmp_path.iterdir()] == ["s"]
    (tmp_path / "t").symlink_to(tmp_path / "nowhere")
    assert creation._free_name(tmp_path, "s") == "s-2"
    (tmp_path / "t-2").touch()
    assert creation._free_name(tmp_path, "t") == "t-3"


def test_of_two_starts_with_one_name_the_slower_is_told_that_it_is_taken_or_takes_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has found the name free; the other makes its folder before it does."""
    loaded = workload.load("tests.toy")
    config = StudyConfig.of({**LEAST, "output": str(tmp_path)})
    monkeypatch.setattr(time, "strftime", lambda form: "now")
    for name, taken in (("s", "s"), (None, "tests.toy-now")):
        faster = Faster(**vars(loaded), folder=tmp_path / taken)
        named = dataclasses.replace(config, name=name)
        if name:
            with pytest.raises(UserError, match=f"a study's name must be new, but .*/{taken} exists"):
                creation.create(named, faster, 9)
        else:
            assert creation.create(named, faster, 9).folder == tmp_path / f"{taken}-2"
        assert [path.name for path in (tmp_path / taken).iterdir()] == ["journal.log"]


@dataclass(frozen=True)
class Faster(Workload):
    """A workload that makes a study's folder when it is asked for its defaults."""

    folder: Path = Path()

    def defaults(self, searched: Collection[str] = ()) -> dict[str, Any]:
        self.folder.mkdir(exist_ok=True)
        (self.folder / "journal.log").touch()
        return super().defaults()


LITTLE_ROOM = """
import resource, sys
from pathlib import Path
from search.errors import UserError
from tests import studies
resource.setrlimit(resource.RLIMIT_FSIZE, (700, 700))
try:
    studies.create(Path(sys.argv[1]) / "results", "s")
except UserError as error:
    print(error)
"""


def test_a_study_for_which_there_is_no_room_leaves_no_folder_that_looks_like_one(tmp_path: Path) -> None:
    """A limit on the size of files is to a process what a full disk is; the journal's first records fit."""
    command = [sys.executable, "-c", LITTLE_ROOM, str(tmp_path)]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, timeout=60)
    assert done.stdout.startswith("output must be a folder that can be written, but [Errno 27]"), done.stderr
    assert [path.name for path in tmp_path.rglob("*")] == ["results"]

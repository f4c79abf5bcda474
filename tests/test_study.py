"""A run folder: what a study gives of itself, and what it never loses of it."""

import threading
from pathlib import Path

import pandas as pd
import pytest
from pandas.testing import assert_frame_equal
from ruamel.yaml import YAML

from search import study
from search.config import StudyConfig
from search.journal import OpenTrial
from search.study import Study
from search.workload import load
from tests import studies
from tests.programs import LEAST


def test_a_study_gives_its_tables_best_config_and_figures(tmp_path: Path) -> None:
    made = studies.create(tmp_path, "s", num_samples=5)
    for depth in (5.0, 3.0, 4.0):
        studies.add(made, studies.curve(depth, 9), "complete")
    studies.add(made, studies.curve(1.0, 3, diverges=True), "diverged")
    made.write_tables()
    made.write_interim_best()
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
    made = study.create(StudyConfig(**LEAST, name="s", output=str(tmp_path)), load("tests.toy"))
    trial = OpenTrial(made.search, made.search.ask())
    trial.add(1, {"loss": 1.0, "elapsed_s": 0.1}, 1.0)
    trial.end("complete")
    retraining = made.add(study.RETRAINING, jobs=[])
    finishing = threading.Thread(target=made.finish, args=(retraining, ({"x": 1.0}, "retrained")))
    write_best = Study.write_best

    def write_late(self: Study, values: dict[str, float], note: str) -> None:
        if threading.current_thread() is not finishing:
            finishing.start()
            finishing.join(timeout=0.5)
        write_best(self, values, note)

    monkeypatch.setattr(Study, "write_best", write_late)
    study.load(made.folder).write_interim_best()
    finishing.join()
    assert "retrained" in (made.folder / "best.yaml").read_text(encoding="utf-8").replace("not retrained", "")

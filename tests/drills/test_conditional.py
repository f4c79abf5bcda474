"""A search of a space with conditions, from YAML to best.yaml, and on in another space."""

import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from ruamel.yaml import YAML

from search import study
from search.spec.workload import load
from tests.programs import Done, resume, search, write

MINE = """
from dataclasses import dataclass

@dataclass(frozen=True)
class Config:
    optimizer: str = "sgd"
    momentum: float = 0.9
    beta: float = 0.99
    hidden: tuple[int, ...] = (32, 16)
    batch: int = 32
    drop: float = 0.0
    epochs: int = 4
    seed: int = 0

def train(config):
    assert isinstance(config.hidden, tuple), config
    assert config.optimizer == "sgd" or config.momentum == 0.9, "what is off keeps its default"
    depth = config.momentum + len(config.hidden) + 0.01 * sum(config.hidden) + 32 / config.batch + config.drop
    for epoch in range(1, config.epochs + 1):
        yield {"loss": depth * (1 + 1 / epoch)}, None
"""
SPACE: dict[str, Any] = {
    "optimizer": {"distribution": "choice", "values": ["sgd", "adam"]},
    "momentum": {"distribution": "uniform", "low": 0, "high": 0.99, "when": {"optimizer": "sgd"}},
    "beta": {"distribution": "uniform", "low": 0.9, "high": 0.99, "step": 0.01, "when": {"optimizer": "adam"}},
    "layers": {"distribution": "int_uniform", "low": 1, "high": 3},
    "hidden": {"list": {"length": "layers", "of": {"distribution": "int_log_uniform", "low": 8, "high": 64}}},
    "batch": {"distribution": "ordinal", "values": [16, 32, 64]},
}
CONFIG: dict[str, Any] = {
    "workload": "mine.py",
    "metric": "loss",
    "space": SPACE,
    "num_samples": 10,
    "start": [{"momentum": 0.5, "hidden": [8, 8]}],
    "finalists": 1,
    "seeds": 1,
}
EDITED = {
    **CONFIG,
    "space": {
        **SPACE,
        "optimizer": {"distribution": "choice", "values": ["lion", "adam", "sgd"]},
        "layers": {"distribution": "int_uniform", "low": 1, "high": 2},
    },
    "fixed": {"drop": 0.25},
    "start": [],
    "num_samples": 14,
}


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Done]:
    folder = tmp_path_factory.mktemp("conditional")
    (folder / "mine.py").write_text(MINE, encoding="utf-8")
    return folder, search(folder, CONFIG)


def test_a_search_with_conditions_trains_what_is_on_and_says_what_keeps_a_default(
    searched: tuple[Path, Done],
) -> None:
    folder, done = searched
    assert done.returncode == 0, done.stdout + done.stderr
    assert "what is off keeps the default of mine.py.Config: momentum (on where optimizer is 'sgd')" in done.stdout
    assert "tried first: the workload's defaults, then 1 of start" in done.stdout
    made = study.load(folder / "results" / "s")
    trials = made.trials()
    assert len(trials) == 10
    assert all(made.space.is_whole(trial.params) for trial in trials)
    assert {"hidden.1" in trial.params for trial in trials} == {True, False}
    assert trials[1].params.items() >= {"optimizer": "sgd", "momentum": 0.5, "layers": 2, "hidden.1": 8}.items()


def test_tables_and_report_of_it_leave_the_cells_of_what_is_off_empty(searched: tuple[Path, Done]) -> None:
    folder = searched[0] / "results" / "s"
    table = pd.read_csv(folder / "trials.csv")
    assert [*table.columns[5:13]] == [*study.load(folder).space]
    is_sgd = table["optimizer"] == "sgd"
    assert table["momentum"].notna().equals(is_sgd)
    assert table["beta"].isna().equals(is_sgd)
    assert "hidden.0,hidden.1,hidden.2" in (folder / "trials.csv").read_text(encoding="utf-8")
    widths = pd.read_csv(folder / "trials.csv", dtype=str)["hidden.1"].dropna()
    assert all(width.isdigit() for width in widths)
    report = (folder / "report.html").read_text(encoding="utf-8")
    assert "A gap, where a hyperparameter is off." in report
    assert "condPED-ANOVA" in report


def test_the_best_of_it_is_a_config_that_the_workload_takes(searched: tuple[Path, Done], monkeypatch: Any) -> None:
    folder, _ = searched
    values = YAML(typ="safe").load(folder / "best.yaml")
    assert "layers" not in values
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", [str(folder), *sys.path])
    workload = load("mine.py")
    config = workload.build(values)
    assert config.hidden == tuple(values["hidden"])
    made = study.load(folder / "results" / "s")
    assert made.best_config() == values
    last = list(workload.train(config))
    outcome = made.outcome()
    assert outcome is not None and outcome.winner is not None
    assert last[-1][0]["loss"] == pytest.approx(outcome.winner.mean)


def test_it_goes_on_in_another_space_where_that_is_allowed_and_says_what_changed(searched: tuple[Path, Done]) -> None:
    folder, _ = searched
    edited = write(folder / "edited", EDITED)
    refused = resume(folder, "--config", edited)
    assert refused.returncode == 2
    assert "or add --allow-changes, with which space and fixed may change" in refused.stderr
    before = study.load(folder / "results" / "s").trials()
    done = resume(folder, "--config", edited, "--allow-changes")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "changed: space.layers.high was 3 and is 2" in done.stdout
    assert "changed: fixed.drop is new: 0.25" in done.stdout
    made = study.load(folder / "results" / "s")
    trials = made.trials()
    assert [trial.params for trial in trials[:10]] == [trial.params for trial in before]
    assert len(trials) == 14
    assert all(made.space.is_whole(trial.params) for trial in trials[10:])
    outcome = made.outcome()
    assert outcome is not None and outcome.finalists[0].trial is not None
    assert made.space.is_whole(trials[outcome.finalists[0].trial].params)

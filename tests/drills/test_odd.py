"""A whole search of a workload that is as odd as Python allows: what is wrong is told, and the rest goes on."""

import math
from pathlib import Path
from typing import Any

import pytest

from search import study
from search.spec import files
from tests.programs import X, resume, search
from tests.shared import Finished, once

ODD = """
import argparse, enum, math
from dataclasses import dataclass, field
import numpy as np

class Optimizer(enum.StrEnum):
    ADAM = "adam"
    SGD = "sgd"

class Level(enum.IntEnum):
    LOW = 1

class Silent(BaseException):
    def __str__(self): raise self

@dataclass(frozen=True)
class Config:
    x: float = np.float64(0.0)
    epochs: int = 3
    seed: int = 0
    optimizer: Optimizer = Optimizer.ADAM
    level: Level = Level.LOW
    unset: float = math.nan
    derived: int = field(default=1, init=False)

    def __post_init__(self):
        assert self.level.name == "LOW"  # which no plain number has

argparse.ArgumentParser().parse_args()

def train(config):
    for epoch in range(config.epochs):
        if config.x > 0 and config.seed == 0:
            raise KeyboardInterrupt if config.optimizer is Optimizer.ADAM else Silent
        depth = 1 + config.x**2
        yield {"recall@10": np.float32(1 / depth - 0.1 / (1 + epoch)), "confusion": np.eye(2), 3: 1, None: 2}, depth

def test(model, config):
    return {"score": 1 / model, "confusion": np.eye(2)}
"""


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    def run(cwd: Path, temporary: Path) -> Any:
        (cwd / "odd.py").write_text(ODD, encoding="utf-8")
        space = {"x": X, "optimizer": {"distribution": "choice", "values": ["adam", "sgd"]}}
        config: dict[str, Any] = {
            "workload": "odd",
            "metric": "recall@10",
            "mode": "max",
            "space": space,
            "trackers": ["mlflow"],
        }
        config |= {"num_samples": 10, "sampler": "random", "finalists": 1, "seeds": 2, "max_failures": 0}
        return search(cwd, config, TMPDIR=str(temporary))

    return once(tmp_path_factory, "odd", run)


def test_no_process_is_lost_and_every_failure_says_what_was_raised(finished: Finished) -> None:
    trials = study.load(finished.folder).trials()
    told = {(each.params["x"] > 0, each.params["optimizer"], each.attributes.get("failure")) for each in trials}
    assert told == {
        (True, "adam", "KeyboardInterrupt"),
        (True, "sgd", "Silent: (its text cannot be read)"),
        (False, "adam", None),
        (False, "sgd", None),
    }
    assert {name for each in trials for row in each.epochs for name in row} == {"recall@10", "3", "None", "elapsed_s"}


def test_the_winner_is_kept_with_its_scores_and_what_is_no_score_is_named(finished: Finished) -> None:
    found = study.load(finished.folder).outcome()
    assert found and found.winner and found.reference
    assert list(found.winner.tests) == list(found.reference.tests) == ["score"]
    assert finished.done.stdout.count("test: confusion must be a number; left out") == 2
    assert "goes on without it" not in finished.done.stdout
    best = files.read(finished.cwd / "best.yaml")
    assert math.isnan(best.pop("unset"))
    assert best.pop("x") <= 0 and best.pop("optimizer") in ("adam", "sgd") and best.pop("seed") in (1, 2)
    assert best == {"epochs": 3, "level": 1}


def test_it_is_resumed_and_nothing_is_done_again(finished: Finished) -> None:
    done = resume(finished.cwd)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(study.load(finished.folder).finished()) == 1

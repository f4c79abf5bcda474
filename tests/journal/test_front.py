"""Trials by several objectives: where each lies, what a sampler is told of them, and which is handed over."""

import io
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.trial import FrozenTrial
from rich.console import Console

from search import best_file
from search.algorithms.history import History
from search.algorithms.sampler import Sampler
from search.algorithms.space import Space
from search.journal import front
from search.journal.records import OpenTrial
from search.journal.trial import Ending
from search.study import Study
from search.tune.proposing import proposer_of
from search.views import summary
from tests import studies

OBJECTIVES = {"loss": "min", "size": "max"}


def create(folder: Path, name: str = "s", **settings: Any) -> Study:
    made = studies.create(folder, name, objectives=OBJECTIVES, **settings)
    made.search.sampler = proposer_of(made, lambda params: True)
    return made


def add(made: Study, epochs: list[dict[str, float]], ending: Ending | None = "complete") -> OpenTrial:
    """Record a trial with these metrics, an epoch each."""
    trial = OpenTrial.proposed(made.search, made.space)
    bests = made.objective.running_best(metrics.get("loss", math.nan) for metrics in epochs)
    with made.storage.together():
        for epoch, (metrics, best) in enumerate(zip(epochs, bests, strict=True), 1):
            trial.add(epoch, {**metrics, "elapsed_s": float(epoch)}, best)
        if ending:
            trial.end(ending)
    return trial


def test_a_trial_lies_where_its_best_epoch_by_the_first_objective_does(tmp_path: Path) -> None:
    made = create(tmp_path)
    add(made, [{"loss": 3.0, "size": 1.0}, {"loss": 1.0, "size": 2.0}, {"loss": 2.0, "size": 9.0}])
    add(made, [{"loss": 3.0, "size": 5.0}, {"loss": 1.0}])  # of an epoch that lacks it, the last before
    add(made, [{"loss": 3.0}, {"loss": 4.0, "size": 5.0}], "stopped")  # none by then
    add(made, [{"loss": 3.0, "size": math.inf}])
    found = [front.point(trial, made.config.aims) for trial in made.trials()]
    assert found == [(1.0, 2.0), (1.0, 5.0), None, None]


def test_a_sampler_is_told_a_value_an_objective_and_to_stay_away_from_what_diverged(tmp_path: Path) -> None:
    made = create(tmp_path)
    add(made, [{"loss": 3.0, "size": 1.0}])
    add(made, [{"loss": 2.0, "size": 4.0}, {"loss": 2.5, "size": 4.0}], "stopped")
    add(made, [{"loss": math.nan, "size": 4.0}], "diverged")
    add(made, [{"loss": 2.0}], "stopped")  # of which one value is missing
    add(made, [{"loss": 2.0, "size": 4.0}], None)
    told = told_of(made)
    assert [direction.name for direction in told.directions] == ["MINIMIZE", "MAXIMIZE"]
    states = [(trial.number, trial.state.name, trial.values) for trial in told.get_trials()]
    assert states == [
        (0, "COMPLETE", [3.0, 1.0]),
        (1, "COMPLETE", [2.0, 4.0]),
        (2, "PRUNED", None),
        (4, "RUNNING", None),
    ]
    assert told.get_trials()[2].constraints == {"diverged": 1.0}


def told_of(made: Study) -> History:
    """Return what the study's sampler is told of it."""
    told: list[History] = []

    class Listening(RandomSampler):
        def infer_relative_search_space(self, study: Any, trial: FrozenTrial) -> dict[str, BaseDistribution]:
            told.append(study)
            return {}

    @dataclass(frozen=True)
    class Listens(Sampler):
        reads_stopped: ClassVar[bool] = True

        def make(self, seed: int, trial: int, space: Space) -> BaseSampler:
            return Listening(seed)

    proposer = proposer_of(made, lambda params: True)
    proposer._sampler = Listens()
    made.search.sampler = proposer
    OpenTrial.proposed(made.search, made.space)
    return told[0]


def test_a_search_of_two_objectives_that_is_resumed_at_any_trial_proposes_what_it_would_have(tmp_path: Path) -> None:
    straight = create(tmp_path, "straight", num_samples=16)
    resumed = create(tmp_path, "resumed", num_samples=16)
    for _ in range(16):
        for made in (straight, resumed):
            trial = add(made, [], None)
            x, y = trial.params["x"], trial.params["y"]
            trial.add(1, {"loss": x * x, "size": -abs(y), "elapsed_s": 1.0}, x * x)
            trial.end("complete" if trial.number % 3 else "stopped")
        resumed.search.sampler = proposer_of(resumed, lambda params: True)
    assert [trial.params for trial in straight.trials()] == [trial.params for trial in resumed.trials()]
    by_chance = create(tmp_path, "by_chance", num_samples=16, sampler="random")
    for _ in range(16):
        add(by_chance, [{"loss": 1.0, "size": 1.0}])
    assert straight.trials()[-1].params != by_chance.trials()[-1].params  # TPE has learned by then


def test_the_tables_have_every_objective_and_say_what_is_on_the_front(tmp_path: Path) -> None:
    made = create(tmp_path)
    for loss, size in ((3.0, 1.0), (2.0, 4.0), (2.5, 3.0), (4.0, 5.0)):
        add(made, [{"loss": loss, "size": size}])
    table = made.trials_dataframe()
    assert table["size"].tolist() == [1.0, 4.0, 3.0, 5.0]
    assert table["front"].tolist() == [False, True, False, True]
    assert [trial.number for trial in front.front(made.trials(), made.config.aims)] == [1, 3]


@pytest.mark.parametrize(("choose", "number"), [({"within": 0.3}, 2), ({"weights": {"loss": 1, "size": 0}}, 1)])
def test_the_rule_says_which_trial_is_handed_over(tmp_path: Path, choose: Any, number: int) -> None:
    made = create(tmp_path, choose=choose)
    for loss, size in ((5.0, 9.0), (2.0, 4.0), (2.5, 5.0)):
        add(made, [{"loss": loss, "size": size}])
    best = made.best_trial()
    assert best is not None
    assert best.number == number
    best_file.write_interim(made)
    line = (made.folder / "best.yaml").read_text(encoding="utf-8").splitlines()[0]
    assert f"loss {best.value:.6g}, size {best.epochs[0]['size']:.6g} (trial {number})" in line


def test_of_one_objective_the_best_trial_is_handed_over(tmp_path: Path) -> None:
    made = studies.create(tmp_path, "one")
    for value in (3.0, 1.0, 2.0):
        studies.add(made, [value], "complete")
    best = made.best_trial()
    assert best is not None
    assert best.number == 1
    assert "front" not in made.trials_dataframe()


@pytest.mark.parametrize(("width", "left_out"), [(200, None), (40, "y"), (12, "x, y")])
def test_a_front_shows_whole_names_and_numbers_and_says_what_does_not_fit(
    tmp_path: Path, width: int, left_out: str | None
) -> None:
    made = create(tmp_path)
    for loss, size in ((2.03125, 4.0), (4.0, 5.0)):
        add(made, [{"loss": loss, "size": size}])
    best_file.write_interim(made)
    written = io.StringIO()
    console = Console(file=written, width=width, highlight=False, soft_wrap=True, markup=False)
    summary.show(console, made.snapshot(), True, made.folder / "best.yaml")
    lines = written.getvalue().splitlines()
    assert ("not shown for want of width: " in written.getvalue()) == (left_out is not None)
    if left_out:
        assert f"not shown for want of width: {left_out}" in lines
    if width > 12:
        header = next(line for line in lines if line.startswith("on the front"))
        assert header.split()[3:] == [name for name in ("loss", "size", "x", "y") if name not in (left_out or "")]
        assert any(line.split()[:4] == ["trial", "0", "2.031", "4"] for line in lines)

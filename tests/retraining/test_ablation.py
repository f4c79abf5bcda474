"""The way from the defaults to the winner: each step the best of its round, trained once, gone on with after a kill."""

import math
from pathlib import Path

import pytest
from optuna.samplers import RandomSampler

from search.analysis.ablation import Ends, steps
from search.errors import UserError
from search.journal.trial import Ending
from search.retraining import ablation
from search.retraining.ablation import Way
from search.retraining.runs import Job, Run
from search.spec.objective import Objective
from search.study import Study
from search.tune.pool import Kept
from search.worker.jobs import Record
from tests import studies
from tests.programs import TOY

LOSS = Objective("loss", "min")
ENDS = Ends("trial 3", 2, 5.0, 1.0, {"a": 0, "b": 0, "c": 0}, {"a": 1, "b": 2, "c": 3})


def test_each_step_is_the_best_of_its_round_and_the_last_is_the_winner() -> None:
    values = {("a",): 4.0, ("b",): 2.0, ("c",): 6.0, ("b", "a"): 3.0, ("b", "c"): 2.5}
    way = steps(ENDS, values, LOSS)
    assert [(step.name, step.before, step.after, step.value, step.gain) for step in way] == [
        ("b", 0, 2, 2.0, 3.0),
        ("c", 0, 3, 2.5, -0.5),
        ("a", 0, 1, 1.0, 1.5),
    ]
    assert sum(step.gain for step in way) == ENDS.first - ENDS.last


def test_in_mode_max_the_greatest_is_the_best() -> None:
    way = steps(ENDS, {("a",): 4.0, ("b",): 2.0, ("c",): 6.0}, Objective("accuracy", "max"))
    assert [(step.name, step.gain) for step in way] == [("c", 1.0)]


def test_a_round_ends_when_all_of_it_have_run_and_what_cannot_be_trained_is_passed_over() -> None:
    assert steps(ENDS, {("a",): 4.0, ("b",): 2.0}, LOSS) == []
    assert [step.name for step in steps(ENDS, {("a",): 4.0, ("b",): math.nan, ("c",): 6.0}, LOSS)] == ["a"]
    assert steps(ENDS, dict.fromkeys([("a",), ("b",), ("c",)], math.nan), LOSS) == []


@pytest.fixture
def made(tmp_path: Path) -> Study:
    """Return a study whose winner differs from the defaults in both hyperparameters, judged on seeds 2 and 3."""
    made = studies.create(tmp_path, "s", num_samples=2)
    studies.add(made, [3.0], "complete")
    studies.add(made, [2.0], "complete")
    studies.race(made, {"trial 1": 2.0, "trial 0": 3.0}, {"trial 1": [2.0, 2.1], "reference": [4.0, 4.1]})
    return made


def ended(job: Job, value: float, ending: Ending = "complete") -> Run:
    return Run(job, 0, Record(ending, best=value), Kept(None))


def test_a_job_is_the_defaults_with_the_winners_values_and_its_seed(made: Study) -> None:
    ends = ablation.ends_of(made)
    assert (ends.winner, ends.seed, ends.first, ends.last) == ("trial 1", 2, 4.0, 2.0)
    jobs = Way(made, ends, ablation.open_one(made, ends)).next()
    x, y = (made.trials()[1].params[name] for name in "xy")
    assert [job.values for job in jobs] == [
        {**made.defaults, "x": x, "seed": 2},
        {**made.defaults, "y": y, "seed": 2},
    ]


def test_a_list_changes_as_a_whole_and_what_is_not_passed_is_no_step(tmp_path: Path) -> None:
    width = {"distribution": "int_uniform", "low": 1, "high": 8}
    settings = {
        "command": "true {x} {hidden}",
        "metric": "loss",
        "epochs": 9,
        "space": {
            "layers": {**width, "passed": False},
            "x": width,
            "hidden": {"list": {"length": "layers", "of": width}},
        },
        "defaults": {"x": 9, "hidden": [9]},
    }
    made = studies.new({**settings, "num_samples": 1, "name": "s", "output": str(tmp_path)})
    made.begin_session(studies.SHARE, {})
    made.search.sampler = RandomSampler(seed=0)
    studies.add(made, [2.0], "complete")
    studies.race(made, {}, {"trial 0": [2.0, 2.1], "reference": [4.0, 4.1]})
    ends = ablation.ends_of(made)
    new = made.config.values(made.trials()[0].params)
    assert ends.before == {"x": 9, "hidden": [9]}
    assert ends.after == {"x": new["x"], "hidden": new["hidden"]}
    jobs = Way(made, ends, ablation.open_one(made, ends)).next()
    assert [(job.values["x"], job.values["hidden"]) for job in jobs] == [(new["x"], [9]), (9, new["hidden"])]


def test_the_way_is_asked_for_once_and_gone_on_with_where_it_was_cut_off(made: Study) -> None:
    ends = ablation.ends_of(made)
    opened = ablation.open_one(made, ends)
    way = Way(made, ends, opened)
    first, second = way.next()
    assert way.next() == []
    assert way.more(ended(first, 3.0)) == []
    studies.run(made, opened, {**first.notes, "config": first.values}, [3.0], "complete")
    # Here it is killed.
    again = ablation.open_one(made, ends)
    assert again.study_name == opened.study_name
    left = Way(made, ends, again)
    assert [job.notes for job in left.next()] == [second.notes]
    assert left.more(ended(second, 2.5)) == []  # what is left is the winner
    assert [(step.name, step.value) for step in left.steps()] == [("y", 2.5), ("x", 2.0)]


def test_another_winner_has_an_ablation_of_its_own(made: Study) -> None:
    before = ablation.open_one(made, ablation.ends_of(made)).study_name
    studies.race(made, {"trial 0": 1.0, "trial 1": 3.0}, {"trial 0": [1.0, 1.1], "reference": [4.0, 4.1]})
    assert ablation.open_one(made, ablation.ends_of(made)).study_name != before


def test_without_a_winner_beside_the_defaults_there_is_nothing_to_go_through(tmp_path: Path) -> None:
    made = studies.create(tmp_path, "s", num_samples=1)
    with pytest.raises(UserError, match=r"but s has none; retrain it first: python -m search.retrain "):
        ablation.ends_of(made)
    studies.add(made, [3.0], "complete")
    studies.race(made, {}, {"trial 0": [5.0, 5.1], "reference": [4.0, 4.1]})
    with pytest.raises(UserError, match="but in s the defaults win: there is nothing between them"):
        ablation.ends_of(made)


LISTS = """
from dataclasses import dataclass

@dataclass(frozen=True)
class Config:
    x: float = 0.0
    kind: str = "a"
    only: float = 0.5
    layers: int = 2
    hidden: tuple[int, ...] = (16, 16)
    epochs: int = 3
    seed: int = 0

def train(config):
    yield {"loss": config.x}
"""
SPACE = {
    "side": {"distribution": "choice", "values": [1, 2], "passed": False},
    "x": {"distribution": "uniform", "low": 1, "high": 5, "when": {"side": [1, 2]}},
    "kind": {"distribution": "choice", "values": ["b"]},
    "only": {"distribution": "uniform", "low": 0, "high": 1, "when": {"kind": "b"}},
    "layers": {"distribution": "ordinal", "values": [1, 3]},
    "hidden": {"list": {"length": "layers", "of": {"distribution": "choice", "values": [8, 32]}}},
}


def test_a_list_takes_the_winners_value_with_its_length_and_what_is_not_passed_has_none(tmp_path: Path) -> None:
    file = tmp_path / "lists.py"
    file.write_text(LISTS, encoding="utf-8")
    made = studies.new({**TOY, "workload": str(file), "space": SPACE, "name": "s", "output": str(tmp_path)})
    made.search.sampler = RandomSampler(seed=0)
    studies.add(made, [3.0], "complete")
    studies.race(made, {}, {"trial 0": [2.0], "reference": [4.0]})
    winner = made.values(made.trials()[0].params)
    ends = ablation.ends_of(made)
    assert list(ends.before) == ["x", "kind", "only", "layers"]
    jobs = {job.notes["changed"][0]: job.values for job in Way(made, ends, ablation.open_one(made, ends)).next()}
    base = {**made.defaults, "seed": 1}
    assert jobs["layers"] == {**base, "layers": winner["layers"], "hidden": winner["hidden"]}
    assert jobs["only"] == {**base, "only": winner["only"]}

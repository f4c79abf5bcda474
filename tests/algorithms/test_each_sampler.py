"""What is true of one sampler or another: beside Optuna's own, and of a grid, a sequence, groups and generations."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import CmaEsSampler, GPSampler, GridSampler, NSGAIISampler, QMCSampler, RandomSampler
from optuna.storages import InMemoryStorage
from optuna.trial import TrialState

from search.algorithms import samplers
from search.algorithms.history import Teller
from search.algorithms.proposals import Proposer, ask
from search.algorithms.seeds import seeds_of
from search.algorithms.space import Space
from search.algorithms.tpe import SeededTPE
from tests.algorithms.test_samplers import GRID, SPACE, anything, proposals, proposer, searched

NUMBERS: dict[str, BaseDistribution] = {
    "a": FloatDistribution(0, 1),
    "b": FloatDistribution(1e-4, 1, log=True),
    "c": IntDistribution(0, 40),
    "d": FloatDistribution(-1, 1),
    "e": FloatDistribution(-1, 1),
}


def ours(options: dict[str, Any], count: int) -> list[dict[str, Any]]:
    """Return the proposals of a search of numbers in which one trial runs after the other."""
    space = Space(NUMBERS)
    study = optuna.create_study(sampler=Proposer(samplers.make(options), 3, space, anything))
    for _ in range(count):
        trial = ask(study, space)
        study.tell(trial, valley(trial.params))
    return proposals(study)


def valley(params: Mapping[str, Any]) -> float:
    squares = ((params["a"] - 0.3) ** 2, (np.log(params["b"]) + 3) ** 2 / 40, (params["c"] - 11) ** 2 / 900)
    return float(sum(squares) + params["d"] ** 2)


def optunas(kind: str, count: int) -> list[dict[str, Any]]:
    """Return what Optuna's own sampler proposes, made anew for each trial with the trial's seeds."""
    storage = InMemoryStorage()
    study = optuna.create_study(storage=storage)
    for number in range(count):
        first, second = seeds_of(3, number, "")
        others = RandomSampler(seed=second)
        if kind == "cmaes":
            study.sampler = CmaEsSampler(seed=first, independent_sampler=others, popsize=4)
        elif kind == "gp":
            study.sampler = GPSampler(seed=first, independent_sampler=others, n_startup_trials=5)
        else:
            study.sampler = NSGAIISampler(seed=first, population_size=4)
            study.sampler._random_sampler = others
            storage._studies[study._study_id].system_attrs.clear()  # keeps parents, in another order
        trial = study.ask(NUMBERS)
        study.tell(trial, valley(trial.params))
    return proposals(study)


@pytest.mark.parametrize(
    ("options", "count"),
    [
        ({"name": "cmaes", "popsize": 4, "n_startup_trials": 1}, 22),
        ({"name": "nsga2", "population_size": 4}, 18),
        ({"name": "gp", "n_startup_trials": 5}, 8),
    ],
    ids=["cmaes", "nsga2", "gp"],
)
def test_proposals_are_those_of_optunas_own_sampler(options: dict[str, Any], count: int) -> None:
    """Which writes into its study what ours makes of the history: an optimizer's state, a generation's parents."""
    for own, other in zip(ours(options, count), optunas(options["name"], count), strict=True):
        assert own == pytest.approx(other, rel=1e-6)


def test_trial_n_has_the_nth_point_of_optunas_own_sequence_and_grid() -> None:
    with pytest.warns(ExperimentalWarning):
        study = optuna.create_study(sampler=QMCSampler(seed=3, scramble=True))
    for _ in range(9):
        trial = study.ask(NUMBERS)
        study.tell(trial, 0.0)
    assert ours({"name": "qmc"}, 8) == proposals(study)[1:]  # the first is drawn at random: the space is not known yet
    values: dict[str, Any] = {"a": [0.0, 0.25, 0.5], "b": [1, 2], "c": ["x", "y"]}
    space = Space(
        {
            "a": FloatDistribution(0, 0.5, step=0.25),
            "b": IntDistribution(1, 2),
            "c": CategoricalDistribution(["x", "y"]),
        }
    )
    grid = optuna.create_study(sampler=GridSampler(values, seed=3))
    own = optuna.create_study(sampler=Proposer(samplers.make("grid"), 3, space, anything))
    for _ in range(12):
        grid.ask(dict(space))
        ask(own, space)
    assert proposals(own) == proposals(grid)


def test_a_grid_with_conditions_is_gone_through_once_whatever_was_tried_first_and_is_refused() -> None:
    space = Space(
        {
            "width": IntDistribution(1, 3),
            "optimizer": GRID["optimizer"],
            "momentum": GRID["momentum"],
            "batch": CategoricalDistribution([32, 64]),
        },
        conditions=GRID.conditions,
        ordinals=GRID.ordinals,
    )

    def takes(params: Mapping[str, Any]) -> bool:
        return bool(params["batch"] != 32 or params["width"] < 3)

    start = [{"width": 2, "optimizer": "adam", "batch": 64}, {"optimizer": "sgd", "momentum": 0.5}]
    study = optuna.create_study()
    points = [space.key(params) for params in space.points() if takes(params)]
    assert space.room([], takes, 1000) == len(points) == 4 * (3 + 2)
    for _ in points:
        study.sampler = Proposer(samplers.make("grid"), 3, space, takes, start)
        ask(study, space)
    found = proposals(study)
    assert found[0] == start[0]
    assert (found[1]["optimizer"], found[1]["momentum"]) == ("sgd", 0.5)
    assert sorted(map(str, map(space.key, found))) == sorted(map(str, points))


def test_points_of_a_sequence_lie_more_evenly_than_random_ones() -> None:
    """Of 64 points, in each of the 64 parts of the square: Sobol's first ones have one each."""

    def parts(kind: str) -> int:
        space = Space({"x": FloatDistribution(0, 1), "y": FloatDistribution(0, 1)})
        study = optuna.create_study(sampler=Proposer(samplers.make(kind), 3, space, anything))
        found = [ask(study, space).params for _ in range(64)]
        return len({(int(params["x"] * 8), int(params["y"] * 8)) for params in found})

    assert parts("qmc") == 64
    assert parts("random") < 50


def test_cmaes_learns_nothing_from_what_stands_in_a_journal_but_numbers() -> None:
    """Optuna would unpickle it: what another wrote into a study would run."""
    study = searched("cmaes")
    assert {name for trial in study.trials for name in trial.system_attrs} <= {"cma:generation", "constraints:diverged"}
    for trial in study.trials:
        if trial.state == TrialState.COMPLETE:
            trial.system_attrs["cma:optimizer:0"] = "no pickle at all"
    told = optuna.create_study(sampler=proposer("cmaes"))
    told.add_trials([trial for trial in study.trials if trial.state.is_finished()])
    ask(told, SPACE)


@pytest.mark.parametrize("space", [SPACE, Space(NUMBERS)], ids=["conditions", "none"])
def test_tpe_draws_in_groups_exactly_where_a_space_has_conditions(space: Space) -> None:
    """Without them Optuna leaves what is not in every trial out of its joint model."""
    sampler = samplers.make("tpe").make(3, 0, space)
    assert isinstance(sampler, SeededTPE)
    assert sampler._group == bool(space.conditions)
    study = optuna.create_study(sampler=Proposer(samplers.make("tpe"), 3, space, anything))
    for _ in range(12):
        study.tell(ask(study, space), 1.0)
    trial = study._storage.get_trial(study._storage.create_new_trial(study._study_id))
    history = Teller(space, reads_stopped=True).tell(study, trial)
    assert set(sampler.infer_relative_search_space(history, trial)) == set(space)


def test_tpe_learns_of_a_branch_from_its_own_trials_however_good_those_of_the_others_are() -> None:
    def momentum(others: float) -> float:
        """Return what is drawn where the trials of the other branch have such values."""
        study = optuna.create_study(sampler=Proposer(samplers.make("random"), 3, SPACE, anything))
        for number in range(24):
            trial = ask(study, SPACE)
            study.tell(trial, trial.params["momentum"] if "momentum" in trial.params else others + number)
        next_trial = study._storage.get_trial(study._storage.create_new_trial(study._study_id))
        history = Teller(SPACE, reads_stopped=True).tell(study, next_trial)
        sampler = samplers.make("tpe").make(3, 24, SPACE)
        space = sampler.infer_relative_search_space(history, next_trial)
        return float(sampler.sample_relative(history, next_trial, space)["momentum"])

    assert momentum(-100.0) == momentum(100.0)
    assert momentum(100.0) < 0.3

"""Every sampler: its proposals are a function of the study's seed, the trial's number and the history, of no more."""

import copy
import random
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
from search.algorithms.proposals import Proposer, ask, suggest
from search.algorithms.samplers import SAMPLERS
from search.algorithms.seeds import seeds_of
from search.algorithms.space import Space
from search.errors import UserError

OPTIONS: dict[str, dict[str, Any]] = {
    "tpe": {"name": "tpe"},
    "tpe one by one": {"name": "tpe", "multivariate": False, "n_startup_trials": 3},
    "random": {"name": "random"},
    "gp": {"name": "gp", "n_startup_trials": 3},
    "cmaes": {"name": "cmaes", "popsize": 4},
    "qmc": {"name": "qmc"},
    "qmc halton": {"name": "qmc", "qmc_type": "halton"},
    "grid": {"name": "grid"},
    "nsga2": {"name": "nsga2", "population_size": 4},
}
"""Every sampler, with options that let it learn early."""
TRIALS = {"gp": 6}
"""Proposals of a search, which of a Gaussian process take a while; of the others 24."""
LEAST = {"gp": 4}
WRITTEN = {"gp": [1]}
EVERY = pytest.mark.parametrize("kind", [*OPTIONS])
SPACE = Space(
    {
        "lr": FloatDistribution(1e-3, 1, log=True),
        "width": IntDistribution(2, 64, log=True),
        "optimizer": CategoricalDistribution(["sgd", "adam"]),
        "momentum": FloatDistribution(0, 1),
        "batch": CategoricalDistribution([16, 32, 64, 128]),
    },
    conditions={"momentum": {"optimizer": ("sgd",)}},
    ordinals=frozenset({"batch"}),
)
GRID = Space(
    {
        **SPACE,
        "lr": FloatDistribution(0.25, 1, step=0.25),
        "momentum": FloatDistribution(0, 0.5, step=0.25),
        "width": IntDistribution(1, 3),
    },
    conditions=SPACE.conditions,
    ordinals=SPACE.ordinals,
)
NUMBERS: dict[str, BaseDistribution] = {
    "a": FloatDistribution(0, 1),
    "b": FloatDistribution(1e-4, 1, log=True),
    "c": IntDistribution(0, 40),
    "d": FloatDistribution(-1, 1),
    "e": FloatDistribution(-1, 1),
}


def space_of(kind: str) -> Space:
    return GRID if kind == "grid" else SPACE


def anything(params: Mapping[str, Any]) -> bool:
    return True


def proposer(kind: str, seed: int = 3, space: Space | None = None) -> Proposer:
    return Proposer(samplers.make(OPTIONS[kind]), seed, space or space_of(kind), anything, [{"optimizer": "sgd"}])


def loss(params: Mapping[str, Any]) -> float:
    far = abs(np.log(params["lr"]) + 3) + params["width"] / 64 + params["batch"] / 128
    return float(far + params.get("momentum", 0.7))


def close(study: optuna.Study, trial: optuna.Trial) -> None:
    """End a trial as a search would: the third of each five is stopped, and of each seven one diverges."""
    value = loss(trial.params)
    trial.report(value * 2, 1)
    if trial.number % 7 == 6:
        trial.set_constraint("diverged", 1.0)
    elif trial.number % 5 != 2:
        trial.report(value, 2)
        study.tell(trial, value)
        return
    study.tell(trial, state=TrialState.PRUNED)


def searched(kind: str, seed: int = 3, *, is_killed_often: bool = False, count: int = 0) -> optuna.Study:
    """Return a search in which two trials run at once; where it is killed often, each proposal is of a new session."""
    study = optuna.create_study(sampler=proposer(kind, seed))
    running: list[optuna.Trial] = []
    for _ in range(count or TRIALS.get(kind, 24)):
        if is_killed_often:
            study.sampler = proposer(kind, seed)
            random.seed(len(study.trials))
            np.random.seed(len(study.trials))
        running.append(ask(study, space_of(kind)))
        if len(running) == 2:
            close(study, running.pop(0))
    return study


def proposals(study: optuna.Study) -> list[dict[str, Any]]:
    return [trial.params for trial in study.trials]


def notes(study: optuna.Study) -> list[dict[str, Any]]:
    return [trial.system_attrs for trial in study.trials]


def test_every_sampler_is_tried_here() -> None:
    assert {options["name"] for options in OPTIONS.values()} == set(SAMPLERS)


@EVERY
def test_a_session_that_begins_anywhere_proposes_what_the_one_before_it_would_have(kind: str) -> None:
    """The process's own generators do not matter, nor what a session has drawn or learned before."""
    whole = searched(kind)
    again = searched(kind, is_killed_often=True)
    assert proposals(again) == proposals(whole)
    assert notes(again) == notes(whole)
    assert proposals(searched(kind, seed=4, count=8)) != proposals(whole)[:8]


@EVERY
def test_what_is_proposed_lies_in_the_space_and_is_new(kind: str) -> None:
    space = space_of(kind)
    found = proposals(searched(kind))
    assert all(map(space.is_whole, found))
    assert len(space.keys_of(found)) == len(found)
    assert found[0]["optimizer"] == "sgd"


@EVERY
def test_a_proposal_of_which_a_part_was_written_is_completed_as_it_would_have_been(kind: str) -> None:
    space = space_of(kind)
    before = searched(kind, count=LEAST.get(kind, 12))
    whole = ask(copy.deepcopy(before), space)
    for written in WRITTEN.get(kind, range(5)):
        study = copy.deepcopy(before)
        cut_short = study.ask()
        for name in list(whole.params)[:written]:
            cut_short._suggest(name, space[name])
        study.sampler = proposer(kind)
        completed = optuna.Trial(study, cut_short._trial_id)
        suggest(completed, space)
        assert completed.params == whole.params
        assert notes(study)[-1] == notes(whole.study)[-1]


@pytest.mark.parametrize("kind", ["tpe", "random", "gp", "cmaes", "qmc", "nsga2"])
def test_no_two_numbers_of_a_study_are_the_same(kind: str) -> None:
    """Of hyperparameters that are searched alike, too: the same numbers for all would search a diagonal."""
    space = Space({name: FloatDistribution(0, 1) for name in ("x", "y", "z")})

    def numbers(seed: int) -> list[float]:
        study = optuna.create_study(sampler=Proposer(samplers.make(kind), seed, space, anything))
        for _ in range(9):
            trial = ask(study, space)
            study.tell(trial, sum(trial.params.values()))
        return [value for params in proposals(study) for value in params.values()]

    assert len(set(numbers(3))) == 27
    assert not set(numbers(3)) & set(numbers(4))


@pytest.mark.parametrize("kind", ["tpe", "random", "gp", "nsga2"])
def test_the_random_numbers_of_each_hyperparameter_are_spread_over_its_range_and_follow_no_other(kind: str) -> None:
    """A hundred studies' first proposals, which are random of those that learn, too."""
    space = Space({name: FloatDistribution(0, 1) for name in ("x", "y", "z")})
    first = []
    for seed in range(100):
        sampler = Proposer(samplers.make(kind), seed, space, anything)
        first.append(list(ask(optuna.create_study(sampler=sampler), space).params.values()))
    numbers = np.array(first)
    assert (np.histogram(numbers, bins=4, range=(0, 1))[0] > 40).all()
    between = np.corrcoef(numbers.T)
    assert np.abs(between[~np.eye(3, dtype=bool)]).max() < 0.3


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


@pytest.mark.parametrize(("kind", "count"), [("tpe", 60), ("gp", 12), ("cmaes", 60), ("nsga2", 60)])
def test_a_sampler_that_learns_ends_where_trials_are_good(kind: str, count: int) -> None:
    """Also where most trials are stopped, the worse ones, and where the value is to be maximized."""
    space = Space({name: FloatDistribution(0, 1) for name in ("x", "y")})
    sampler = Proposer(samplers.make(OPTIONS[kind]), 3, space, anything)
    study = optuna.create_study(sampler=sampler, direction="maximize")
    values: list[float] = []
    for _ in range(count):
        trial = ask(study, space)
        value = 1 - (trial.params["x"] - 0.2) ** 2 - (trial.params["y"] - 0.9) ** 2
        trial.report(value, 1)
        is_good = value >= np.quantile([*values, value], 0.66)
        values.append(value)
        study.tell(trial, value if is_good else None, state=TrialState.COMPLETE if is_good else TrialState.PRUNED)
    assert {trial.state for trial in study.trials} == {TrialState.COMPLETE, TrialState.PRUNED}
    assert np.median(values[-6:]) > 0.93


@EVERY
@pytest.mark.parametrize(
    "space",
    [
        Space({"c": CategoricalDistribution(["a", "b", None])}),
        Space({"n": IntDistribution(1, 3), "one": CategoricalDistribution([True])}),
        Space({"n": IntDistribution(4, 4)}),
    ],
    ids=["choice", "number", "one value"],
)
def test_a_space_that_is_hardly_one_is_searched_to_its_end(kind: str, space: Space) -> None:
    sampler = samplers.make(OPTIONS[kind])
    try:
        sampler.check(space)
    except UserError:
        assert kind == "cmaes"
        return
    study = optuna.create_study(sampler=Proposer(sampler, 3, space, anything))
    for _ in space.points():
        study.tell(ask(study, space), 1.0)
    assert len(space.keys_of(proposals(study))) == len(list(space.points()))


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

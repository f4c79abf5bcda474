"""Every sampler: its proposals are a function of the study's seed, the trial's number and the history, of no more."""

import copy
import random
from collections.abc import Mapping
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState

from search.algorithms import samplers
from search.algorithms.proposals import Proposer, ask, suggest
from search.algorithms.samplers import SAMPLERS
from search.algorithms.space import Space

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

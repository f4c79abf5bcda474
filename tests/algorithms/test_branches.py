"""Branches of a space with conditions: what is drawn of which trials, and what they find."""

import math
import warnings
from functools import partial
from typing import Any

import optuna
import pytest
from optuna.distributions import BaseDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.trial import FrozenTrial

from search.algorithms.branches import STARTUP_TRIALS, Branches, roots_of
from search.algorithms.proposals import Proposer, ask, suggest
from search.algorithms.samplers import SAMPLERS, SeededTPE
from search.algorithms.space import Space
from search.spec.space import parse

UNIT = {"distribution": "uniform", "low": 0, "high": 0.99}
SPACE = parse(
    {
        "optimizer": {"distribution": "choice", "values": ["sgd", "adam"]},
        "lr": {"distribution": "log_uniform", "low": 1e-5, "high": 1},
        "momentum": {**UNIT, "when": {"optimizer": "sgd"}},
        "beta": {**UNIT, "low": 0.5, "when": {"optimizer": "adam"}},
        "layers": {"distribution": "int_uniform", "low": 1, "high": 3},
        "hidden": {"list": {"length": "layers", "of": UNIT}},
    }
)


class Within(SeededTPE):
    """TPE in groups, as a branch is to have it."""

    def __init__(self, seed: int) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            TPESampler.__init__(self, seed=seed, n_startup_trials=STARTUP_TRIALS, multivariate=True, group=True)
        self._seed = seed


def branches(seed: int) -> Branches:
    return Branches(SeededTPE(seed), Within(seed), seed, SPACE)


class Listener(RandomSampler):
    """Draws at random, and keeps which trials it was told of."""

    told: list[set[str]]

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        self.told = [{*each.params} for each in study.get_trials(deepcopy=False)]
        return {}


def told(within: Listener, seed: int) -> Branches:
    return Branches(SeededTPE(seed), within, seed, SPACE)


def test_only_choices_without_an_order_make_branches() -> None:
    assert roots_of(SPACE) == ["optimizer"]
    assert roots_of(Space({"x": SPACE["lr"]})) == []


def test_what_is_within_a_branch_is_told_its_trials_alone() -> None:
    study = optuna.create_study()
    for number in range(20):
        within = Listener(seed=number)
        study.sampler = Proposer(partial(told, within), 3, SPACE, lambda params: True)
        trial = ask(study, SPACE)
        own = "momentum" if trial.params["optimizer"] == "sgd" else "beta"
        before = [{*each.params} for each in study.trials[:-1] if own in each.params]
        assert within.told == before
        study.tell(trial, trial.params["lr"])
    assert {each.params["optimizer"] for each in study.trials} == {"sgd", "adam"}


def test_a_proposal_lies_in_the_space_and_is_the_same_after_a_kill() -> None:
    straight, broken = optuna.create_study(), optuna.create_study()
    for number in range(30):
        for study in (straight, broken):
            study.sampler = Proposer(branches, 3, SPACE, lambda params: True)
        trial = ask(straight, SPACE)
        assert SPACE.is_whole(trial.params)
        begun = broken.ask()
        for name in [*trial.params][: number % 4]:
            begun._suggest(name, SPACE[name])
        broken.sampler = Proposer(branches, 3, SPACE, lambda params: True)
        again = optuna.Trial(broken, begun._trial_id)
        suggest(again, SPACE)
        assert again.params == trial.params
        straight.tell(trial, loss(trial.params))
        broken.tell(again, loss(again.params))


def loss(params: dict[str, Any]) -> float:
    """Return a value that is the lower in the sgd branch, where that is tuned; most of adam's are lower than most."""
    if params["optimizer"] == "sgd":
        rate = math.log10(params["lr"] / (1 - params["momentum"]))
        return float(0.1 + 0.3 * (rate + 0.5) ** 2 + 0.5 * (params["momentum"] - 0.9) ** 2)
    return float(0.15 + 0.1 * (math.log10(params["lr"]) + 3) ** 2 + 0.3 * (params["beta"] - 0.9) ** 2)


@pytest.mark.full
def test_the_better_branch_is_found_more_often_than_by_tpe_alone() -> None:
    """TPE finds it in 58 % of many seeds, branches in 96 %: of 20 that is 3 more in 97 of 100 such tests."""
    names = [*SPACE][:4]
    few = Space({name: SPACE[name] for name in names}, {name: SPACE.conditions[name] for name in names[2:]})

    def found(make: Any) -> int:
        times = 0
        for seed in range(20):
            study = optuna.create_study()
            study.sampler = Proposer(make, seed, few, lambda params: True)
            for _ in range(64):
                trial = ask(study, few)
                study.tell(trial, loss(trial.params))
            times += study.best_params["optimizer"] == "sgd"
        return times

    def by_branches(seed: int) -> BaseSampler:
        return Branches(SeededTPE(seed), Within(seed), seed, few)

    assert found(by_branches) >= found(SAMPLERS["tpe"].make) + 3

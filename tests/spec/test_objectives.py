"""Objectives in a config: one metric stays one line, and several are named with their modes."""

from dataclasses import replace
from typing import Any

import pytest

from search.algorithms.pareto import Within
from search.errors import UserError
from search.spec.config import StudyConfig
from search.spec.objective import Objective

X = {"distribution": "uniform", "low": -5, "high": 5}
ONE: dict[str, Any] = {"workload": "tests.toy", "metric": "loss", "space": {"x": X}}
TWO: dict[str, Any] = {"workload": "tests.toy", "objectives": {"loss": "min", "size": "min"}, "space": {"x": X}}


def test_of_several_the_first_is_the_metric_and_early_stopping_must_be_asked_for() -> None:
    config = StudyConfig.of({**TWO, "choose": {"within": 0.05}})
    assert config.objective == Objective("loss", "min")
    assert config.aims.all == (Objective("loss", "min"), Objective("size", "min"))
    assert config.aims.choice == Within(0.05)
    assert config.scheduler is None
    assert StudyConfig.of({**TWO, "scheduler": "asha"}).scheduler is not None


def test_one_metric_is_an_objective_of_its_own() -> None:
    aims = StudyConfig.of(ONE).aims
    assert aims.all == (Objective("loss", "min"),)
    assert not aims.are_several


@pytest.mark.parametrize("given", [ONE, TWO, {**TWO, "choose": {"weights": {"loss": 1, "size": 2}}}])
def test_a_config_is_made_again_of_its_mapping_and_of_itself(given: dict[str, Any]) -> None:
    config = StudyConfig.of(given)
    assert StudyConfig.of(config.as_mapping()) == config
    assert replace(config, name="other").aims == config.aims


def test_a_mode_that_the_name_says_may_be_left_out() -> None:
    config = StudyConfig.of({**TWO, "objectives": {"val_loss": None, "accuracy": "max"}})
    assert config.aims.all == (Objective("val_loss", "min"), Objective("accuracy", "max"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"objectives": {"loss": "min", "size": None}}, "objectives.size must be min or max, but got None"),
        ({"objectives": {"loss": "low", "size": "min"}}, "objectives.loss must be min or max, but got 'low'"),
        ({"objectives": {1: "min"}}, "objectives must hold names of metrics, but got 1"),
        ({"objectives": ["loss", "size"]}, "objectives must be a mapping, as {val_loss: min, "),
        ({"metric": "size"}, "a search must have 'metric' or 'objectives', but has both, metric 'size' and objectives"),
        ({"mode": "max"}, "mode must be left out, or that of the first objective, "),
        ({"choose": "best"}, "choose must be knee, "),
        ({"objectives": {"loss": "min"}, "choose": {"within": 0.1}}, "choose is for several objectives, but there is"),
    ],
)
def test_objectives_that_break_a_rule_are_refused_with_it(change: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError) as caught:
        StudyConfig.of({**TWO, **change})
    assert str(caught.value).startswith(message)


def test_a_metric_must_be_given_one_way_or_the_other() -> None:
    with pytest.raises(UserError, match="a search must have 'metric', but the config lacks it"):
        StudyConfig.of({"workload": "tests.toy", "space": {"x": X}})

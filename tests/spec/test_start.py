"""What is tried first: which values lie in a space, and what of `start` is refused."""

from typing import Any

import pytest

from search.errors import UserError
from search.spec import start
from search.spec.config import StudyConfig
from search.spec.fit import Fit
from search.spec.space import parse
from search.spec.workload import load
from tests.programs import LEAST, X

ENTRIES = {
    "lr": {"distribution": "log_uniform", "low": 0.001, "high": 1},
    "width": {"distribution": "int_uniform", "low": 1, "high": 9},
    "act": {"distribution": "choice", "values": ["relu", None, 2, True]},
}
SPACE = parse(ENTRIES)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("lr", 0.001, 0.001),
        ("lr", 1, 1.0),
        ("width", 9, 9),
        ("width", 2.0, 2),
        ("act", "relu", "relu"),
        ("act", None, None),
        ("act", 2.0, 2),
        ("act", True, True),
    ],
)
def test_a_value_that_lies_in_the_space_is_taken_as_the_sampler_would_draw_it(
    name: str, value: Any, expected: Any
) -> None:
    (params,) = start.parse([{name: value}], SPACE, {})
    assert params == {name: expected}
    assert type(params[name]) is type(expected)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"lr": 2}, "start, entry 1: lr must be a number in [0.001, 1], as in space.lr, but got 2; give another value"),
        ({"lr": 10**400}, "lr must be a number in [0.001, 1], as in space.lr, but got 1000"),
        ({"lr": True}, "lr must be a number in [0.001, 1], as in space.lr, but got True"),
        ({"lr": "0.1"}, "lr must be a number in [0.001, 1], as in space.lr, but got '0.1'"),
        ({"lr": float("nan")}, "lr must be a number in [0.001, 1], as in space.lr, but got nan"),
        ({"width": 2.5}, "width must be a whole number in [1, 9], as in space.width, but got 2.5"),
        ({"width": False}, "width must be a whole number in [1, 9], as in space.width, but got False"),
        ({"act": "rulu"}, "act must be one of 'relu', None, 2, True, as in space.act, but got 'rulu'"),
        ({"act": 1}, "act must be one of 'relu', None, 2, True, as in space.act, but got 1"),
        ({"act": [2]}, "act must be one of 'relu', None, 2, True, as in space.act, but got [2]"),
        ({"widht": 3}, "start, entry 1: 'widht' is not searched, did you mean 'width'?"),
        ({3: 3}, "start, entry 1: 3 is not searched, there are: lr, width, act"),
        ({"depth": 3}, "start, entry 1: 'depth' stands in fixed, so it has one value only; remove it here or there"),
        ({}, "start, entry 1: must be a mapping of hyperparameters to values, but got {}"),
        (["lr"], "start, entry 1: must be a mapping of hyperparameters to values, but got ['lr']"),
        (None, "start, entry 1: must be a mapping of hyperparameters to values, but got None"),
    ],
)
def test_an_entry_of_start_that_is_not_in_the_space_is_refused_with_rule_and_value(entry: Any, message: str) -> None:
    with pytest.raises(UserError) as caught:
        start.parse([entry], SPACE, {"depth": 2})
    assert message in str(caught.value)


def test_the_settings_hold_start_against_the_space_before_a_workload_is_there() -> None:
    assert StudyConfig.of({**LEAST, "start": [{"x": 1}]}).start == [{"x": 1}]
    with pytest.raises(UserError, match="start, entry 2: x must be a number in"):
        StudyConfig.of({**LEAST, "start": [{"x": 1}, {"x": 6}]})
    with pytest.raises(UserError, match="start must be of type list"):
        StudyConfig.of({**LEAST, "start": {"x": 1}})


def first(**change: Any) -> tuple[list[dict[str, Any]], str]:
    """Return what a search of the toy tries first, and the line on it."""
    found = Fit(StudyConfig.of({**LEAST, "num_samples": 9, **change}), load("tests.toy")).first()
    return found.configurations, found.note


def test_the_defaults_come_first_where_they_lie_in_the_space_and_are_asked_for() -> None:
    assert first() == ([{"x": 0.0}], "trial 0 is the workload's defaults")
    assert first(space={"x": X, "y": X}) == ([{"x": 0.0, "y": 0.0}], "trial 0 is the workload's defaults")
    assert first(try_defaults=False) == ([], "")
    outside = {"x": {**X, "low": 1}}
    why = "the workload's defaults are not tried: that of x, 0.0, is not in its space"
    assert first(space=outside) == ([], why)


def test_what_config_refuses_of_the_defaults_is_not_tried(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own defaults may break its rule under the fixed values; a search goes on without them."""
    text = "from tests.toy import *\nimport tests.toy, dataclasses\n@dataclasses.dataclass(frozen=True)\n"
    text += "class Config(tests.toy.Config):\n    def __post_init__(self):\n"
    text += "        if self.x <= self.y:\n            raise ValueError('x must be > y')\n"
    (tmp_path / "picky.py").write_text(text, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))

    def tried(**change: Any) -> tuple[list[dict[str, Any]], str]:
        found = Fit(StudyConfig.of({**LEAST, "workload": "picky", **change}), load("picky")).first()
        return found.configurations, found.note

    why = "the workload's defaults are not tried: picky.Config refuses them: x must be > y"
    assert tried() == ([], why)
    assert tried(fixed={"y": -1}) == ([{"x": 0.0}], "trial 0 is the workload's defaults")
    with pytest.raises(UserError, match=r"start, entry 1: must be .* picky\.Config takes, but it says: x must be > y"):
        tried(start=[{"x": -1}])


def test_a_hyperparameter_without_a_default_leaves_no_defaults_to_try() -> None:
    params, why = start.of_defaults({"lr": 0.1}, SPACE)
    assert (params, why) == ({}, "width has no default")


def test_what_start_lists_comes_after_the_defaults_and_what_repeats_another_is_left_out() -> None:
    both = {"x": X, "y": X}
    entries = [{"x": 1, "y": 2}, {"y": 0, "x": 0}, {"x": 1}, {"y": 2.0, "x": 1.0}]
    configurations, note = first(space=both, start=entries)
    assert configurations == [{"x": 0.0, "y": 0.0}, {"x": 1.0, "y": 2.0}, {"x": 1.0}]
    assert note == "tried first: the workload's defaults, then 2 of start; 2 of start would repeat another"
    assert first(start=[{"x": 1}], try_defaults=False) == ([{"x": 1.0}], "tried first: 1 of start")


def test_more_to_try_first_than_there_are_trials_is_refused() -> None:
    assert len(first(start=[{"x": 1}, {"x": 2}], num_samples=3)[0]) == 3
    with pytest.raises(UserError) as caught:
        first(start=[{"x": 1}, {"x": 2}], num_samples=2)
    assert "num_samples must be at least the 3 configurations that are tried first" in str(caught.value)
    assert "but got 2; ask for more trials" in str(caught.value)

"""A space with conditions, steps, orders and lists: what YAML says of it, and what Config gets of it."""

from dataclasses import dataclass
from typing import Any, Literal

import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from search.errors import UserError
from search.spec import arguments, start
from search.spec.axes import corners, scattered
from search.spec.config import StudyConfig
from search.spec.fit import Fit
from search.spec.space import parse
from search.spec.workload import Workload

LR = {"distribution": "log_uniform", "low": 0.001, "high": 1}
WIDTH = {"distribution": "int_log_uniform", "low": 8, "high": 128}
SGD = {"distribution": "choice", "values": ["sgd", "adam"]}
LAYERS = {"distribution": "int_uniform", "low": 1, "high": 3}
UNIT = {"distribution": "uniform", "low": 0, "high": 1}
ON = {"distribution": "choice", "values": [True, False]}
TREE: dict[str, Any] = {
    "optimizer": SGD,
    "momentum": {**UNIT, "when": {"optimizer": "sgd"}},
    "nesterov": {**ON, "when": {"optimizer": "sgd"}},
    "damping": {**UNIT, "when": {"nesterov": False}},
    "layers": LAYERS,
    "hidden": {"list": {"length": "layers", "of": WIDTH}},
    "drop": {**UNIT, "when": {"layers": [2, 3], "optimizer": ["adam", "sgd"]}},
}


@dataclass(frozen=True)
class Config:
    optimizer: str = "sgd"
    momentum: float = 0.9
    nesterov: bool = True
    damping: float = 0.25
    hidden: tuple[int, ...] = (32, 16)
    drop: float = 0.5
    batch: int = 32
    sizes: list[int] | None = None
    epochs: int = 3
    seed: int = 0

    def __post_init__(self) -> None:
        assert isinstance(self.hidden, tuple)
        if sum(self.hidden) > 300:
            raise ValueError(f"at most 300 units, but got {self.hidden}")


def fitted(space: dict[str, Any], config: type = Config, **settings: Any) -> Fit:
    given = StudyConfig.of({"workload": "w", "metric": "loss", "space": space, **settings})
    found = Fit(given, Workload("w", arguments.of_class("w.Config", config), iter))
    found.check_types()
    return found


def test_an_entry_with_a_condition_is_on_where_all_that_it_names_has_these_values() -> None:
    space = parse(TREE)
    assert space.conditions["momentum"] == {"optimizer": ("sgd",)}
    assert space.conditions["drop"] == {"layers": (2, 3), "optimizer": ("adam", "sgd")}
    assert space.active({"optimizer": "adam", "layers": 1}) == ["optimizer", "layers", "hidden.0"]
    on = space.active({"optimizer": "sgd", "nesterov": False, "layers": 3})
    assert on == [*space]
    assert space.needs("damping") == {"optimizer": ("sgd",), "nesterov": (False,)}


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (
            {"when": "sgd"},
            "space.x.when must be a mapping of hyperparameters to values, as {optimizer: sgd}, got 'sgd'",
        ),
        ({"when": {}}, "must be a mapping"),
        (
            {"when": {"x": 1}},
            "space.x.when must name hyperparameters that stand before 'x' in the space, but it names 'x'",
        ),
        ({"when": {"later": 1}}, "but 'later' comes later; move 'x' below it"),
        ({"when": {"optimiser": "sgd"}}, "but got 'optimiser', did you mean 'optimizer'?"),
        ({"when": {"batch": 32}}, "but 'batch' is fixed to 32; remove that, as it always holds"),
        ({"when": {"batch": [1, 2]}}, "but 'batch' is fixed to 32; remove 'x', which would never be on"),
        ({"when": {"hidden": 32}}, "but 'hidden' is a list; depend on its length, 'layers'"),
        ({"when": {"momentum": 0.5}}, "'momentum' may have any fraction; give it as a choice of values"),
        ({"when": {"optimizer": "sdg"}}, "must be what 'optimizer' can be, one of 'sgd', 'adam', but got 'sdg'"),
        ({"when": {"layers": 4}}, "must be what 'layers' can be, a whole number in [1, 3], but got 4"),
        ({"when": {"layers": []}}, "must be a value of 'layers', or a list of some, but got []"),
        ({"when": {"nesterov": "on"}}, "space.x.when.nesterov: booleans are true and false; got 'on', write true"),
        ({"when": {"nesterov": True, "damping.0": 1}}, "but got 'damping.0'"),
        (
            {"when": {"optimizer": "adam", "nesterov": True}},
            "must be a condition that can hold, but no value of 'optimizer' fits both it and the condition of what",
        ),
        ({"passed": "no"}, "space.x.passed must be true or false, but got 'no'"),
        ({"passed": False}, "must be true where no other hyperparameter depends on 'x'"),
        ({"wehn": {}}, "unknown key 'wehn', did you mean 'when'?"),
    ],
)
def test_a_condition_that_cannot_be_is_refused_with_the_fix(entry: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError) as caught:
        parse({**TREE, "x": {**UNIT, **entry}, "later": ON}, {"batch": 32})
    assert message in str(caught.value)


def test_a_value_of_a_condition_may_be_a_list_that_is_a_choice() -> None:
    sizes = {"distribution": "choice", "values": [[8, 8], [16], None]}
    space = parse(
        {"sizes": sizes, "x": {**UNIT, "when": {"sizes": [8, 8]}}, "y": {**UNIT, "when": {"sizes": [[16], None]}}}
    )
    assert space.conditions == {"x": {"sizes": ("[8, 8]",)}, "y": {"sizes": ("[16]", None)}}
    config = fitted({"sizes": sizes, "drop": {**UNIT, "when": {"sizes": [None]}}}).config
    assert config.values({"sizes": "[16]"}) == {"sizes": [16], "seed": 0}
    assert config.values({"sizes": None, "drop": 0.5}) == {"sizes": None, "drop": 0.5, "seed": 0}


def test_steps_and_orders_become_optunas_distributions() -> None:
    space = parse(
        {
            "a": {"distribution": "uniform", "low": 0, "high": 0.3, "step": 0.1},
            "b": {"distribution": "int_uniform", "low": 2, "high": 10, "step": 4},
            "c": {"distribution": "ordinal", "values": [32, 64, 16]},
        }
    )
    assert dict(space) == {
        "a": FloatDistribution(0, 0.3, step=0.1),
        "b": IntDistribution(2, 10, step=4),
        "c": CategoricalDistribution([32, 64, 16]),
    }
    assert space.ordinals == {"c"}
    assert space.drawn("c") == IntDistribution(0, 2)
    assert space.from_drawn("a", 0.30000000000000004) == 0.3
    assert len(list(space.points())) == 4 * 3 * 3
    tried = [*corners(space), *scattered(space, 100)]
    assert all(map(space.is_whole, tried))
    assert {params["b"] for params in tried} == {2, 6, 10}
    assert {params["a"] for params in tried} == {0.0, 0.1, 0.2, 0.3}


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({**UNIT, "step": 0.3}, "but got low 0, high 1 and step 0.3; write high: 0.9 or high: 1.2"),
        (
            {**UNIT, "step": 2},
            "step must be a number above 0 and at most high - low, in at most 10**9 steps, but got 2",
        ),
        ({**UNIT, "step": 0}, "but got 0"),
        ({**UNIT, "step": "0.1"}, "but got '0.1'"),
        ({**UNIT, "step": True}, "but got True"),
        ({**UNIT, "step": 1e-300}, "in at most 10**9 steps"),
        ({**LAYERS, "step": 0.5}, "step must be a whole number above 0"),
        ({**LAYERS, "high": 4, "step": 2}, "but got low 1, high 4 and step 2; write high: 3 or high: 5"),
        ({**LR, "step": 0.1}, "step must go with uniform or int_uniform, as Optuna has none on a logarithmic scale"),
        ({**WIDTH, "step": 8}, "step must go with uniform or int_uniform"),
        ({**ON, "step": 8}, "unknown key 'step'"),
        (
            {"distribution": "ordinal", "values": [1]},
            "must be a list of at least two values in their order, but got [1]",
        ),
        ({"distribution": "ordinal", "values": [1, None]}, "must be numbers or texts in their order, but got None"),
        ({"distribution": "ordinal", "values": [False, True]}, "but got False; use choice"),
        ({"distribution": "ordinal", "values": [1, 1.0]}, "must differ from each other"),
    ],
)
def test_a_step_or_an_order_that_cannot_be_is_refused_with_the_fix(entry: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError) as caught:
        parse({"x": entry})
    assert str(caught.value).startswith("space.x")
    assert message in str(caught.value)


def test_a_list_is_as_long_as_its_length_says_and_config_gets_it_as_its_field_has_it() -> None:
    found = fitted(TREE)
    space = found.config.searched
    assert [*space][5:] == ["hidden.0", "hidden.1", "hidden.2", "drop"]
    params = {"optimizer": "adam", "layers": 2, "hidden.0": 8, "hidden.1": 16, "drop": 0.1}
    assert space.is_whole(params)
    assert found.config.values(params) == {"optimizer": "adam", "hidden": [8, 16], "drop": 0.1, "seed": 0}
    built = found.workload.build(found.config.values(params))
    assert built == Config(optimizer="adam", hidden=(8, 16), drop=0.1)
    assert found.takes(params)
    assert not found.takes({**params, "hidden.0": 128, "hidden.1": 128, "layers": 3, "hidden.2": 128})
    assert all(map(space.is_whole, [*corners(space), *scattered(space, 50)]))


@pytest.mark.parametrize(
    ("length", "fixed", "sizes"),
    [
        (LAYERS, {}, {1, 2, 3}),
        ({"distribution": "ordinal", "values": [0, 2]}, {}, {0, 2}),
        (2, {}, {2}),
        ("batch", {"batch": 3}, {3}),
    ],
)
def test_a_length_may_stand_within_its_list_or_be_a_number(length: Any, fixed: dict[str, Any], sizes: set[int]) -> None:
    found = fitted({"hidden": {"list": {"length": length, "of": WIDTH}}}, fixed=fixed)
    drawn = [found.config.values(params) for params in scattered(found.config.searched, 50)]
    assert {len(values["hidden"]) for values in drawn} == sizes
    assert all({*values} <= {"hidden", "seed", "batch"} for values in drawn)


def test_a_list_may_be_off_and_is_then_not_passed() -> None:
    entry = {"list": {"length": {**LAYERS, "low": 0}, "of": WIDTH}, "when": {"optimizer": "sgd"}}
    config = fitted({"optimizer": SGD, "hidden": entry}).config
    assert config.values({"optimizer": "adam"}) == {"optimizer": "adam", "seed": 0}
    assert config.values({"optimizer": "sgd", "hidden.length": 0}) == {"optimizer": "sgd", "hidden": [], "seed": 0}


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"list": 3}, "space.hidden.list must have length and of, as in {list: {length: layers, of: {"),
        ({"list": {"of": WIDTH}}, "but it lacks 'length'"),
        (
            {"list": {"length": 2, "of": WIDTH, "off": 1}},
            "space.hidden.list has an unknown key 'off', did you mean 'of'?",
        ),
        ({"list": {"length": 2, "of": WIDTH}, "low": 1}, "space.hidden has an unknown key 'low'"),
        ({"list": {"length": 2, "of": 8}}, "space.hidden.list.of must be a mapping with 'distribution'"),
        ({"list": {"length": 2, "of": {**WIDTH, "low": 0}}}, "space.hidden.list.of: low > 0 must hold"),
        ({"list": {"length": 2, "of": {**WIDTH, "when": {"optimizer": "sgd"}}}}, "but it has 'when'; remove it"),
        ({"list": {"length": 2.0, "of": WIDTH}}, "length must be a whole number in [0, 100], but got 2.0"),
        ({"list": {"length": 101, "of": WIDTH}}, "length must be a whole number in [0, 100], but got 101"),
        ({"list": {"length": 0, "of": WIDTH}}, "length must be at least 1, but got 0; put [] under fixed"),
        ({"list": {"length": "depth", "of": WIDTH}}, "that stands before it, but got 'depth', there are: optimizer"),
        ({"list": {"length": "late", "of": WIDTH}}, "but 'late' comes later; move it up"),
        (
            {"list": {"length": "optimizer", "of": WIDTH}},
            "but 'optimizer' may be 'sgd'; use int_uniform, or an ordinal",
        ),
        ({"list": {"length": "drop", "of": WIDTH}}, "but 'drop' may have a fraction; use int_uniform"),
        ({"list": {"length": {**LAYERS, "high": 1000}, "of": WIDTH}}, "of at most 100"),
        ({"list": {"length": {**LAYERS, "low": -1}, "of": WIDTH}}, "must be a whole number in [0, 100], but got -1"),
        ({"distribution": "list", "length": 2, "of": WIDTH}, "write a list as {list: {length: layers, of: "),
    ],
)
def test_a_list_that_cannot_be_is_refused_with_the_fix(entry: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError) as caught:
        parse({"optimizer": SGD, "drop": UNIT, "hidden": entry, "late": LAYERS})
    assert message in str(caught.value)


def test_a_list_that_does_not_fit_its_field_is_refused() -> None:
    with pytest.raises(
        UserError, match=r"space.sizes must be lists for sizes: list\[int\] \| None of w.Config, but it"
    ):
        fitted({"sizes": {"list": {"length": 2, "of": UNIT}}})
    with pytest.raises(UserError, match=r"space.momentum must be lists for momentum: float"):
        fitted({"momentum": {"list": {"length": 2, "of": UNIT}}})


def test_a_range_with_a_step_is_held_against_its_field_at_its_steps() -> None:
    @dataclass
    class Few:
        width: Literal[8, 16, 24] = 8
        rate: int = 1
        epochs: int = 3

    steps = {"distribution": "int_uniform", "low": 8, "high": 24, "step": 8}
    assert fitted({"width": steps}, Few).config.searched["width"] == IntDistribution(8, 24, step=8)
    with pytest.raises(UserError, match=r"space.width must draw values for width: .*, but it draws 12, too"):
        fitted({"width": {**steps, "step": 4}}, Few)
    with pytest.raises(UserError, match=r"space.rate must draw values for rate: int of w.Config, but it draws numbers"):
        fitted({"rate": {**UNIT, "step": 0.5}}, Few)


def test_the_defaults_are_tried_with_what_is_on_beside_them_and_a_list_by_its_length() -> None:
    first = fitted(TREE).first()
    defaults = {"optimizer": "sgd", "momentum": 0.9, "nesterov": True, "layers": 2, "hidden.0": 32, "hidden.1": 16}
    assert first.configurations == [{**defaults, "drop": 0.5}]
    assert fitted(TREE).config.values(first.configurations[0])["hidden"] == [32, 16]
    for length in (1, 3, {**LAYERS, "low": 3, "high": 4}):
        note = fitted({"hidden": {"list": {"length": length, "of": WIDTH}}}).first().note
        assert note.startswith("the workload's defaults are not tried: that of hidden")
        assert note.endswith(" is not in its space")


def test_an_entry_of_start_gets_what_its_values_need_and_may_hold_a_list() -> None:
    space = parse(TREE)
    assert start.parse([{"damping": 0.5}], space, {}) == [{"optimizer": "sgd", "nesterov": False, "damping": 0.5}]
    assert start.parse([{"hidden": [8, 16]}], space, {}) == [{"layers": 2, "hidden.0": 8, "hidden.1": 16}]
    assert start.parse([{"hidden.1": 8, "hidden.2": 9}], space, {}) == [{"layers": 3, "hidden.1": 8, "hidden.2": 9}]


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (
            {"optimizer": "adam", "momentum": 0.5},
            "start, entry 1: momentum must be on to have a value, where optimizer is 'sgd', but here optimizer is "
            "'adam'; "
            "remove momentum, or change optimizer",
        ),
        ({"damping": 0.5, "nesterov": True}, "damping must be on to have a value, where nesterov is False"),
        ({"layers": 1, "hidden": [8, 8]}, "hidden must be a list of 1, as in space.hidden, but got [8, 8]"),
        ({"hidden": [8, 8, 8, 8]}, "hidden must be a list of at most 3"),
        ({"hidden": 8}, "hidden must be a list, as in space.hidden, but got 8"),
        ({"hidden": [8, 7]}, "hidden.1 must be a whole number in [8, 128]"),
        ({"nesterov": "off"}, "booleans are true and false; got 'off', write false"),
    ],
)
def test_an_entry_of_start_that_has_a_value_for_what_is_off_is_refused(entry: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError) as caught:
        start.parse([entry], parse(TREE), {})
    assert message in str(caught.value)


def test_what_may_be_off_must_have_a_default_and_a_line_says_that_it_keeps_that() -> None:
    @dataclass
    class Bare:
        momentum: float
        optimizer: str = "sgd"
        epochs: int = 3

    few = {"optimizer": SGD, "momentum": {**UNIT, "when": {"optimizer": "sgd"}}}
    with pytest.raises(
        UserError, match=r"space.momentum must have a default, which w.Config keeps where it is off, but"
    ):
        fitted(few, Bare)
    assert fitted(few).notes == ["what is off keeps the default of w.Config: momentum (on where optimizer is 'sgd')"]


def test_a_child_of_a_choice_is_tried_where_it_is_on_before_the_start() -> None:
    @dataclass
    class Strict:
        optimizer: str = "sgd"
        kind: str = "plain"
        epochs: int = 3

        def __post_init__(self) -> None:
            if self.kind == "odd":
                raise ValueError("no odd ones")

    kinds = {"distribution": "choice", "values": ["plain", "odd"], "when": {"optimizer": "adam"}}
    with pytest.raises(
        UserError, match=r"space.kind.values must be ones w.Config takes, but of 'odd' it says: no odd ones"
    ):
        fitted({"optimizer": SGD, "kind": kinds}, Strict)


def test_a_hyperparameter_that_only_says_what_is_on_need_not_be_one_of_config() -> None:
    family = {"distribution": "choice", "values": ["small", "large"], "passed": False}
    found = fitted({"family": family, "batch": {**WIDTH, "when": {"family": "large"}}})
    assert found.config.values({"family": "large", "batch": 64}) == {"batch": 64, "seed": 0}


def commanded(line: str, space: dict[str, Any], **settings: Any) -> Fit:
    config = StudyConfig.of({"command": line, "metric": "loss", "space": space, "epochs": 3, **settings})
    from search.spec import workload

    return Fit(config, workload.load(config.source))


def test_a_command_gets_the_programs_default_where_a_value_is_off_and_a_list_in_its_word() -> None:
    few = {"optimizer": SGD, "momentum": {**UNIT, "when": {"optimizer": "sgd"}}}
    with pytest.raises(
        UserError, match=r"space.momentum must have a default, .*; give it one under defaults, or remove"
    ):
        commanded("env echo {optimizer} {momentum}", few)
    found = commanded("env echo {optimizer} {momentum}", few, defaults={"momentum": 0.9})
    assert found.takes({"optimizer": "adam"})
    source = found.workload.command
    assert source is not None
    values = found.workload.values_of(found.workload.build(found.config.values({"optimizer": "adam"})))
    assert source.filled(values) == ["env", "echo", "adam", "0.9"]
    listed = commanded("env echo {hidden}", {"layers": LAYERS, "hidden": {"list": {"length": "layers", "of": WIDTH}}})
    values = listed.config.values({"layers": 2, "hidden.0": 8, "hidden.1": 16})
    assert listed.workload.command is not None
    assert listed.workload.command.filled(values) == ["env", "echo", "[8, 16]"]

"""A search held against its workload: the types of Config's fields, and the points that Config takes."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, Literal, NewType, Optional

import pytest

from search.errors import UserError
from search.spec import arguments
from search.spec.annotations import takes
from search.spec.config import StudyConfig
from search.spec.fit import Fit
from search.spec.workload import Workload

Rate = NewType("Rate", float)


class Optimizer(StrEnum):
    SGD = "sgd"
    ADAM = "adam"


@dataclass(frozen=True)
class Config:
    lr: float = 0.1
    width: int = 8
    depth: int = 2
    amp: bool = False
    clip: float | None = None
    act: Literal["relu", "tanh"] = "relu"
    name: str = ""
    rate: Rate = Rate(0.5)
    optimizer: Optimizer = Optimizer.SGD
    loose: float = None  # type: ignore[assignment]  # as people write it
    epochs: int = 3
    seed: int = 0

    def __post_init__(self) -> None:
        if self.width + self.depth > 100:
            raise ValueError(f"width + depth must be <= 100, but got {self.width} + {self.depth}")
        if self.name == "never":
            raise AssertionError


def fit(**settings: Any) -> Fit:
    config = StudyConfig.of({"workload": "w", "metric": "loss", **settings})
    workload = Workload("w", arguments.of_class("w.Config", Config), iter)
    found = Fit(config, workload)
    found.check_types()
    return found


def choice(*values: Any) -> dict[str, Any]:
    return {"distribution": "choice", "values": [*values]}


def between(kind: str, low: float, high: float) -> dict[str, Any]:
    return {"distribution": kind, "low": low, "high": high}


@pytest.mark.parametrize(
    ("space", "message"),
    [
        (
            {"amp": choice("yes", "no")},
            "space.amp.values: booleans are true and false; got 'yes', write true, for amp: bool of w.Config",
        ),
        ({"amp": choice(0, 1)}, "but got 0"),
        ({"clip": choice("None", 1.0)}, "clip: float | None of w.Config, but got 'None'; write null"),
        ({"width": between("uniform", 1, 9)}, "it draws numbers with a fraction; use int_uniform, or choice"),
        ({"width": between("log_uniform", 1, 9)}, "use int_log_uniform, or choice"),
        ({"width": choice(8, 16.0)}, "but got 16.0; write 16"),
        ({"lr": between("int_uniform", 0, 1)}, "lr: float of w.Config, but it draws whole numbers alone; use uniform"),
        ({"rate": between("int_log_uniform", 1, 2)}, "use log_uniform"),
        ({"lr": choice("0.1")}, "but got '0.1'; write a number, without quotes"),
        ({"act": choice("relu", "rleu")}, "act: Literal['relu', 'tanh'] of w.Config, but got 'rleu'"),
        ({"loose": choice("None", 1.5)}, "but got 'None'"),
        ({"name": choice("a", 1)}, "but got 1; write it in quotes"),
        ({"amp": between("int_uniform", 0, 1)}, "it draws whole numbers alone; use choice"),
        ({"optimizer": choice("sgd", "lion")}, "but got 'lion'; its values are 'sgd', 'adam'"),
    ],
)
def test_a_value_of_another_type_than_its_field_is_refused_with_the_fix(space: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError) as caught:
        fit(space=space)
    assert message in str(caught.value)


def test_a_fixed_value_of_another_type_is_refused_too() -> None:
    with pytest.raises(UserError, match=r"^fixed\.amp: booleans are true and false; got 'off', write false, for amp"):
        fit(space={"lr": choice(0.1)}, fixed={"amp": "off"})


@pytest.mark.parametrize(
    "space",
    [
        {"amp": choice(True, False), "clip": choice(None, 1, 2.5), "act": choice("tanh")},
        {"optimizer": choice("sgd", "adam")},
        {"optimizer": choice("SGD", "adam")},
        {"loose": choice(None, 1.5)},
        {"lr": choice(1, 0.5), "width": choice(8, 16), "rate": between("uniform", 0, 1)},
        {"clip": between("uniform", 0, 1), "depth": between("int_uniform", 1, 4), "name": choice("1", "no", "None")},
    ],
)
def test_values_of_the_fields_types_are_taken(space: dict[str, Any]) -> None:
    assert not fit(space=space).notes


def test_an_annotation_says_which_plain_values_it_takes() -> None:
    assert takes(Optional[int], None)  # noqa: UP045 - as people write it
    assert takes(Annotated[int, "> 0"], 3)
    assert not takes(Annotated[int, "> 0"], 3.0)
    assert takes(int | float, 3, is_whole_only=True)
    assert not takes(float, 3, is_whole_only=True)
    assert takes(Any, "x")
    assert takes("a name that nobody finds", "x")
    assert not takes(list[int], "a text")
    assert not takes(bool, 1)
    assert not takes(int, value=True)


def test_a_rule_that_is_broken_in_a_part_of_the_space_is_told_with_the_values() -> None:
    found = fit(space={"width": between("int_uniform", 1, 90), "depth": between("int_uniform", 1, 90)})
    assert found.takes({"width": 50, "depth": 50})
    assert not found.takes({"width": 51, "depth": 50})
    (note,) = found.notes
    assert note.startswith("w.Config refuses ")
    assert "which is not searched: width + depth must be <= 100, but got " in note
    width, depth = note.partition("but got ")[2].partition(" (")[0].split(" + ")
    assert note.endswith(f"(with width {width}, depth {depth})")


def test_a_space_in_which_nothing_fits_is_refused_with_the_values() -> None:
    with pytest.raises(UserError, match=r"refuses all that were tried: .* got 99 \+ 2 \(with width 99\)"):
        fit(space={"width": between("int_uniform", 99, 200)})


def test_a_choice_with_which_nothing_fits_is_refused_and_one_that_fits_somewhere_is_not() -> None:
    with pytest.raises(UserError, match=r"space\.name\.values .* but of 'never' it says: AssertionError"):
        fit(space={"name": choice("a", "never"), "lr": between("uniform", 0, 1)})
    assert fit(space={"width": choice(8, 97), "depth": between("int_uniform", 1, 90)}).takes({"width": 97, "depth": 3})

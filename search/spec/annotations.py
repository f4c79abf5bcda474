"""The annotations of a workload's Config, held against the values that a search would give it.

A dataclass checks none of them: a bool that got the text 'no' is true, an int that got 3.7 fails an hour later. A field
without an annotation is held against its default.
"""

import dataclasses
import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from search.algorithms.space import Series, Space, count_of, values_of
from search.errors import UserError
from search.spec.arguments import Arguments
from search.spec.config import StudyConfig
from search.spec.fields import Field
from search.spec.membership import boolean_meant
from search.spec.values import MISSING, UnfitError, convert, parts_of, plain

NULLS = ("none", "null", "nil", "nan", "na", "n/a")
"""Texts that people write for null."""
MOST_TRIED = 100
"""Whole numbers of a range that are tried one by one; of a longer one only its ends."""


def check(arguments: Arguments, config: StudyConfig) -> None:
    """Raise UserError where a value that a search would give a field is not of the type that it is annotated with."""
    leaves = arguments.leaves()
    searched = config.searched
    for name, distribution in searched.items():
        if name not in leaves or not config.is_passed(name):
            continue
        place = Place(arguments.owner, name, leaves[name])
        if isinstance(distribution, FloatDistribution | IntDistribution):
            _check_range(place, distribution)
            continue
        for value in config.space[name]["values"]:
            if not place.takes(value):
                _refuse(f"space.{name}.values", place, value)
    for name in [name for name in searched.series if name in leaves]:
        _check_list(Place(arguments.owner, name, leaves[name]), searched.series[name], searched)
    for name in [name for name in config.fixed if name in leaves]:
        place = Place(arguments.owner, name, leaves[name])
        if not place.takes(config.fixed[name]):
            _refuse(f"fixed.{name}", place, config.fixed[name])


def _check_list(place: "Place", series: Series, space: Space) -> None:
    """Hold a list whose items are searched against its field: at each length, of each value that says something."""
    distribution = space[series.items[0]]
    values: list[Any]
    if isinstance(distribution, CategoricalDistribution):
        values = list(distribution.choices)
    else:
        values = [*_drawn(distribution)]
    sizes = [series.length] if isinstance(series.length, int) else values_of(space[series.length])
    for size in sizes:
        for value in values:
            if not place.takes([value] * size):
                raise UserError(
                    f"space.{place.name} must be lists for {place}, but it draws {[value] * size!r}; search another "
                    f"length, or other items{place.way_out}"
                )


def settled(arguments: Arguments, config: StudyConfig) -> StudyConfig:
    """Return a config in which each member of an enum that is given by its name stands as it is recorded.

    The length of a list that is no argument itself is not passed.
    """
    leaves = arguments.leaves()

    def recorded(name: str, value: Any) -> Any:
        return _recorded(leaves[name], value) if name in leaves and isinstance(value, str) else value

    def all_in(name: str, values: Any) -> Any:
        return [recorded(name, value) for value in values] if isinstance(values, list) else recorded(name, values)

    def all_recorded(values: Mapping[str, Any]) -> dict[str, Any]:
        return {name: recorded(name, value) for name, value in values.items()}

    space = {}
    lengths = {series.length for series in config.searched.series.values()}
    for name, entry in config.space.items():
        space[name] = dict(entry)
        if "values" in entry:
            space[name]["values"] = [recorded(name, value) for value in entry["values"]]
        if "when" in entry:
            space[name]["when"] = {parent: all_in(parent, values) for parent, values in entry["when"].items()}
        if name in lengths and name not in leaves:
            space[name]["passed"] = False
    start = list(map(all_recorded, config.start))
    changes: dict[str, Any] = {"space": space, "fixed": all_recorded(config.fixed), "start": start}
    before = {name: getattr(config, name) for name in changes}
    return config if changes == before else dataclasses.replace(config, **changes)


def _recorded(field: Field, value: str) -> Any:
    """Return the plain value that is recorded of the member of an enum that a text names; else the text itself."""
    member = field.typed(value)
    if isinstance(member, enum.Enum) and field.typed(plain(member)) is member:
        return plain(member)
    return value


@dataclass(frozen=True)
class Place:
    """A field of a workload's Config, and where it stands there."""

    owner: str
    name: str
    """With those of the configs that it is within."""
    field: Field

    def takes(self, value: Any) -> bool:
        """Return whether it takes a plain value: its own default in any case, as of `clip: float = None`."""
        return self.field.is_usual(value) or takes(self.field.kind, value)

    def __str__(self) -> str:
        return f"{self.name}{str(self.field).removeprefix(self.field.name)} of {self.owner}"

    @property
    def way_out(self) -> str:
        """Return what else may be done, where its default alone says of which type it is."""
        return "; or annotate it in the code" if self.field.annotation is MISSING else ""


def _check_range(place: Place, distribution: FloatDistribution | IntDistribution) -> None:
    """Hold an entry of the space from which numbers are drawn against its field."""
    is_whole = isinstance(distribution, IntDistribution)
    kind = place.field.kind
    for value in _drawn(distribution):
        if takes(kind, value, is_whole_only=is_whole):
            continue
        does = f"draws {'whole numbers alone' if is_whole else 'numbers with a fraction'}"
        fix = "use choice"
        if is_whole and takes(kind, distribution.low, is_whole_only=True):
            does = f"draws {value}, too"
        elif takes(kind, 1 if is_whole is False else 1.5):
            fix = f"use {'' if is_whole else 'int_'}{'log_' if distribution.log else ''}uniform, or choice"
        raise UserError(f"space.{place.name} must draw values for {place}, but it {does}; {fix}{place.way_out}")


def _drawn(distribution: BaseDistribution) -> list[float]:
    """Return numbers that may be drawn: all of few, else both ends, and one within where there is any fraction."""
    assert isinstance(distribution, FloatDistribution | IntDistribution)
    low, high = distribution.low, distribution.high
    if isinstance(distribution, IntDistribution) or distribution.step is not None:
        return list(values_of(distribution)) if count_of(distribution) <= MOST_TRIED else [low, high]
    return [low, low + (high - low) / 2, high]


def takes(annotation: Any, value: Any, *, is_whole_only: bool = False) -> bool:
    """Return whether a field with this annotation takes a plain value; an int will do for a float.

    It will not with `is_whole_only`, where nothing but whole numbers is ever drawn: 0 and 1, of a range from 0 to 1.
    """
    try:
        typed = convert(annotation, value)
    except UnfitError:
        return False
    return not (is_whole_only and isinstance(plain(typed), float))


def _refuse(where: str, place: Place, value: Any) -> None:
    if (meant := boolean_meant(value)) and takes(place.field.kind, value=True):
        raise UserError(f"{where}: {meant}, for {place}{place.way_out}")
    fix = _fix(place.field.kind, value)
    raise UserError(f"{where} must be of the type of {place}, but got {value!r}{fix}{place.way_out}")


def _fix(annotation: Any, value: Any) -> str:
    """Return what was meant with a value of another type, as far as that can be guessed."""
    for part in parts_of(annotation):
        if isinstance(part, type) and issubclass(part, enum.Enum):
            return f"; its values are {', '.join(repr(plain(member)) for member in part)}"
    if isinstance(value, str):
        if value.lower() in NULLS and takes(annotation, None):
            return "; write null"
        if takes(annotation, 1) or takes(annotation, 1.5):
            return "; write a number, without quotes"
        if takes(annotation, [value]):
            return "; write a list, in brackets"
        return ""
    if takes(annotation, "") and value is not None:
        return "; write it in quotes"
    if isinstance(value, float) and value.is_integer() and takes(annotation, int(value)):
        return f"; write {int(value)}"
    return ""

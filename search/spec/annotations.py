"""The annotations of a workload's Config, held against the values that a search would give it.

A dataclass checks none of them: a bool that got the text 'no' is true, an int that got 3.7 fails an hour later. A field
without an annotation is held against its default.
"""

import dataclasses
import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution

from search.errors import UserError
from search.spec.arguments import Arguments
from search.spec.config import StudyConfig
from search.spec.fields import Field
from search.spec.space import parse
from search.spec.values import MISSING, UnfitError, convert, parts_of, plain

NULLS = ("none", "null", "nil", "nan", "na", "n/a")
TRUTHS = ("yes", "no", "on", "off", "y", "n", "true", "false")
"""Texts that people write for null, and for true and false."""
MOST_TRIED = 100
"""Whole numbers of a range that are tried one by one; of a longer one only its ends."""


def check(arguments: Arguments, config: StudyConfig) -> None:
    """Raise UserError where a value that a search would give a field is not of the type that it is annotated with."""
    leaves = arguments.leaves()
    for name, distribution in parse(config.space).items():
        if name not in leaves:
            continue
        place = Place(arguments.owner, name, leaves[name])
        if isinstance(distribution, FloatDistribution | IntDistribution):
            _check_range(place, distribution)
            continue
        for value in config.space[name]["values"]:
            if not place.takes(value):
                _refuse(f"space.{name}.values", place, value)
    for name, value in config.fixed.items():
        if name in leaves:
            place = Place(arguments.owner, name, leaves[name])
            if not place.takes(value):
                _refuse(f"fixed.{name}", place, value)


def settled(arguments: Arguments, config: StudyConfig) -> StudyConfig:
    """Return a config in which each member of an enum that is given by its name stands as it is recorded."""
    leaves = arguments.leaves()

    def recorded(name: str, value: Any) -> Any:
        return _recorded(leaves[name], value) if name in leaves and isinstance(value, str) else value

    def all_recorded(values: Mapping[str, Any]) -> dict[str, Any]:
        return {name: recorded(name, value) for name, value in values.items()}

    space = {}
    for name, entry in config.space.items():
        space[name] = entry
        if "values" in entry:
            space[name] = {**entry, "values": [recorded(name, value) for value in entry["values"]]}
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
    """Return numbers that may be drawn: all of few whole ones, else both ends and one within."""
    assert isinstance(distribution, FloatDistribution | IntDistribution)
    low, high = distribution.low, distribution.high
    if isinstance(low, int) and isinstance(high, int):
        return [*range(low, high + 1)] if high - low < MOST_TRIED else [low, high]
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
    fix = _fix(place.field.kind, value)
    raise UserError(f"{where} must be of the type of {place}, but got {value!r}{fix}{place.way_out}")


def _fix(annotation: Any, value: Any) -> str:
    """Return what was meant with a value of another type, as far as that can be guessed."""
    for part in parts_of(annotation):
        if isinstance(part, type) and issubclass(part, enum.Enum):
            return f"; its values are {', '.join(repr(plain(member)) for member in part)}"
    if isinstance(value, str):
        if value.lower() in TRUTHS and takes(annotation, value=True):
            return "; write true or false"
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

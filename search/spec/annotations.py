"""The annotations of a workload's Config, held against the values that a search would give it.

A dataclass checks none of them: a bool that got the text 'no' is true, an int that got 3.7 fails an hour later.
"""

import enum
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, NewType, Union, get_args, get_origin

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from search.errors import UserError
from search.spec.arguments import Arguments, plain

NO_DEFAULT = object()
PLAIN = (bool, int, float, str, NoneType)
NULLS = ("none", "null", "nil", "nan", "na", "n/a")
TRUTHS = ("yes", "no", "on", "off", "y", "n", "true", "false")
"""Texts that people write for null, and for true and false."""


def check(arguments: Arguments, space: Mapping[str, BaseDistribution], fixed: Mapping[str, Any]) -> None:
    """Raise UserError where a value that a search would give a field is not of the type that it is annotated with."""
    fields = {}
    defaults = arguments.defaults()
    for name, annotation in _of(arguments.hinted).items():
        fields[name] = Field(arguments.owner, name, annotation, defaults.get(name, NO_DEFAULT))
    for name, distribution in space.items():
        if name in fields:
            _check_entry(fields[name], distribution)
    for name, value in fixed.items():
        if name in fields and not fields[name].takes(value):
            _refuse(f"fixed.{name}", fields[name], value)


def _of(hinted: Any) -> dict[str, Any]:
    """Return the annotation of each argument; none where one names what cannot be found."""
    try:
        return typing.get_type_hints(hinted, include_extras=True)
    except Exception:  # whatever is evaluated of a text: a name that only a type checker imports is a NameError
        return {}


@dataclass(frozen=True)
class Field:
    """A field of a workload's Config."""

    owner: str
    name: str
    annotation: Any
    default: Any
    """As a plain value, or NO_DEFAULT."""

    def takes(self, value: Any) -> bool:
        """Return whether it takes a plain value: its own default in any case, as of `clip: float = None`."""
        is_default = type(value) is type(self.default) and value == self.default
        return is_default or takes(self.annotation, value)

    def __str__(self) -> str:
        if isinstance(self.annotation, type):
            text = self.annotation.__name__
        else:
            text = str(self.annotation).replace("typing.", "")
        return f"{self.name}: {text} of {self.owner}"


def _check_entry(field: Field, distribution: BaseDistribution) -> None:
    """Hold one entry of the space against its field: each choice, or the kind of number that is drawn."""
    where = f"space.{field.name}"
    if isinstance(distribution, CategoricalDistribution):
        for value in distribution.choices:
            if not field.takes(value):
                _refuse(f"{where}.values", field, value)
        return
    assert isinstance(distribution, FloatDistribution | IntDistribution)
    is_whole = isinstance(distribution, IntDistribution)
    ends = (distribution.low, distribution.high)
    if not all(takes(field.annotation, end, is_whole_only=is_whole) for end in ends):
        drawn = "whole numbers alone" if is_whole else "numbers with a fraction"
        fix = "use choice"
        if takes(field.annotation, 1 if is_whole is False else 1.5):
            fix = f"use {'' if is_whole else 'int_'}{'log_' if distribution.log else ''}uniform, or choice"
        raise UserError(f"{where} must draw values for {field}, but it draws {drawn}; {fix}")


def takes(annotation: Any, value: Any, *, is_whole_only: bool = False) -> bool:
    """Return whether a field with this annotation takes a plain value; an int will do for a float.

    It will not with `is_whole_only`, where nothing but whole numbers is ever drawn: 0 and 1, of a range from 0 to 1. An
    annotation that is none of plain values takes anything.
    """
    if isinstance(annotation, NewType):
        return takes(annotation.__supertype__, value, is_whole_only=is_whole_only)
    origin = get_origin(annotation)
    if origin is Annotated:
        return takes(get_args(annotation)[0], value, is_whole_only=is_whole_only)
    if origin in (Union, UnionType):
        return any(takes(part, value, is_whole_only=is_whole_only) for part in get_args(annotation))
    if origin is Literal:
        return any(type(value) is type(part) and value == part for part in get_args(annotation))
    if not isinstance(annotation, type):
        return True
    if issubclass(annotation, enum.Enum):
        return any(plain(member) == value for member in annotation)
    for kind in PLAIN:
        if issubclass(annotation, kind):
            return type(value) is kind or (kind is float and type(value) is int and not is_whole_only)
    return True


def _refuse(where: str, field: Field, value: Any) -> None:
    fix = _fix(field.annotation, value)
    raise UserError(f"{where} must be of the type of {field}, but got {value!r}{fix}")


def _fix(annotation: Any, value: Any) -> str:
    """Return what was meant with a value of another type, as far as that can be guessed."""
    if isinstance(annotation, type) and issubclass(annotation, enum.Enum):
        return f"; its values are {', '.join(repr(plain(member)) for member in annotation)}"
    if isinstance(value, str):
        if value.lower() in TRUTHS and takes(annotation, value=True):
            return "; write true or false"
        if value.lower() in NULLS and takes(annotation, None):
            return "; write null"
        if takes(annotation, 1) or takes(annotation, 1.5):
            return "; write a number, without quotes"
        return ""
    if takes(annotation, "") and value is not None:
        return "; write it in quotes"
    if isinstance(value, float) and value.is_integer() and takes(annotation, int(value)):
        return f"; write {int(value)}"
    return ""

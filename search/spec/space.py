"""The search space: its entries in YAML are checked, and become Optuna's distributions.

lr: {distribution: log_uniform, low: 0.001, high: 1}
"""

import json
import math
import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from search.algorithms.space import Space
from search.errors import UserError, suggestion


@dataclass(frozen=True)
class Kind:
    """One kind of entry, by the name that stands under `distribution`."""

    keys: tuple[str, ...]
    """The keys that an entry must have, and the only ones beside `distribution`."""
    make: Callable[..., BaseDistribution]
    """Returns Optuna's distribution. Called with the entry's name, for messages, and the values by key.

    Raises UserError.
    """


def parse(entries: Mapping[str, Any]) -> Space:
    """Return Optuna's distribution of each entry; low and high are both included.

    Raises UserError where the space is empty, or an entry breaks a rule.
    """
    if not entries:
        raise UserError("space must have at least one hyperparameter, but it is empty")
    for name in entries:
        if not isinstance(name, str):
            raise UserError(f"space must hold names of hyperparameters, but got {name!r}")
    return Space({name: _parse_entry(f"space.{name}", values) for name, values in entries.items()})


def _parse_entry(name: str, entry: Any) -> BaseDistribution:
    """Return the distribution of one entry: its kind must be known, and its keys the kind's."""
    known = list(DISTRIBUTIONS)
    if not isinstance(entry, dict) or "distribution" not in entry:
        raise UserError(f"{name} must be a mapping with 'distribution' ({', '.join(known)}), but got {entry!r}")
    distribution = entry["distribution"]
    if distribution not in known:
        raise UserError(f"{name}.distribution is unknown: {distribution!r}, {suggestion(str(distribution), known)}")
    kind = DISTRIBUTIONS[distribution]
    for key in entry:
        if key not in ["distribution", *kind.keys]:
            raise UserError(f"{name} has an unknown key {key!r}, {suggestion(str(key), kind.keys)}")
    for key in kind.keys:
        if key not in entry:
            raise UserError(f"{name} must have {' and '.join(kind.keys)} for {distribution}, but it lacks {key!r}")
    values = {key: entry[key] for key in kind.keys}
    return kind.make(name, **values)


def _uniform(name: str, low: Any, high: Any) -> BaseDistribution:
    _check_range(name, "uniform", low, high)
    return FloatDistribution(low, high)


def _log_uniform(name: str, low: Any, high: Any) -> BaseDistribution:
    _check_range(name, "log_uniform", low, high)
    _check_logarithm(name, "log_uniform", "uniform", low)
    return FloatDistribution(low, high, log=True)


def _int_uniform(name: str, low: Any, high: Any) -> BaseDistribution:
    _check_range(name, "int_uniform", low, high, is_integer=True)
    return IntDistribution(low, high)


def _int_log_uniform(name: str, low: Any, high: Any) -> BaseDistribution:
    _check_range(name, "int_log_uniform", low, high, is_integer=True)
    _check_logarithm(name, "int_log_uniform", "int_uniform", low)
    return IntDistribution(low, high, log=True)


def _check_range(name: str, distribution: str, low: Any, high: Any, *, is_integer: bool = False) -> None:
    types = (int,) if is_integer else (int, float)
    wanted = "a whole number" if is_integer else "a number"
    for key, bound in (("low", low), ("high", high)):
        if type(bound) not in types or not abs(bound) < 2**63:
            raise UserError(f"{name}.{key} must be {wanted} below 2**63 for {distribution}, but got {bound!r}")
    if not low < high:
        raise UserError(f"{name}: low < high must hold, but got low {low} and high {high}; fix a value under 'fixed'")


def _check_logarithm(name: str, distribution: str, instead: str, low: Any) -> None:
    if low <= 0:
        raise UserError(f"{name}: low > 0 must hold for {distribution}, but got {low}; use {instead}")


def _choice(name: str, values: Any) -> BaseDistribution:
    if not isinstance(values, list) or not values:
        raise UserError(f"{name}.values must be a list of at least one value, but got {values!r}")
    choices: list[Any] = []
    for value in values:
        if not _is_plain(value):
            raise UserError(
                f"{name}.values must be numbers, texts, true, false or null, or lists of those, but got {value!r}"
            )
        choice = as_choice(value)
        if choice in choices:  # Optuna would record one for the other, as it would 1 for true
            other = values[choices.index(choice)]
            raise UserError(f"{name}.values must differ from each other, but {value!r} equals {other!r}; remove one")
        choices.append(choice)
    return CategoricalDistribution(choices)


def _is_plain(value: Any) -> bool:
    if isinstance(value, list):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, str | int | float)


def as_choice(value: Any) -> Any:
    """Return one of a choice's values as Optuna has it, which takes scalars alone: a list becomes its text in JSON."""
    return json.dumps(value, ensure_ascii=False) if isinstance(value, list) else value


def chosen(entry: Any, drawn: Any) -> Any:
    """Return what stands in the YAML for a value that was drawn of an entry: a list, where that was drawn as a text."""
    if isinstance(drawn, str) and isinstance(entry, Mapping):
        for value in entry.get("values", ()):
            if isinstance(value, list) and as_choice(value) == drawn:
                return value
    return drawn


DISTRIBUTIONS: dict[str, Kind] = {
    "uniform": Kind(("low", "high"), _uniform),
    "log_uniform": Kind(("low", "high"), _log_uniform),
    "int_uniform": Kind(("low", "high"), _int_uniform),
    "int_log_uniform": Kind(("low", "high"), _int_log_uniform),
    "choice": Kind(("values",), _choice),
}
"""Every kind of entry, by its name."""


@dataclass(frozen=True)
class Axis:
    """A hyperparameter's values on a line: numbers as they are, choices at their index in the config."""

    low: float
    high: float
    is_log: bool = False
    is_integer: bool = False
    choices: tuple[Any, ...] = ()
    """Empty for a number."""

    def position(self, value: Any) -> float:
        """Return the place of a value between low and high: the number itself, or the index of the choice."""
        if not self.choices:
            return float(value)
        return self.choices.index(value)

    def at(self, unit: float) -> Any:
        """Return the value at a place in [0, 1) on the scale that is searched; every choice has an equal part of it."""
        if self.choices:
            return self.choices[int(unit * len(self.choices))]
        # A whole number has the room around it, up to the halves.
        margin = 0.5 if self.is_integer else 0.0
        low = self.low - margin
        high = self.high + margin
        value = low * (high / low) ** unit if self.is_log else low + unit * (high - low)
        value = min(max(value, self.low), self.high)
        return round(value) if self.is_integer else value

    def unit(self, value: Any) -> float:
        """Return the place of a value on the scale that is searched, from 0 at the low end to 1 at the high one."""
        position = self.position(value)
        if self.is_log:
            span = math.log(self.high) - math.log(self.low)  # the quotient of two floats may be none
            return (math.log(position) - math.log(self.low)) / span
        if self.high == self.low:  # a single choice
            return 0.0
        return (position - self.low) / (self.high - self.low)


def axis_of(distribution: BaseDistribution) -> Axis:
    """Return the axis of a hyperparameter, over the whole range that is searched."""
    if isinstance(distribution, CategoricalDistribution):
        return Axis(0, len(distribution.choices) - 1, choices=tuple(distribution.choices))
    assert isinstance(distribution, FloatDistribution | IntDistribution)
    is_integer = isinstance(distribution, IntDistribution)
    return Axis(distribution.low, distribution.high, distribution.log, is_integer)


def corners(space: Space) -> list[dict[str, Any]]:
    """Return configurations at the ends of a space: all low, all high, and every choice with all else low."""
    axes = {name: axis_of(distribution) for name, distribution in space.items()}
    low: dict[str, Any] = {}
    high: dict[str, Any] = {}
    for name, axis in axes.items():
        if axis.choices:
            low[name] = axis.choices[0]
            high[name] = axis.choices[0]
        else:
            low[name] = axis.low
            high[name] = axis.high
    ends = [low, high]
    for name, axis in axes.items():
        ends += [{**low, name: choice} for choice in axis.choices]
    return ends


def scattered(space: Space, count: int) -> Iterator[dict[str, Any]]:
    """Yield so many random configurations, the same for the same space."""
    generator = random.Random(0)
    axes = {name: axis_of(distribution) for name, distribution in space.items()}
    for _ in range(count):
        yield {name: axis.at(generator.random()) for name, axis in axes.items()}

"""The search space: its entries in YAML, checked, become Optuna's distributions.

lr: {distribution: log_uniform, low: 0.001, high: 1}
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from search.errors import UserError, suggestion

Space = dict[str, BaseDistribution]


@dataclass(frozen=True)
class Kind:
    """One kind of entry: the keys that it must have, and what makes Optuna's distribution of their values.

    `make` is called with the entry's name, for messages, and the values by key. It raises UserError.
    """

    keys: tuple[str, ...]
    make: Callable[..., BaseDistribution]


def parse(entries: Mapping[str, Any]) -> Space:
    """Return the distribution of each entry; low and high are both included.

    Raises UserError with the rule, what came and the fix.
    """
    if not entries:
        raise UserError("space must have at least one hyperparameter, but it is empty")
    for name in entries:
        if not isinstance(name, str):
            raise UserError(f"space must hold names of hyperparameters, but got {name!r}")
    return {name: _parse_entry(f"space.{name}", entry) for name, entry in entries.items()}


def _parse_entry(name: str, entry: Any) -> BaseDistribution:
    known = [*DISTRIBUTIONS]
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
    return kind.make(name, **{key: entry[key] for key in kind.keys})


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
    for value in values:
        if not (value is None or isinstance(value, str | int | float)):
            raise UserError(f"{name}.values must be numbers, texts, true, false or null, but got {value!r}")
    distinct = {(type(value), value) for value in values}  # Python takes 1 and True for the same
    if len(distinct) < len(values):
        raise UserError(f"{name}.values must differ from each other, but got {values!r}")
    return CategoricalDistribution(values)


DISTRIBUTIONS: dict[str, Kind] = {
    "uniform": Kind(("low", "high"), _uniform),
    "log_uniform": Kind(("low", "high"), _log_uniform),
    "int_uniform": Kind(("low", "high"), _int_uniform),
    "int_log_uniform": Kind(("low", "high"), _int_log_uniform),
    "choice": Kind(("values",), _choice),
}
"""Every kind of entry, by the name that stands under `distribution`."""


@dataclass(frozen=True)
class Axis:
    """How a hyperparameter's values lie on a line: numbers where they are, choices at their place in the config."""

    low: float
    high: float
    is_log: bool = False
    is_integer: bool = False
    choices: tuple[Any, ...] = ()
    """Empty for a number."""

    def position(self, value: Any) -> float:
        """Return where a value stands, between low and high."""
        if not self.choices:
            return float(value)
        typed = [(type(choice), choice) for choice in self.choices]
        return typed.index((type(value), value))

    def unit(self, value: Any) -> float:
        """Return where a value stands on the scale that is searched: 0 at the low end, 1 at the high one."""
        at = self.position(value)
        if self.is_log:
            return math.log(at / self.low) / math.log(self.high / self.low)
        return (at - self.low) / (self.high - self.low) if self.high > self.low else 0.0


def axis_of(distribution: BaseDistribution) -> Axis:
    """Return the axis of a hyperparameter, its whole range that is searched."""
    if isinstance(distribution, CategoricalDistribution):
        return Axis(0, len(distribution.choices) - 1, choices=tuple(distribution.choices))
    assert isinstance(distribution, FloatDistribution | IntDistribution)
    is_integer = isinstance(distribution, IntDistribution)
    return Axis(distribution.low, distribution.high, distribution.log, is_integer)


def corners(space: Space) -> list[dict[str, Any]]:
    """Return configurations at the ends of a space: all low, all high, and each choice beside the low ends."""
    low, high = {}, {}
    choices: list[tuple[str, Any]] = []
    for name, distribution in space.items():
        axis = axis_of(distribution)
        if axis.choices:
            low[name] = high[name] = axis.choices[0]
            choices += [(name, choice) for choice in axis.choices]
        else:
            low[name] = axis.low
            high[name] = axis.high
    return [low, high, *({**low, name: choice} for name, choice in choices)]

"""The search space: its entries in YAML, checked, become Optuna's distributions.

lr: {distribution: log_uniform, low: 0.001, high: 1}
"""

import math
from collections.abc import Mapping
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from search.workload import suggestion

KINDS: dict[str, tuple[type[FloatDistribution] | type[IntDistribution], bool]] = {
    "uniform": (FloatDistribution, False),
    "log_uniform": (FloatDistribution, True),
    "int_uniform": (IntDistribution, False),
    "int_log_uniform": (IntDistribution, True),
}
Space = dict[str, BaseDistribution]


def parse(entries: Mapping[str, Any]) -> Space:
    """Return the distribution of each entry; low and high are both included.

    Raises ValueError or TypeError with the rule, what came and the fix.
    """
    if not entries:
        raise ValueError("space must have at least one hyperparameter, but it is empty")
    for name in entries:
        if not isinstance(name, str):
            raise TypeError(f"space must hold names of hyperparameters, but got {name!r}")
    return {name: _parse(f"space.{name}", entry) for name, entry in entries.items()}


def _parse(name: str, entry: Any) -> BaseDistribution:
    known = [*KINDS, "choice"]
    if not isinstance(entry, dict) or "distribution" not in entry:
        raise TypeError(f"{name} must be a mapping with 'distribution' ({', '.join(known)}), but got {entry!r}")
    kind = entry["distribution"]
    if kind not in known:
        raise ValueError(f"{name}.distribution is unknown: {kind!r}, {suggestion(str(kind), known)}")
    expected = ["values"] if kind == "choice" else ["low", "high"]
    for key in entry:
        if key not in ["distribution", *expected]:
            raise ValueError(f"{name} has an unknown key {key!r}, {suggestion(str(key), expected)}")
    for key in expected:
        if key not in entry:
            raise ValueError(f"{name} must have {' and '.join(expected)} for {kind}, but it lacks {key!r}")
    return _choice(name, entry["values"]) if kind == "choice" else _range(name, kind, entry["low"], entry["high"])


def _choice(name: str, values: Any) -> CategoricalDistribution:
    if not isinstance(values, list) or not values:
        raise TypeError(f"{name}.values must be a list of at least one value, but got {values!r}")
    for value in values:
        if not (value is None or isinstance(value, str | int | float)):
            raise TypeError(f"{name}.values must be numbers, texts, true, false or null, but got {value!r}")
    if len({(type(value), value) for value in values}) < len(values):
        raise ValueError(f"{name}.values must differ from each other, but got {values!r}")
    return CategoricalDistribution(values)


def _range(name: str, kind: str, low: Any, high: Any) -> BaseDistribution:
    make, log = KINDS[kind]
    types = (int,) if make is IntDistribution else (int, float)
    for key, bound in (("low", low), ("high", high)):
        if type(bound) not in types or not abs(bound) < 2**63:
            what = "a whole number" if make is IntDistribution else "a number"
            raise TypeError(f"{name}.{key} must be {what} below 2**63 for {kind}, but got {bound!r}")
    if not low < high:
        raise ValueError(f"{name}: low < high must hold, but got low {low} and high {high}; fix a value under 'fixed'")
    if log and low <= 0:
        raise ValueError(f"{name}: low > 0 must hold for {kind}, but got {low}; use {kind.replace('log_', '')}")
    return make(low, high, log=log)


def position(distribution: BaseDistribution, value: Any) -> float:
    """Return where a value stands on its axis: a number where it is, a choice at its place in the config."""
    if not isinstance(distribution, CategoricalDistribution):
        return float(value)
    choices = [(type(choice), choice) for choice in distribution.choices]
    return choices.index((type(value), value))


def unit(distribution: BaseDistribution, value: Any) -> float:
    """Return where a value stands in its hyperparameter's range, on its scale: 0 at the low end, 1 at the high one."""
    at = position(distribution, value)
    if isinstance(distribution, CategoricalDistribution):
        return at / max(1, len(distribution.choices) - 1)
    assert isinstance(distribution, FloatDistribution | IntDistribution)
    low, high = distribution.low, distribution.high
    if distribution.log:
        return math.log(at / low) / math.log(high / low)
    return (at - low) / (high - low)

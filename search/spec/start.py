"""The configurations that a search tries first: the workload's defaults, and what stands under `start` in the YAML.

start: [{lr: 0.1, momentum: 0.9}, {lr: 0.01}]

An entry may be partial: the sampler draws what it lacks.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from search.algorithms.space import Space
from search.errors import UserError, suggestion
from search.spec.space import as_choice

Params = dict[str, Any]


def parse(entries: Sequence[Any], space: Space, fixed: Mapping[str, Any]) -> list[Params]:
    """Return the entries of `start` with their values as the space has them.

    Raises UserError where one names what is not searched, or has a value that is not in the space.
    """
    return [_parse_entry(f"start, entry {number}:", entry, space, fixed) for number, entry in enumerate(entries, 1)]


def _parse_entry(where: str, entry: Any, space: Space, fixed: Mapping[str, Any]) -> Params:
    if not isinstance(entry, Mapping) or not entry:
        raise UserError(f"{where} must be a mapping of hyperparameters to values, but got {entry!r}")
    params: Params = {}
    for name, value in entry.items():
        if name in fixed:
            raise UserError(f"{where} {name!r} stands in fixed, so it has one value only; remove it here or there")
        if name not in space:
            raise UserError(f"{where} {name!r} is not searched, {suggestion(str(name), space)}")
        if not contains(space[name], value):
            raise UserError(
                f"{where} {name} must be {described(space[name])}, as in space.{name}, but got {value!r}; "
                f"give another value, or let the space hold this one"
            )
        params[name] = as_searched(space[name], value)
    return params


def contains(distribution: BaseDistribution, value: Any) -> bool:
    """Return whether a plain value lies in a distribution; true is no number, and 2.0 is a whole one."""
    if isinstance(distribution, CategoricalDistribution):
        return any(_is_same(as_choice(value), choice) for choice in distribution.choices)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    if isinstance(value, float):
        is_whole_only = isinstance(distribution, IntDistribution)
        if not math.isfinite(value) or (is_whole_only and not value.is_integer()):
            return False
    assert isinstance(distribution, FloatDistribution | IntDistribution)
    return distribution.low <= value <= distribution.high


def as_searched(distribution: BaseDistribution, value: Any) -> Any:
    """Return a value that lies in a distribution as the sampler would draw it."""
    if isinstance(distribution, CategoricalDistribution):
        return next(choice for choice in distribution.choices if _is_same(as_choice(value), choice))
    if isinstance(distribution, IntDistribution):
        return int(value)
    return float(value)


def _is_same(value: Any, choice: Any) -> bool:
    """Return whether a value is one of the choices: 1 and 1.0 are the same, 1 and true are not."""
    if isinstance(value, bool) or isinstance(choice, bool):
        return value is choice
    return bool(value == choice)


def described(distribution: BaseDistribution) -> str:
    """Return which values lie in a distribution, as text."""
    if isinstance(distribution, CategoricalDistribution):
        return f"one of {', '.join(map(repr, distribution.choices))}"
    assert isinstance(distribution, FloatDistribution | IntDistribution)
    kind = "a whole number" if isinstance(distribution, IntDistribution) else "a number"
    return f"{kind} in [{distribution.low:g}, {distribution.high:g}]"


def of_defaults(defaults: Mapping[str, Any], space: Space) -> tuple[Params, str]:
    """Return the defaults of what is searched, as the space has them, or an empty mapping and why they are none."""
    params: Params = {}
    for name, distribution in space.items():
        if name not in defaults:
            return {}, f"{name} has no default"
        if not contains(distribution, defaults[name]):
            return {}, f"that of {name}, {defaults[name]!r}, is not in its space"
        params[name] = as_searched(distribution, defaults[name])
    return params, ""


def without_repeats(configurations: Sequence[Params]) -> list[Params]:
    """Return the configurations without those that repeat one before them."""
    different: list[Params] = []
    for params in configurations:
        if params not in different:
            different.append(params)
    return different

"""The axes of a space: how each hyperparameter's values lie on a line, and points of the space by their places."""

import math
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from search.algorithms.space import Params, Space, is_among, is_within, on_grid


@dataclass(frozen=True)
class Axis:
    """A hyperparameter's values on a line: numbers as they are, choices at their index in the config."""

    low: float
    high: float
    is_log: bool = False
    is_integer: bool = False
    choices: tuple[Any, ...] = ()
    """Empty for a number."""
    is_ordered: bool = True
    """Whether it has a low and a high end: numbers and ordinals have, choices have not."""

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

    def holding(self, value: Any) -> "Axis":
        """Return the axis, made as wide as a value needs, as one of a trial from before its space was changed."""
        if self.choices:
            return self if is_among(value, self.choices) else self.with_choice(value)
        if isinstance(value, bool) or not isinstance(value, int | float):
            return self
        is_log = self.is_log and value > 0
        is_integer = self.is_integer and isinstance(value, int)
        return Axis(min(self.low, value), max(self.high, value), is_log, is_integer)

    def with_choice(self, value: Any) -> "Axis":
        """Return the axis with one more choice."""
        return replace(self, high=len(self.choices), choices=(*self.choices, value))

    def holds(self, value: Any) -> bool:
        """Return whether a value has a place on it."""
        if self.choices:
            return is_among(value, self.choices)
        return not isinstance(value, bool) and isinstance(value, int | float) and self.low <= value <= self.high


def axis_of(distribution: BaseDistribution, *, is_ordinal: bool = False) -> Axis:
    """Return the axis of a hyperparameter, over the whole range that is searched."""
    if isinstance(distribution, CategoricalDistribution):
        choices = tuple(distribution.choices)
        return Axis(0, len(choices) - 1, choices=choices, is_ordered=is_ordinal)
    assert isinstance(distribution, FloatDistribution | IntDistribution)
    is_integer = isinstance(distribution, IntDistribution)
    return Axis(distribution.low, distribution.high, distribution.log, is_integer)


def axes_of(space: Space) -> dict[str, Axis]:
    """Return the axis of each hyperparameter."""
    return {name: axis_of(distribution, is_ordinal=name in space.ordinals) for name, distribution in space.items()}


def corners(space: Space) -> list[dict[str, Any]]:
    """Return configurations at the ends of a space: all low, all high, and every choice with all else low.

    So are both ends of what depends on others, which then have values with which it is on.
    """
    axes = axes_of(space)
    low = {name: axis.choices[0] if axis.choices else axis.low for name, axis in axes.items()}
    high = {name: axis.high for name, axis in axes.items()}
    for name, axis in axes.items():
        if axis.choices:
            high[name] = axis.choices[-1] if axis.is_ordered else axis.choices[0]
    ends = [_active(space, low), _active(space, high)]
    for name, axis in axes.items():
        needed = {ancestor: values[0] for ancestor, values in space.needs(name).items()}
        values = list(axis.choices)
        if needed and not values:
            values = [axis.low, axis.high]
        ends += [_active(space, {**low, **needed, name: value}) for value in values]
    return ends


def _active(space: Space, params: Params) -> dict[str, Any]:
    """Return those values of a configuration that are on."""
    return {name: params[name] for name in space.active(params)}


def scattered(space: Space, count: int, given: Mapping[str, Any] | None = None) -> Iterator[dict[str, Any]]:
    """Yield so many random configurations, the same for the same space.

    Those that are `given` values have them, and what these need to be on.
    """
    generator = random.Random(0)
    axes = axes_of(space)
    given = given or {}
    needed = space.needs(*given)
    for _ in range(count):
        params: dict[str, Any] = {}
        for name, axis in axes.items():
            unit = generator.random()
            value = _snapped(space[name], axis.at(unit))
            if name in given:
                value = given[name]
            elif name in needed:
                value = needed[name][int(unit * len(needed[name]))]
            params[name] = value
        yield _active(space, params)


def _snapped(distribution: BaseDistribution, value: Any) -> Any:
    """Return the value of a distribution with steps that is nearest to a number."""
    if isinstance(distribution, IntDistribution) and distribution.step > 1:
        steps = round((value - distribution.low) / distribution.step)
        return distribution.low + steps * distribution.step
    return value if is_within(distribution, value) else on_grid(distribution, value)

"""The conditions of a space: a hyperparameter with `when` is on where others have certain values, and else is off.

momentum: {distribution: uniform, low: 0, high: 0.99, when: {optimizer: sgd}}

A value or a list of values of each that it depends on, which must stand before it; where it depends on several, all
must hold. What is off is not passed to the workload's Config, which keeps its default.
"""

from collections.abc import Mapping
from typing import Any

from optuna.distributions import CategoricalDistribution, FloatDistribution

from search.algorithms.space import Condition, Space
from search.errors import UserError, suggestion
from search.spec.membership import as_searched, boolean_meant, contains, described


def parse(where: str, when: Any, name: str, space: Space, entries: Mapping[str, Any], fixed: Mapping[str, Any]) -> Any:
    """Return the condition of a hyperparameter; `space` is what stands before it. Raises UserError."""
    if not isinstance(when, Mapping) or not when:
        raise UserError(f"{where} must be a mapping of hyperparameters to values, as {{optimizer: sgd}}, got {when!r}")
    condition: dict[str, tuple[Any, ...]] = {}
    for parent, values in when.items():
        if parent not in space:
            raise UserError(_not_there(where, parent, name, space, entries, fixed, values))
        condition[parent] = _values(f"{where}.{parent}", values, parent, space)
    return condition


def check(where: str, name: str, space: Space) -> None:
    """Raise UserError where the condition of a hyperparameter, with those of what it depends on, can never hold."""
    for ancestor, values in space.needs(name).items():
        if not values:
            raise UserError(
                f"{where} must be a condition that can hold, but no value of {ancestor!r} fits both it and the "
                f"condition of what it depends on; change one of them"
            )


def _not_there(
    where: str,
    parent: Any,
    name: str,
    space: Space,
    entries: Mapping[str, Any],
    fixed: Mapping[str, Any],
    values: Any,
) -> str:
    """Return what is wrong with the name of what does not stand before the hyperparameter in the space."""
    rule = f"{where} must name hyperparameters that stand before {name!r} in the space"
    if parent == name:
        return f"{rule}, but it names {name!r} itself; remove that"
    if parent in fixed:
        wanted = values if isinstance(values, list) else [values]
        holds = any(type(value) is type(fixed[parent]) and value == fixed[parent] for value in wanted)
        fix = "remove that, as it always holds" if holds else f"remove {name!r}, which would never be on"
        return f"{rule}, but {parent!r} is fixed to {fixed[parent]!r}; {fix}"
    if parent in space.series:
        length = space.series[parent].length
        return f"{rule}, but {parent!r} is a list; depend on {f'its length, {length!r}' if length else 'another'}"
    if parent in entries:
        return f"{rule}, but {parent!r} comes later; move {name!r} below it"
    if not space:
        return f"{rule}, but got {parent!r}, and nothing does; move {name!r} below what it depends on"
    return f"{rule}, but got {parent!r}, {suggestion(str(parent), space)}"


def _values(where: str, values: Any, parent: str, space: Space) -> tuple[Any, ...]:
    """Return the values of a hyperparameter with which another is on, as they are recorded."""
    distribution = space[parent]
    if isinstance(distribution, FloatDistribution):
        raise UserError(
            f"{where} must be a choice, an ordinal or a whole number to depend on, but {parent!r} may have any "
            f"fraction; give it as a choice of values"
        )
    wanted = values
    if not isinstance(values, list) or contains(distribution, values):  # one choice of lists is a list itself
        wanted = [values]
    if not wanted:
        raise UserError(f"{where} must be a value of {parent!r}, or a list of some, but got []; remove it")
    found = []
    for value in wanted:
        if not contains(distribution, value):
            has_booleans = isinstance(distribution, CategoricalDistribution) and True in distribution.choices
            if has_booleans and (meant := boolean_meant(value)):
                raise UserError(f"{where}: {meant}")
            raise UserError(
                f"{where} must be what {parent!r} can be, {described(distribution)}, but got {value!r}; give one of "
                f"those, or let space.{parent} hold this one"
            )
        found.append(as_searched(distribution, value))
    return tuple(found)


def told(condition: Condition) -> str:
    """Return a condition as text: optimizer is 'sgd' and layers is 2 or 3."""
    parts = []
    for parent, values in condition.items():
        parts.append(f"{parent} is {' or '.join(map(repr, values))}")
    return " and ".join(parts)

"""Hyperparameters as they are recorded, and the values of the workload's Config that they stand for.

A list among a choice's values is recorded as its text in JSON, and a list whose items are searched as a hyperparameter
an item: hidden.0, hidden.1, ...
"""

from collections.abc import Mapping
from typing import Any

from search.algorithms.space import Series, Space, is_among
from search.spec.lists import OWN_LENGTH
from search.spec.membership import as_choice, as_searched, contains


def values_of(entries: Mapping[str, Any], space: Space, params: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the workload's Config gets for hyperparameters; `entries` are those of the space in YAML."""
    values: dict[str, Any] = {}
    left = dict(params)
    # The lists: each where it has an item, or is one without any.
    for name, series in space.series.items():
        of = entries[name]["list"]["of"]
        items = [chosen(of, left.pop(item)) for item in series.items if item in left]
        if items or (series.length in params and is_on(series, params)):
            values[name] = items
    # The others.
    for name, value in left.items():
        if is_passed(name, entries, space):
            values[name] = chosen(entries.get(name), value)
    return values


def is_passed(name: str, entries: Mapping[str, Any], space: Space) -> bool:
    """Return whether the workload's Config gets a hyperparameter: it may only say which others are on."""
    if name in entries:
        return bool(entries[name].get("passed", True))
    return not any(name == f"{inner}.{OWN_LENGTH}" for inner in space.series)


def chosen(entry: Any, drawn: Any) -> Any:
    """Return what stands in the YAML for a value that was drawn of an entry: a list, where that was drawn as a text."""
    if isinstance(drawn, str) and isinstance(entry, Mapping):
        for value in entry.get("values", ()):
            if isinstance(value, list) and as_choice(value) == drawn:
                return value
    return drawn


def is_on(series: Series, params: Mapping[str, Any]) -> bool:
    """Return whether there is a list beside the values of other hyperparameters."""
    return all(parent in params and is_among(params[parent], own) for parent, own in series.condition.items())


def params_of(values: Mapping[str, Any], space: Space) -> tuple[dict[str, Any], str]:
    """Return the hyperparameters that stand for the values of a Config, or an empty mapping and why there are none."""
    params: dict[str, Any] = {}
    spread = spread_of(values, space)
    for name, distribution in space.items():
        if not space.is_on(name, params):
            continue
        if name not in spread:
            return {}, _lacking(name, values, space)
        if not contains(distribution, spread[name]):
            return {}, f"that of {name}, {spread[name]!r}, is not in its space"
        params[name] = as_searched(distribution, spread[name])
    for name, series in space.series.items():
        length = params.get(series.length) if isinstance(series.length, str) else series.length
        if length is not None and is_on(series, params) and _length(values.get(name)) != length:
            return {}, _lacking(name, values, space)
    return params, ""


def taken(values: Mapping[str, Any], space: Space) -> dict[str, Any]:
    """Return the values of a Config by the names of the hyperparameters that are on beside them, in the space or not.

    As the workload's defaults, which need not lie in it.
    """
    spread = spread_of(values, space)
    taken: dict[str, Any] = {}
    for name in space:
        if name in spread and space.is_on(name, taken):
            taken[name] = as_choice(spread[name])
    return taken


def _lacking(name: str, values: Mapping[str, Any], space: Space) -> str:
    """Return why values have none of a hyperparameter, or of a list: without a default, or of another length."""
    for own, series in space.series.items():
        if name in (own, *series.items) and own in values:
            return f"that of {own}, {values[own]!r}, is not in its space"
    return f"{name} has no default"


def spread_of(values: Mapping[str, Any], space: Space) -> dict[str, Any]:
    """Return values with the items of lists, and their lengths, by the names that these have as hyperparameters."""
    spread = dict(values)
    for name, series in space.series.items():
        own = spread.pop(name, None)
        if isinstance(own, list | tuple):
            spread |= zip(series.items, own, strict=False)
            if isinstance(series.length, str):
                spread.setdefault(series.length, len(own))
    return spread


def _length(value: Any) -> int | None:
    return len(value) if isinstance(value, list | tuple) else None

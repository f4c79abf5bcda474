"""The configurations that a search tries first: the workload's defaults, and what stands under `start` in the YAML.

start: [{lr: 0.1, momentum: 0.9}, {lr: 0.01}]

An entry may be partial: the sampler draws what it lacks. What it has is on: it gets what that needs.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from search.algorithms.space import Condition, Space, is_among
from search.errors import UserError, suggestion
from search.spec import translation
from search.spec.conditions import told
from search.spec.membership import as_searched, boolean_meant, contains, described

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
    for name, value in _spread(where, entry, space).items():
        if name in fixed:
            raise UserError(f"{where} {name!r} stands in fixed, so it has one value only; remove it here or there")
        if name not in space:
            raise UserError(f"{where} {name!r} is not searched, {suggestion(str(name), space)}")
        if not contains(space[name], value):
            if meant := boolean_meant(value):
                meant = f"; {meant}"
            raise UserError(
                f"{where} {name} must be {described(space[name])}, as in space.{name}, but got {value!r}; "
                f"give another value, or let the space hold this one{meant}"
            )
        params[name] = as_searched(space[name], value)
    needed = space.needs(*params)
    for name in params:
        _check_on(where, name, params, space, needed)
    whole = {ancestor: values[0] for ancestor, values in needed.items()} | params
    return {name: whole[name] for name in space if name in whole}


def _spread(where: str, entry: Mapping[str, Any], space: Space) -> dict[str, Any]:
    """Return an entry with the items of its lists, and their lengths, under the names of their own."""
    spread = dict(entry)
    for name, series in space.series.items():
        if name not in spread:
            continue
        items = spread.pop(name)
        if not isinstance(items, list | tuple):
            raise UserError(f"{where} {name} must be a list, as in space.{name}, but got {items!r}")
        if isinstance(series.length, str):
            length = spread.setdefault(series.length, len(items))
        else:
            length = series.length
        if length != len(items) or len(items) > len(series.items):
            few = length if length != len(items) else f"at most {len(series.items)}"
            raise UserError(f"{where} {name} must be a list of {few}, as in space.{name}, but got {items!r}")
        spread |= zip(series.items, items, strict=False)
    return spread


def _check_on(where: str, name: str, params: Params, space: Space, needed: Condition) -> None:
    """Raise UserError where a value of an entry is for what is off beside its other ones, which need these values."""
    for ancestor, values in space.needs(name).items():
        on = f"{where} {name} must be on to have a value, where {told({ancestor: values})}"
        if ancestor in params and not is_among(params[ancestor], values):
            raise UserError(f"{on}, but here {ancestor} is {params[ancestor]!r}; remove {name}, or change {ancestor}")
        if not needed[ancestor]:
            raise UserError(f"{on}, but other values of the entry need another {ancestor}; remove {name}, or those")


def of_defaults(defaults: Mapping[str, Any], space: Space) -> tuple[Params, str]:
    """Return the defaults of what is searched, as the space has them, or an empty mapping and why they are none.

    Of what depends on others only that which is on beside them.
    """
    return translation.params_of(defaults, space)


def without_repeats(configurations: Sequence[Params]) -> list[Params]:
    """Return the configurations without those that repeat one before them."""
    different: list[Params] = []
    for params in configurations:
        if params not in different:
            different.append(params)
    return different

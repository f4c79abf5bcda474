"""What is expected of hyperparameters, under `prior` in the YAML.

prior: {lr: 0.1, momentum: {value: 0.9, confidence: 0.8}}
"""

from collections.abc import Mapping
from typing import Any

from search.algorithms.prior import Expected, Prior
from search.algorithms.space import Space
from search.errors import UserError, suggestion
from search.spec.membership import as_searched, contains, described

USUAL = 0.5
"""The confidence where none is given."""


def parse(entries: Mapping[str, Any], space: Space) -> Prior:
    """Return what is expected of each hyperparameter, as a sampler draws its values.

    Raises UserError where one is not searched, or its value is not in the space, or its confidence breaks its rule.
    """
    prior = {}
    for name, entry in entries.items():
        if name in space.series:
            raise UserError(f"prior: {name!r} is a list; expect something of its items: {space.series[name].items[0]}")
        if name not in space:
            raise UserError(f"prior: {name!r} is not searched, {suggestion(str(name), space)}")
        prior[name] = _expected(name, entry, space)
    return prior


def _expected(name: str, entry: Any, space: Space) -> Expected:
    given = entry if isinstance(entry, Mapping) else {"value": entry}
    for key in given:
        if key not in ("value", "confidence"):
            raise UserError(f"prior.{name} has an unknown key {key!r}, {suggestion(str(key), ['value', 'confidence'])}")
    if "value" not in given:
        raise UserError(f"prior.{name} must have a value, but got {entry!r}; write {{value: ..., confidence: {USUAL}}}")
    value = given["value"]
    if not contains(space[name], value):
        raise UserError(f"prior.{name} must be {described(space[name])}, as in space.{name}, but got {value!r}")
    confidence = given.get("confidence", USUAL)
    if isinstance(confidence, bool) or not isinstance(confidence, int | float) or not 0 < confidence <= 1:
        raise UserError(f"prior.{name}.confidence must be in (0, 1], but got {confidence!r}")
    return Expected(space.to_draw(name, as_searched(space[name], value)), float(confidence))

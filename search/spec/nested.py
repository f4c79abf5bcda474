"""Nested values of a config: mappings and lists of scalars, as YAML gives them."""

import math
import re
from typing import Any

from search.errors import UserError
from search.spec import values
from search.spec.values import SCALAR


def plain(value: Any) -> Any:
    """Return a nested value with its scalars as YAML gives them: from Python they may be an enum's or NumPy's."""
    if isinstance(value, dict):
        return {values.plain(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    return values.plain(value)


def is_plain(value: Any) -> bool:
    """Return whether a value is a scalar, or a list of those, which may be nested."""
    if isinstance(value, list):
        return all(map(is_plain, value))
    return isinstance(value, SCALAR)


def check(where: str, value: Any) -> None:
    """Raise UserError at a number that is not finite, or a text that is no UTF-8, anywhere in a nested value."""
    if isinstance(value, dict):
        for key, inner in value.items():
            place = f"{where}.{key}" if where else str(key)
            check(place, inner)
    elif isinstance(value, list):
        for inner in value:
            check(where, inner)
    elif isinstance(value, float) and not math.isfinite(value):
        raise UserError(f"{where} must be finite, but got {value}")
    elif isinstance(value, str) and re.search("[\ud800-\udfff]", value):
        raise UserError(f"{where} must be text that can be written as UTF-8, but got {value!r}")

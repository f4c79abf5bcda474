"""The metrics that a workload gives, of an epoch or of a test, as plain numbers by name."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

from search.errors import describe, printable, shown

MOST_LEVELS = 8
"""Mappings within each other whose metrics are read."""


def read(metrics: Any, source: str, objective: str = "") -> tuple[dict[str, float], dict[str, str]]:
    """Return those metrics that are numbers, scalars of NumPy and torch included, and what the others are, by name.

    True and false are numbers, but for the metric of the objective. Those of a mapping within get the names
    outer/inner. A name that is no text becomes its text. Of several metrics with one name none counts. `source` says in
    messages where they come from. Raises TypeError where they are no mapping, and what a mapping of the workload's own
    raises.
    """
    if not hasattr(metrics, "items"):
        raise TypeError(f"{source} must be a mapping of numbers by name, but got {shown(metrics)}")
    numbers: dict[str, float] = {}
    others: dict[str, str] = {}
    for name, value in _flat(metrics, "", MOST_LEVELS):
        if name in numbers or name in others:
            numbers.pop(name, None)
            others[name] = "there are several of that name"
            continue
        try:
            if name == objective and _is_truth(value):
                raise TypeError
            numbers[name] = _number(value)
        except (TypeError, ValueError):
            others[name] = f"got {shown(value)}"
        except Exception as error:
            others[name] = f"float() of it raises {describe(error)}"
    return numbers, others


def _flat(metrics: Any, prefix: str, levels: int) -> Iterator[tuple[str, Any]]:
    """Yield each metric and its name; those of a mapping within have the names of both, with a slash between."""
    for key, value in metrics.items():
        name = f"{prefix}{_name(key)}"
        inner: list[tuple[str, Any]] = []
        if levels and isinstance(value, Mapping):
            with suppress(Exception):  # of one that cannot be gone through: it is no number
                inner = list(_flat(value, f"{name}/", levels - 1))
        if inner:
            yield from inner
        else:
            yield name, value


def _is_truth(value: Any) -> bool:
    """Return whether a value is true or false, NumPy's and torch's included: no number by which to judge a trial."""
    return isinstance(value, bool) or str(getattr(value, "dtype", "")) in ("bool", "torch.bool")


def _name(key: Any) -> str:
    """Return a metric's name as plain text; an enum that is a text has that text."""
    text = str.__str__(key) if isinstance(key, str) else str(key)
    return printable(text)


def _number(value: Any) -> float:
    if isinstance(value, str | bytes):
        raise TypeError
    return float(value)

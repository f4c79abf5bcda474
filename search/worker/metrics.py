"""The metrics that a workload gives, of an epoch or of a test, as plain numbers by name."""

from typing import Any

from search.errors import describe, printable, shown


def read(metrics: Any, source: str) -> tuple[dict[str, float], dict[str, str]]:
    """Return those metrics that are numbers, scalars of NumPy and torch included, and what the others are, by name.

    A name that is no text becomes its text. Of several metrics with one name none counts. `source` says in messages
    where they come from. Raises TypeError where they are no mapping, and what a mapping of the workload's own raises.
    """
    if not hasattr(metrics, "items"):
        raise TypeError(f"{source} must be a mapping of numbers by name, but got {shown(metrics)}")
    numbers: dict[str, float] = {}
    others: dict[str, str] = {}
    for key, value in metrics.items():
        name = _name(key)
        if name in numbers or name in others:
            numbers.pop(name, None)
            others[name] = "there are several of that name"
            continue
        try:
            numbers[name] = _number(value)
        except (TypeError, ValueError):
            others[name] = f"got {shown(value)}"
        except Exception as error:
            others[name] = f"float() of it raises {describe(error)}"
    return numbers, others


def _name(key: Any) -> str:
    """Return a metric's name as plain text; an enum that is a text has that text."""
    text = str.__str__(key) if isinstance(key, str) else str(key)
    return printable(text)


def _number(value: Any) -> float:
    if isinstance(value, str | bytes):
        raise TypeError
    return float(value)

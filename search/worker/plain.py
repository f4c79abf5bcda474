"""Plain values: numbers, texts, and small containers of such, as settings at the top of a module are."""

from typing import Any

PLAIN = (type(None), bool, int, float, complex, str, bytes)
MOST_ENTRIES = 1000
"""A container with more entries than this is data, not a setting."""


def is_plain(value: Any, depth: int = 3) -> bool:
    """Return whether a value is a number, a text, or a container of such: `depth` levels of at most MOST_ENTRIES."""
    if type(value) in PLAIN:
        return True
    if type(value) not in (list, tuple, set, dict) or depth == 0 or len(value) > MOST_ENTRIES:
        return False
    entries = list(value)
    if isinstance(value, dict):
        entries += value.values()
    return all(is_plain(entry, depth - 1) for entry in entries)

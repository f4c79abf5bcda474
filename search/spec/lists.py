"""Lists whose items are searched, and whose length may be.

layers: {distribution: int_uniform, low: 1, high: 3}
hidden: {list: {length: layers, of: {distribution: int_log_uniform, low: 8, high: 128}}}

Such an entry becomes hyperparameters hidden.0, hidden.1, ..., each on where the list is long enough; the workload's
Config gets `hidden` as one list. The length is a hyperparameter that stands before it, an entry of its own
(`length: {distribution: int_uniform, low: 1, high: 3}`, which becomes hidden.length), a fixed value or a number.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from optuna.distributions import FloatDistribution

from search.algorithms.space import Space, count_of, values_of
from search.errors import UserError, suggestion

KEYS = ("length", "of")
MOST_ITEMS = 100
"""Of a list."""
EXAMPLE = "{list: {length: layers, of: {distribution: int_uniform, low: 8, high: 128}}}"
OWN_LENGTH = "length"
"""What a length that stands within its list is called there."""


class ListEntry(NamedTuple):
    """An entry of the space that is a list, as YAML gives it."""

    length: Any
    of: Any
    when: Any
    """None without a condition."""


def is_list(entry: Any) -> bool:
    """Return whether an entry of the space is a list."""
    return isinstance(entry, Mapping) and "list" in entry


def read(where: str, entry: Mapping[str, Any]) -> ListEntry:
    """Return the parts of an entry that is a list. Raises UserError."""
    inner = entry["list"]
    if not isinstance(inner, Mapping):
        raise UserError(f"{where}.list must have length and of, as in {EXAMPLE}, but got {inner!r}")
    for place, mapping, known in ((where, entry, ("list", "when")), (f"{where}.list", inner, KEYS)):
        for key in mapping:
            if key not in known:
                raise UserError(f"{place} has an unknown key {key!r}, {suggestion(str(key), known)}")
    for key in KEYS:
        if key not in inner:
            raise UserError(f"{where}.list must have length and of, as in {EXAMPLE}, but it lacks {key!r}")
    of = inner["of"]
    for key in ("when", "passed", "list"):
        if isinstance(of, Mapping) and key in of:
            raise UserError(f"{where}.list.of must be a plain entry of the space, but it has {key!r}; remove it")
    return ListEntry(inner["length"], of, entry.get("when"))


def sizes_of(where: str, length: str, space: Space, entries: Mapping[str, Any]) -> list[int]:
    """Return the lengths that a list may have, of the hyperparameter before it that says. Raises UserError."""
    rule = f"{where}.list.length must be a whole number, or a hyperparameter of whole numbers that stands before it"
    if length not in space:
        if length in entries:
            raise UserError(f"{rule}, but {length!r} comes later; move it up")
        raise UserError(f"{rule}, but got {length!r}, {suggestion(length, space) if space else 'and nothing does'}")
    distribution = space[length]
    if isinstance(distribution, FloatDistribution):
        raise UserError(f"{rule}, but {length!r} may have a fraction; use int_uniform")
    if count_of(distribution) > MOST_ITEMS + 1:
        raise UserError(f"{rule}, of at most {MOST_ITEMS}, but space.{length} has more; lower its high end")
    sizes = list(values_of(distribution))
    for size in sizes:
        if type(size) is not int:
            raise UserError(f"{rule}, but {length!r} may be {size!r}; use int_uniform, or an ordinal of whole numbers")
        check_size(f"{where}.list.length", size)
    if max(sizes) == 0:
        raise UserError(f"{rule}, of at least 1 at its most, but {length!r} is always 0; let it be more")
    return sizes


def check_size(where: str, size: Any) -> None:
    """Raise UserError where a number can be no length of a list."""
    if type(size) is not int or not 0 <= size <= MOST_ITEMS:
        raise UserError(f"{where} must be a whole number in [0, {MOST_ITEMS}], but got {size!r}")

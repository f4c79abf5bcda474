"""The search space: its entries in YAML are checked, and become Optuna's distributions.

lr: {distribution: log_uniform, low: 0.001, high: 1}

Beside the keys of its distribution an entry may have `when` (see conditions.py), and `passed: false` where it only
decides which others are on, and the workload's Config does not take it. In place of `distribution` it may have `list`
(see lists.py).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from search.algorithms.space import Condition, Series, Space, is_among
from search.errors import UserError, suggestion
from search.spec import conditions, lists
from search.spec.membership import as_choice

COMMON = ("when", "passed")
"""The keys that any entry may have."""
MOST_STEPS = 10**9
"""From the low end of a range to the high one."""


@dataclass(frozen=True)
class Kind:
    """One kind of entry, by the name that stands under `distribution`."""

    keys: tuple[str, ...]
    """The keys that an entry must have."""
    make: Callable[..., BaseDistribution]
    """Returns Optuna's distribution. Called with the entry's name, for messages, and the values by key.

    Raises UserError.
    """
    optional: tuple[str, ...] = ()
    """The keys that it may have."""
    is_ordinal: bool = False
    """Whether its choices have an order."""


def parse(entries: Mapping[str, Any], fixed: Mapping[str, Any] | None = None) -> Space:
    """Return the space of these entries; low and high are both included. `fixed` are the values beside them.

    Raises UserError where the space is empty, or an entry breaks a rule.
    """
    if not entries:
        raise UserError("space must have at least one hyperparameter, but it is empty")
    for name in entries:
        if not isinstance(name, str):
            raise UserError(f"space must hold names of hyperparameters, but got {name!r}")
    parser = _Parser(entries, fixed or {})
    for name, entry in entries.items():
        if lists.is_list(entry):
            parser.add_list(name, entry)
        else:
            parser.add(name, f"space.{name}", entry)
    parser.check_passed()
    return parser.space()


class _Parser:
    """Makes a space of its entries, one after the other."""

    def __init__(self, entries: Mapping[str, Any], fixed: Mapping[str, Any]) -> None:
        self._entries = entries
        self._fixed = fixed
        self._distributions: dict[str, BaseDistribution] = {}
        self._conditions: dict[str, Condition] = {}
        self._ordinals: set[str] = set()
        self._series: dict[str, Series] = {}

    def space(self) -> Space:
        """Return the space of what was added."""
        return Space(self._distributions, self._conditions, frozenset(self._ordinals), self._series)

    def add(self, name: str, where: str, entry: Any, condition: Condition | None = None) -> None:
        """Add a hyperparameter, with its own condition or another."""
        if name in self._distributions:
            raise UserError(f"{where} must be of another name: an item of a list is {name!r}, too; rename one")
        distribution = _parse_entry(where, entry)
        if condition is None:
            condition = self._condition(name, where, entry.get("when"))
        self._distributions[name] = distribution
        if condition:
            self._conditions[name] = condition
            conditions.check(f"{where}.when", name, self.space())
        if DISTRIBUTIONS[entry["distribution"]].is_ordinal:
            self._ordinals.add(name)

    def _condition(self, name: str, where: str, when: Any) -> Condition:
        if when is None:
            return {}
        found: Condition = conditions.parse(f"{where}.when", when, name, self.space(), self._entries, self._fixed)
        return found

    def add_list(self, name: str, entry: Mapping[str, Any]) -> None:
        """Add the hyperparameters of a list's items, and of its length where that stands within."""
        where = f"space.{name}"
        length, of, when = lists.read(where, entry)
        own = self._condition(name, where, when)
        _parse_entry(f"{where}.list.of", of)
        if isinstance(length, Mapping):
            inner = f"{name}.{lists.OWN_LENGTH}"
            self.add(inner, f"{where}.list.length", length, own)
            length = inner
        elif isinstance(length, str) and length in self._fixed:
            length = self._fixed[length]
        sizes: list[int] = []
        if isinstance(length, str):
            sizes = lists.sizes_of(where, length, self.space(), self._entries)
            most = max(sizes)
        else:
            lists.check_size(f"{where}.list.length", length)
            most = length
        items = []
        for index in range(most):
            condition = dict(own)
            if isinstance(length, str):
                allowed = own.get(length, sizes)
                condition[length] = tuple(size for size in sizes if size > index and is_among(size, allowed))
            item = f"{name}.{index}"
            self.add(item, f"space.{item}", of, condition)
            items.append(item)
        if not items:
            raise UserError(f"{where}.list.length must be at least 1, but got {length!r}; put [] under fixed")
        self._series[name] = Series(length, tuple(items), own)

    def check_passed(self) -> None:
        """Raise UserError where nothing depends on a hyperparameter that the workload is not to get."""
        needed = {series.length for series in self._series.values()}
        for condition in self._conditions.values():
            needed |= condition.keys()
        for name, entry in self._entries.items():
            if not entry.get("passed", True) and name not in needed:
                raise UserError(
                    f"space.{name}.passed must be true where no other hyperparameter depends on {name!r}, as it would "
                    f"change nothing; remove 'passed: false'"
                )


def _parse_entry(name: str, entry: Any) -> BaseDistribution:
    """Return the distribution of one entry: its kind must be known, and its keys the kind's."""
    known = list(DISTRIBUTIONS)
    if not isinstance(entry, dict) or "distribution" not in entry:
        rule = f"{name} must be a mapping with 'distribution' ({', '.join(known)}), but got {entry!r}"
        raise UserError(rule + _entry_meant(entry))
    distribution = entry["distribution"]
    if distribution == "list":
        raise UserError(f"{name}.distribution is unknown: 'list'; write a list as {lists.EXAMPLE}")
    if distribution not in known:
        raise UserError(f"{name}.distribution is unknown: {distribution!r}, {suggestion(str(distribution), known)}")
    kind = DISTRIBUTIONS[distribution]
    _check_keys(name, entry, kind)
    if not isinstance(entry.get("passed", True), bool):
        raise UserError(f"{name}.passed must be true or false, but got {entry['passed']!r}")
    values = {key: entry[key] for key in (*kind.keys, *kind.optional) if key in entry}
    return kind.make(name, **values)


def _check_keys(name: str, entry: Mapping[str, Any], kind: Kind) -> None:
    """Raise UserError where an entry lacks a key of its kind, or has one that the kind has not."""
    keys = [*kind.keys, *kind.optional, *COMMON]
    for key in entry:
        if key in ["distribution", *keys]:
            continue
        if key == "step" and "low" in kind.keys:
            raise UserError(
                f"{name}.step must go with uniform or int_uniform, as Optuna has none on a logarithmic scale; remove "
                f"it, or list the values: {{distribution: ordinal, values: [...]}}"
            )
        meant = suggestion(str(key), keys)
        if key == "log" and "low" in kind.keys:
            meant = "as log_uniform and int_log_uniform are distributions; remove it, and write one of those"
        raise UserError(f"{name} has an unknown key {key!r}, {meant}")
    for key in kind.keys:
        if key not in entry:
            rule = f"{name} must have {' and '.join(kind.keys)} for {entry['distribution']}"
            raise UserError(f"{rule}, but it lacks {key!r}")


def _entry_meant(entry: Any) -> str:
    """Return how an entry without a distribution may have been meant; empty where nobody knows."""
    if isinstance(entry, list) and entry:
        return f"; write {{distribution: choice, values: {entry!r}}}"
    if isinstance(entry, bool | int | float):
        return "; what is the same in every trial stands under fixed"
    return ""


def _uniform(name: str, low: Any, high: Any, step: Any = None) -> BaseDistribution:
    _check_range(name, "uniform", low, high)
    if step is not None:
        _check_step(name, low, high, step)
    return FloatDistribution(low, high, step=step)


def _log_uniform(name: str, low: Any, high: Any) -> BaseDistribution:
    _check_range(name, "log_uniform", low, high)
    _check_logarithm(name, "log_uniform", "uniform", low)
    return FloatDistribution(low, high, log=True)


def _int_uniform(name: str, low: Any, high: Any, step: Any = None) -> BaseDistribution:
    _check_range(name, "int_uniform", low, high, is_integer=True)
    if step is None:
        return IntDistribution(low, high)
    _check_step(name, low, high, step, is_integer=True)
    return IntDistribution(low, high, step=step)


def _int_log_uniform(name: str, low: Any, high: Any) -> BaseDistribution:
    _check_range(name, "int_log_uniform", low, high, is_integer=True)
    _check_logarithm(name, "int_log_uniform", "int_uniform", low)
    return IntDistribution(low, high, log=True)


def _check_range(name: str, distribution: str, low: Any, high: Any, *, is_integer: bool = False) -> None:
    types = (int,) if is_integer else (int, float)
    wanted = "a whole number" if is_integer else "a number"
    for key, bound in (("low", low), ("high", high)):
        if type(bound) not in types or not abs(bound) < 2**63:
            raise UserError(f"{name}.{key} must be {wanted} below 2**63 for {distribution}, but got {bound!r}")
    if not low < high:
        raise UserError(f"{name}: low < high must hold, but got low {low} and high {high}; fix a value under 'fixed'")


def _check_step(name: str, low: Any, high: Any, step: Any, *, is_integer: bool = False) -> None:
    """Raise UserError where the high end is no whole number of steps above the low one: Optuna would lower it."""
    types = (int,) if is_integer else (int, float)
    if type(step) not in types or not (high - low) / MOST_STEPS <= step <= high - low:
        wanted = "a whole number" if is_integer else "a number"
        raise UserError(
            f"{name}.step must be {wanted} above 0 and at most high - low, in at most 10**9 steps, but got {step!r}"
        )
    # In decimals, as Optuna does it: 0.3 is three steps of 0.1.
    first, last, by = (Decimal(str(number)) for number in (low, high, step))
    steps, rest = divmod(last - first, by)
    if rest:
        lower = first + steps * by
        raise UserError(
            f"{name}: high must be low + k * step, with k whole, but got low {low}, high {high} and step {step}; write "
            f"high: {_plain(lower)} or high: {_plain(lower + by)}"
        )


def _plain(number: Decimal) -> str:
    return f"{number:f}" if abs(number) < 10**15 else str(number)


def _check_logarithm(name: str, distribution: str, instead: str, low: Any) -> None:
    if low <= 0:
        raise UserError(f"{name}: low > 0 must hold for {distribution}, but got {low}; use {instead}")


def _choice(name: str, values: Any) -> BaseDistribution:
    if not isinstance(values, list) or not values:
        raise UserError(f"{name}.values must be a list of at least one value, but got {values!r}")
    choices: list[Any] = []
    for value in values:
        if not _is_plain(value):
            raise UserError(
                f"{name}.values must be numbers, texts, true, false or null, or lists of those, but got {value!r}"
            )
        choice = as_choice(value)
        if choice in choices:  # Optuna would record one for the other, as it would 1 for true
            other = values[choices.index(choice)]
            raise UserError(f"{name}.values must differ from each other, but {value!r} equals {other!r}; remove one")
        choices.append(choice)
    return CategoricalDistribution(choices)


def _ordinal(name: str, values: Any) -> BaseDistribution:
    if not isinstance(values, list) or len(values) < 2:
        raise UserError(f"{name}.values must be a list of at least two values in their order, but got {values!r}")
    for value in values:
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise UserError(f"{name}.values must be numbers or texts in their order, but got {value!r}; use choice")
    return _choice(name, values)


def _is_plain(value: Any) -> bool:
    if isinstance(value, list):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, str | int | float)


DISTRIBUTIONS: dict[str, Kind] = {
    "uniform": Kind(("low", "high"), _uniform, ("step",)),
    "log_uniform": Kind(("low", "high"), _log_uniform),
    "int_uniform": Kind(("low", "high"), _int_uniform, ("step",)),
    "int_log_uniform": Kind(("low", "high"), _int_log_uniform),
    "choice": Kind(("values",), _choice),
    "ordinal": Kind(("values",), _ordinal, is_ordinal=True),
}
"""Every kind of entry, by its name."""

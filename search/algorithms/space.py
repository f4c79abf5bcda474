"""A search space: a distribution for each hyperparameter, those with an order, and those that depend on others.

Of a hyperparameter that depends on others a configuration has a value only where its condition holds.
"""

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

MOST_POINTS = 10_000
"""Points of a space up to which all are gone through."""
Params = Mapping[str, Any]
"""A configuration: the value of each hyperparameter that is on, as it is recorded."""
Condition = Mapping[str, tuple[Any, ...]]
"""Of which other hyperparameters one depends, and with which of their values it is on; all must hold."""
Key = tuple[float | None, ...]
"""What two whole configurations have in common exactly where they are the same."""
Takes = Callable[[Params], bool]
"""Returns whether the workload's Config takes these hyperparameters."""


@dataclass(frozen=True)
class Series:
    """Hyperparameters that make a list together, which may be of several lengths."""

    length: str | int
    """The hyperparameter that is its length, or the one length that it has."""
    items: tuple[str, ...]
    """The hyperparameters of its items, as many as there can be."""
    condition: Condition = field(default_factory=dict)
    """Where there is such a list at all."""


@dataclass(frozen=True)
class Space(Mapping[str, BaseDistribution]):
    """The distribution of each hyperparameter, by name; one that depends on others comes after them.

    >>> sgd = Space({"optimizer": CategoricalDistribution(["sgd", "adam"]), "momentum": FloatDistribution(0, 1)},
    ...             conditions={"momentum": {"optimizer": ("sgd",)}})
    >>> sgd.active({"optimizer": "adam"})
    ['optimizer']
    """

    distributions: Mapping[str, BaseDistribution]
    """As they are recorded."""
    conditions: Mapping[str, Condition] = field(default_factory=dict)
    """Of those that depend on others."""
    ordinals: frozenset[str] = frozenset()
    """Those whose choices have an order: they are recorded as choices, and a sampler draws their positions."""
    series: Mapping[str, Series] = field(default_factory=dict)
    """The lists that some of them make, by name."""

    def __getitem__(self, name: str) -> BaseDistribution:
        return self.distributions[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.distributions)

    def __len__(self) -> int:
        return len(self.distributions)

    def is_on(self, name: str, params: Params) -> bool:
        """Return whether a hyperparameter is on beside the values of those before it."""
        condition = self.conditions.get(name, {})
        return all(parent in params and is_among(params[parent], values) for parent, values in condition.items())

    def needs(self, *names: str) -> dict[str, tuple[Any, ...]]:
        """Return which values of those before them hyperparameters need to be on; none of one if they never are."""
        needed: dict[str, tuple[Any, ...]] = {}
        for name in names:
            for parent, values in self.conditions.get(name, {}).items():
                of_parent = self.needs(parent)
                for ancestor, own in [*of_parent.items(), (parent, values)]:
                    both = needed.get(ancestor, own)
                    needed[ancestor] = tuple(value for value in own if is_among(value, both))
        return needed

    def active(self, params: Params) -> list[str]:
        """Return which hyperparameters are on, where those on which others depend have these values."""
        on: dict[str, Any] = {}
        for name in self:
            if self.is_on(name, on):
                on[name] = params.get(name)
        return list(on)

    def is_whole(self, params: Params) -> bool:
        """Return whether a configuration has a value, in its range, of each hyperparameter that is on, and no other."""
        if params.keys() != set(self.active(params)):
            return False
        return all(is_within(self[name], value) for name, value in params.items())

    def takes_up(self, params: Params) -> bool:
        """Return whether a configuration lies in it as far as it goes: the rest of it can still be drawn."""
        return all(
            name in self and is_within(self[name], value) and self.is_on(name, params) for name, value in params.items()
        )

    def key(self, params: Params) -> Key:
        """Return the key of a whole configuration."""
        key: list[float | None] = []
        for name, distribution in self.items():
            key.append(distribution.to_internal_repr(params[name]) if name in params else None)
        return tuple(key)

    def keys_of(self, known: Iterable[Params]) -> set[Key]:
        """Return the keys of configurations; one that a kill has cut short, or of another space, has none."""
        return {self.key(params) for params in known if self.is_whole(params)}

    # What a sampler is shown.

    def drawn(self, name: str) -> BaseDistribution:
        """Return the distribution of which a sampler draws a hyperparameter."""
        distribution = self[name]
        if name not in self.ordinals:
            return distribution
        assert isinstance(distribution, CategoricalDistribution)
        return IntDistribution(0, len(distribution.choices) - 1)

    def to_draw(self, name: str, value: Any) -> Any:
        """Return a value as a sampler draws it."""
        return int(self[name].to_internal_repr(value)) if name in self.ordinals else value

    def from_drawn(self, name: str, drawn: Any) -> Any:
        """Return the value that a sampler has drawn: the reverse of `to_draw`."""
        if name in self.ordinals:
            return self[name].to_external_repr(drawn)
        return on_grid(self[name], drawn)

    @property
    def searched(self) -> dict[str, BaseDistribution]:
        """Return the distributions of which a sampler draws, of what has more than one value, by name in order."""
        drawn = {name: self.drawn(name) for name in sorted(self)}
        return {name: distribution for name, distribution in drawn.items() if not distribution.single()}

    @property
    def always_on(self) -> dict[str, BaseDistribution]:
        """Return the same of what is in every configuration, whatever its other values."""
        return {name: drawn for name, drawn in self.searched.items() if name not in self.conditions}

    # The points of a small one.

    @property
    def is_small(self) -> bool:
        """Return whether it has at most MOST_POINTS points: none with a number that may have any fraction."""
        points = 1
        for distribution in self.values():
            points *= count_of(distribution)
        return points <= MOST_POINTS

    def points(self, given: Params | None = None) -> Iterator[dict[str, Any]]:
        """Yield every point of a small space; with `given`, only those that have these values."""
        yield from self._beyond({}, list(self), given or {})

    def _beyond(self, params: dict[str, Any], names: list[str], given: Params) -> Iterator[dict[str, Any]]:
        """Yield the points that begin with these values; `names` are the hyperparameters that come after them."""
        for at, name in enumerate(names):
            if self.is_on(name, params):
                values = [given[name]] if name in given else values_of(self[name])
                for value in values:
                    yield from self._beyond({**params, name: value}, names[at + 1 :], given)
                return
        yield params

    def untried(self, known: Iterable[Params], takes: Takes, given: Params | None = None) -> Iterator[dict[str, Any]]:
        """Yield the points of a small space that are not known and that the workload takes, which is asked one by one.

        With `given`, only those that have these values.
        """
        keys = self.keys_of(known)
        for params in self.points(given):
            if self.key(params) not in keys and takes(params):
                yield params

    def room(self, known: Iterable[Params], takes: Takes, most: int) -> int:
        """Return how many trials it has room for, those that are known included; it is not counted beyond `most`.

        A trial whose proposal a kill has cut short is not known yet: it will be one of the others.
        """
        if not self.is_small:
            return most
        whole = [params for params in known if self.is_whole(params)]
        more = itertools.islice(self.untried(whole, takes), max(0, most - len(whole)))
        return len(whole) + sum(1 for _ in more)


def is_among(value: Any, values: Iterable[Any]) -> bool:
    """Return whether a plain value is one of these: 1 and 1.0 are the same, 1 and true are not."""
    for other in values:
        if isinstance(value, bool) or isinstance(other, bool):
            if value is other:
                return True
        elif value == other:
            return True
    return False


def is_within(distribution: BaseDistribution, value: Any) -> bool:
    """Return whether a value, as it is recorded, lies in a distribution."""
    if isinstance(distribution, CategoricalDistribution):
        return is_among(value, distribution.choices)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return distribution._contains(distribution.to_internal_repr(value))


def on_grid(distribution: BaseDistribution, value: Any) -> Any:
    """Return a value that lies in a distribution as it is recorded: 0.3 of steps of 0.1, which add up to a bit more."""
    if not isinstance(distribution, FloatDistribution) or distribution.step is None:
        return value
    return _at_step(distribution, round((value - distribution.low) / distribution.step))


def _at_step(distribution: FloatDistribution, steps: int) -> float:
    """Return the number that lies so many steps above the lowest, reckoned in decimals as people do."""
    return float(Decimal(str(distribution.low)) + steps * Decimal(str(distribution.step)))


def values_of(distribution: BaseDistribution) -> Iterable[Any]:
    """Return every value of a distribution that has few."""
    if isinstance(distribution, CategoricalDistribution):
        return distribution.choices
    if isinstance(distribution, FloatDistribution):
        return [_at_step(distribution, steps) for steps in range(count_of(distribution))]
    assert isinstance(distribution, IntDistribution)
    return range(distribution.low, distribution.high + 1, distribution.step)


def count_of(distribution: BaseDistribution) -> int:
    """Return how many values a distribution has; more than MOST_POINTS where they lie everywhere."""
    if isinstance(distribution, CategoricalDistribution):
        return len(distribution.choices)
    if isinstance(distribution, IntDistribution):
        return (distribution.high - distribution.low) // distribution.step + 1
    if isinstance(distribution, FloatDistribution) and distribution.step is not None:
        return round((distribution.high - distribution.low) / distribution.step) + 1
    return MOST_POINTS + 1

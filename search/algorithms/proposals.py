"""Proposals: first those that are given, then what a sampler draws, and draws again where that is of no use.

Of no use is what is known already, and what the workload refuses.
"""

import itertools
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution, _get_single_value
from optuna.samplers import BaseSampler, RandomSampler
from optuna.trial import FrozenTrial

from search.algorithms.seeds import seeds_of

MOST_DRAWS = 20
"""Draws of the sampler for one proposal: TPE's take milliseconds."""
MOST_RANDOM_DRAWS = 2000
"""Random ones after those."""
MOST_POINTS = 10_000
"""Points of a space up to which all are gone through."""
Space = Mapping[str, BaseDistribution]
Params = Mapping[str, Any]
Takes = Callable[[Params], bool]
"""Returns whether the workload's Config takes these hyperparameters."""


class Proposer(BaseSampler):
    """The sampler of a search: what one by name draws, where it is new and the workload takes it.

    All values of a trial are drawn together. A further draw is that of a sampler with another seed, so a proposal stays
    a function of the study's seed, the trial's number and the history. Where the sampler only draws what is known or
    refused, random points are next, or of a small space those that are left; the last draw is proposed in any case.

    `start` are the configurations to try first, by the trial's number: whole ones, or such of which the sampler draws
    what they lack. One that is known by then, or that nothing completes, gives way to a draw.
    """

    def __init__(
        self,
        make: Callable[[int], BaseSampler],
        seed: int,
        space: Space,
        takes: Takes,
        start: Sequence[Params] = (),
    ) -> None:
        self._make = make
        self._seed = seed
        self._space = dict(space)
        self._takes = takes
        self._start = start
        self.refused = 0
        """How many draws the workload refused before the newest proposal."""

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Return the whole space."""
        return self._space

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Return all values of a trial."""
        others = [other.params for other in study.get_trials(deepcopy=False) if other.number != trial.number]
        known = _keys(self._space, others)
        drawn: dict[str, Any] = {}
        self.refused = 0
        # What is to be tried first.
        if trial.number < len(self._start):
            given = self._start[trial.number]
            for drawn in self._completed(given, study, trial, others):
                if _key(self._space, drawn) not in known and self._takes(drawn):
                    return drawn
        # What the sampler draws.
        for drawn in self._draws(study, trial, others):
            if _key(self._space, drawn) in known:
                continue
            if self._takes(drawn):
                break
            self.refused += 1
        return drawn

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Return a value by itself; Optuna asks for none, as all of the space is drawn together."""
        return self._make(self._seed).sample_independent(study, trial, param_name, param_distribution)

    def _completed(
        self, given: Params, study: optuna.Study, trial: FrozenTrial, others: Iterable[Params]
    ) -> Iterator[dict[str, Any]]:
        """Yield configurations that hold the given values; what is not given is drawn."""
        if given.keys() >= self._space.keys():
            yield {name: given[name] for name in self._space}
            return
        for drawn in self._draws(study, trial, others, given):
            yield {**drawn, **given}

    def _draws(
        self, study: optuna.Study, trial: FrozenTrial, others: Iterable[Params], given: Params | None = None
    ) -> Iterator[dict[str, Any]]:
        """Yield draws, the later ones at random; of a small space with the given values only those that are left."""
        for count in range(MOST_DRAWS):
            yield self._draw(study, trial, count)
        first, second = seeds_of(self._seed, trial.number, "another")
        if is_small(self._space):
            left = list(untried(self._space, others, self._takes, given))
            if left:
                yield left[first % len(left)]
            return
        sampler = RandomSampler(seed=second)
        for _ in range(MOST_RANDOM_DRAWS):
            drawn = {}
            for name, distribution in self._space.items():
                drawn[name] = sampler.sample_independent(study, trial, name, distribution)
            yield drawn

    def _draw(self, study: optuna.Study, trial: FrozenTrial, count: int) -> dict[str, Any]:
        """Return a draw, counted from 0, as Optuna makes it of a sampler: what is drawn together, then the rest."""
        seed = self._seed
        if count:
            seed, _ = seeds_of(self._seed, count, "draw")
        sampler = self._make(seed)
        drawn = dict(sampler.sample_relative(study, trial, sampler.infer_relative_search_space(study, trial)))
        for name, distribution in self._space.items():
            if distribution.single():
                drawn[name] = _get_single_value(distribution)
            elif name not in drawn:
                drawn[name] = sampler.sample_independent(study, trial, name, distribution)
        return {name: drawn[name] for name in self._space}


def is_small(space: Space) -> bool:
    """Return whether a space has at most MOST_POINTS points: none with a number that may have a fraction."""
    points = 1
    for distribution in space.values():
        points *= _count(distribution)
    return points <= MOST_POINTS


def untried(
    space: Space, known: Iterable[Params], takes: Takes, given: Params | None = None
) -> Iterator[dict[str, Any]]:
    """Yield the points of a small space that are not known and that the workload takes, which is asked one by one.

    With `given`, only those that have these values.
    """
    keys = _keys(space, known)
    values_of: dict[str, Iterable[Any]] = {name: _values(distribution) for name, distribution in space.items()}
    for name, value in (given or {}).items():
        values_of[name] = [value]
    for point in itertools.product(*values_of.values()):
        params = dict(zip(space, point, strict=True))
        if _key(space, params) not in keys and takes(params):
            yield params


def room(space: Space, known: Collection[Params], takes: Takes, most: int) -> int:
    """Return how many trials a space has room for, those that are known included; it is not counted beyond `most`.

    A trial whose proposal a kill has cut short is not known yet: it will be one of the others.
    """
    if not is_small(space):
        return most
    whole = sum(params.keys() >= space.keys() for params in known)
    more = itertools.islice(untried(space, known, takes), max(0, most - whole))
    return whole + sum(1 for _ in more)


def _count(distribution: BaseDistribution) -> int:
    """Return how many values a distribution has; more than MOST_POINTS where they lie everywhere."""
    if isinstance(distribution, CategoricalDistribution):
        return len(distribution.choices)
    if isinstance(distribution, IntDistribution):
        return (distribution.high - distribution.low) // distribution.step + 1
    return MOST_POINTS + 1


def _values(distribution: BaseDistribution) -> Iterable[Any]:
    """Return every value of a distribution that has few."""
    if isinstance(distribution, CategoricalDistribution):
        return distribution.choices
    assert isinstance(distribution, IntDistribution)
    return range(distribution.low, distribution.high + 1, distribution.step)


def _keys(space: Space, known: Iterable[Params]) -> set[tuple[float, ...]]:
    """Return the keys of configurations; one that a kill has cut short has none."""
    return {_key(space, params) for params in known if params.keys() >= space.keys()}


def _key(space: Space, params: Params) -> tuple[float, ...]:
    """Return what two configurations have in common exactly where they are the same."""
    return tuple(distribution.to_internal_repr(params[name]) for name, distribution in space.items())

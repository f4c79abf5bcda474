"""NSGA-II, a genetic algorithm: children of good trials, generation by generation; made for several objectives.

Deb et al., A Fast and Elitist Multiobjective Genetic Algorithm: NSGA-II, IEEE Transactions on Evolutionary Computation
6, 2002, https://doi.org/10.1109/4235.996017.

The first generation is random. Hyperparameters that are not in every trial are drawn at random.
"""

from dataclasses import dataclass
from typing import ClassVar

import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, NSGAIISampler
from optuna.trial import FrozenTrial

from search.algorithms.sampler import Sampler
from search.algorithms.seeds import seeds_of
from search.algorithms.space import Space
from search.errors import check_types, require


class SpaceNSGA2(NSGAIISampler):
    """Optuna's sampler, which knows the space from the start."""

    def __init__(self, options: "NSGA2", seeds: tuple[int, int], space: Space) -> None:
        first, second = seeds
        super().__init__(population_size=options.population_size, mutation_prob=options.mutation_prob, seed=first)
        self._random_sampler._rng.rng.seed(second)  # with the same seed mutations would follow what else is drawn
        self._always_on = space.always_on

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Return what every trial has."""
        return self._always_on


GENERATION = SpaceNSGA2._get_generation_key()
"""Optuna's attribute of a trial: the generation to which it belongs."""


@dataclass(frozen=True)
class NSGA2(Sampler):
    """The options of NSGA-II. Raises UserError at a value that breaks its rule."""

    population_size: int = 10
    """Trials of a generation. Optuna's default is 50, of which a search of 32 trials is random."""
    mutation_prob: float | None = None
    """How likely a child draws a hyperparameter at random; null for 1 of their number."""

    notes: ClassVar[tuple[str, ...]] = (GENERATION,)

    def __post_init__(self) -> None:
        check_types(self)
        require(self, "population_size", ">= 2", self.population_size >= 2)
        chance = self.mutation_prob
        require(self, "mutation_prob", "in [0, 1], or null", chance is None or 0 <= chance <= 1)

    def make(self, seed: int, trial: int, space: Space) -> BaseSampler:
        """Return Optuna's sampler for the proposal of a trial."""
        return SpaceNSGA2(self, seeds_of(seed, trial, ""), space)

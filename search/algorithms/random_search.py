"""Random search: each value by itself, whatever came before.

Bergstra and Bengio, Random Search for Hyper-Parameter Optimization, JMLR 13, 2012,
https://www.jmlr.org/papers/v13/bergstra12a.html.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.trial import FrozenTrial

from search.algorithms.sampler import Sampler
from search.algorithms.seeds import seeds_of
from search.algorithms.space import Space


@dataclass(frozen=True)
class Random(Sampler):
    """Random search has no options."""

    learns: ClassVar[bool] = False
    reads_stopped: ClassVar[bool] = True

    def make(self, seed: int, trial: int, space: Space) -> BaseSampler:
        """Return Optuna's sampler for the proposal of a trial."""
        return SeededRandom(seed)


class SeededRandom(RandomSampler):
    """Random proposals, each number a function of the seed, the trial and the name."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed=seed)
        self._seed = seed

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Return a value, drawn by itself."""
        first, _ = seeds_of(self._seed, trial.number, param_name)
        self._rng.rng.seed(first)
        return super().sample_independent(study, trial, param_name, param_distribution)

"""The samplers by name: Optuna's, made to propose what they would have proposed, had the search not been killed.

A proposal is a function of the study's seed, the trial's number and the history alone: not of the process's past, nor
of which parts of the proposal a killed writer had written.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.trial import FrozenTrial

from search.algorithms.seeds import seeds_of


class Sampler(NamedTuple):
    """A sampler that can be asked for."""

    make: Callable[[int], BaseSampler]
    """Returns Optuna's sampler of a study, of the study's seed."""
    learns: bool
    """Whether its proposals get better with the history: what the time left is reckoned with."""


class SeededTPE(TPESampler):
    """Optuna's TPE, seeded for each trial."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed=seed)
        self._seed = seed

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Return the values that are drawn together, of the joint model."""
        self._reseed(trial, "")
        return super().sample_relative(study, trial, search_space)

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Return a value that is drawn by itself, as at the start all are."""
        self._reseed(trial, param_name)
        return super().sample_independent(study, trial, param_name, param_distribution)

    def _reseed(self, trial: FrozenTrial, name: str) -> None:
        """Reseed both generators; Optuna's reseed_rng() would take entropy from the system."""
        first, second = seeds_of(self._seed, trial.number, name)
        self._rng.rng.seed(first)
        self._random_sampler._rng.rng.seed(second)


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


SAMPLERS = {"tpe": Sampler(SeededTPE, learns=True), "random": Sampler(SeededRandom, learns=False)}
"""Every sampler."""

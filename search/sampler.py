"""Optuna's samplers, made to propose what they would have proposed, had the search not been killed."""

import zlib
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import RandomSampler, TPESampler
from optuna.trial import FrozenTrial


class SeededTPE(TPESampler):
    """TPE whose proposal depends on the seed, the trial's number and the history alone.

    Not on the process's past, nor on which parts of the proposal a killed writer had written.
    """

    def __init__(self, seed: int) -> None:
        super().__init__(seed=seed)
        self._seed = seed

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Reseed for what is drawn together."""
        self._reseed(trial, "")
        return super().sample_relative(study, trial, search_space)

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Reseed for what is drawn by itself, as at the start all is."""
        self._reseed(trial, param_name)
        return super().sample_independent(study, trial, param_name, param_distribution)

    def _reseed(self, trial: FrozenTrial, name: str) -> None:
        """Reseed both generators; reseed_rng() would take entropy from the system."""
        first, second = _states(self._seed, trial.number, name)
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
        """Reseed."""
        self._rng.rng.seed(_states(self._seed, trial.number, param_name)[0])
        return super().sample_independent(study, trial, param_name, param_distribution)


def _states(seed: int, number: int, name: str) -> list[int]:
    states = np.random.SeedSequence([seed, number, zlib.crc32(name.encode())]).generate_state(2)
    return [int(state) for state in states]


SAMPLERS: dict[str, type[SeededTPE] | type[SeededRandom]] = {"tpe": SeededTPE, "random": SeededRandom}

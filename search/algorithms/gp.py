"""A Gaussian process: it models the value over the space, and proposes where the expected improvement is largest.

Jones et al., Efficient Global Optimization of Expensive Black-Box Functions, Journal of Global Optimization 13, 1998,
https://doi.org/10.1023/A:1008306431147; Optuna's: Matérn 5/2, a length scale a hyperparameter, and the logarithm of
the expected improvement of Ament et al., NeurIPS 2023, https://arxiv.org/abs/2310.20708.

Hyperparameters that are not in every trial are drawn at random. Trials that still run are reckoned with.
"""

import importlib
import warnings
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, GPSampler, RandomSampler
from optuna.trial import FrozenTrial, TrialState
from threadpoolctl import threadpool_limits

from search.algorithms.sampler import Sampler
from search.algorithms.seeds import seeds_of
from search.algorithms.space import Space
from search.errors import check_types, require


@dataclass(frozen=True)
class GP(Sampler):
    """The options of the Gaussian process. Raises UserError at a value that breaks its rule."""

    n_startup_trials: int = 10
    """Trials that have ended before it learns from them: until then it draws at random."""
    deterministic_objective: bool = False
    """Whether a configuration has the same value each time that it is trained: no noise is modelled then."""

    packages: ClassVar[tuple[str, ...]] = ("torch", "scipy")
    draws: ClassVar[int] = 2  # each takes a second, and finds the same optimum again where that is known

    def __post_init__(self) -> None:
        check_types(self)
        require(self, "n_startup_trials", ">= 1", self.n_startup_trials >= 1)

    def make(self, seed: int, trial: int, space: Space) -> BaseSampler:
        """Return Optuna's sampler for the proposal of a trial."""
        return SpaceGP(self, seeds_of(seed, trial, ""), space)


class SpaceGP(GPSampler):
    """Optuna's sampler, which knows the space from the start."""

    def __init__(self, options: GP, seeds: tuple[int, int], space: Space) -> None:
        first, second = seeds
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)  # of deterministic_objective
            super().__init__(
                seed=first,
                independent_sampler=RandomSampler(seed=second),
                n_startup_trials=options.n_startup_trials,
                deterministic_objective=options.deterministic_objective,
                warn_independent_sampling=False,
            )
        self._always_on = space.always_on

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Return what every trial has."""
        return self._always_on

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Return the values that are drawn together; with one thread, which is faster, and sums alike everywhere."""
        trials = study._get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        if len(trials) < self._n_startup_trials:
            return {}
        for module in ("torch", "scipy.optimize"):  # of what is not loaded yet no threads can be limited
            importlib.import_module(module)
        with threadpool_limits(1), np.errstate(over="ignore"):  # of values near the largest number
            return super().sample_relative(study, trial, search_space)

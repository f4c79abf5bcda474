"""TPE, the tree-structured Parzen estimator: it draws where good trials are denser than the others.

Bergstra et al., Algorithms for Hyper-Parameter Optimization, NeurIPS 2011,
https://papers.nips.cc/paper/4443-algorithms-for-hyper-parameter-optimization; of all hyperparameters together:
Falkner et al., BOHB: Robust and Efficient Hyperparameter Optimization at Scale, ICML 2018,
https://arxiv.org/abs/1807.01774.

A stopped trial is worse than those that came further, and of those of its epoch better with a better value. Of a
space with conditions, hyperparameters that were in the same trials are drawn together, group by group (without groups
Optuna leaves each that is not in all trials out of its joint model), and which trials are good is asked among those of
the group: else a branch whose first trials were worse than another's would be drawn from at random. On three recorded
tables with branches neither this nor a sampler that draws the branch first was measurably better than Optuna's default
(docs/decisions.md).
"""

import warnings
from dataclasses import dataclass
from typing import Any, ClassVar

import optuna
from optuna.distributions import BaseDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, TPESampler
from optuna.trial import FrozenTrial

from search.algorithms.history import History
from search.algorithms.sampler import Sampler
from search.algorithms.seeds import seeds_of
from search.algorithms.space import Space
from search.errors import check_types, require


@dataclass(frozen=True)
class TPE(Sampler):
    """TPE's options. Raises UserError at a value that breaks its rule."""

    n_startup_trials: int = 10
    """Trials that have ended before it learns from them: until then it draws at random."""
    n_ei_candidates: int = 24
    """Points that are drawn where good trials are dense; the most promising of them is proposed."""
    multivariate: bool | None = None
    """Whether hyperparameters are drawn together; else each by itself. null is together, but for several objectives."""

    reads_stopped: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_types(self)
        require(self, "n_startup_trials", ">= 0", self.n_startup_trials >= 0)
        require(self, "n_ei_candidates", ">= 1", self.n_ei_candidates >= 1)

    def make(self, seed: int, trial: int, space: Space) -> BaseSampler:
        """Return Optuna's sampler for the proposal of a trial, with groups where the space has conditions."""
        in_groups = self.multivariate is not False and bool(space.conditions)
        return SeededTPE(
            seed,
            n_startup_trials=self.n_startup_trials,
            n_ei_candidates=self.n_ei_candidates,
            multivariate=True if in_groups else self.multivariate,
            group=in_groups,
        )


class SeededTPE(TPESampler):
    """Optuna's TPE, seeded for each trial."""

    def __init__(self, seed: int, **options: Any) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)  # of group
            super().__init__(seed=seed, **options)
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

    def _sample(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Return values that are drawn together; of a space with conditions by the trials that have them all."""
        if self._group:
            trials = study._get_trials(deepcopy=False)
            study = History([other for other in trials if search_space.keys() <= other.params.keys()], study.directions)
        return super()._sample(study, trial, search_space)

    def _reseed(self, trial: FrozenTrial, name: str) -> None:
        """Reseed both generators; Optuna's reseed_rng() would take entropy from the system."""
        first, second = seeds_of(self._seed, trial.number, name)
        self._rng.rng.seed(first)
        self._random_sampler._rng.rng.seed(second)

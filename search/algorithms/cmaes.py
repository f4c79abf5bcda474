"""CMA-ES, the covariance matrix adaptation evolution strategy: a cloud of points that moves, turns and shrinks.

Hansen, The CMA Evolution Strategy: A Tutorial, 2016, https://arxiv.org/abs/1604.00772.

For numbers: choices without an order, and hyperparameters that are not in every trial, are drawn at random. A
generation is over when as many of its trials have ended as a population has; those that end later are left out.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import optuna
from optuna._transform import _SearchSpaceTransform
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.samplers import BaseSampler, CmaEsSampler, RandomSampler
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial

from search.algorithms.sampler import Sampler
from search.algorithms.seeds import seeds_of
from search.algorithms.space import Space
from search.errors import UserError, check_types, require

GENERATION = "cma:generation"
"""Optuna's attribute of a trial: the generation in which it was proposed."""


@dataclass(frozen=True)
class CMAES(Sampler):
    """The options of CMA-ES. Raises UserError at a value that breaks its rule."""

    n_startup_trials: int = 0
    """Trials that have ended before it begins: until then they are drawn at random, and it learns nothing of them."""
    popsize: int | None = None
    """Trials of a generation; null for 4 + 3 log(n), of n numbers."""

    notes: ClassVar[tuple[str, ...]] = (GENERATION,)
    takes_several: ClassVar[bool] = False
    packages: ClassVar[tuple[str, ...]] = ("cmaes",)

    def __post_init__(self) -> None:
        check_types(self)
        require(self, "n_startup_trials", ">= 0", self.n_startup_trials >= 0)
        require(self, "popsize", ">= 4, or null", self.popsize is None or self.popsize >= 4)

    def check(self, space: Space) -> None:
        """Raise UserError where there is no number to search."""
        if not _numbers(space):
            raise UserError(
                "cmaes must have a number in each trial, but the space has none; "
                "take sampler: tpe, which takes choices and conditions"
            )

    def make(self, seed: int, trial: int, space: Space) -> BaseSampler:
        """Return Optuna's sampler for the proposal of a trial."""
        return ReplayedCMAES(self, seeds_of(seed, trial, ""), space)


class ReplayedCMAES(CmaEsSampler):
    """Optuna's sampler, whose optimizer is made of the history, generation by generation.

    Optuna keeps the optimizer in the trials' attributes, pickled: whoever opened a study of another's would run what
    stands there. What it is made of here is the number of its generation that each trial has.
    """

    def __init__(self, options: CMAES, seeds: tuple[int, int], space: Space) -> None:
        first, second = seeds
        super().__init__(
            seed=first,
            independent_sampler=RandomSampler(seed=second),
            n_startup_trials=options.n_startup_trials,
            popsize=options.popsize,
            warn_independent_sampling=False,
        )
        self._numbers = _numbers(space)
        self._direction = StudyDirection.NOT_SET

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Return the numbers that every trial has."""
        return self._numbers

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Return the numbers of a trial."""
        self._direction = study.direction
        return super().sample_relative(study, trial, search_space)

    def _restore_optimizer(self, completed_trials: Sequence[FrozenTrial]) -> Any:
        """Return the optimizer with which the newest generation that a trial has was begun; None for the first one."""
        # As Optuna makes it at first; the generator then stands where it stood.
        transform = _SearchSpaceTransform(self._numbers, transform_step=True, transform_0_1=True)
        state = self._cma_rng.rng.get_state()
        optimizer = self._init_optimizer(transform, self._direction)
        self._cma_rng.rng.set_state(state)
        # Each generation that is over moves it; the newest does so in Optuna's own code, which begins the next.
        sign = -1 if self._direction == StudyDirection.MAXIMIZE else 1
        generations: dict[int, list[FrozenTrial]] = {}
        for trial in completed_trials:
            if type(trial.system_attrs.get(GENERATION)) is int:
                generations.setdefault(trial.system_attrs[GENERATION], []).append(trial)
        begun = max(generations, default=0)
        while optimizer.generation < begun:
            trials = generations.get(optimizer.generation, [])
            if len(trials) < optimizer.population_size:  # of a space that was another: they are not told any more
                break
            solutions = []
            for trial in trials[: optimizer.population_size]:
                assert trial.value is not None
                solutions.append((transform.transform(trial.params), sign * trial.value))
            optimizer.tell(solutions)
        return optimizer if optimizer.generation else None


def _numbers(space: Space) -> dict[str, BaseDistribution]:
    """Return the numbers that every trial has."""
    return {
        name: distribution
        for name, distribution in space.always_on.items()
        if not isinstance(distribution, CategoricalDistribution)
    }

"""A grid: every point of a space whose hyperparameters all have a finite number of values, in random order.

The order is the study's seed's, as that of Optuna's GridSampler, which knows no conditions: two points that differ only
in what is off are one. What is tried first, as the defaults, is not repeated.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import optuna
from optuna.distributions import BaseDistribution, FloatDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.trial import FrozenTrial

from search.algorithms.sampler import Sampler
from search.algorithms.space import MOST_POINTS, Params, Space
from search.errors import UserError


@dataclass(frozen=True)
class Grid(Sampler):
    """A grid has no options."""

    learns: ClassVar[bool] = False
    reads_stopped: ClassVar[bool] = True

    def check(self, space: Space) -> None:
        """Raise UserError where the space has a hyperparameter that is continuous, or too many points."""
        for name, distribution in space.items():
            if isinstance(distribution, FloatDistribution) and distribution.step is None and not distribution.single():
                raise UserError(
                    f"grid must have a finite number of values for each hyperparameter, but {name} is continuous; "
                    f"give it a step, make it a choice of values, or take sampler: qmc, which fills such a space evenly"
                )
        if not space.is_small:
            raise UserError(
                f"grid must have at most {MOST_POINTS} points, but the space has more; "
                f"give fewer values, or take sampler: qmc, which spreads its trials over them"
            )

    def make(self, seed: int, trial: int, space: Space) -> BaseSampler:
        """Return a sampler for the proposal of a trial."""
        return GridOfSpace(seed, space)


class GridOfSpace(RandomSampler):
    """Proposes the first point, in the order of a seed, that no trial has."""

    def __init__(self, seed: int, space: Space) -> None:
        super().__init__(seed=seed)  # of a value by itself, that a configuration lacks which is given in part
        self._space = space
        self._points = list(space.points())
        order = list(range(len(self._points)))
        self._rng.rng.shuffle(order)
        self._points = [self._points[at] for at in order]

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Return all of the space."""
        return self._space.searched

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Return the next point; the last one where all are known."""
        space = self._space
        known = set()
        for other in study._get_trials(deepcopy=False):
            params = {name: space.from_drawn(name, drawn) for name, drawn in other.params.items()}
            known.add(space.key(params))
        point: Params = {}
        for point in self._points:
            if space.key(point) not in known:
                break
        return {name: space.to_draw(name, value) for name, value in point.items()}

"""Branches of a space with conditions: what a sampler draws where choices decide which other hyperparameters are on.

TPE itself gives a branch up whose first trials are poor, though it may be the better one when it is tuned, and it draws
what several branches have in common, as a learning rate, where it was good in any of them. Here the choices are drawn
first, every other time at random, and the rest is drawn of the trials of the same branch alone. What depends on a
number or an order, as the items of a list on its length, makes no branch: the lists of all lengths are alike.
"""

import random
from collections.abc import Mapping
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.trial import FrozenTrial

from search.algorithms.history import History
from search.algorithms.seeds import seeds_of
from search.algorithms.space import Space

RANDOM_SHARE = 0.5
"""Of the proposals, in which the branch is drawn at random."""
STARTUP_TRIALS = 5
"""Of a branch, that are drawn at random: what `within` should be made with."""


def roots_of(space: Space) -> list[str]:
    """Return the choices without an order on which others depend, in their order; none of a space without branches."""
    parents = {parent for condition in space.conditions.values() for parent in condition}
    choices = [name for name in space if isinstance(space[name], CategoricalDistribution)]
    return [name for name in choices if name in parents and name not in space.ordinals]


class Branches(BaseSampler):
    """Draws the branch with one sampler, and what is within it with another, which is told the trials of that branch.

    Both must draw as a function of their seed, the trial's number and the history. It is made for a single draw.
    """

    def __init__(self, of_branch: BaseSampler, within: BaseSampler, seed: int, space: Space) -> None:
        self._of_branch = of_branch
        self._within = within
        self._seed = seed
        self._space = space
        self._told: History | None = None
        """The trials of the branch that was drawn."""

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Return the whole space, of which some values may be left to be drawn one by one."""
        return {name: self._space.drawn(name) for name in self._space}

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Return the branch, and what is drawn together within it."""
        history = History(study.get_trials(deepcopy=False), study.directions)
        coin, _ = seeds_of(self._seed, trial.number, "branch")
        is_random = random.Random(coin).random() < RANDOM_SHARE
        # The choices that make the branch, each of the trials that have those before it.
        branch: dict[str, Any] = {}
        for name in roots_of(self._space):
            if self._space.is_on(name, branch):
                branch[name] = self._root(name, history, trial, is_random=is_random)
                history = _of(branch, history)
        # The rest, of the trials of that branch.
        self._told = history
        within = self._within.infer_relative_search_space(history, trial)
        together = self._within.sample_relative(history, trial, within)
        return {**together, **branch}

    def _root(self, name: str, history: History, trial: FrozenTrial, *, is_random: bool) -> Any:
        distribution = self._space.drawn(name)
        if is_random:
            seed, _ = seeds_of(self._seed, trial.number, name)
            return RandomSampler(seed=seed).sample_independent(history, trial, name, distribution)
        return self._of_branch.sample_independent(history, trial, name, distribution)

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Return a value that is drawn by itself, of the trials of the branch."""
        return self._within.sample_independent(self._told or study, trial, param_name, param_distribution)


def _of(branch: Mapping[str, Any], history: History) -> History:
    """Return those trials of a history that have these values."""
    return History([trial for trial in history.told if branch.items() <= trial.params.items()], history.directions)

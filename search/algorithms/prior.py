"""What a person expects of a hyperparameter: a value, and how sure they are of it.

Some proposals take their value of it from around the expected one: most of the first, then fewer and fewer, so that a
wrong expectation costs time and no more. After Mallik et al., PriorBand: Practical Hyperparameter Optimization in the
Age of Deep Learning, NeurIPS 2023, https://arxiv.org/abs/2306.12370; there, too, the share falls, and goes to what is
best so far. Here the sampler, which learns from them, draws the rest.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from optuna._transform import _SearchSpaceTransform
from optuna.distributions import BaseDistribution, CategoricalDistribution

from search.algorithms.seeds import seeds_of

HALF = 10
"""Trials after which half as large a share of the proposals is guided as at the start."""
WIDEST = 0.25
"""Standard deviation, in shares of the range on its scale, of a confidence near 0; it shrinks to NARROWEST at 1."""
NARROWEST = 0.02


class Expected(NamedTuple):
    """What is expected of one hyperparameter."""

    value: Any
    """As a sampler draws it."""
    confidence: float
    """Above 0, at most 1: the share of the first proposals that are guided by it."""


Prior = Mapping[str, Expected]
"""What is expected, by hyperparameter."""


def guided(prior: Prior, name: str, distribution: BaseDistribution, seed: int, trial: int) -> tuple[bool, Any]:
    """Return whether a trial's value of a hyperparameter is guided by the prior, and then that value.

    It is a function of seed and trial alone. A number is drawn around the expected one, on the scale that is searched;
    of a choice it is the expected one.
    """
    expected = prior.get(name)
    if expected is None:
        return False, None
    first, second = seeds_of(seed, trial, f"prior {name}")
    share = expected.confidence * HALF / (HALF + trial)
    if np.random.default_rng(first).random() >= share:
        return False, None
    if isinstance(distribution, CategoricalDistribution) or distribution.single():
        return True, expected.value
    transform = _SearchSpaceTransform({name: distribution}, transform_0_1=True)
    center = transform.transform({name: expected.value})[0]
    width = WIDEST + (NARROWEST - WIDEST) * expected.confidence
    unit = center + width * np.random.default_rng(second).standard_normal()
    return True, transform.untransform(np.clip([unit], 0.0, 1.0))[name]

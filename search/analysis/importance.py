"""How much each hyperparameter decides whether a trial is among the best (PED-ANOVA), and how sure that is.

Of one that is off in some trials it is Optuna's condPED-ANOVA (https://arxiv.org/abs/2601.20800): what its values
decide among the trials that have it, weighed by how many of the best have it. That it is on is what its parents decide.
"""

import math
import random
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from search.algorithms.space import Space
from search.journal.trial import Trial
from search.spec.objective import Objective

MIN_DIFFERENT_VALUES = 4
"""Without which nothing is said."""
MAX_BOOTSTRAP_SAMPLES = 100
MIN_BOOTSTRAP_SAMPLES = 20
MAX_ESTIMATES = 400
"""Over all samples, each of which estimates every hyperparameter: of very many there are fewer samples."""
TAIL_SHARE = 0.1
"""Of the bootstrap samples, on each side of low and high."""


@dataclass(frozen=True)
class Importance:
    """A hyperparameter's share of what sets the best trials apart; the shares of all sum to 1."""

    name: str
    share: float
    low: float
    """Of 80 % of bootstrap samples, drawn from the trials with replacement; widened to hold the share."""
    high: float


def importances(trials: Sequence[Trial], space: Space, objective: Objective) -> list[Importance]:
    """Return the importances, the largest first; none where fewer than MIN_DIFFERENT_VALUES values differ.

    Every trial with a value that counts should be given, stopped ones too: few are trained to their end, and what is
    asked is only what sets the best apart. The spread is over the trials that were proposed, not over other searches.
    """
    if len({trial.value for trial in trials}) < MIN_DIFFERENT_VALUES:
        return []
    frozen = _as_optuna(trials, space)
    shares = _shares(frozen, objective)
    # The same of every bootstrap sample.
    chance = random.Random(0)
    sampled = []
    for _ in range(bootstrap_samples(len(space))):
        sample = chance.choices(frozen, k=len(frozen))
        sampled.append(_shares(sample, objective))
    # Low and high: what is left of a hyperparameter's shares in the samples without the tails.
    tail = round(TAIL_SHARE * (len(sampled) - 1))
    importances = []
    for name, share in shares.items():
        spread = sorted(sample_shares.get(name, 0.0) for sample_shares in sampled)
        low = min(share, spread[tail])
        high = max(share, spread[-1 - tail])
        importances.append(Importance(name, share, low, high))
    return sorted(importances, key=lambda importance: -importance.share)


def bootstrap_samples(hyperparameters: int) -> int:
    """Return how many bootstrap samples are drawn for so many hyperparameters."""
    affordable = MAX_ESTIMATES // hyperparameters
    return max(MIN_BOOTSTRAP_SAMPLES, min(MAX_BOOTSTRAP_SAMPLES, affordable))


def _as_optuna(trials: Sequence[Trial], space: Space) -> list[FrozenTrial]:
    frozen = []
    for number, trial in enumerate(trials):
        distributions = {name: space.drawn(name) for name in trial.params}
        params = {name: space.to_draw(name, value) for name, value in trial.params.items()}
        copy = optuna.create_trial(params=params, distributions=distributions, value=trial.value)
        copy._trial_id = number
        frozen.append(copy)
    return frozen


class _Trials:
    """As much of an Optuna study as the evaluator asks of one: a study itself copies each trial, in a millisecond."""

    def __init__(self, trials: list[FrozenTrial], objective: Objective) -> None:
        self._trials = trials
        self.directions = [optuna.study.StudyDirection[objective.direction.upper()]]

    def get_trials(self, deepcopy: bool = True, states: tuple[TrialState, ...] = ()) -> list[FrozenTrial]:
        """Return all of them, which are complete."""
        return self._trials

    def _is_multi_objective(self) -> bool:
        return False


def _shares(trials: list[FrozenTrial], objective: Objective) -> dict[str, float]:
    """Return the share of each hyperparameter by name; equal ones where PED-ANOVA tells none from another."""
    from optuna.importance import PedAnovaImportanceEvaluator  # imports scikit-learn where there is one: a second

    study: Any = _Trials(trials, objective)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that the best quantile may be all of so few
        values = PedAnovaImportanceEvaluator().evaluate(study)
    total = math.fsum(values.values())
    if total > 0:
        return {name: value / total for name, value in values.items()}
    return {name: 1 / len(values) for name in values}

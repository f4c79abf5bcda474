"""How much each hyperparameter decides whether a trial is among the best (PED-ANOVA), and how sure that is."""

import math
import random
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.importance import PedAnovaImportanceEvaluator
from optuna.trial import FrozenTrial, TrialState

from search.journal.trial import Trial
from search.spec.objective import Objective
from search.spec.space import Space

LEAST = 4
"""Different values without which nothing is said."""
MOST_DRAWS, LEAST_DRAWS, ESTIMATES = 100, 20, 400
"""Bootstrap samples; fewer where each of very many hyperparameters is estimated in each."""
TAIL = 0.1
"""Of the draws on each side of low and high."""


@dataclass(frozen=True)
class Importance:
    """A hyperparameter's share of what sets the best trials apart; the shares of all sum to 1."""

    name: str
    share: float
    low: float
    """Of 80 % of bootstrap samples, drawn from the trials with replacement; widened to hold the share."""
    high: float


def importances(trials: Sequence[Trial], space: Space, objective: Objective) -> list[Importance]:
    """Return the importances, the largest first; none where fewer than LEAST values differ.

    Every trial with a value that counts should be given, stopped ones too: few are trained to their end, and what is
    asked is only what sets the best apart. The spread is over the trials that were proposed, not over other searches.
    """
    if len({trial.value for trial in trials}) < LEAST:
        return []
    made = [optuna.create_trial(params=each.params, distributions=space, value=each.value) for each in trials]
    for number, trial in enumerate(made):
        trial._trial_id = number
    shares = _shares(made, objective)
    chance = random.Random(0)
    drawn = [_shares(chance.choices(made, k=len(made)), objective) for _ in range(draws(len(space)))]
    found = []
    for name, share in shares.items():
        among = sorted(each.get(name, 0.0) for each in drawn)
        at = round(TAIL * (len(drawn) - 1))
        found.append(Importance(name, share, min(share, among[at]), max(share, among[-1 - at])))
    return sorted(found, key=lambda each: -each.share)


def draws(hyperparameters: int) -> int:
    """Return how many bootstrap samples are drawn."""
    return max(LEAST_DRAWS, min(MOST_DRAWS, ESTIMATES // hyperparameters))


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
    study: Any = _Trials(trials, objective)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that the best quantile may be all of so few
        found = PedAnovaImportanceEvaluator().evaluate(study)
    total = math.fsum(found.values())
    return {name: value / total if total > 0 else 1 / len(found) for name, value in found.items()}

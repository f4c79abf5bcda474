"""Trials in the order of the final values that are predicted of them: a stopped one was on its way to a better one.

How far its loss at its last epoch lies above a floor is multiplied by the median factor by which that distance shrank,
from this epoch to the end, in the trials that were trained to their end. The floor lies below the best of all values,
by a share of what the complete ones lie above it. A ratio of the values themselves would need a loss that is positive
and tends to zero: an accuracy of 0.95 at epoch 3, where others went from 0.90 to 0.99, is no 1.045 at the end.

For what is retrained only: what is handed over without a retraining is the best value. Of several, one that disappoints
costs a run.
"""

import statistics
from collections.abc import Iterable

from search.journal.trial import Trial
from search.spec.objective import Objective

FLOOR_SHARE = 0.5
"""How far the floor lies below the best value, in distances from there to the median of the complete ones."""


def ranked(trials: Iterable[Trial], objective: Objective) -> list[Trial]:
    """Return the trials that may win, the one with the best predicted final value first.

    Where all trained equally long, as without a scheduler, that is the order of their values.
    """
    able = objective.ranked(trial for trial in trials if trial.may_win)
    if not able:
        return []
    finals = _trained_longest(able)
    # The best loss so far by epoch of each that was trained to its end: the last is its final one.
    curves = [_losses(trial, objective) for trial in finals]
    floor = _floor(able[0], finals, objective)
    # What the distance to the floor will have shrunk to, from each epoch at which a trial has ended.
    factor_at: dict[int, float] = {}
    for trial in able:
        epoch = len(trial.epochs)
        if epoch not in factor_at:
            factor_at[epoch] = _factor(curves, epoch, floor)
    predicted = {}
    for trial in able:
        factor = 1.0 if trial.ending == "complete" else factor_at[len(trial.epochs)]
        predicted[trial.number] = (_loss(trial, objective) - floor) * factor
    return sorted(able, key=lambda trial: predicted[trial.number])


def _trained_longest(able: list[Trial]) -> list[Trial]:
    """Return the trials whose values are final: the complete ones, or where there is none those of the most epochs."""
    complete = [trial for trial in able if trial.ending == "complete"]
    if complete:
        return complete
    most = max(len(trial.epochs) for trial in able)
    return [trial for trial in able if len(trial.epochs) == most]


def _loss(trial: Trial, objective: Objective) -> float:
    """Return a quarter of the loss of a trial that has a value: of quarters all distances are floats, too."""
    assert trial.value is not None
    return objective.sign * trial.value / 4


def _losses(trial: Trial, objective: Objective) -> list[float | None]:
    """Return a quarter of the best loss so far by epoch; None before the first finite value."""
    bests = trial.running_best(objective)
    return [None if best is None else objective.sign * best / 4 for best in bests]


def _floor(best: Trial, finals: list[Trial], objective: Objective) -> float:
    """Return the loss from which distances are measured."""
    least = _loss(best, objective)
    median = statistics.median(_loss(trial, objective) for trial in finals)
    return least - FLOOR_SHARE * (median - least)


def _factor(curves: list[list[float | None]], epoch: int, floor: float) -> float:
    """Return the median factor by which the distance to the floor shrank from an epoch to the end of these curves.

    A curve that ended by itself before that epoch shrank no more. 1 where no curve tells: none ends above the floor, or
    none has a value by then.
    """
    factors = []
    for losses in curves:
        then = losses[min(epoch, len(losses)) - 1] if losses else None
        final = losses[-1] if losses else None
        if then is not None and final is not None and final > floor:
            factors.append((final - floor) / (then - floor))
    return statistics.median(factors) if factors else 1.0

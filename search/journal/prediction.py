"""Trials in the order of the final values that are predicted of them: a stopped one was on its way to a better one.

From one epoch at which trials ended to the next, the distance of a trial's best value from the best of all shrinks by a
factor: the median of those of the trials that came that far. The product of these factors says what is left of it at
the end. A ratio of the values themselves would need a loss that is positive and tends to zero: an accuracy of 0.95 at
epoch 3, where others went from 0.90 to 0.99, is no 1.045 at the end. Distances need neither.

For what is retrained only: what is handed over without a retraining is the best value. Of several, one that disappoints
costs a run.
"""

import statistics
from collections.abc import Iterable, Sequence
from itertools import pairwise

from search.journal.trial import Trial
from search.spec.objective import Objective


def ranked(trials: Iterable[Trial], objective: Objective) -> list[Trial]:
    """Return the trials that may win, the one with the best predicted final value first; equal ones by their values.

    Where all trained equally long, as without a scheduler, that is the order of their values.
    """
    able = objective.ranked(trial for trial in trials if trial.may_win)
    if not able:
        return []
    curves = [_distances(trial, able[0], objective) for trial in able]
    left_at = _left(able, curves)
    predicted: dict[int, float] = {}
    for trial, distances in zip(able, curves, strict=True):
        final = distances[-1]
        assert final is not None
        if trial.ending != "complete":  # one that is has come to its end, also where that was before that of others
            final *= left_at[len(distances)]
        predicted[trial.number] = final
    return sorted(able, key=lambda trial: predicted[trial.number])


def _distances(trial: Trial, best: Trial, objective: Objective) -> list[float | None]:
    """Return by how much its best value so far is worse than the best of all, by epoch; None before its first value.

    Halves of it: the difference of two floats may be none. Of a trial without epochs there is its value alone.
    """
    assert trial.value is not None
    assert best.value is not None
    so_far = trial.running_best(objective) or [trial.value]
    zero = best.value / 2
    return [None if value is None else objective.sign * (value / 2 - zero) for value in so_far]


def _left(able: Sequence[Trial], curves: Sequence[list[float | None]]) -> dict[int, float]:
    """Return what will be left of a trial's distance at the end, by the epoch at which it ended: a factor."""
    ends = sorted({len(distances) for distances in curves}, reverse=True)
    left_at = {ends[0]: 1.0}
    for later, earlier in pairwise(ends):
        factors = []
        for trial, distances in zip(able, curves, strict=True):
            # A complete trial has stayed where it ended.
            came_that_far = trial.ending == "complete" or len(distances) >= later
            before = distances[min(earlier, len(distances)) - 1]
            after = distances[min(later, len(distances)) - 1]
            if came_that_far and before and after is not None:
                factors.append(after / before)
        left_at[earlier] = left_at[later] * (statistics.median(factors) if factors else 1.0)
    return left_at

"""Stopped trials as samplers read them that know of complete ones only: under early stopping those are a handful.

A stopped trial is told with its best value so far. Told with the final value that is predicted of it, or with none that
is better than that of a trial that came further, samplers did no better (docs/decisions.md).
"""

import copy
from collections.abc import Sequence

from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState


def completed(trials: Sequence[FrozenTrial], directions: Sequence[StudyDirection]) -> list[FrozenTrial]:
    """Return the trials with those that were stopped, diverged or failed as complete ones, where there is a value.

    One that diverged or failed has the worst value of all others, so that the sampler stays away. Where no other has a
    value yet, or there are several objectives, they stay as they are.
    """
    if len(directions) > 1:
        return list(trials)
    values: dict[int, float] = {}
    for trial in trials:
        if trial.state == TrialState.COMPLETE:
            values[trial.number] = trial.values[0]
        elif trial.state == TrialState.PRUNED and trial.intermediate_values and not trial.constraints:
            values[trial.number] = trial.intermediate_values[max(trial.intermediate_values)]
    if not values:
        return list(trials)
    worst = min(values.values()) if directions[0] == StudyDirection.MAXIMIZE else max(values.values())
    told = []
    for trial in trials:
        if trial.state == TrialState.PRUNED:
            told.append(_as_complete(trial, values.get(trial.number, worst)))
        else:
            told.append(trial)
    return told


def _as_complete(trial: FrozenTrial, value: float) -> FrozenTrial:
    """Return a trial as a complete one with a value, and without the constraints that it violates."""
    shown = copy.copy(trial)
    shown.state = TrialState.COMPLETE
    shown.values = [value]
    notes = trial.system_attrs.items()
    shown.system_attrs = {name: note for name, note in notes if not name.startswith("constraints")}
    return shown

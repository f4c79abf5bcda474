"""Trials by several objectives: where each lies, the front of them, the one that is handed over, and some along it.

A trial lies where its best epoch by the first objective does. Of one objective the front is the best trial.
"""

import math
from collections.abc import Iterable, Mapping, Sequence

from search.algorithms import pareto
from search.journal.trial import Trial
from search.spec.objectives import Objectives

Point = tuple[float, ...]
"""A value an objective."""


def point(trial: Trial, objectives: Objectives) -> Point | None:
    """Return the values of a trial; None where it has none of an objective.

    Of an epoch that lacks a metric it is the last one before that has it.
    """
    return point_of(trial.epochs, trial.value, objectives)


def point_of(epochs: Sequence[Mapping[str, float]], value: float | None, objectives: Objectives) -> Point | None:
    """Return the values of a training of which these are the metrics by epoch, and the best value by the first one."""
    if value is None:
        return None
    if not objectives.are_several:
        return (value,)
    best_epoch = [metrics.get(objectives.first.metric) for metrics in epochs].index(value) + 1
    values = [value]
    for name in objectives.names[1:]:
        known = [metrics[name] for metrics in epochs[:best_epoch] if name in metrics]
        if not known or not math.isfinite(known[-1]):
            return None
        values.append(known[-1])
    return tuple(values)


def _placed(trials: Iterable[Trial], objectives: Objectives) -> tuple[list[Trial], list[Point]]:
    """Return the trials that may win and lie somewhere, and where."""
    able: list[Trial] = []
    points: list[Point] = []
    for trial in trials:
        at = point(trial, objectives) if trial.may_win else None
        if at is not None:
            able.append(trial)
            points.append(at)
    return able, points


def points(trials: Iterable[Trial], objectives: Objectives) -> list[Point]:
    """Return where the trials lie that may win, as far as they lie anywhere."""
    _, found = _placed(trials, objectives)
    return found


def front(trials: Iterable[Trial], objectives: Objectives) -> list[Trial]:
    """Return the trials that no other one dominates, by the first objective."""
    able, points = _placed(trials, objectives)
    return [able[at] for at in pareto.front(objectives.losses(points))] if able else []


def best(trials: Iterable[Trial], objectives: Objectives) -> Trial | None:
    """Return the trial that is handed over: the best, or of several objectives the one that the rule takes."""
    if not objectives.are_several:
        return objectives.first.best(trial for trial in trials if trial.may_win)
    able, points = _placed(trials, objectives)
    return able[objectives.chosen(points)] if able else None


def along(trials: Iterable[Trial], count: int, objectives: Objectives) -> list[Trial]:
    """Return so many trials: the one that is handed over, then others along the front."""
    able, points = _placed(trials, objectives)
    if not able:
        return []
    return [able[at] for at in pareto.along(objectives.losses(points), objectives.chosen(points), count)]


def described(trial: Trial, objectives: Objectives) -> str:
    """Return the values of a trial by their names, as text."""
    values = point(trial, objectives) or ()
    return ", ".join(f"{name} {value:.6g}" for name, value in zip(objectives.names, values, strict=False))

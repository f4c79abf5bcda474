"""An ablation: the way from the defaults to the winner, one hyperparameter at a time, each step the best there is.

Fawcett and Hoos, Analysing Differences between Algorithm Configurations through Ablation, Journal of Heuristics 22,
2016.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import optuna

from search.journal import records
from search.spec.objective import Objective

ABLATION = "ablation"
"""The kind of its studies in the journal."""
CHANGED = "changed"
"""The attribute of a run that lists the hyperparameters which have the winner's value, the last the one it tries."""
ENDS = "ends"
"""The attribute of an ablation that holds its Ends."""
Changed = tuple[str, ...]


@dataclass(frozen=True)
class Ends:
    """Where the way begins and where it ends: runs of a retraining with the same seed."""

    winner: str
    """The name of its candidate."""
    seed: int
    first: float
    """The value of the defaults."""
    last: float
    """The value of the winner."""
    before: Mapping[str, Any]
    """What differs between the two: the values of the defaults, ..."""
    after: Mapping[str, Any]
    """and those of the winner."""


@dataclass(frozen=True)
class Step:
    """One hyperparameter that takes the winner's value, beside those before it."""

    name: str
    before: Any
    after: Any
    value: float
    """Of the metric."""
    gain: float
    """Over the step before, positive where it is better."""


def values_of(ablation: optuna.Study, objective: Objective) -> dict[Changed, float]:
    """Return what each run came to that trained to its end, by what it had changed; infinite losses of the others."""
    values = {}
    for run in records.read(ablation, objective):
        if run.ending != "running":
            is_sound = run.ending == "complete" and run.value is not None
            values[tuple(run.attributes[CHANGED])] = run.value if is_sound and run.value is not None else math.nan
    return values


def steps(ends: Ends, values: Mapping[Changed, float], objective: Objective) -> list[Step]:
    """Return the way as far as its runs have ended: of each round the best, of equals the first."""
    way: list[Step] = []
    done: Changed = ()
    value = ends.first
    while len(done) < len(ends.before):
        round_of = {name: values.get((*done, name)) for name in ends.before if name not in done}
        if len(round_of) == 1:
            (name,) = round_of
            best: float | None = ends.last
        else:
            name = ""
            best = None
            for each, found in round_of.items():
                if found is None:
                    return way
                if objective.is_better(found, best):
                    name, best = each, found
        if best is None:  # none of the round can be trained
            return way
        gain = objective.sign * (value - best)
        way.append(Step(name, ends.before[name], ends.after[name], best, gain))
        done = (*done, name)
        value = best
    return way


@dataclass(frozen=True)
class Ablation:
    """An ablation as far as it was trained."""

    ends: Ends
    steps: tuple[Step, ...]


def newest(ablations: Sequence[optuna.Study], objective: Objective) -> Ablation | None:
    """Return the newest of the ablations in a journal; None where there is none."""
    if not ablations:
        return None
    ends = read_ends(ablations[-1])
    return Ablation(ends, tuple(steps(ends, values_of(ablations[-1], objective), objective)))


def read_ends(ablation: optuna.Study) -> Ends:
    """Return the ends of an ablation in the journal."""
    return Ends(**ablation.user_attrs[ENDS])

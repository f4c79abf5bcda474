"""Trials of earlier studies, of which a search is told before its own: how they are recorded, and read.

They are an attribute of the search, so that it goes on where those studies are gone.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial, TrialState

from search.algorithms.space import Space

EARLIER = "earlier"
"""The attribute of a search that holds them."""


@dataclass(frozen=True)
class Known:
    """A trial of an earlier study, in the terms of this one."""

    source: str
    """The study, as it was named."""
    number: int
    """There."""
    params: Mapping[str, Any]
    values: tuple[float, ...] | None
    """A value an objective, of which the first is the best so far; None where it diverged."""
    epoch: int
    """How many epochs it was trained."""
    is_complete: bool

    def as_recorded(self) -> dict[str, Any]:
        """Return it as JSON can hold it."""
        return {
            "source": self.source,
            "number": self.number,
            "params": dict(self.params),
            "values": None if self.values is None else list(self.values),
            "epoch": self.epoch,
            "is_complete": self.is_complete,
        }


def read(search: optuna.Study) -> list[Known]:
    """Return the trials of earlier studies that a search was told of. Raises ValueError where no search wrote them."""
    known = []
    for entry in search.user_attrs.get(EARLIER, []):
        values = None if entry["values"] is None else tuple(map(float, entry["values"]))
        trial = Known(**{**entry, "values": values})
        is_sound = type(trial.number) is int and type(trial.epoch) is int and isinstance(trial.source, str)
        if not is_sound or not all(map(math.isfinite, values or ())):
            raise ValueError(f"it was told of a trial {entry!r:.200}")
        known.append(trial)
    return known


def as_optuna(known: Iterable[Known], space: Space, *, are_several: bool) -> list[FrozenTrial]:
    """Return them as a sampler is told of trials, with numbers below 0; those that do not lie in the space left out.

    As the search's own: a stopped one is PRUNED with its best value at the last epoch, and a sampler is to stay away
    from one that diverged. Of several objectives each is as if it had been trained to its end.
    """
    found: list[FrozenTrial] = []
    for trial in known:
        if space.is_whole(trial.params):
            distributions = {name: space[name] for name in trial.params}
            found.append(_as_optuna(trial, distributions, -1 - len(found), are_several))
    return found[::-1]


def _as_optuna(
    trial: Known, distributions: Mapping[str, BaseDistribution], number: int, are_several: bool
) -> FrozenTrial:
    is_complete = trial.values is not None and (trial.is_complete or are_several)
    steps = {}
    if trial.values is not None and not are_several:
        steps = {trial.epoch: trial.values[0]}
    made = optuna.create_trial(
        state=TrialState.COMPLETE if is_complete else TrialState.PRUNED,
        values=trial.values if is_complete else None,
        params=dict(trial.params),
        distributions=dict(distributions),
        intermediate_values=steps,
        constraints={"diverged": 1.0} if trial.values is None else None,
    )
    if trial.values is not None and not is_complete:
        made.values = list(trial.values)  # as of a trial that Optuna was told is pruned
    made.number = number
    made._trial_id = number
    return made

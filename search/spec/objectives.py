"""What a search is for: one objective, or several, and by which rule one point of their front is handed over.

objectives: {val_loss: min, parameters: min}
choose: knee

The first objective stops trials early, and a trial is judged at its best epoch by that one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from search.algorithms import pareto, samplers
from search.algorithms.pareto import Choice, Knee, Losses
from search.algorithms.sampler import Sampler
from search.errors import UserError
from search.spec.objective import MODES, Objective, mode_of


@dataclass(frozen=True)
class Objectives:
    """The objectives of a search, the first before all."""

    all: tuple[Objective, ...]
    choice: Choice

    @classmethod
    def of_one(cls, objective: Objective) -> Self:
        """Return those of a search for one metric."""
        return cls((objective,), Knee())

    @property
    def first(self) -> Objective:
        """Return the one that stops trials early."""
        return self.all[0]

    @property
    def are_several(self) -> bool:
        """Return whether there is a front at all."""
        return len(self.all) > 1

    @property
    def names(self) -> list[str]:
        """Return the metrics."""
        return [objective.metric for objective in self.all]

    def losses(self, points: Sequence[Sequence[float]]) -> Losses:
        """Return values, a row a point and a column an objective, as losses."""
        signs = [objective.sign for objective in self.all]
        return np.array(points, dtype=float).reshape(len(points), len(signs)) * signs

    def chosen(self, points: Sequence[Sequence[float]]) -> int:
        """Return which of at least one point is handed over: of one objective the best, of several by the rule."""
        losses = self.losses(points)
        front = pareto.front(losses)
        if not self.are_several:
            return front[0]
        return front[self.choice.choose(losses[front])]


def parse(entries: Mapping[str, Any]) -> tuple[Objective, ...]:
    """Return the objectives of `objectives` in the YAML, where null is the mode that a metric's name says.

    Raises UserError where one has no mode, or another than min or max.
    """
    found = []
    for name, asked in entries.items():
        if not isinstance(name, str) or not name:
            raise UserError(f"objectives must hold names of metrics, but got {name!r}")
        mode = mode_of(name) if asked is None else asked
        if mode not in MODES:
            raise UserError(f"objectives.{name} must be {' or '.join(MODES)}, but got {asked!r}")
        found.append(Objective(name, mode))
    return tuple(found)


def first_of(metric: str, mode: str, entries: Mapping[str, Any]) -> dict[str, str]:
    """Return metric and mode of a search with these objectives; as they are where there are none.

    Raises UserError where both are given and say different things.
    """
    if not isinstance(entries, Mapping):
        raise UserError(f"objectives must be a mapping, as {{val_loss: min, parameters: min}}, but got {entries!r}")
    if not entries:
        return {}
    first = parse(entries)[0]
    if metric and (metric, mode) != (first.metric, first.mode):
        raise UserError(
            f"a search must have 'metric' or 'objectives', but has both, metric {metric!r} and objectives "
            f"{', '.join(entries)}; remove one"
        )
    if mode and mode != first.mode:
        raise UserError(
            f"mode must be left out, or that of the first objective, {first.metric}: {first.mode}, but got {mode!r}"
        )
    return {"metric": first.metric, "mode": first.mode}


def of(objective: Objective, entries: Mapping[str, Any], choose: Any) -> Objectives:
    """Return the objectives of a config; without entries it is one. Raises UserError where `choose` breaks its rule."""
    objectives = parse(entries) or (objective,)
    choice = pareto.make(choose, [each.metric for each in objectives])
    if len(objectives) == 1 and choice != Knee():
        raise UserError(f"choose is for several objectives, but there is one, {objective.metric}; remove choose")
    return Objectives(objectives, choice)


def check_sampler(objectives: Objectives, sampler: Sampler) -> None:
    """Raise UserError where a sampler searches for one objective only, and there are several."""
    if objectives.are_several and not sampler.takes_several:
        raise UserError(
            f"the sampler must search for {len(objectives.all)} objectives, {', '.join(objectives.names)}, but "
            f"{samplers.name_of(sampler)} does for one only; take tpe or nsga2"
        )

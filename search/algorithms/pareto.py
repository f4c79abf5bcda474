"""Several objectives at once: which points no other one dominates, and which of them is handed over.

A point dominates another where it is at least as good in all objectives and better in one; those that no other one
dominates are the front. All values here are losses: lower is better. A point is a row, an objective a column.

The knee is the point of the front that lies furthest below the plane through its ends (Das, On Characterizing the
"Knee" of the Pareto Curve Based on Normal-Boundary Intersection, Structural Optimization 18, 1999).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from optuna.study._multi_objective import _fast_non_domination_rank

from search.errors import UserError, suggestion

Losses = npt.NDArray[np.float64]
DECADE = 10.0
"""A loss that is positive everywhere on the front, and spans more than this factor, is measured by its logarithm."""


def ranks(losses: Losses) -> list[int]:
    """Return the rank of each point: 0 on the front, 1 on that of what is left without it, and so on."""
    if not len(losses):
        return []
    return [int(rank) for rank in _fast_non_domination_rank(losses)]


def front(losses: Losses) -> list[int]:
    """Return the points that no other one dominates, by the first objective."""
    found = [at for at, rank in enumerate(ranks(losses)) if rank == 0]
    return sorted(found, key=lambda at: tuple(losses[at]))


def along(losses: Losses, first: int, count: int) -> list[int]:
    """Return so many points, `first` before all others: each the one of the best rank left that is furthest from all.

    So they lie along the front; where that has too few, those behind it follow.
    """
    rank_of = ranks(losses)
    units = scaled(losses)
    chosen = [first]
    left = [at for at in range(len(losses)) if at != first]
    while left and len(chosen) < count:
        best_rank = min(rank_of[at] for at in left)
        near = [at for at in left if rank_of[at] == best_rank]
        distances = [min(np.linalg.norm(units[at] - units[other]) for other in chosen) for at in near]
        chosen.append(near[int(np.argmax(distances))])
        left.remove(chosen[-1])
    return chosen


def scaled(losses: Losses) -> Losses:
    """Return the losses from 0, at the best of an objective, to 1 at its worst; by logarithms where they span much."""
    units = np.zeros_like(losses)
    for column, values in enumerate(losses.T):
        if values.min() > 0 and values.max() / values.min() > DECADE:
            values = np.log(values)
        span = values.max() / 2 - values.min() / 2  # halves, as the difference of two floats may be none
        if span > 0:
            units[:, column] = (values / 2 - values.min() / 2) / span
    return units


class Choice(Protocol):
    """A rule by which one point of a front is handed over."""

    def choose(self, losses: Losses) -> int:
        """Return the chosen of these points, which are a front; its place among them."""
        ...

    def options(self) -> Any:
        """Return what `make` makes the same rule of."""
        ...


@dataclass(frozen=True)
class Knee:
    """The point furthest below the plane through the ends: past it a little of one objective costs much of another."""

    def choose(self, losses: Losses) -> int:
        """Return the point with the least sum of its losses, each from 0 to 1 over the front."""
        return int(np.argmin(scaled(losses).sum(axis=1)))

    def options(self) -> Any:
        """Return its name."""
        return "knee"


@dataclass(frozen=True)
class Within:
    """Of the points whose first objective is not worse than the best by more than a share, the best in the others."""

    share: float

    def choose(self, losses: Losses) -> int:
        """Return the point, compared by the second objective, then by the third, ..."""
        best = losses[:, 0].min()
        near = np.flatnonzero(losses[:, 0] <= best + self.share * abs(best))
        return int(min(near, key=lambda at: (*losses[at, 1:], losses[at, 0])))

    def options(self) -> Any:
        """Return its share under its name."""
        return {"within": self.share}


@dataclass(frozen=True)
class Weights:
    """The point with the least weighted sum of its losses, each from 0 to 1 over the front."""

    of: Mapping[str, float]
    """By objective."""

    def choose(self, losses: Losses) -> int:
        """Return the point; the weights stand in the order of the objectives."""
        return int(np.argmin(scaled(losses) @ np.array(list(self.of.values()))))

    def options(self) -> Any:
        """Return the weights under their name."""
        return {"weights": dict(self.of)}


CHOICES = ("knee", "within", "weights")


def make(asked: Any, objectives: Sequence[str]) -> Choice:
    """Return the rule of a config: knee, {within: share} or {weights: {objective: weight, ...}}.

    Raises UserError where there is no such rule, or its share or weights break theirs.
    """
    if asked == "knee":
        return Knee()
    if not isinstance(asked, Mapping) or len(asked) != 1:
        raise UserError(
            f"choose must be knee, {{within: 0.05}} for a share of the first objective, or {{weights: {{...}}}}, "
            f"but got {asked!r}"
        )
    ((name, value),) = asked.items()
    if name == "within":
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
            raise UserError(f"choose.within must be a share in [0, 1], 0.05 for 5 %, but got {value!r}")
        return Within(float(value))
    if name == "weights":
        return _weights(value, objectives)
    raise UserError(f"choose has no rule {name!r}, {suggestion(str(name), CHOICES)}")


def _weights(asked: Any, objectives: Sequence[str]) -> Weights:
    if not isinstance(asked, Mapping) or set(asked) != set(objectives):
        raise UserError(f"choose.weights must have one of each objective, {', '.join(objectives)}, but got {asked!r}")
    for name, weight in asked.items():
        if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 <= weight < float("inf"):
            raise UserError(f"choose.weights.{name} must be a number >= 0, but got {weight!r}")
    if not any(asked.values()):
        raise UserError(f"choose.weights must have one that is > 0, but got {dict(asked)!r}")
    return Weights({name: float(asked[name]) for name in objectives})

"""Partial dependence: how the value goes with one hyperparameter, the others as they were in the trials.

The model is additive: the value is a sum of a curve of each hyperparameter. A curve is linear between knots and may
bend as much as generalized cross-validation finds it worth (Eilers and Marx, Flexible Smoothing with B-splines and
Penalties, Statistical Science 11, 1996); of a choice it is a level each. The band holds 80 % of bootstrap samples.
"""

import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from search.journal.trial import Trial
from search.spec.axes import Axis

MIN_TRIALS = 30
"""With fewer trials a curve would be of their luck."""
TRIALS_A_HYPERPARAMETER = 8
"""The same where there are many."""
KNOTS = 7
SAMPLES = 60
"""Bootstrap samples."""
TAIL = 0.1
"""Of the samples, on each side of the band."""
OUTLIERS = 0.1
"""Of the trials, the worst, whose values count as that of the best of them: a value can be anything up to infinity."""
PENALTIES = tuple(10.0**power for power in range(-3, 5))
"""Of bending, among which cross-validation chooses."""
RIDGE = 1e-3
"""Of everything, so that what no trial tells is not told."""
DECADE = 10.0
"""Values that are positive and span more than this factor are modelled by their logarithms."""

Floats = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Place:
    """The value that is to be expected at one value of a hyperparameter."""

    position: float
    """On its axis: the number itself, or the index of a choice."""
    low: float
    mean: float
    high: float


def are_possible(trials: Sequence[Trial], axes: Mapping[str, Axis]) -> bool:
    """Return whether there are enough trials with a value."""
    return len(trials) >= max(MIN_TRIALS, TRIALS_A_HYPERPARAMETER * len(axes))


def dependences(trials: Sequence[Trial], axes: Mapping[str, Axis], sign: int) -> dict[str, list[Place]]:
    """Return the curve of each hyperparameter that is no constant; none where there are too few trials.

    Args:
        trials: Those with a value that counts; of a hyperparameter that is off they have no value.
        axes: Of the hyperparameters.
        sign: 1 where less is better, -1 where more is.

    """
    if not are_possible(trials, axes):
        return {}
    values = np.array([trial.value for trial in trials], dtype=float)
    is_log = values.min() > 0 and values.max() / DECADE > values.min()
    # In units of the largest, as the sum of two floats may be none.
    unit = 1.0 if is_log else float(np.abs(values).max()) or 1.0
    scaled = np.log(values) if is_log else values / unit
    worst = np.quantile(sign * scaled, 1 - OUTLIERS)
    scaled = sign * np.minimum(sign * scaled, worst)
    model = _Model(trials, axes)
    penalty = min(PENALTIES, key=lambda penalty: model.generalized_error(scaled, penalty))
    # The curves of all trials, and of each bootstrap sample.
    mean = model.curves(scaled, np.arange(len(trials)), penalty)
    chance = np.random.default_rng(0)
    samples = [model.curves(scaled, chance.integers(0, len(trials), len(trials)), penalty) for _ in range(SAMPLES)]
    found: dict[str, list[Place]] = {}
    for name, positions in model.positions.items():
        low, high = np.quantile([sample[name] for sample in samples], [TAIL, 1 - TAIL], axis=0)
        found[name] = []
        for at, position in enumerate(positions):
            ends = min(low[at], mean[name][at]), mean[name][at], max(high[at], mean[name][at])
            found[name].append(Place(position, *(_unscaled(float(end), unit, is_log=is_log) for end in ends)))
    return found


def _unscaled(value: float, unit: float, *, is_log: bool) -> float:
    """Return a value of the metric of one as it is modelled; beyond the largest number it is that."""
    if is_log:
        return math.exp(min(value, math.log(sys.float_info.max)))
    return max(-sys.float_info.max, min(value * unit, sys.float_info.max))


class _Model:
    """The columns of the trials: a constant, then those of each hyperparameter."""

    def __init__(self, trials: Sequence[Trial], axes: Mapping[str, Axis]) -> None:
        self.positions: dict[str, list[float]] = {}
        """Where each curve is looked at."""
        self._columns: dict[str, slice] = {}
        blocks = [np.ones((len(trials), 1))]
        penalties = [np.zeros((0, 1))]
        width = 1
        for name, axis in axes.items():
            knots = len(axis.choices) or KNOTS
            if knots == 1:
                continue
            params = [trial.params.get(name, _OFF) for trial in trials]
            blocks.append(np.array([_basis(axis, value, knots) for value in params]))
            self.positions[name] = _places(axis, knots)
            self._columns[name] = slice(width, width + knots)
            penalties.append(np.eye(knots) if axis.choices else np.diff(np.eye(knots), 2, axis=0))
            width += knots
        self._x = np.hstack(blocks)
        self._bending = np.zeros((width, width))
        for columns, rows in zip(self._columns.values(), penalties[1:], strict=True):
            self._bending[columns, columns] = rows.T @ rows

    def _solve(self, x: Floats, penalty: float, right: Floats) -> Floats:
        """Return the coefficients of x.T @ values; of x.T itself the matrix that makes them of values."""
        ridge = RIDGE * np.eye(x.shape[1])
        ridge[0, 0] = 0.0
        solved: Floats = np.linalg.solve(x.T @ x + penalty * self._bending + ridge, right)
        return solved

    def generalized_error(self, values: Floats, penalty: float) -> float:
        """Return the error that is to be expected of new trials, but for a factor."""
        solved = self._solve(self._x, penalty, self._x.T)
        left = values - self._x @ (solved @ values)
        freedom = (self._x * solved.T).sum()  # the trace of the matrix that makes predictions of values
        return float((left @ left) / max(len(values) - freedom, 1e-9) ** 2)

    def curves(self, values: Floats, sample: npt.NDArray[Any], penalty: float) -> dict[str, Floats]:
        """Return of each hyperparameter the mean prediction for all trials with its values at the positions."""
        x = self._x[sample]
        coefficients = self._solve(x, penalty, x.T @ values[sample])
        level = (self._x @ coefficients).mean()
        curves = {}
        for name, columns in self._columns.items():
            own = self._x[:, columns] @ coefficients[columns]
            curves[name] = level - own.mean() + coefficients[columns]
        return curves


_OFF = object()


def _basis(axis: Axis, value: Any, knots: int) -> Floats:
    """Return a value's columns: 1 for its choice, or the shares of the two knots around a number; 0 where it is off."""
    columns = np.zeros(knots)
    if value is _OFF:
        return columns
    if axis.choices:
        columns[axis.choices.index(value)] = 1.0
        return columns
    at = min(max(axis.unit(value), 0.0), 1.0) * (knots - 1)
    below = min(int(at), knots - 2)
    columns[below] = 1 - (at - below)
    columns[below + 1] = at - below
    return columns


def _places(axis: Axis, knots: int) -> list[float]:
    """Return the position of each knot on the axis."""
    if axis.choices:
        return [float(at) for at in range(knots)]
    units = [at / (knots - 1) for at in range(knots)]
    if axis.is_log:
        return [axis.low * (axis.high / axis.low) ** unit for unit in units]
    return [axis.low + unit * (axis.high - axis.low) for unit in units]

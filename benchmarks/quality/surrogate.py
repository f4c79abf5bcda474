"""What training a configuration that is not in a table would show: a Gaussian process over the recorded curves.

The logarithm of the loss above a floor is interpolated at each epoch with one Matérn kernel, whose length in each
hyperparameter is fitted to the last epoch (Rasmussen and Williams, 2006). Luck is not modelled but replayed: a run gets
the deviation of a recorded run at all of its epochs: of that configuration trained with several seeds whose mean curve
is the most like its own, since a configuration that starts steeply has other luck than one that creeps.
"""

import json
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve
from scipy.optimize import minimize
from scipy.stats import spearmanr

from benchmarks.quality.tables import Floats, Params, Table
from search.spec.axes import axes_of

FITTED = 400
"""Configurations that the lengths are fitted to."""
FLOOR = 0.9
"""Part of the best recorded loss below which none can fall: differences between good configurations stand out."""
WORST = 0.9
"""Quantile of all losses above which all are alike: nobody hands those over, and cliffs are hard to interpolate."""


@dataclass(frozen=True)
class Kernel:
    """Matérn's, 5/2."""

    lengths: Floats
    """[columns]: by how much a column changes until little is alike, as a part of its range."""
    nugget: float
    """What two runs of one configuration differ by, as a part of the variance of all."""

    @classmethod
    def read(cls, path: Path) -> Self:
        """Return the kernel in a file."""
        found = json.loads(path.read_text(encoding="utf-8"))
        return cls(np.array(found["lengths"]), found["nugget"])

    def write(self, path: Path) -> None:
        """Write it to a file."""
        found = {"lengths": self.lengths.round(4).tolist(), "nugget": round(self.nugget, 6)}
        path.write_text(json.dumps(found) + "\n", encoding="utf-8")

    def between(self, some: Floats, others: Floats) -> Floats:
        """Return how alike points are [some, others]."""
        squares = distances(some / self.lengths, others / self.lengths)
        scaled = np.sqrt(5 * squares)
        alike: Floats = (1 + scaled + scaled**2 / 3) * np.exp(-scaled)
        return alike


class Surrogate:
    """A table that has a curve for every configuration of its space."""

    def __init__(self, table: Table, kernel: Kernel | None = None) -> None:
        """Take a kernel that was fitted before, or fit one, which takes seconds."""
        self.table = table
        self._axes = axes_of(table.space)
        self._points = np.stack([self.point(params) for params in table.params])
        self._floor = FLOOR * float(table.loss.min())
        self._cap = cap_of(table.loss)
        logs = self._heights(table.loss)
        self.kernel = kernel or fitted(self._points, logs[:, -1], self._groups())
        # Besides the losses, the seconds of an epoch.
        self.targets = np.column_stack([logs, np.log(table.seconds)])
        """[configurations, epochs + 1]"""
        self._means = self.targets.mean(axis=0)
        self._weights = solved(self.kernel, self._points, self.targets - self._means)
        runs = self._heights(table.runs)
        self._mean_runs = runs.mean(axis=1)
        """[k, epochs]: of the configurations that were trained with several seeds."""
        count = runs.shape[1]
        # What a mean over so few runs takes away of the deviation is given back.
        self._luck = (runs - self._mean_runs[:, np.newaxis]) * (count / (count - 1)) ** 0.5

    def _heights(self, loss: Floats) -> Floats:
        """Return what is interpolated: the logarithms of losses above the floor, of which the worst are alike."""
        logs = np.log(np.maximum(loss - self._floor, 1e-6 * self._floor))
        low: Floats = np.minimum(logs, self._cap)
        return low

    def point(self, params: Params) -> Floats:
        """Return the place of a configuration [columns]: a number from 0 to 1, and of a choice a column each."""
        columns: list[float] = []
        for name, axis in self._axes.items():
            if axis.choices:
                columns += [float(params[name] == choice) for choice in axis.choices]
            else:
                columns.append(axis.unit(params[name]))
        return np.array(columns)

    def _groups(self) -> NDArray[np.int64]:
        """Return which hyperparameter a column is of [columns]."""
        groups: list[int] = []
        for at, axis in enumerate(self._axes.values()):
            groups += [at] * max(1, len(axis.choices))
        return np.array(groups)

    def _expected(self, params: Params) -> tuple[Floats, float]:
        """Return the heights by epoch that are expected of a configuration, and the seconds of an epoch."""
        alike = self.kernel.between(self.point(params)[np.newaxis], self._points)
        logs = (alike @ self._weights)[0] + self._means
        return logs[:-1], float(np.exp(logs[-1]))

    def quality(self, params: Params) -> float:
        """Return what a configuration is worth: the best loss of the curve that is expected of it, without luck."""
        heights, _ = self._expected(params)
        return self._floor + float(np.exp(heights.min()))

    def run(self, params: Params, seed: int) -> tuple[Floats, float]:
        """Return the losses by epoch of a run, with its luck, and the seconds of an epoch.

        The luck is a function of the seed and the configuration.
        """
        heights, seconds = self._expected(params)
        near = ((self._mean_runs - heights) ** 2).sum(axis=1).argmin()
        key = zlib.crc32(self.point(params).tobytes())
        choice = np.random.SeedSequence([seed, key]).generate_state(1)[0]
        luck = self._luck[near, choice % self._luck.shape[1]]
        return self._floor + np.exp(heights + luck), seconds


def distances(some: Floats, others: Floats) -> Floats:
    """Return the squares of the distances [some, others]."""
    squares = (some**2).sum(axis=1)[:, np.newaxis] + (others**2).sum(axis=1) - 2 * some @ others.T
    positive: Floats = np.maximum(squares, 0.0)
    return positive


def cap_of(loss: Floats) -> float:
    """Return the height above which all losses are alike."""
    return float(np.quantile(np.log(loss - FLOOR * loss.min()), WORST))


def solved(kernel: Kernel, points: Floats, targets: Floats) -> Floats:
    """Return the weights of the kernels around the points [points, targets]."""
    alike = kernel.between(points, points)
    alike[np.diag_indices_from(alike)] += kernel.nugget
    weights: Floats = np.asarray(np.linalg.solve(alike, targets), dtype=float)
    return weights


def fitted(points: Floats, targets: Floats, groups: NDArray[np.int64]) -> Kernel:
    """Return the kernel under which the targets are the most likely; the columns of a choice have one length."""
    chosen = np.random.default_rng(0).permutation(len(points))[:FITTED]
    some = points[chosen]
    wanted = targets[chosen] - targets[chosen].mean()

    def kernel_of(logs: Floats) -> Kernel:
        return Kernel(np.exp(logs[:-1])[groups], float(np.exp(logs[-1])))

    def unlikelihood(logs: Floats) -> float:
        kernel = kernel_of(logs)
        alike = kernel.between(some, some)
        alike[np.diag_indices_from(alike)] += kernel.nugget
        factor = cho_factor(alike, lower=True)
        variance = wanted @ cho_solve(factor, wanted) / len(wanted)
        return float(len(wanted) * np.log(variance) / 2 + np.log(np.diag(factor[0])).sum())

    count = groups.max() + 1
    start = np.append(np.zeros(count), -4.0)
    bounds = [(-3.0, 3.0)] * count + [(-9.0, 0.0)]
    found = minimize(unlikelihood, start, method="L-BFGS-B", bounds=bounds, options={"maxiter": 40})
    return kernel_of(found.x)


@dataclass(frozen=True)
class Error:
    """How far a surrogate is from configurations that it was not shown: five folds, their last epochs."""

    rank: float
    """Spearman's correlation of all."""
    rank_of_best: float
    """That of the best fifth."""
    relative: float
    """The median of the relative error, of the best fifth."""
    luck: float
    """The median relative deviation between seeds, of the configurations that were trained with several: the best ones
    mostly; a surrogate cannot come nearer than that."""


def held_out(surrogate: Surrogate, folds: int = 5) -> Error:
    """Return the error of a table's surrogate, of which each fold is predicted from the others."""
    table = surrogate.table
    points = np.stack([surrogate.point(params) for params in table.params])
    targets = surrogate.targets[:, -2]
    floor = FLOOR * table.loss.min()
    fold = np.random.default_rng(1).permutation(len(points)) % folds
    expected = np.empty_like(targets)
    for at in range(folds):
        out = fold == at
        mean = targets[~out].mean()
        weights = solved(surrogate.kernel, points[~out], targets[~out] - mean)
        expected[out] = surrogate.kernel.between(points[out], points[~out]) @ weights + mean
    best = targets <= np.quantile(targets, 0.2)
    losses = floor + np.exp(targets)
    errors = np.abs(floor + np.exp(expected) - losses) / losses
    last = table.runs[:, :, -1]
    luck = last.std(axis=1, ddof=1) / last.mean(axis=1)
    return Error(
        correlation(targets, expected),
        correlation(targets[best], expected[best]),
        float(np.median(errors[best])),
        float(np.median(luck)),
    )


def correlation(some: Floats, others: Floats) -> float:
    """Return Spearman's correlation."""
    return float(spearmanr(some, others).statistic)

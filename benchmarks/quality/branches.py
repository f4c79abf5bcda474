"""Which way of TPE to search a space with branches is best: replayed on recorded tables, with the real Proposer.

python -m benchmarks.quality.branches branches models --seeds 60

A proposal takes the curve that a Gaussian process of the recorded ones of its branch expects, or with --nearest that of
the nearest of them. A row an arm: how many searches hand over a configuration of the better branch, and the geometric
mean of its loss, relative to Optuna's default.
"""

import argparse
import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pandas as pd
from numpy.typing import NDArray
from optuna.samplers import BaseSampler
from optuna.trial import TrialState
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

from search.algorithms import samplers
from search.algorithms.asha import ASHA
from search.algorithms.branches import STARTUP_TRIALS, Branches
from search.algorithms.proposals import Proposer, ask
from search.algorithms.samplers import SAMPLERS
from search.algorithms.space import Space
from search.algorithms.tpe import TPE, SeededTPE
from search.spec.axes import axis_of
from search.spec.config import StudyConfig
from search.spec.files import read
from search.spec.space import parse

Floats = NDArray[np.float64]
Params = dict[str, Any]
HERE = Path(__file__).parent
BUDGETS = 32, 64
FLOOR = 0.9
"""Part of the best recorded loss of a branch below which none of it can fall."""
WORST = 0.9
"""Quantile of all losses above which all are alike: cliffs are hard to interpolate."""


def config_of(name: str) -> StudyConfig:
    """Return what the YAML of a table asks for."""
    return StudyConfig.of(read(HERE / "workloads" / f"{name}.yaml"))


@dataclass(frozen=True)
class Branch:
    """The recorded configurations of one branch."""

    names: tuple[str, ...]
    """Its hyperparameters."""
    points: Floats
    """[n, columns] in the unit cube."""
    loss: Floats
    """[n, epochs]; NaN from where it diverged."""


    @cached_property
    def _fitted(self) -> tuple[Any, Floats, Floats, float]:
        """Return the kernel, the weights of the points [n, epochs], the means, and the floor below all losses."""
        floor = FLOOR * float(self.loss.min())
        heights = np.log(self.loss - floor)
        heights = np.minimum(heights, np.quantile(heights, WORST))
        means = heights.mean(axis=0)
        columns = self.points.shape[1]
        kernel = ConstantKernel() * Matern(np.ones(columns), (0.05, 20), nu=2.5) + WhiteKernel(0.01, (1e-4, 1))
        last = heights[:, -1] - means[-1]
        process = GaussianProcessRegressor(kernel, random_state=0).fit(self.points, last)
        weights = np.linalg.solve(process.kernel_(self.points), heights - means)
        return process.kernel_, weights, means, floor

    def expected(self, point: Floats) -> Floats:
        """Return the loss by epoch that is expected at a point, without luck."""
        kernel, weights, means, floor = self._fitted
        heights = kernel(point[np.newaxis], self.points) @ weights + means
        found: Floats = floor + np.exp(heights[0])
        return found


class Table:
    """Configurations that were trained in full, by branch: the value of the first hyperparameter."""

    def __init__(self, name: str, path: Path | None = None) -> None:
        config = config_of(name)
        self.space: Space = parse(config.space)
        self.root = next(iter(self.space))
        self.axes = {name: axis_of(distribution) for name, distribution in self.space.items()}
        frame = pd.read_parquet(path or HERE / "tables" / f"{name}.parquet")
        self.epochs = int(frame["loss"].map(len).max())
        self.branches = {key: self._branch(rows) for key, rows in frame.groupby(self.root)}
        self.best = {key: float(np.nanmin(branch.loss)) for key, branch in self.branches.items()}
        self.better = min(self.best, key=lambda key: self.best[key])

    def _branch(self, rows: pd.DataFrame) -> Branch:
        names = tuple(self.space.active({self.root: rows[self.root].iloc[0]})[1:])
        points = np.stack([self._point(names, row) for row in rows.to_dict("records")])
        loss = np.full((len(rows), self.epochs), np.nan)
        for at, curve in enumerate(rows["loss"]):
            loss[at, : len(curve)] = curve
        return Branch(names, points, loss)

    def _point(self, names: tuple[str, ...], params: Any) -> Floats:
        columns: list[float] = []
        for name in names:
            axis = self.axes[name]
            if axis.choices:
                columns += [0.5**0.5 * float(params[name] == choice) for choice in axis.choices]
            else:
                columns.append(axis.unit(params[name]))
        return np.array(columns)

    def curve(self, params: Params, *, is_nearest: bool) -> Floats:
        """Return the loss by epoch of a configuration: of the nearest of its branch, or what is expected of it."""
        branch = self.branches[params[self.root]]
        point = self._point(branch.names, params)
        if not is_nearest:
            return branch.expected(point)
        distance = np.sqrt(((branch.points - point) ** 2).sum(axis=1))
        nearest = branch.loss[distance.argmin()]
        found: Floats = nearest * (1 + 1e-6 * distance.min())
        return found


Make = Callable[[int, Space], BaseSampler]


class Plain(SeededTPE):
    """Asks which trials are good among all of them, as Optuna does."""

    _sample = optuna.samplers.TPESampler._sample


class Within(SeededTPE):
    """Without groups, and which trials are good is asked among those that have what is drawn."""

    def _sample(self, study: Any, trial: Any, search_space: Any) -> Any:
        self._group = True
        try:
            return super()._sample(study, trial, search_space)
        finally:
            self._group = False


def _default(seed: int, space: Space) -> BaseSampler:
    return Plain(seed, multivariate=True)


def _group(seed: int, space: Space) -> BaseSampler:
    return Plain(seed, multivariate=True, group=True)


def _asked_within(seed: int, space: Space) -> BaseSampler:
    return TPE().make(seed, 0, space)


def _no_groups(seed: int, space: Space) -> BaseSampler:
    return Within(seed, multivariate=True)


def _branches(seed: int, space: Space) -> BaseSampler:
    within = SeededTPE(seed, n_startup_trials=STARTUP_TRIALS, multivariate=True, group=True)
    return Branches(SeededTPE(seed), within, seed, space)


ARMS: dict[str, Make | None] = {
    "default": _default,
    "group": _group,
    "group, asked within": _asked_within,
    "no group, asked within": _no_groups,
    "branches": _branches,
    "random": None,
}


@dataclass(frozen=True)
class Made(TPE):
    """TPE as an arm makes it."""

    arm: str = "default"

    def make(self, seed: int, trial: int, space: Space) -> BaseSampler:
        """Return the arm's sampler."""
        make = ARMS[self.arm]
        assert make
        return make(seed, space)


def replay(table: Table, arm: str, seed: int, *, is_halved: bool, is_nearest: bool) -> list[tuple[int, bool, float]]:
    """Return for each budget: trials, whether what is handed over is of the better branch, and its loss in full."""
    sampler = Made(arm=arm) if ARMS[arm] else SAMPLERS["random"]()
    study = optuna.create_study(sampler=Proposer(sampler, seed, table.space, lambda params: True))
    rule = ASHA().rule(table.epochs)
    chosen, best, found = ("", math.nan), math.inf, []
    for number in range(max(BUDGETS) if is_halved else min(BUDGETS)):
        trial = ask(study, table.space)
        curve = table.curve(trial.params, is_nearest=is_nearest)
        low, state = math.inf, TrialState.COMPLETE
        for epoch, loss in enumerate(curve.tolist(), 1):
            if not math.isfinite(loss):
                trial.set_constraint("diverged", 1.0)
                state = TrialState.PRUNED
                break
            low = min(low, loss)
            if is_halved and epoch < table.epochs and not rule.goes_on(number, epoch, low):
                state = TrialState.PRUNED
                break
        if math.isfinite(low):
            trial.report(low, epoch)
        study.tell(trial, low if state == TrialState.COMPLETE else None, state=state)
        if low < best:
            best, chosen = low, (trial.params[table.root], float(np.nanmin(curve)))
        if number + 1 in BUDGETS:
            found.append((number + 1, chosen[0] == table.better, chosen[1]))
    return found


def main() -> None:
    """Print a table a recorded table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", nargs="+")
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seeds", type=int, default=60)
    parser.add_argument("--nearest", action="store_true")
    parser.add_argument("--arms", nargs="+", default=[*ARMS], choices=[*ARMS])
    parser.add_argument("--raw", type=Path, required=True, help="CSV to write each search's result to")
    args = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    columns = ["table", "asha", "trials", "arm", "seed", "better", "loss"]
    rows: list[tuple[Any, ...]] = []
    tables = [Table(name) for name in args.tables]
    for seed in range(args.first, args.first + args.seeds):
        for name, table in zip(args.tables, tables, strict=True):
            for is_halved, arm in itertools.product((True, False), args.arms):
                found = replay(table, arm, seed, is_halved=is_halved, is_nearest=args.nearest)
                rows += [(name, is_halved, trials, arm, seed, is_better, loss) for trials, is_better, loss in found]
        pd.DataFrame(rows, columns=columns).to_csv(args.raw, index=False)


if __name__ == "__main__":
    main()

"""What TPE finds in spaces with branches, ours and Optuna's: replayed on recorded tables, with the real Proposer.

python -m benchmarks.quality.branches branches models linear --seeds 60

A proposal takes the curve that a Gaussian process of the recorded ones of its branch expects, or with --nearest that of
the nearest of them. A row an arm: how many searches hand over a configuration of the better branch, and the geometric
mean of its loss, relative to Optuna's default.

To record one anew: python -m search.table CURVES.parquet --config benchmarks/quality/workloads/NAME.yaml --num-samples
400 (of `branches` 500), then this module with NAME --slim CURVES.parquet.
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

from search.algorithms.asha import ASHA
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


def slim(name: str, curves: Path) -> None:
    """Write the table of recorded curves, a row a configuration: what was searched, and the loss by epoch."""
    config = config_of(name)
    rows = []
    for _, its in pd.read_parquet(curves).sort_values("epoch").groupby("trial"):
        params = {key: its[key].iloc[0] for key in parse(config.space)}
        rows.append({**params, "loss": its[config.metric].astype("float32").round(5).tolist()})
    pd.DataFrame(rows).to_parquet(HERE / "tables" / f"{name}.parquet", compression="zstd", index=False)


Make = Callable[[int, Space], BaseSampler]


class Plain(SeededTPE):
    """Asks which trials are good among all of them, as Optuna does."""

    _sample = optuna.samplers.TPESampler._sample


def _default(seed: int, space: Space) -> BaseSampler:
    return Plain(seed, multivariate=True)


def _group(seed: int, space: Space) -> BaseSampler:
    return Plain(seed, multivariate=True, group=True)


def _ours(seed: int, space: Space) -> BaseSampler:
    return TPE().make(seed, 0, space)


ARMS: dict[str, Make | None] = {
    "default": _default,
    "group": _group,
    "ours": _ours,
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


COLUMNS = ["table", "asha", "trials", "arm", "seed", "better", "loss"]


def summary(rows: list[tuple[Any, ...]]) -> str:
    """Return a line an arm, table, and budget: the share of better branches, the loss relative to the default's."""
    lines = ["| table | ASHA | trials | TPE | better branch | loss, % of the default's |", "|---|---|---|---|---|---|"]
    frame = pd.DataFrame(rows, columns=COLUMNS)
    for (table, is_halved, trials), cell in frame.groupby(["table", "asha", "trials"], sort=False):
        losses = cell.pivot_table(index="seed", columns="arm", values="loss")
        ratios = losses.div(losses["default"], axis=0).apply(np.log)
        error = ratios.std() / len(ratios) ** 0.5
        for arm, share in cell.groupby("arm", sort=False)["better"].mean().items():
            change = 100 * np.expm1(ratios[arm].mean())
            figures = f"{share:.2f} | {change:+.1f} ± {100 * error[arm]:.1f}"
            lines.append(f"| {table} | {'yes' if is_halved else 'no'} | {trials} | {arm} | {figures} |")
    return "\n".join(lines)


def main() -> None:
    """Replay the tables, or record one of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", nargs="+")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--seeds", type=int, default=60)
    parser.add_argument("--nearest", action="store_true")
    parser.add_argument("--arms", nargs="+", default=[*ARMS], choices=[*ARMS])
    parser.add_argument("--slim", type=Path, metavar="FILE", help="make the table of what search.table has written")
    args = parser.parse_args()
    if args.slim:
        slim(args.tables[0], args.slim)
        return
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    rows: list[tuple[Any, ...]] = []
    for name in args.tables:
        table = Table(name)
        seeds = range(args.first, args.first + args.seeds)
        for seed, is_halved, arm in itertools.product(seeds, (True, False), dict.fromkeys(["default", *args.arms])):
            found = replay(table, arm, seed, is_halved=is_halved, is_nearest=args.nearest)
            rows += [(name, is_halved, trials, arm, seed, is_better, loss) for trials, is_better, loss in found]
    print(summary(rows))


if __name__ == "__main__":
    main()

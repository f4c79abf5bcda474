"""Duels: ours searches a table, then each peer gets the same epochs, and the same seconds, with the same luck."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache

import pandas as pd

from benchmarks.quality import tables
from benchmarks.quality.arms import OURS, PEERS, Begin
from benchmarks.quality.clock import Contender, World, play
from benchmarks.quality.surrogate import Kernel, Surrogate
from benchmarks.quality.tables import Params


@dataclass(frozen=True)
class Budget:
    """What a search may use up."""

    epochs: float = float("inf")
    seconds: float = float("inf")


@dataclass(frozen=True)
class Standing:
    """What a contender had when a budget was used up."""

    chosen: Params | None
    """The configuration that it would hand over."""
    epochs: int
    """That it had trained."""
    seconds: float
    trials: int
    """That it had begun."""


def standings(
    contender: Contender, world: World, workers: int, seed: int, budgets: Mapping[str, Budget]
) -> dict[str, Standing]:
    """Return what a contender has at the end of each budget; one that ends before that has it at its end.

    What was trained is what it has heard of: an epoch counts when it has ended.
    """
    left = dict(budgets)
    found: dict[str, Standing] = {}
    now = 0.0
    heard = 0
    trials = 0
    for moment in play(contender, world, workers, seed):
        for name, budget in list(left.items()):
            if moment.epochs >= budget.epochs or moment.now > budget.seconds:
                found[name] = Standing(contender.chosen(), moment.epochs, now, moment.trials)
                del left[name]
        if not left and budgets:
            return found
        now = moment.now
        heard = moment.epochs + 1
        trials = moment.trials
    end = Standing(contender.chosen(), heard, now, trials)
    return found | dict.fromkeys(left, end)


@cache
def surrogate_of(name: str) -> Surrogate:
    """Return the surrogate of a table, which is made once in a process."""
    return Surrogate(tables.load(name), Kernel.read(tables.path_of(name, tables.KERNEL)))


def duel(name: str, workers: int, seed: int, peers: Mapping[str, Begin] = PEERS) -> pd.DataFrame:
    """Return a row for each of ours, peer and budget: table, workers, seed, ours, arm, at equal, loss, ..."""
    world = surrogate_of(name)
    rows = []
    budgets: dict[str, Budget] = {}
    for ours, begin in OURS.items():
        end = standings(begin(world.table, seed), world, workers, seed, {"end": Budget()})["end"]
        budgets[f"{ours}|epochs"] = Budget(epochs=end.epochs)
        budgets[f"{ours}|seconds"] = Budget(seconds=end.seconds)
        rows += [_row(world, ours, ours, equal, end) for equal in ("epochs", "seconds")]
    for peer, begin in peers.items():
        for key, standing in standings(begin(world.table, seed), world, workers, seed, budgets).items():
            ours, equal = key.split("|")
            rows.append(_row(world, ours, peer, equal, standing))
    return pd.DataFrame(rows).assign(table=name, workers=workers, seed=seed)


def _row(world: Surrogate, ours: str, arm: str, equal: str, standing: Standing) -> dict[str, object]:
    chosen = standing.chosen
    loss = world.quality(chosen) if chosen else float(world.table.loss.max())
    counts = {"epochs": standing.epochs, "seconds": standing.seconds, "trials": standing.trials}
    return {"ours": ours, "arm": arm, "equal": equal, "loss": loss, **counts}


def all_duels(names: list[str], workers: list[int], seeds: range) -> Iterator[tuple[str, int, int]]:
    """Yield what `duel` is asked, a seed of every table before the next one."""
    for seed in seeds:
        for name in names:
            for count in workers:
                yield name, count, seed

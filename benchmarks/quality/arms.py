"""Who takes part: ours, and every peer, by name."""

from collections.abc import Callable

from optuna.pruners import HyperbandPruner, MedianPruner, NopPruner, SuccessiveHalvingPruner

from benchmarks.quality.clock import Contender
from benchmarks.quality.optunas import Optunas
from benchmarks.quality.ours import Ours
from benchmarks.quality.rays import Rays
from benchmarks.quality.tables import Table
from search.algorithms import samplers

Begin = Callable[[Table, int], Contender]
"""Begins a search of a table with a seed."""

TRIALS = 32
"""Of ours; a peer gets as many as it has epochs or seconds for."""


def ours(table: Table, seed: int) -> Contender:
    """Begin a search with our defaults."""
    return Ours(table, seed, trials=TRIALS)


def ours_without_defaults(table: Table, seed: int) -> Contender:
    """Begin a search with our defaults, but not the workload's as the first trial."""
    return Ours(table, seed, trials=TRIALS, try_defaults=False)


def _halving_at_3(table: Table, seed: int) -> Contender:
    return Optunas(table, seed, SuccessiveHalvingPruner(min_resource=3, reduction_factor=3))


def _random(table: Table, seed: int) -> Contender:
    return Ours(table, seed, trials=None, sampler=samplers.make("random"), try_defaults=False)


OURS: dict[str, Begin] = {"ours": ours, "ours, no defaults": ours_without_defaults}
PEERS: dict[str, Begin] = {
    "Ray: OptunaSearch, ASHA 1 and 4": lambda table, seed: Rays(table, seed),
    "Ray: OptunaSearch, ASHA 3 and 3": lambda table, seed: Rays(table, seed, 3, 3),
    "Optuna: TPE, successive halving": lambda table, seed: Optunas(table, seed, SuccessiveHalvingPruner()),
    "Optuna: TPE, successive halving 3 and 3": _halving_at_3,
    "Optuna: TPE, Hyperband": lambda table, seed: Optunas(table, seed, HyperbandPruner(max_resource=table.epochs)),
    "Optuna: TPE, median": lambda table, seed: Optunas(table, seed, MedianPruner()),
    "random proposals, our rungs": _random,
    "Optuna: TPE, none stopped": lambda table, seed: Optunas(table, seed, NopPruner()),
}

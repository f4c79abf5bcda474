"""Each trial's share of the CPUs and GPUs: as many trials at once as fit, by Ray's own arithmetic."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from search.errors import UserError, count
from search.spec.config import StudyConfig


@dataclass(frozen=True)
class Share:
    """What each trial gets of a machine, and how many trials that lets run at once."""

    gpus: float
    """Of one trial; a fraction shares a GPU."""
    cpus: float
    """Cores of one trial; a fraction shares a core."""
    concurrent: int
    """Trials at once, on all machines together."""
    note: str = ""
    """One line for the user; empty where all is as asked for."""


class Node(NamedTuple):
    """A machine's whole CPU cores and GPUs for trials."""

    cpus: int
    gpus: int


def share_out(config: StudyConfig, nodes: Sequence[Node]) -> Share:
    """Return each trial's share of this machine, or of a node where there are several.

    Without any GPU a trial that asks for one gets cores instead, and the note says so. Raises UserError where no node
    has as many GPUs or cores as one trial asks for: Ray would wait for ever.
    """
    gpus = config.gpus_per_trial
    where = "this machine" if len(nodes) == 1 else "a node"
    most_cpus = max(node.cpus for node in nodes)
    most_gpus = max(node.gpus for node in nodes)
    note = ""
    if gpus and not most_gpus:
        gpus = 0.0
        note = f"no GPU on {where}: running on the CPU instead"
    if gpus > most_gpus:
        raise UserError(f"gpus_per_trial must be at most {where}'s {most_gpus}, but got {gpus:g}")
    if config.cpus_per_trial is not None and config.cpus_per_trial > most_cpus:
        raise UserError(f"cpus_per_trial must be at most {where}'s {most_cpus}, but got {config.cpus_per_trial:g}")
    if gpus:
        return _share_gpus(config, gpus, nodes)
    return _share_cpus(config, nodes, note)


def _share_cpus(config: StudyConfig, nodes: Sequence[Node], note: str) -> Share:
    """Return the share of trials without a GPU: a core each, unless the config says otherwise."""
    cpus = config.cpus_per_trial or 1.0
    concurrent = 0
    for node in nodes:
        concurrent += _times(node.cpus, cpus)
    concurrent = max(1, concurrent)
    if note:
        note = f"{note}, {count(concurrent, 'trial')} at once"
    return Share(0.0, cpus, concurrent, note)


def _share_gpus(config: StudyConfig, gpus: float, nodes: Sequence[Node]) -> Share:
    """Return the share of trials that get so many GPUs each, and the cores that go with them."""
    share = gpus
    if gpus < 1:
        share = _round_down(1 / round(1 / gpus))
    # How many trials the GPUs of each node have room for, and the cores that these have to share.
    slots: list[tuple[int, int]] = []
    for node in nodes:
        count = _trials_on(node.gpus, gpus)
        if node.cpus and count:
            slots.append((node.cpus, count))
    # Every trial gets the same cores, so the node with the fewest for each decides.
    cpus = config.cpus_per_trial
    if not cpus:
        cpus = min((_fair_cpus(node_cpus, count) for node_cpus, count in slots), default=1.0)
    concurrent = 0
    for node_cpus, count in slots:
        concurrent += min(count, _times(node_cpus, cpus))
    return Share(share, cpus, max(1, concurrent))


def _trials_on(gpu_count: int, gpus: float) -> int:
    """Return how many trials with so many GPUs each, or 1/k of one, a node's GPUs have room for."""
    if gpus < 1:
        return gpu_count * round(1 / gpus)
    return _times(gpu_count, gpus)


def _times(whole: float, part: float) -> int:
    """Return how often a part fits into a whole, forgiving a float's rounding: 0.1 fits ten times into 1."""
    return math.floor(whole / part + 1e-9)


def _fair_cpus(cpus: int, slots: int) -> float:
    """Return cores for each of `slots` trials: whole ones where they suffice, since Ray counts threads by them."""
    if cpus >= slots:
        return float(cpus // slots)
    return _round_down(cpus / slots)


def _round_down(share: float) -> float:
    """Return a share rounded down to 1/10000, as Ray keeps it, so that k shares of 1/k fit into a whole."""
    return math.floor(share * 10_000 + 1e-6) / 10_000

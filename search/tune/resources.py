"""Each trial's share of a machine: as many trials at once as fit, by Ray's own arithmetic."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from search.errors import UserError
from search.spec.config import StudyConfig


@dataclass(frozen=True)
class Share:
    """What each trial gets of a machine, and how many trials that lets run at once."""

    gpus: float
    cpus: float
    concurrent: int
    note: str = ""
    """What the user should know of it, in one line."""


class Node(NamedTuple):
    """What a machine has for trials."""

    cpus: int
    gpus: int


def share_out(config: StudyConfig, nodes: Sequence[Node]) -> Share:
    """Return the share that each trial gets of the machine, or of its node where there are several.

    Raises UserError where no node has as many GPUs or cores as one trial asks for: Ray would wait for ever.
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
    return _share_gpus(config, gpus, nodes) if gpus else _share_cpus(config, nodes, note)


def _share_cpus(config: StudyConfig, nodes: Sequence[Node], note: str) -> Share:
    cpus = config.cpus_per_trial or 1.0
    concurrent = max(1, sum(_times(node.cpus, cpus) for node in nodes))
    return Share(0.0, cpus, concurrent, f"{note}, {concurrent} trials at once" if note else "")


def _share_gpus(config: StudyConfig, gpus: float, nodes: Sequence[Node]) -> Share:
    if gpus < 1:
        on_one_gpu = round(1 / gpus)
        share = _round_down(1 / on_one_gpu)
        slots = [(node.cpus, node.gpus * on_one_gpu) for node in nodes]
    else:
        share = gpus
        slots = [(node.cpus, _times(node.gpus, gpus)) for node in nodes]
    # Trials that a node's GPUs have room for, where it has a core to go with them.
    slots = [(node_cpus, count) for node_cpus, count in slots if node_cpus and count]
    cpus = config.cpus_per_trial or min((_fair_cpus(node_cpus, count) for node_cpus, count in slots), default=1.0)
    concurrent = sum(min(count, _times(node_cpus, cpus)) for node_cpus, count in slots)
    return Share(share, cpus, max(1, concurrent))


def _times(whole: float, part: float) -> int:
    """Return how often a part fits into a whole, also where a float is a hair too large: 0.1 ten times into 1."""
    return math.floor(whole / part + 1e-9)


def _fair_cpus(cpus: int, slots: int) -> float:
    """Return cores for each of so many trials: whole ones where they suffice, since Ray counts threads by them."""
    return float(cpus // slots) if cpus >= slots else _round_down(cpus / slots)


def _round_down(share: float) -> float:
    """Return a share as Ray keeps it, to 1/10000, so that as many fit as were meant to."""
    return math.floor(share * 10_000 + 1e-6) / 10_000

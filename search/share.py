"""Each trial's share of a machine: as many trials at once as fit, by Ray's own arithmetic."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from search.config import StudyConfig


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

    Raises ValueError where no node has as many GPUs or cores as one trial asks for: Ray would wait for ever.
    """
    wanted, note = config.gpus_per_trial, ""
    where = "this machine" if len(nodes) == 1 else "a node"
    cpus, gpus = max(node.cpus for node in nodes), max(node.gpus for node in nodes)
    if wanted and not gpus:
        wanted, note = 0.0, f"no GPU on {where}: running on the CPU instead"
    if wanted > gpus:
        raise ValueError(f"gpus_per_trial must be at most {where}'s {gpus}, but got {wanted:g}")
    if config.cpus_per_trial is not None and config.cpus_per_trial > cpus:
        raise ValueError(f"cpus_per_trial must be at most {where}'s {cpus}, but got {config.cpus_per_trial:g}")
    if not wanted:
        each = config.cpus_per_trial or 1.0
        concurrent = max(1, sum(_times(node.cpus, each) for node in nodes))
        return Share(0.0, each, concurrent, f"{note}, {concurrent} trials at once" if note else "")
    a_gpu = round(1 / wanted) if wanted < 1 else 1
    share = _round_down(1 / a_gpu) if wanted < 1 else wanted
    slots = [(node.cpus, node.gpus * a_gpu if wanted < 1 else _times(node.gpus, wanted)) for node in nodes]
    slots = [(cpus, count) for cpus, count in slots if cpus and count]
    each = config.cpus_per_trial or min((_fair_cpus(cpus, count) for cpus, count in slots), default=1.0)
    return Share(share, each, max(1, sum(min(count, _times(cpus, each)) for cpus, count in slots)))


def _times(whole: float, part: float) -> int:
    return math.floor(whole / part + 1e-9)


def _fair_cpus(cpus: int, slots: int) -> float:
    """Return cores for each of so many trials: whole ones where they suffice, since Ray counts threads by them."""
    return float(cpus // slots) if cpus >= slots else _round_down(cpus / slots)


def _round_down(share: float) -> float:
    """Return a share as Ray keeps it, to 1/10000, so that as many fit as were meant to."""
    return math.floor(share * 10_000 + 1e-6) / 10_000

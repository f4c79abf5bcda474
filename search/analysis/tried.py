"""What a trial run showed: measured in a worker process, judged by `analysis.checkup`."""

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from search.spec.sources import is_users

FRAME = re.compile(r'^ *File "(.+)", line (\d+)', re.MULTILINE)
"""A line of a traceback that says where."""


@dataclass(frozen=True)
class Tried:
    """One config that was trained for a few epochs."""

    values: Mapping[str, Any] = field(default_factory=dict)
    """The full config, as it ran; empty where it was never built."""
    metrics: tuple[dict[str, float], ...] = ()
    """Of each epoch."""
    elapsed_s: tuple[float, ...] = ()
    """Of training, at the end of each epoch; without the imports."""
    best: float | None = None
    """The best finite value of the objective's metric; None where there is none."""
    import_s: float = 0.0
    """That the import of the workload took; next to nothing in a process that had it."""
    began: float = 0.0
    """When its process turned to it, in seconds since the epoch; 0 where the process was lost."""
    process: tuple[str, int] = ("", 0)
    """Host and pid."""
    has_ended: bool = False
    """Whether no epoch would have followed."""
    has_diverged: bool = False
    notes: tuple[str, ...] = ()
    """Lines on metrics that are not recorded."""
    failure: str = ""
    is_infeasible: bool = False
    """Whether that was a refusal of the combination: a search would propose another in its place."""
    place: str = ""
    """The user's file and line that led to the failure, where one did."""
    left: str = ""
    """What it left behind in its process."""
    peak_bytes: int = 0
    """The most memory that its process held so far."""
    grown_bytes: int = 0
    """By how much the process grew from the end of its first epoch to that of its last."""
    children_bytes: int = 0
    """The most memory that its child processes held together at the end of an epoch."""
    gpu_bytes: int = 0
    """The most memory of a GPU that torch held."""
    model_bytes: int = 0
    """Size of the pickled model; 0 where none was yielded, or it cannot be pickled."""
    unpickled: str = ""
    """Why the model cannot be pickled."""

    @property
    def first_s(self) -> float:
        """Return seconds of the first epoch, with what the workload does before it."""
        return self.elapsed_s[0]

    @property
    def epoch_s(self) -> float:
        """Return seconds of an epoch: the mean without the first, where there are others."""
        if len(self.elapsed_s) == 1:
            return self.first_s
        return (self.elapsed_s[-1] - self.first_s) / (len(self.elapsed_s) - 1)

    @property
    def is_timed(self) -> bool:
        """Return whether a second epoch was trained: the first alone tells little, as it may compile or download."""
        return len(self.elapsed_s) > 1

    @property
    def setup_s(self) -> float:
        """Return seconds that the first epoch took beyond the others; 0 where there is no other."""
        return max(0.0, self.first_s - self.epoch_s)


def in_used_processes(runs: Iterable[Tried]) -> list[Tried]:
    """Return those of some runs whose process had trained another of them before."""
    used = []
    seen: set[tuple[str, int]] = set()
    for run in sorted(runs, key=lambda run: run.began):
        if run.process in seen:
            used.append(run)
        if run.began:  # of one whose process was lost it is not known
            seen.add(run.process)
    return used


def differences(first: Tried, second: Tried) -> dict[str, float]:
    """Return the largest relative difference of each metric between two runs, over the epochs that both have.

    It is infinite where only one of them is finite, or only one has the metric.
    """
    largest: dict[str, float] = {}
    for one, other in zip(first.metrics, second.metrics, strict=False):
        for name in {**one, **other}:
            difference = math.inf
            if name in one and name in other:
                difference = _difference(one[name], other[name])
            largest[name] = max(difference, largest.get(name, 0.0))
    return largest


def _difference(one: float, other: float) -> float:
    if one == other or (math.isnan(one) and math.isnan(other)):
        return 0.0
    if not (math.isfinite(one) and math.isfinite(other)):
        return math.inf
    scale = max(abs(one), abs(other))
    return abs(one / scale - other / scale)


def place_in(text: str) -> str:
    """Return the last file of the user's, and its line, that the last traceback in a text names; empty without one."""
    _, _, last = text.rpartition("Traceback (most recent call last):")
    place = ""
    for file, line in FRAME.findall(last):
        if is_users(file):
            place = f"{_short(file)}, line {line}"
    return place


def _short(file: str) -> str:
    """Return the path of a file, relative to the working folder where it lies in that."""
    path = Path(file)
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else file

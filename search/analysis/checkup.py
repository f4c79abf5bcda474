"""What `search.check` found, in numbers: one nested value, of which both the screen and the JSON are made."""

import dataclasses
from dataclasses import dataclass, field
from typing import Any

Range = tuple[float, float]


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong, or that one should know, with its fix."""

    text: str
    is_error: bool = False
    """Whether it keeps the search, or what is to come of it, from working."""


@dataclass(frozen=True)
class Taken:
    """What the workload was taken for."""

    kind: str
    """module, file or command."""
    name: str
    form: str
    """Of its `train`."""
    hyperparameters: list[str]
    """The arguments of its Config."""
    functions: list[str]
    """The optional functions that it has."""


@dataclass(frozen=True)
class Metrics:
    """The metrics that were found."""

    decides: str
    mode: str
    is_there: bool
    """Whether an epoch had the one that decides."""
    others: list[str]
    further: dict[str, str] = field(default_factory=dict)
    """Of several objectives those after the first, each with its mode."""
    missing: list[str] = field(default_factory=list)
    """Those of them that no epoch had."""


@dataclass(frozen=True)
class Cost:
    """What an epoch takes."""

    epoch_s: Range | None
    """Over the runs; None where none has ended."""
    is_timed: bool
    """Whether a second epoch was trained: the first may do much that the others do not."""
    import_s: float
    """Of the workload, once a process."""
    process_s: float
    """Of the first epoch of a process beyond the others."""
    trial_s: float | None
    """Of the first epoch of a later trial beyond the others; None where none was timed."""
    peak_mb: float
    """Of a process."""
    growth_mb: float
    """Of a process an epoch."""
    children_mb: float
    gpu_mb: float


@dataclass(frozen=True)
class Repeats:
    """Whether the same config and seed gave the same numbers twice."""

    what: str
    """Of which config that was tried."""
    is_same: bool
    difference: float | None
    """The largest relative one of the metric that decides; None where it is not finite."""
    others: list[str]
    """The other metrics that differ."""
    epochs: int
    """That were compared; 0 where one of the runs failed."""
    is_two_processes: bool


@dataclass(frozen=True)
class Model:
    """What can be done with the model."""

    pickled_bytes: int
    """0 where none is yielded, or it cannot be pickled."""
    unpickled: str
    """Why it cannot be pickled."""
    scores: list[str] = field(default_factory=list)
    """The names of what `test` returns: their values are not for anybody's eyes before the end."""
    files: dict[str, int] = field(default_factory=dict)
    """What `save` wrote, and its bytes."""
    is_drawn: bool = False


@dataclass(frozen=True)
class Machine:
    """How many trials run at once, and of what."""

    at_once: int
    cpus_per_trial: float
    gpus_per_trial: float
    cpus: int
    """Cores that this process may use."""
    cpus_in_all: int
    quota: float | None
    """Of cores, as a control group sets it."""
    gpus: int
    memory_mb: float
    address: str | None
    """Of a cluster."""


@dataclass(frozen=True)
class Times:
    """How long search and retraining will take."""

    trials: int | None
    """None for any number."""
    epochs: int
    search_s: Range | None
    """Between which it lies four times in five; None where no epoch was trained, or nobody knows how many will be."""
    candidates: int
    """Configurations that are retrained."""
    chosen_from: int
    """How many of those run once, to choose one of them; 0 where there is nothing to choose."""
    seeds: int
    """With which each of the others is judged, and the chosen one."""
    retraining_s: Range | None


@dataclass(frozen=True)
class Files:
    """What a search writes, and where."""

    folder: str
    best: str
    """Empty where it is not written."""
    replaces_best: bool
    trial_folders: bool
    """Whether each trial has a folder of its own."""
    trackers: list[str]


@dataclass(frozen=True)
class Checkup:
    """All of it."""

    workload: Taken
    metrics: Metrics
    cost: Cost
    repeats: Repeats | None
    """None where nothing was trained twice."""
    model: Model
    machine: Machine
    times: Times
    files: Files
    problems: list[Problem]
    took_s: float
    """The check."""

    @property
    def errors(self) -> int:
        """Return how many of the problems are errors."""
        return sum(problem.is_error for problem in self.problems)

    def as_mapping(self) -> dict[str, Any]:
        """Return it as JSON can hold it."""
        return {"ok": not self.errors, **dataclasses.asdict(self)}

"""The settings of a search, from a YAML file and flags, each checked against its rule."""

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Self

from search.algorithms import samplers, schedulers
from search.algorithms.sampler import Sampler
from search.algorithms.schedulers import Scheduler
from search.algorithms.space import Space
from search.errors import UserError, check_types, require, suggestion
from search.spec import limits, nested, objectives, placeholders, prior, start, translation
from search.spec.command import Command
from search.spec.objective import MODES, Objective, mode_of
from search.spec.objectives import Objectives
from search.spec.space import parse
from search.spec.values import SCALAR

DEFAULT_FILE = "configs/search.yaml"
TRACKERS: dict[str, tuple[str, ...]] = {
    "tensorboard": ("tensorboardX",),
    "mlflow": ("mlflow", "sqlalchemy", "alembic"),
    "wandb": ("wandb",),
}
"""The trackers by name, and the packages that each imports."""
ELSEWHERE = {
    "timeout": "it is time_budget here, as 10m; epoch_timeout is another thing, of a trial that reports no epoch",
    "direction": "it is mode here: min or max",
    "n_trials": "it is num_samples here",
}
"""Settings that people look for under a name that is none, or is that of another thing; and what to write."""


@dataclass(frozen=True)
class StudyConfig:
    """The settings of one search. Raises UserError where a value breaks its rule."""

    workload: str = ""
    """Module that is searched: has `Config` and `train`; or the path of a file that does."""
    command: str = ""
    """In place of a workload: a program, with {name} where the value of a hyperparameter belongs."""
    report: str | None = None
    """Regular expression that finds the metrics in a line that a command prints; null for JSON."""
    defaults: dict[str, Any] = field(default_factory=dict)
    """What a command's program has as its own defaults, as far as they are known."""
    metric: str = ""
    """Which of the yielded metrics decides."""
    objectives: dict[str, Any] = field(default_factory=dict)
    """In place of a metric: several, each with min or max; the first stops trials early."""
    choose: Any = "knee"
    """Of several objectives, which point of their front wins: knee, {within: 0.05}, or {weights: {metric: weight}}."""
    space: dict[str, Any] = field(default_factory=dict)
    """Hyperparameter -> {distribution, low, high}."""
    mode: str = ""
    """min or max; may be left out where the metric's name says it, as a loss's does."""
    fixed: dict[str, Any] = field(default_factory=dict)
    """Values of the workload's Config that every trial shares."""
    epochs: int | None = None
    """Of a full trial; may be left out where the workload's Config has `epochs`."""
    num_samples: int | None = 32
    """Trials in all; null for any number, where another limit ends the search. The first that is reached does."""
    time_budget: float | None = None
    """Seconds of searching in all its sessions, or a text as 10m; retraining comes after it and is not counted."""
    epoch_budget: int | None = None
    """Epochs of all trials together; those of retraining are not counted."""
    patience: int | None = None
    """Trials that end, one after another, without an improvement beyond the noise (algorithms/stopping.py)."""
    target: float | None = None
    """Value of the metric that is good enough: the search ends when a trial has one as good."""
    scheduler: Scheduler | None = field(default_factory=lambda: schedulers.make(schedulers.DEFAULT))
    """When weak trials are stopped: a name, or {name, option: value}; null trains every trial to its end."""
    sampler: Sampler = field(default_factory=lambda: samplers.make(samplers.DEFAULT))
    """What proposes the configurations: a name, or {name, option: value}."""
    try_defaults: bool = True
    """Whether trial 0 is the workload's defaults, where they lie in the space."""
    start: list[dict[str, Any]] = field(default_factory=list)
    """Configurations that are tried after those; the sampler draws what one of them lacks."""
    warm_start: list[Any] = field(default_factory=list)
    """Earlier studies: what they know is told to the sampler, or their best are tried first (search/warm_start.py)."""
    prior: dict[str, Any] = field(default_factory=dict)
    """Hyperparameter -> the value that is expected to be good, or {value, confidence}."""
    seed: int = 0
    """Of the sampler and of every trial; retraining uses the seeds after it."""
    max_failures: int = 2
    """Times that a trial is trained again whose process died; one that raises is not."""
    max_same_failures: int | None = 3
    """Failures of one kind, before any trial has gone well, that end the search; null for any number."""
    fresh_process: bool = False
    """Whether each trial has a process of its own; else one trains many, which saves its start."""
    epoch_timeout: float | None = None
    """Seconds after which a trial that reports no epoch is ended as failed; null waits for ever."""
    finalists: int = 6
    """Best configurations that are retrained once, to choose one of them; 0 retrains nothing."""
    seeds: int = 3
    """Further seeds that judge that one, and the defaults beside it."""
    gpus_per_trial: float = 0.0
    """0 for the CPU, 1/k so that k trials share a GPU, or whole GPUs."""
    cpus_per_trial: float | None = None
    """null shares the machine's cores out among the trials that run at once."""
    ray_address: str | None = None
    """Of the Ray cluster that trains, 'auto' or host:port; null starts a Ray on this machine for the search alone."""
    name: str | None = None
    """Of the study and its folder; null for workload and time."""
    output: str = "results"
    """Folder of the studies."""
    best: bool = True
    """Whether ./best.yaml is written at the end."""
    trackers: list[str] = field(default_factory=list)
    """What else is told of every trial: tensorboard, mlflow, wandb."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "scheduler", schedulers.make(self.scheduler))
        object.__setattr__(self, "time_budget", limits.seconds_of("time_budget", self.time_budget))
        object.__setattr__(self, "sampler", samplers.make(self.sampler))
        if not self.mode and isinstance(self.metric, str):
            object.__setattr__(self, "mode", mode_of(self.metric))
        for name in ("objectives", "choose", "space", "fixed", "defaults", "start", "warm_start", "prior"):
            object.__setattr__(self, name, nested.plain(getattr(self, name)))
        check_types(self, but=("scheduler", "sampler", "choose", "objectives"))
        for name, value in objectives.first_of(self.metric, self.mode, self.objectives).items():
            object.__setattr__(self, name, value)
        nested.check("", self.as_mapping())
        require(self, "metric", "a name", bool(self.metric))
        if not self.mode:
            raise UserError(f"mode must be given, min or max, for a metric that does not say which: {self.metric!r}")
        require(self, "mode", " or ".join(MODES), self.mode in MODES)
        require(self, "max_failures", ">= 0", self.max_failures >= 0)
        alike = self.max_same_failures
        require(self, "max_same_failures", ">= 1, or null for any number", alike is None or alike >= 1)
        waits = self.epoch_timeout
        is_timer = waits is None or 0.001 <= waits <= 1e9  # what the system's timers take
        require(self, "epoch_timeout", "in [0.001, 10**9] seconds, or null to wait for ever", is_timer)
        limits.check(self)
        require(self, "seeds", ">= 1", self.seeds >= 1)
        require(self, "finalists", ">= 0, where 0 retrains nothing", self.finalists >= 0)
        require(self, "seed", "in [0, 2**31)", 0 <= self.seed < 2**31)
        require(self, "gpus_per_trial", "0, 1/k for a whole k, or a whole number", _is_share(self.gpus_per_trial))
        cpus = self.cpus_per_trial
        is_enough = cpus is None or cpus >= 0.01
        require(self, "cpus_per_trial", ">= 0.01, or null to share the cores out", is_enough)
        is_plain = self.name is None or bool(re.fullmatch(r"\w[\w.-]{0,99}", self.name, re.ASCII))
        require(self, "name", "letters, digits, '.', '_' and '-', at most 100, no path", is_plain)
        self._check_trackers()
        searched = self.searched
        self.sampler.check(searched)
        objectives.check_sampler(self.aims, self.sampler)
        self._check_fixed()
        self._check_source()
        start.parse(self.start, searched, self.fixed)
        prior.parse(self.prior, searched)

    def _check_trackers(self) -> None:
        known = list(TRACKERS)
        for name in self.trackers:
            if name not in known:
                raise UserError(f"unknown tracker {name!r}, {suggestion(str(name), known)}")
        require(self, "trackers", "different ones", len(set(self.trackers)) == len(self.trackers))

    def _check_fixed(self) -> None:
        for setting, values in (("fixed", self.fixed), ("defaults", self.defaults)):
            for name, value in values.items():
                is_list = not self.command or name in self.searched.series
                is_taken = nested.is_plain(value) if is_list else isinstance(value, SCALAR)
                if not (isinstance(name, str) and is_taken):
                    fix = ""
                    if isinstance(value, dict) and value:
                        fix = f"; of a config within write {name}.{next(iter(value))}"
                    raise UserError(f"{setting} must hold names and plain values, but got {name!r}: {value!r}{fix}")
        for name in self.fixed:
            if name in self.space:
                raise UserError(f"a hyperparameter stands in space or in fixed, but {name!r} is in both; remove one")

    def _check_source(self) -> None:
        if bool(self.workload) == bool(self.command):
            state = "has both; remove one" if self.command else "lacks both"
            raise UserError(f"a search must have 'workload', or 'command' for a program, but the config {state}")
        source = self.source
        if isinstance(source, Command):
            placeholders.check(source, self.searched, self.space, self.fixed)
            return
        for name in ("report", "defaults"):
            if getattr(self, name):
                raise UserError(f"{name} must go with a command, but there is a workload, which has its own; remove it")

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Self:
        """Return the config of a mapping as YAML gives it.

        Raises UserError where a setting is unknown, a required one is missing, or a value breaks its rule.
        """
        known = [item.name for item in dataclasses.fields(cls)]
        for name in values:
            if name not in known:
                raise UserError(f"unknown setting {name!r}, {_meant(str(name), known)}")
        for name, instead in (("workload", "command"), ("metric", "objectives"), ("space", "")):
            if name not in values and instead not in values:
                raise UserError(f"a search must have {name!r}, but the config lacks it")
        several = values.get("objectives")
        if isinstance(several, Mapping) and len(several) > 1 and "scheduler" not in values:
            values = {**values, "scheduler": None}  # what is worst by the first objective may be best by another
        return cls(**values)

    def as_mapping(self) -> dict[str, Any]:
        """Return the settings as plain values, of which `of` makes the same config."""
        values = dataclasses.asdict(self)
        values["scheduler"] = schedulers.options_of(self.scheduler)
        values["sampler"] = samplers.options_of(self.sampler)
        for name in ("workload", "command", "report", "defaults", "objectives"):
            if not values[name]:
                del values[name]
        for name in ("metric", "mode") if self.objectives else ("choose",):
            del values[name]
        for name in limits.NAMES:
            if values[name] is None:
                del values[name]
        return values

    @cached_property
    def searched(self) -> Space:
        """Return the space: the distribution of each hyperparameter, and where it is on."""
        return parse(self.space, self.fixed)

    def is_passed(self, name: str) -> bool:
        """Return whether the workload's Config gets a hyperparameter: it may only say which others are on."""
        return translation.is_passed(name, self.space, self.searched)

    @property
    def source(self) -> str | Command:
        """Return what is trained, as `workload.load` takes it: the name of a module, a file's path, or a command."""
        if not self.command:
            return self.workload
        defaults = {"seed": 0, **self.defaults}
        if self.epochs is not None:
            defaults["epochs"] = self.epochs
        searched = [name for name, entry in self.space.items() if entry.get("passed", True)]
        names = dict.fromkeys([*searched, *self.fixed, *defaults])
        known = tuple((name, tuple(value) if isinstance(value, list) else value) for name, value in defaults.items())
        return Command(self.command, tuple(names), known, self.report, self.metric)

    @property
    def title(self) -> str:
        """Return what people call it: the workload's name, or that of a command's script."""
        source = self.source
        return source.title if isinstance(source, Command) else source

    @property
    def objective(self) -> Objective:
        """Return the metric to optimize, and in which direction; of several the first."""
        return Objective(self.metric, self.mode)

    @property
    def aims(self) -> Objectives:
        """Return all objectives, and by which rule one point of their front wins."""
        return objectives.of(self.objective, self.objectives, self.choose)

    def values(self, params: Mapping[str, Any], seed: int | None = None) -> dict[str, Any]:
        """Return the arguments of the workload's Config: these hyperparameters, the fixed values, and a seed.

        Without a seed it is the study's own, with which all of its trials train.
        """
        if seed is None:
            seed = self.seed
        drawn = translation.values_of(self.space, self.searched, params)
        values = {**self.fixed, **drawn, "seed": seed}
        if self.epochs is not None:
            values["epochs"] = self.epochs
        return values


def _meant(name: str, known: list[str]) -> str:
    """Return how an unknown setting may have been meant; one of the workload's Config stands a level deeper."""
    if name in ELSEWHERE:
        return ELSEWHERE[name]
    near = suggestion(name, known)
    if near.startswith("did you mean"):
        return near
    return f"{near}; what belongs to the workload's Config stands under fixed, or in space"


def _is_share(share: float) -> bool:
    """Return whether a share is 0, whole, or 1/k as people write it: 0.33 is a third."""
    if not 0.0001 <= share < 1:  # Ray counts in ten thousandths
        return share == 0 or (share >= 1 and share == int(share))
    k = round(1 / share)
    return k > 1 and abs(share - 1 / k) <= 0.005

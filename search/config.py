"""What a search is asked to do: a YAML file first, then the flags that were given."""

import dataclasses
import math
import re
import types
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self, get_args, get_origin

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError

from search import extras, space
from search.workload import Workload, suggestion

DEFAULT_FILE = "configs/search.yaml"
MOST_VALUES = 10_000
"""In a YAML file."""
SCALAR = str | int | float | None
YAML_NAMES = {"NoneType": "null", "dict": "mapping", "Halving": "mapping", "list": "list [a, b]"}


@dataclass(frozen=True)
class Halving:
    """ASHA's two numbers. Raises ValueError or TypeError at a value that breaks its rule."""

    grace_period: int = 3
    """Epochs that every trial may train: the first rung."""
    reduction_factor: int = 3
    """At each rung one in so many goes on, and the next rung is so many times higher."""

    def __post_init__(self) -> None:
        _check_types(self)
        _require(self, "grace_period", ">= 1", self.grace_period >= 1)
        _require(self, "reduction_factor", ">= 2", self.reduction_factor >= 2)

    def rungs(self, epochs: int) -> list[int]:
        """Return the epochs at which trials of so many epochs are compared, lowest first."""
        found, at = [], self.grace_period
        while at < epochs:
            found.append(at)
            at *= self.reduction_factor
        return found


@dataclass(frozen=True)
class StudyConfig:
    """One search. Raises ValueError or TypeError at a value that breaks its rule."""

    workload: str
    """Module that is searched: has `Config` and `train`."""
    metric: str
    """Which of the yielded metrics decides."""
    space: dict[str, Any]
    """Hyperparameter -> {distribution, low, high}."""
    mode: str = "min"
    """min or max."""
    fixed: dict[str, Any] = field(default_factory=dict)
    """Values of the workload's Config that every trial shares."""
    num_samples: int = 32
    """Trials in all."""
    scheduler: Halving | None = field(default_factory=Halving)
    """When weak trials are stopped; null trains every trial to its end."""
    sampler: str = "tpe"
    """tpe, which learns from the trials so far, or random."""
    seed: int = 0
    """Of the sampler and of every trial; retraining uses the seeds after it."""
    max_failures: int = 2
    """Times that a trial is trained again whose process died; one that raises is not."""
    epoch_timeout: float | None = None
    """Seconds after which a trial that reports no epoch is ended as failed; null waits for ever."""
    finalists: int = 3
    """Best configurations that are retrained."""
    seeds: int = 3
    """Times that each of them is retrained."""
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
        _check_types(self)
        _check_values("", dataclasses.asdict(self))
        _require(self, "metric", "a name", bool(self.metric))
        _require(self, "mode", "min or max", self.mode in ("min", "max"))
        _require(self, "sampler", "tpe or random", self.sampler in ("tpe", "random"))
        _require(self, "max_failures", ">= 0", self.max_failures >= 0)
        waits = self.epoch_timeout
        fits = waits is None or 0.001 <= waits <= 1e9  # what the system's timers take
        _require(self, "epoch_timeout", "in [0.001, 10**9] seconds, or null to wait for ever", fits)
        for name in ("num_samples", "finalists", "seeds"):
            _require(self, name, ">= 1", getattr(self, name) >= 1)
        _require(self, "seed", "in [0, 2**31)", 0 <= self.seed < 2**31)
        _require(self, "gpus_per_trial", "0, 1/k for a whole k, or a whole number", _is_share(self.gpus_per_trial))
        cpus = self.cpus_per_trial
        _require(self, "cpus_per_trial", ">= 0.01, or null to share the cores out", cpus is None or cpus >= 0.01)
        plain = self.name is None or re.fullmatch(r"\w[\w.-]{0,99}", self.name, re.ASCII)
        _require(self, "name", "letters, digits, '.', '_' and '-', at most 100, no path", bool(plain))
        trackers = [*extras.PACKAGES]
        for name in self.trackers:
            if name not in trackers:
                raise ValueError(f"unknown tracker {name!r}, {suggestion(str(name), trackers)}")
        _require(self, "trackers", "different ones", len(set(self.trackers)) == len(self.trackers))
        space.parse(self.space)
        for name, value in self.fixed.items():
            if not (isinstance(name, str) and isinstance(value, SCALAR)):
                raise TypeError(f"fixed must hold names and plain values, but got {name!r}: {value!r}")
            if name in self.space:
                raise ValueError(f"a hyperparameter stands in space or in fixed, but {name!r} is in both; remove one")

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Self:
        """Return the config of a mapping as YAML gives it. Raises ValueError or TypeError."""
        known = [item.name for item in dataclasses.fields(cls)]
        for name in values:
            if name not in known:
                raise ValueError(f"unknown setting {name!r}, {suggestion(str(name), known)}")
        for name in ("workload", "metric", "space"):
            if name not in values:
                raise ValueError(f"a search must have {name!r}, but the config lacks it")
        nested = values.get("scheduler")
        if isinstance(nested, dict):
            names = [item.name for item in dataclasses.fields(Halving)]
            for name in nested:
                if name not in names:
                    raise ValueError(f"unknown setting 'scheduler.{name}', {suggestion(str(name), names)}")
            values = {**values, "scheduler": Halving(**nested)}
        return cls(**values)

    def check(self, workload: Workload) -> int:
        """Hold space and fixed against the workload's Config; return the epochs of a full trial.

        Raises ValueError or TypeError where a name is not Config's or a value breaks one of its rules.
        """
        for name in ("seed", "epochs"):
            if name in self.space:
                raise ValueError(f"{name!r} must not be searched: it is the same for every trial; remove it from space")
        if "seed" in self.fixed:
            raise ValueError("'seed' must not stand in fixed: the study's own seed goes to every trial; set seed")
        for corner in self._corners():
            try:
                config = workload.build({**self.fixed, **corner, "seed": self.seed})
            except Exception as error:  # a Config may refuse with an assert, too
                raise ValueError(f"{error} (checking {workload.name} with fixed and an end of space)") from None
            for name, value in dataclasses.asdict(config).items():
                if not isinstance(value, SCALAR):
                    raise TypeError(f"{workload.name}.Config must hold plain values, but {name} is {value!r}")
        epochs: int = config.epochs
        if type(epochs) is not int or not 1 <= epochs < 2**31:
            raise ValueError(f"epochs of {workload.name} must be a whole number in [1, 2**31), but got {epochs!r}")
        return epochs

    def _corners(self) -> list[dict[str, Any]]:
        """Return the low end of the space, the high end, and each choice beside the low ends."""
        low = {name: entry.get("low", entry.get("values", [None])[0]) for name, entry in self.space.items()}
        high = {name: entry.get("high", low[name]) for name, entry in self.space.items()}
        choices = [{**low, name: value} for name, entry in self.space.items() for value in entry.get("values", [])]
        return [low, high, *choices]


def read(path: Path) -> dict[str, Any]:
    """Return the mapping in a YAML file.

    Raises FileNotFoundError, or ValueError where the file holds anything but one mapping without duplicate keys.
    """
    if not path.is_file():
        raise FileNotFoundError(f"the config file must exist, but there is no file {path}; give one with --config")
    try:
        text, reader = path.read_text(encoding="utf-8"), YAML(typ="safe", pure=True)
        if _unfolds_beyond(MOST_VALUES, reader.compose(text)):
            raise ValueError(f"it has more than {MOST_VALUES} values, an alias (*name) counted as what it stands for")
        values = reader.load(text)
    except MarkedYAMLError as error:
        line = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
        raise ValueError(f"{path} must be YAML text, but {line}{_one_line(error.problem)}") from None
    except OSError:
        raise
    except Exception as error:  # whatever ruamel.yaml makes of a forced tag: `!!bool x` is a KeyError
        raise ValueError(f"{path} must be YAML text, but: {_one_line(error) or type(error).__name__}") from None
    if not isinstance(values, dict) or not all(isinstance(key, str) for key in values):
        raise ValueError(f"{path} must be a mapping of settings, but got {values!r:.80}")
    return values


def _unfolds_beyond(limit: int, root: Any) -> bool:
    """Return whether a YAML node holds more nodes than that, an alias counted as what it stands for.

    A page of aliases of aliases would otherwise unfold to more than any memory holds.
    """
    left, count = [root] if root else [], 0
    while left and count <= limit:
        count += 1
        inner = left.pop().value
        for part in inner if isinstance(inner, list) else []:
            left += part if isinstance(part, tuple) else [part]
    return count > limit


def _one_line(what: object) -> str:
    return " ".join(str(what).split())


def _is_share(share: float) -> bool:
    """Return whether a share is 0, whole, or 1/k as people write it: 0.33 is a third."""
    if not 0.0001 <= share < 1:  # Ray counts in ten thousandths
        return share == 0 or (share >= 1 and share == int(share))
    k = round(1 / share)
    return k > 1 and abs(share - 1 / k) <= 0.005


def _require(config: object, name: str, rule: str, holds: bool) -> None:
    if not holds:
        raise ValueError(f"{name} must be {rule}, but got {getattr(config, name)!r}")


def _check_types(config: Any) -> None:
    """Raise TypeError where a field is not of its annotated type; a whole number will do for a float."""
    for item in dataclasses.fields(config):
        value = getattr(config, item.name)
        choices = get_args(item.type) if isinstance(item.type, types.UnionType) else (item.type,)
        kinds = [get_origin(kind) or kind for kind in choices]
        if float in kinds and type(value) is int and abs(value) < 2**63:
            object.__setattr__(config, item.name, float(value))
        elif type(value) not in kinds:
            wanted = " or ".join(YAML_NAMES.get(kind.__name__, kind.__name__) for kind in kinds)
            raise TypeError(f"{item.name} must be of type {wanted}, but got {value!r}")


def _check_values(where: str, value: Any) -> None:
    if isinstance(value, dict):
        for key, inner in value.items():
            _check_values(f"{where}.{key}" if where else str(key), inner)
    elif isinstance(value, list):
        for inner in value:
            _check_values(where, inner)
    elif isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{where} must be finite, but got {value}")
    elif isinstance(value, str) and re.search("[\ud800-\udfff]", value):
        raise ValueError(f"{where} must be text that can be written as UTF-8, but got {value!r}")

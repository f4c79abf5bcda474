"""One network and how it is trained: plain values with defaults and limits, from YAML or from code."""

import difflib
import math
import re
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError

SCHEDULES = ("constant", "cosine")
ENGINES = ("auto", "torch", "fused", "graph")
MOST_VALUES = 10_000
"""In a YAML file."""

T = TypeVar("T")


def setting(default: T, meaning: str) -> T:
    """Return a dataclass field that carries its meaning, which is also the help of its flag."""
    made: T = field(default=default, metadata={"help": meaning})
    return made


@dataclass(frozen=True)
class Config:
    """What `train` needs to know. Raises TypeError or ValueError where a value breaks its rule."""

    lr: float = setting(0.1, "learning rate of SGD, > 0")
    momentum: float = setting(0.9, "momentum of SGD, in [0, 1)")
    hidden1: int = setting(72, "width of the first hidden layer, 1 to 65536")
    hidden2: int = setting(36, "width of the second hidden layer, 1 to 65536")
    schedule: str = setting("constant", "learning rate over the epochs: constant, or cosine (decays to zero)")
    batch_size: int = setting(256, "points in a step, 1 to 10**9")
    epochs: int = setting(30, "passes over the training part, 1 to 10**9")
    seed: int = setting(0, "of the first weights and of the order of the batches, in [0, 2**63)")
    points: int = setting(100_000, "points drawn in all, 10 to 10**9; 80/10/10 % train, validation and test")
    data_seed: int = setting(123, "of the points and their split, in [0, 2**32)")
    device: str = setting("auto", "cpu, cuda, cuda:N, or auto (CUDA where there is one)")
    engine: str = setting("auto", "torch, fused (on the CPU), graph (on CUDA), or auto (fused on the CPU, else torch)")

    def __post_init__(self) -> None:
        for item in fields(self):
            value, kind = getattr(self, item.name), type(item.default)
            if kind is float and type(value) is int and abs(value) < 2**63:
                object.__setattr__(self, item.name, float(value))  # YAML's `lr: 1` is a number like any other
            elif type(value) is not kind:
                raise TypeError(f"{item.name} must be of type {kind.__name__}, but got {value!r}")
        self._require("lr", "> 0 and finite", 0 < self.lr < math.inf)
        self._require("momentum", "in [0, 1)", 0 <= self.momentum < 1)
        self._require("hidden1", "in [1, 65536]", 1 <= self.hidden1 <= 65536)
        self._require("hidden2", "in [1, 65536]", 1 <= self.hidden2 <= 65536)
        self._require("schedule", f"one of {', '.join(SCHEDULES)}", self.schedule in SCHEDULES)
        self._require("batch_size", "in [1, 10**9]", 1 <= self.batch_size <= 10**9)
        self._require("epochs", "in [1, 10**9]", 1 <= self.epochs <= 10**9)
        self._require("seed", "in [0, 2**63)", 0 <= self.seed < 2**63)
        self._require("points", "in [10, 10**9]", 10 <= self.points <= 10**9)
        self._require("data_seed", "in [0, 2**32)", 0 <= self.data_seed < 2**32)
        device = re.fullmatch(r"auto|cpu|cuda(:\d{1,3})?", self.device)
        self._require("device", "cpu, cuda, cuda:N or auto", device is not None)
        self._require("engine", f"one of {', '.join(ENGINES)}", self.engine in ENGINES)

    def _require(self, name: str, rule: str, holds: bool) -> None:
        if not holds:
            raise ValueError(f"{name} must be {rule}, but got {getattr(self, name)!r}")


def build(values: dict[str, Any]) -> Config:
    """Return the config of a mapping. Raises ValueError or TypeError on a name or a value that breaks a rule."""
    names = [item.name for item in fields(Config)]
    for name in values:
        if name not in names:
            near = difflib.get_close_matches(name, names, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(names)}"
            raise ValueError(f"unknown name {name!r}, {hint}")
    return Config(**values)


def find(name: str) -> Path:
    """Return the path of a config file: as given, else, for a bare name, in configs/.

    Raises FileNotFoundError.
    """
    places = [Path(name)] if Path(name).name != name else [Path(name), Path("configs") / name]
    for place in places:
        if place.is_file():
            return place
    missing = " and no file ".join(map(str, places))
    raise FileNotFoundError(f"the config file must exist, but there is no file {missing}")


def read(path: Path) -> dict[str, Any]:
    """Return the mapping in a YAML file. Raises ValueError where it holds anything else."""
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
        raise ValueError(f"{path} must be a mapping of names to values, but got {values!r:.80}")
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

"""One network and how it is trained: plain values with defaults and limits, from YAML or from code."""

import difflib
import math
import re
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar

from ruamel.yaml import YAML
from ruamel.yaml.nodes import MappingNode, ScalarNode

SCHEDULES = ("constant", "cosine")
ENGINES = ("auto", "torch", "fused", "graph")

T = TypeVar("T")


def setting(default: T, meaning: str) -> T:
    """Return a dataclass field that carries its meaning, which is also the help of its flag."""
    described: T = field(default=default, metadata={"help": meaning})
    return described


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
            value = getattr(self, item.name)
            kind = type(item.default)
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
    places = [Path(name)]
    is_bare = Path(name).name == name
    if is_bare:
        places.append(Path("configs") / name)
    for place in places:
        if place.is_file():
            return place
    missing = " and no file ".join(map(str, places))
    raise FileNotFoundError(f"the config file must exist, but there is no file {missing}")


def read(path: Path) -> dict[str, Any]:
    """Return the mapping of names to plain values in a YAML file.

    Raises ValueError where it holds anything else, a list or a mapping as a value included; OSError.
    """
    try:
        text = path.read_text(encoding="utf-8")
        reader = YAML(typ="safe", pure=True)
        misfit = _misfit(reader.compose(text))  # before `load`, which unfolds a page of aliases to any size
        values = {} if misfit else reader.load(text)
    except OSError:
        raise
    except Exception as error:  # whatever ruamel.yaml makes of a forced tag: `!!bool x` is a KeyError
        raise ValueError(f"{path} must be YAML text, but {_problem(error)}") from None
    if not isinstance(values, dict) or not all(isinstance(name, str) for name in values):
        misfit = f"got {values!r:.80}"
    if misfit:
        raise ValueError(
            f"{path} must be a mapping of names to plain values, but {misfit}; write a line `name: value` each"
        )
    return values


def _misfit(root: Any) -> str:
    """Return what keeps a YAML node from being a mapping of scalars to scalars; empty where it is one."""
    if root is None:
        return "it is empty"
    if not isinstance(root, MappingNode):
        return f"it is a {root.id}"
    for pair in root.value:
        for node in pair:
            if not isinstance(node, ScalarNode):
                return f"line {node.start_mark.line + 1} holds a {node.id}"
    return ""


def _problem(error: Exception) -> str:
    """Return what is wrong with a YAML text in one line, after the number of its line where ruamel.yaml knows it."""
    problem = " ".join(str(getattr(error, "problem", error)).split())
    mark = getattr(error, "problem_mark", None)
    if mark:
        return f"line {mark.line + 1}: {problem}"
    return problem or type(error).__name__

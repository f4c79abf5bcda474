"""The one interface: a workload is a module with `Config` and `train`, and up to four more names.

Config                   a frozen dataclass of scalars with `epochs` and `seed`; checks its limits itself
train(config)            a generator: yields (metrics, model) once an epoch; deterministic in config
test(model, config)      optional: a dict of metrics on data that `train` never showed
plot(model, config)      optional: a matplotlib Figure of what the model learned
save(model, config, path)  optional: writes the model; without it no model is kept
resolve(config)          optional: the config with what depends on the machine (`device: auto`) settled
"""

import dataclasses
import importlib
import inspect
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from search.errors import UserError, suggestion


@dataclass(frozen=True)
class Workload:
    """A loaded workload; the optional functions are None where the module has none."""

    name: str
    Config: type[Any]
    train: Callable[[Any], Iterator[tuple[Mapping[str, Any], Any]]]
    test: Callable[[Any, Any], Mapping[str, float]] | None
    plot: Callable[[Any, Any], Any] | None
    save: Callable[[Any, Any, Path], None] | None
    resolve: Callable[[Any], Any]
    is_program: bool
    """Whether `python -m name` runs it."""

    def names(self) -> list[str]:
        """Return the names of Config's fields."""
        return [item.name for item in dataclasses.fields(self.Config)]

    def defaults(self) -> dict[str, Any]:
        """Return the values of the fields that have one without being asked."""
        kinds = dataclasses.fields(self.Config)
        return {item.name: item.default for item in kinds if item.default is not dataclasses.MISSING}

    def build(self, values: Mapping[str, Any]) -> Any:
        """Return the Config of these values: the one place where they become typed.

        Raises UserError where a name is unknown or missing, and whatever Config raises at a value.
        """
        for name in values:
            if name not in self.names():
                raise UserError(f"unknown hyperparameter {name!r} of {self.name}, {suggestion(name, self.names())}")
        missing = [name for name in self.names() if name not in values and name not in self.defaults()]
        if missing:
            raise UserError(f"{self.name}.Config needs a value for {missing[0]!r}: put it in space or in fixed")
        return self.Config(**values)


def load(name: str) -> Workload:
    """Import a workload by the name of its module. Raises UserError where it is none."""
    module = _import(name)
    config, train = getattr(module, "Config", None), getattr(module, "train", None)
    if config is None or train is None:
        lacking = " and ".join(word for word, found in (("Config", config), ("train", train)) if found is None)
        raise UserError(f"workload {name!r} must be a module with Config and train, but it lacks {lacking}")
    if not (isinstance(config, type) and dataclasses.is_dataclass(config)):
        raise UserError(f"{name}.Config must be a dataclass, but got {config!r}")
    if not inspect.isgeneratorfunction(train):
        raise UserError(f"{name}.train must be a generator function that yields (metrics, model) once an epoch")
    optional = {word: getattr(module, word, None) for word in ("test", "plot", "save")}
    resolve = getattr(module, "resolve", lambda config: config)
    workload = Workload(name, config, train, **optional, resolve=resolve, is_program=_is_program(module))
    for field in ("epochs", "seed"):
        if field not in workload.names():
            raise UserError(f"{name}.Config must have the field {field!r}, but it has {', '.join(workload.names())}")
    return workload


def _import(name: str) -> Any:
    rule = f"workload {name!r} must be an importable module"
    if not all(part.isidentifier() for part in name.split(".")):
        raise UserError(f"{rule}, named with dots as in package.module")
    if folder := _study_of(name):
        raise UserError(f"{rule} of yours, but it lies in {folder}, a study: what comes with results is never run")
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise UserError(f"{rule}, but: {error}; run from the folder it lies in, or install it") from None
    except (Exception, SystemExit) as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{place.filename}, line {place.lineno}"
        raise UserError(f"{rule}, but it raises {type(error).__name__}: {error} ({where})") from error


def _study_of(name: str) -> str:
    """Return the folder of a study that a module would be imported from; empty where it is from none.

    A foreign study, unpacked into results/theirs, may name results.theirs.anything as its workload. Imports nothing.
    """
    with suppress(OSError):  # a name too long for a file: there is no such module either
        for place in sys.path:
            folder = Path(place)
            for part in name.split(".")[:-1]:
                folder /= part
                if not folder.is_dir():
                    break
                if (folder / "journal.log").exists():
                    return str(folder)
    return ""


def _is_program(module: Any) -> bool:
    try:
        return 'if __name__ == "__main__"' in inspect.getsource(module)
    except (OSError, TypeError):
        return False

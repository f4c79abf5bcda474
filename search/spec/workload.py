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
    """A workload that has been imported; an optional function is None where the module has none."""

    name: str
    Config: type[Any]
    train: Callable[[Any], Iterator[tuple[Mapping[str, Any], Any]]]
    test: Callable[[Any, Any], Mapping[str, float]] | None
    plot: Callable[[Any, Any], Any] | None
    save: Callable[[Any, Any, Path], None] | None
    resolve: Callable[[Any], Any]
    is_program: bool
    """Whether `python -m name` trains one config."""

    def names(self) -> list[str]:
        """Return the names of Config's fields, in their order."""
        return [item.name for item in dataclasses.fields(self.Config)]

    def defaults(self) -> dict[str, Any]:
        """Return the default of every field of Config that has one."""
        defaults = {}
        for field in dataclasses.fields(self.Config):
            if field.default is not dataclasses.MISSING:
                defaults[field.name] = field.default
        return defaults

    def build(self, values: Mapping[str, Any]) -> Any:
        """Return the Config of these values: the one place where they become typed.

        Raises UserError where a name is unknown or missing, and whatever Config raises at a value.
        """
        names = self.names()
        for name in values:
            if name not in names:
                raise UserError(f"unknown hyperparameter {name!r} of {self.name}, {suggestion(name, names)}")
        given = {**self.defaults(), **values}
        for name in names:
            if name not in given:
                raise UserError(f"{self.name}.Config needs a value for {name!r}: put it in space or in fixed")
        return self.Config(**values)


def load(name: str) -> Workload:
    """Import a workload by the name of its module. Raises UserError where it breaks the interface above."""
    module = _import(name)
    # The two names that it must have.
    config = getattr(module, "Config", None)
    train = getattr(module, "train", None)
    lacking = []
    if config is None:
        lacking.append("Config")
    if train is None:
        lacking.append("train")
    if lacking:
        raise UserError(
            f"workload {name!r} must be a module with Config and train, but it lacks {' and '.join(lacking)}"
        )
    if not (isinstance(config, type) and dataclasses.is_dataclass(config)):
        raise UserError(f"{name}.Config must be a dataclass, but got {config!r}")
    if not inspect.isgeneratorfunction(train):
        raise UserError(f"{name}.train must be a generator function that yields (metrics, model) once an epoch")
    # The four that it may have.
    optional = {function: getattr(module, function, None) for function in ("test", "plot", "save")}
    resolve = getattr(module, "resolve", lambda config: config)
    workload = Workload(name, config, train, **optional, resolve=resolve, is_program=_is_program(module))
    for field in ("epochs", "seed"):
        if field not in workload.names():
            raise UserError(f"{name}.Config must have the field {field!r}, but it has {', '.join(workload.names())}")
    return workload


def _import(name: str) -> Any:
    """Import a module by its dotted name. Raises UserError where there is none, it lies in a study, or it raises."""
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
    """Return the study's folder from which a module would be imported; empty where it would be from none.

    A foreign study, unpacked into results/theirs, may name results.theirs.anything as its workload, whose code must not
    run. So this looks for the folder of each part, without an import.
    """
    with suppress(OSError):  # a name too long for a file: there is no such module either
        for root in sys.path:
            folder = Path(root)
            for part in name.split(".")[:-1]:
                folder /= part
                if not folder.is_dir():
                    break
                if (folder / "journal.log").exists():
                    return str(folder)
    return ""


def _is_program(module: Any) -> bool:
    """Return whether a module has a main block."""
    try:
        return 'if __name__ == "__main__"' in inspect.getsource(module)
    except (OSError, TypeError):
        return False

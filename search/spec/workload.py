"""The one interface: a workload is a module with `Config` and `train`, and up to four more names.

Config                   a frozen dataclass of scalars with `epochs` and `seed`; checks its limits itself
train(config)            a generator: yields (metrics, model) once an epoch; deterministic in config
test(model, config)      optional: a dict of metrics on data that `train` never showed
plot(model, config)      optional: a matplotlib Figure of what the model learned
save(model, config, path)  optional: writes the model; without it no model is kept
resolve(config)          optional: the config with what depends on the machine (`device: auto`) settled
"""

import argparse
import ast
import dataclasses
import importlib
import inspect
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, NoReturn

from search.errors import UserError, describe, shown, suggestion
from search.spec.sources import INSTALLED

SCALAR = str | int | float | None
"""The types of plain values, which a workload's Config holds."""


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
        """Return the names of Config's arguments, in the order of its fields."""
        return [field.name for field in self._arguments()]

    def defaults(self) -> dict[str, Any]:
        """Return the default of every argument of Config that has one, as plain values; no factory's."""
        return {name: plain(default) for name, default in self._defaults().items()}

    def build(self, values: Mapping[str, Any]) -> Any:
        """Return the Config of these values: the one place where they become typed.

        Where a default is a member of an enum, so is the value. Raises UserError where a name is unknown or missing,
        and whatever Config raises at a value.
        """
        names = self.names()
        for name in values:
            if name not in names:
                raise UserError(f"unknown hyperparameter {name!r} of {self.name}, {suggestion(name, names)}")
        defaults = self._defaults()
        for field in self._arguments():
            if field.name not in {*values, *defaults} and field.default_factory is dataclasses.MISSING:
                raise UserError(f"{self.name}.Config needs a value for {field.name!r}: put it in space or in fixed")
        typed = {name: _typed(value, defaults.get(name)) for name, value in values.items()}
        return self.Config(**typed)

    def values_of(self, config: Any) -> dict[str, Any]:
        """Return the arguments, as plain values, of which `build` makes this Config again.

        Raises TypeError where it is no Config: a workload's `resolve` may return anything.
        """
        if not isinstance(config, self.Config):
            raise TypeError(f"resolve must return a Config, but got {shown(config)}")
        values = {}
        for name in self.names():
            value = plain(getattr(config, name))
            values[name] = value if isinstance(value, SCALAR) else str(value)
        return values

    def _arguments(self) -> list[dataclasses.Field[Any]]:
        return [field for field in dataclasses.fields(self.Config) if field.init]

    def _defaults(self) -> dict[str, Any]:
        """Return the defaults as Config has them: members of enums, NumPy's numbers."""
        defaults = {}
        for field in self._arguments():
            if field.default is not dataclasses.MISSING:
                defaults[field.name] = field.default
        return defaults


def plain(value: Any) -> Any:
    """Return a scalar as YAML and JSON can hold it, also where it is an enum's or NumPy's; any other value as it is."""
    if isinstance(value, Enum):
        return plain(value.value)
    if isinstance(value, bool | None):
        return value
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value)
    if getattr(value, "shape", None) == ():
        item = value.item()
        return item if isinstance(item, SCALAR) else value
    return value


def _typed(value: Any, default: Any) -> Any:
    """Return a plain value as the default of its field is typed: the default itself, or another member of its enum."""
    if isinstance(default, Enum) and not isinstance(value, Enum):
        with suppress(ValueError):  # Config may take, or refuse, what is no member
            return type(default)(value)
    usual = plain(default)
    if type(value) is type(usual) and value == usual:
        return default
    return value


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
    if name == "__main__":
        raise UserError(f"{rule} in a file of its own, as other processes import it; move Config and train into one")
    if folder := _study_of(name):
        raise UserError(f"{rule} of yours, but it lies in {folder}, a study: what comes with results is never run")
    try:
        with _without_arguments(name):
            return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise UserError(f"{rule}, but: {error}; run from the folder it lies in, or install it") from None
    except (Exception, SystemExit) as error:
        fix = ""
        if isinstance(error, SystemExit):
            fix = '; what ends the program, as parse_args() may, belongs under `if __name__ == "__main__":`'
        raise UserError(f"{rule}, but it raises {describe(error)} ({_place_of(error, name)}){fix}") from error


@contextmanager
def _without_arguments(name: str) -> Iterator[None]:
    """Import in the block as a program without arguments: ours are none of a workload's, nor are those of a Ray worker.

    What argparse refuses is raised as the text of SystemExit, in place of lines on the screen.
    """

    def refuse(parser: argparse.ArgumentParser, message: str) -> NoReturn:
        raise SystemExit(message)

    arguments = sys.argv
    error = argparse.ArgumentParser.error
    sys.argv = [name]
    argparse.ArgumentParser.error = refuse  # type: ignore[method-assign, assignment]
    try:
        yield
    finally:
        sys.argv = arguments
        argparse.ArgumentParser.error = error  # type: ignore[method-assign]


def _place_of(error: BaseException, name: str) -> str:
    """Return the last line that led to an error of an import, in the workload's own package or in files of the user's.

    The lines below it, of Python's library and of installed packages, say little of the mistake.
    """
    package = name.partition(".")[0]
    place = name
    for frame, line in traceback.walk_tb(error.__traceback__):
        file = frame.f_code.co_filename
        module = str(frame.f_globals.get("__name__"))
        if module.partition(".")[0] == package or (module != __name__ and not INSTALLED.match(file)):
            place = f"{file}, line {line}"
    if isinstance(error, SyntaxError) and error.filename and not INSTALLED.match(str(error.filename)):
        place = f"{error.filename}, line {error.lineno}"
    return place


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
    """Return whether a module has a main block: an `if` at its top that compares `__name__` with "__main__"."""
    try:
        tree = ast.parse(inspect.getsource(module))
    except Exception:  # of what the module says of itself, as its __file__
        return False
    return any(isinstance(node, ast.If) and _asks_for_main(node.test) for node in tree.body)


def _asks_for_main(test: ast.expr) -> bool:
    """Return whether a condition is `__name__ == "__main__"`, either way round, or a conjunction that holds it."""
    if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.And):
        return any(map(_asks_for_main, test.values))
    if not (isinstance(test, ast.Compare) and len(test.ops) == 1 and isinstance(test.ops[0], ast.Eq)):
        return False
    sides = {ast.unparse(side) for side in (test.left, test.comparators[0])}
    return sides == {"__name__", "'__main__'"}

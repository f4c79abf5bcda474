"""The one interface: a workload is a module, or a file, with `train`, mostly a `Config`, and up to four more names.

Config                   a class that is made by keywords; checks its limits itself
train(config)            yields metrics, or (metrics, model), once an epoch; or returns any iterator of those
train(config, report)    the same of a trainer that owns its loop: its callback calls report(metrics, model)
train(lr=0.1, epochs=3)  either of them without a Config: the signature is the Config
test(model, config)      optional: metrics on data that `train` never showed
plot(model, config)      optional: a matplotlib Figure of what the model learned
save(model, config, path)  optional: writes the model; without it no model is kept
resolve(config)          optional: the config with what depends on the machine (`device: auto`) settled

`train` may ask for `folder`, too: a folder of the trial's own.

In place of a workload a search may have a command, of any program (see command.py); that is a Workload as well.
"""

import inspect
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

from search.errors import UserError, shown
from search.spec import arguments, modules
from search.spec.arguments import Arguments
from search.spec.command import Command
from search.spec.fields import Field
from search.spec.sources import INSTALLED
from search.spec.values import MISSING

GIVEN = ("report", "folder")
"""The arguments of `train` that are no hyperparameters: what the search gives, where it is asked for."""
CONFIGS = ("config", "cfg", "conf", "args", "opt", "opts", "options", "hparams", "params", "hyperparameters")
"""Names that people give an argument which holds all hyperparameters."""
OPTIONAL: dict[str, tuple[str, ...]] = {
    "test": ("model", "config"),
    "plot": ("model", "config"),
    "save": ("model", "config", "path"),
    "resolve": ("config",),
}
"""The optional functions, and what each is called with."""
SINGLE = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
"""The kinds of a parameter that is one argument."""
ALIASES = {*CONFIGS, "model", "net", "network", "path", "file", "filename", "name", "folder"}
"""Names of arguments that say of a function with too few of them that it was meant for one of these."""


@dataclass(frozen=True)
class Workload:
    """A workload that has been imported; an optional function is None where the module has none."""

    name: str
    """As the search's config names it: that of a module, or the path of a file."""
    arguments: Arguments
    """Of its Config."""
    train: Callable[..., Any]
    test: Callable[[Any, Any], Any] | None = None
    plot: Callable[[Any, Any], Any] | None = None
    save: Callable[[Any, Any, Path], object] | None = None
    resolve: Callable[[Any], Any] = lambda config: config
    is_program: bool = False
    """Whether `python -m name` trains one config."""
    module: str = ""
    """The name that it is imported under."""
    gets: tuple[str, ...] = ()
    """Those of GIVEN for which `train` asks."""
    takes_keywords: bool = False
    """Whether `train` takes the hyperparameters themselves, in place of a Config."""
    notes: tuple[str, ...] = ()
    """Lines for the user on what of the module is not used."""
    command: Command | None = None
    """The program that is trained in place of a `train`."""

    def names(self) -> list[str]:
        """Return the names of Config's arguments."""
        return self.arguments.names()

    def defaults(self, searched: Collection[str] = ()) -> dict[str, Any]:
        """Return the plain defaults of Config, as `Arguments.defaults`."""
        return self.arguments.defaults(searched)

    def build(self, values: Mapping[str, Any]) -> Any:
        """Return the Config of these values, as `Arguments.build`."""
        return self.arguments.build(values)

    def values_of(self, config: Any, given: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Return the plain values of which `build` makes this Config again, as `Arguments.values_of`."""
        return self.arguments.values_of(config, given)

    def call(self, config: Any, given: Mapping[str, Any]) -> Any:
        """Call `train` with a Config and those of the `given` arguments that it asks for; return what it returns."""
        asked = {name: given[name] for name in self.gets}
        if self.takes_keywords:
            return self.train(**vars(config), **asked)
        return self.train(config, **asked)


def load(name: str | Command) -> Workload:
    """Import a workload by the name of its module, or from its file; of a command only look for its program.

    Raises UserError where it breaks the interface above, or there is no such program.
    """
    if isinstance(name, Command):
        return _of_command(name)
    module = modules.import_module(name)
    train = getattr(module, "train", None)
    if train is None:
        raise UserError(f"workload {name!r} must be a module with Config and train, but it lacks {_lacking(module)}")
    if not callable(train):
        raise UserError(f"{name}.train must be a function, but got {shown(train)}")
    parameters = _parameters(train)
    gets = tuple(given for given in GIVEN if given in parameters)
    if "report" in gets and inspect.isgeneratorfunction(train):
        raise UserError(f"{name}.train must yield its metrics or report them, but does both; remove one")
    hyperparameters = {key: parameter for key, parameter in parameters.items() if key not in GIVEN}
    takes_keywords = _takes_keywords(name, module, hyperparameters)
    if takes_keywords:
        taken = arguments.of_function(f"{name}.train", train, but=GIVEN)
    else:
        taken = arguments.of_class(f"{name}.Config", module.Config)
    optional, notes = _optional(name, module)
    return Workload(
        name,
        taken,
        train,
        **optional,
        is_program=modules.is_program(module),
        module=module.__name__,
        gets=gets,
        takes_keywords=takes_keywords,
        notes=tuple(notes),
        command=None,
    )


def _of_command(command: Command) -> Workload:
    """Return a command as a workload: its Config is a namespace of its hyperparameters."""
    command.check_program()
    defaults = {name: list(value) if isinstance(value, tuple) else value for name, value in command.defaults}
    fields = [Field(name, Any, defaults.get(name, MISSING)) for name in command.names]

    def make(**values: Any) -> SimpleNamespace:
        return SimpleNamespace(**{**defaults, **values})

    notes = []
    if "seed" not in command.placeholders() and not command.takes_file:
        notes.append("command has no {seed}, so its runs differ by nothing but chance where it does not seed itself")
    return Workload(
        command.title,
        Arguments(command.title, make, tuple(fields)),
        make,
        gets=("folder",) if command.wants_folder else (),
        notes=tuple(notes),
        command=command,
    )


def _lacking(module: ModuleType) -> str:
    return "train" if hasattr(module, "Config") else "Config and train"


def _parameters(function: Callable[..., Any]) -> Mapping[str, inspect.Parameter]:
    """Return what a function can be called with, by name; nothing where that cannot be found out."""
    try:
        return inspect.signature(function).parameters
    except (TypeError, ValueError):
        return {}


def _takes_keywords(name: str, module: ModuleType, parameters: Mapping[str, inspect.Parameter]) -> bool:
    """Return whether `train` takes the hyperparameters themselves: without a Config, or where all have defaults.

    Raises UserError where it can be called in neither way.
    """
    single = [key for key, parameter in parameters.items() if parameter.kind in SINGLE]
    required = [key for key in single if parameters[key].default is MISSING]
    if not hasattr(module, "Config"):
        if len(single) == 1 and single[0] in CONFIGS:
            raise UserError(
                f"workload {name!r} must be a module with Config and train, but it lacks Config, of which "
                f"train({single[0]}) gets one; a dataclass with the hyperparameters does"
            )
        if not single:
            raise UserError(f"{name}.train must take hyperparameters by name, as train(lr=0.1), but it takes none")
        return True
    if len(single) > 1 and not required:
        return True
    if len(required) > 1:
        raise UserError(
            f"{name}.train must be called as train(config), but it needs {', '.join(required[1:])}, too; "
            f"make that in train, give it a default, or ask for one of: {', '.join(GIVEN)}"
        )
    return False


def _optional(name: str, module: ModuleType) -> tuple[dict[str, Callable[..., Any]], list[str]]:
    """Return the optional functions that a module has, by name, and lines on what is not taken for one of them.

    Raises UserError where one was meant, but takes other arguments than it is called with.
    """
    functions: dict[str, Callable[..., Any]] = {}
    notes = []
    for key, called_with in OPTIONAL.items():
        function = getattr(module, key, None)
        if function is None:
            continue
        form = f"{key}({', '.join(called_with)})"
        why = _foreign(function, module)
        if not why:
            taken = _taken(function)
            mine = f"{key}({', '.join(taken)})"
            if not _fits(function, len(called_with)):
                if taken and set(taken) <= ALIASES:
                    raise UserError(
                        f"{name}.{key} must be {form}, as it is called, but it is {mine}; change or rename it"
                    )
                why = f"is {mine}"
        if why:
            notes.append(f"{name}.{key} {why}, so it is not used as the workload's {form}")
        else:
            functions[key] = function
    return functions, notes


def _foreign(function: Any, module: ModuleType) -> str:
    """Return why something is plainly no function of the interface: no function, or another package's; else empty."""
    if not callable(function) or inspect.isclass(function):
        return "is no function"
    package = module.__name__.partition(".")[0]
    origin = str(getattr(function, "__module__", None) or package)
    code = getattr(inspect.unwrap(function), "__code__", None)
    if code is not None and INSTALLED.match(code.co_filename) and origin.partition(".")[0] != package:
        return f"comes from {origin}"
    return ""


def _taken(function: Callable[..., Any]) -> list[str]:
    """Return the arguments without a default of a function; none where they cannot be found out."""
    parameters = _parameters(function)
    return [name for name, item in parameters.items() if item.default is MISSING and item.kind in SINGLE]


def _fits(function: Callable[..., Any], count: int) -> bool:
    """Return whether a function can be called with so many arguments."""
    try:
        inspect.signature(function).bind(*range(count))
    except TypeError:
        return False
    except ValueError:  # of one written in C its signature may not be known
        return True
    return True

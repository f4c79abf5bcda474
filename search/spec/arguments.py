"""The arguments of a workload's Config: which there are, and how plain values become a Config."""

import dataclasses
import inspect
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from types import SimpleNamespace
from typing import Any

from search.errors import UserError, shown, suggestion

SCALAR = str | int | float | None
"""The types of plain values, which a workload's Config holds."""
OWN = ("seed", "epochs")
"""Values that the search has for every trial, whether Config takes them or not."""
MISSING: Any = inspect.Parameter.empty
"""Stands for the default, or the annotation, of an argument that has none."""


@dataclass(frozen=True)
class Argument:
    """One argument of a Config."""

    name: str
    annotation: Any
    default: Any
    """As the Config has it, or MISSING."""
    has_factory: bool = False
    """Whether its default is made anew for each Config."""

    @property
    def is_required(self) -> bool:
        """Return whether a Config cannot be made without it."""
        return self.default is MISSING and not self.has_factory


@dataclass(frozen=True)
class Arguments:
    """The arguments by which a Config is made: those of a class, or those of a `train` that takes them itself."""

    owner: str
    """What takes them, as texts name it: mine.Config, or mine.train."""
    make: Callable[..., Any]
    """Makes a Config of them."""
    fields: tuple[Argument, ...]
    hinted: Any
    """Whose annotations are theirs: the class, or the function."""

    def names(self) -> list[str]:
        """Return their names, in order."""
        return [field.name for field in self.fields]

    def defaults(self) -> dict[str, Any]:
        """Return the default of every argument that has one, as plain values; no factory's."""
        return {name: plain(default) for name, default in self._defaults().items()}

    def build(self, values: Mapping[str, Any]) -> Any:
        """Return the Config of these values: the one place where they become typed.

        Seed and epochs are left out where there are no such arguments: the process is seeded, and the trial ended, in
        any case. Where a default is a member of an enum, so is the value. Raises UserError where a name is unknown or
        missing, and whatever Config raises at a value.
        """
        names = self.names()
        for name in values:
            if name not in names and name not in OWN:
                raise UserError(f"unknown hyperparameter {name!r} of {self.owner}, {suggestion(name, names)}")
        for field in self.fields:
            if field.is_required and field.name not in values:
                raise UserError(f"{self.owner} needs a value for {field.name!r}: put it in space or in fixed")
        defaults = self._defaults()
        typed = {}
        for name, value in values.items():
            if name in names:
                typed[name] = _typed(value, defaults.get(name))
        return self.make(**typed)

    def values_of(self, config: Any) -> dict[str, Any]:
        """Return the arguments, as plain values, of which `build` makes this Config again.

        Raises TypeError where it is no Config: a workload's `resolve` may return anything.
        """
        if isinstance(self.make, type) and not isinstance(config, self.make):
            raise TypeError(f"resolve must return a Config, but got {shown(config)}")
        values = {}
        for name in self.names():
            value = plain(getattr(config, name))
            values[name] = value if isinstance(value, SCALAR) else str(value)
        return values

    def _defaults(self) -> dict[str, Any]:
        """Return the defaults as Config has them: members of enums, NumPy's numbers."""
        return {field.name: field.default for field in self.fields if field.default is not MISSING}


def of_class(owner: str, config: type[Any]) -> Arguments:
    """Return the arguments of a dataclass. Raises UserError where it is none."""
    if not (isinstance(config, type) and dataclasses.is_dataclass(config)):
        raise UserError(f"{owner} must be a dataclass, but got {shown(config)}")
    fields = []
    for field in dataclasses.fields(config):
        if field.init:
            has_factory = field.default_factory is not dataclasses.MISSING
            default = MISSING if field.default is dataclasses.MISSING else field.default
            fields.append(Argument(field.name, field.type, default, has_factory))
    return Arguments(owner, config, tuple(fields), hinted=config)


def of_function(owner: str, function: Callable[..., Any], but: Collection[str]) -> Arguments:
    """Return the arguments of a function that is called with keywords, but for those that the search gives.

    Its Config is a namespace: `config.lr`.
    """
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    fields = []
    for name, parameter in inspect.signature(function).parameters.items():
        if name in but or parameter.kind not in named:
            continue
        fields.append(Argument(name, parameter.annotation, parameter.default))
    defaults = {field.name: field.default for field in fields if field.default is not MISSING}

    def make(**values: Any) -> SimpleNamespace:
        return SimpleNamespace(**{**defaults, **values})

    return Arguments(owner, make, tuple(fields), hinted=function)


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

"""The fields of a workload's Config: what a class that is made by keywords, or a function, is called with.

dataclasses, pydantic, attrs, NamedTuple and TypedDict say it themselves; of any other class its constructor does.
"""

import dataclasses
import inspect
import sys
import typing
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, get_origin

from search.errors import UserError, shown
from search.spec import values
from search.spec.values import MISSING, SCALAR, UnfitError, is_same, plain

NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
"""The kinds of a parameter that can be given by its name."""
UNNAMED = "{} must name the hyperparameters that it takes, as a dataclass does, but it names none"
INIT_FIELDS = ("_FIELD", "_FIELD_INITVAR")
"""The names of the kinds of a dataclass's fields that its constructor takes."""


@dataclass(frozen=True)
class Field:
    """One field of a Config."""

    name: str
    """The keyword that it is given by."""
    annotation: Any = MISSING
    default: Any = MISSING
    """As the Config has it, or MISSING."""
    factory: Callable[[], Any] | None = None
    """Makes the default anew for each Config."""
    attribute: str = ""
    """What the Config keeps its value as, where that is not its name."""
    is_kept: bool = True
    """Whether the Config keeps its value."""
    is_optional: bool = False
    """Whether it may be left out though it has no default."""

    @property
    def is_required(self) -> bool:
        """Return whether a Config cannot be made without it."""
        return self.default is MISSING and self.factory is None and not self.is_optional

    @cached_property
    def usual(self) -> Any:
        """Return its default, a factory's as it was made the first time that somebody asked; MISSING without one."""
        return self.made_default()

    def made_default(self) -> Any:
        """Return its default, a factory's made anew; MISSING where there is none, or its factory raises."""
        if self.factory is None:
            return self.default
        try:
            return self.factory()
        except (Exception, SystemExit):  # one that takes the other values, or finds no device here
            return MISSING

    @cached_property
    def kind(self) -> Any:
        """Return what its values are converted to: as it is annotated, else as its default is."""
        if self.annotation is not MISSING:
            return self.annotation
        if self.usual is MISSING or self.usual is None:
            return Any
        return type(self.usual) | None

    def typed(self, value: Any) -> Any:
        """Return a plain value as the field's type; as it is where it is none of that, as in a study of before.

        Where a default is a member of an enum, so is the value, whatever the annotation.
        """
        if isinstance(value, SCALAR) and self.is_usual(value):
            return self.usual
        kinds = [self.kind]
        if self.factory is None and isinstance(plain(self.default), SCALAR) and self.default is not plain(self.default):
            kinds.insert(0, type(self.default))
        for kind in kinds:
            try:
                return values.convert(kind, value)
            except UnfitError:
                continue
        return value

    def is_usual(self, value: Any) -> bool:
        """Return whether a plain value is the default, as a plain value."""
        own = plain(self.default)
        return self.factory is None and type(value) is type(own) and bool(value == own)

    def form(self, value: Any) -> Any:
        """Return the plain form of a value of it, of which `typed` makes the value again; MISSING where none does."""
        form = values.form_of(self.kind, value)
        if form is MISSING and self._takes_text and not isinstance(plain(value), SCALAR):
            return values.form_of(type(value), value)  # as of a device that was found for `device: str`
        return form

    @property
    def _takes_text(self) -> bool:
        return any(isinstance(part, type) and issubclass(part, str) for part in values.parts_of(self.kind))

    def is_constant(self, value: Any) -> bool:
        """Return whether a value is the default, which its Config has in any case."""
        return self.usual is not MISSING and is_same(value, self.usual)

    def __str__(self) -> str:
        if self.annotation is MISSING:
            return f"{self.name}={shown(self.usual)}"
        if isinstance(self.annotation, type) and get_origin(self.annotation) is None:
            return f"{self.name}: {self.annotation.__name__}"
        return f"{self.name}: {str(self.annotation).replace('typing.', '')}"


def of(owner: str, config: Any) -> list[Field]:
    """Return the fields of a Config. Raises UserError where it is nothing that is made by keywords."""
    if not callable(config):
        raise UserError(f"{owner} must be a class, or a function that returns a config, but got {shown(config)}")
    if is_record(config):
        return list(_of_record(config))
    found = of_signature(owner, config)
    if not found:
        raise UserError(UNNAMED.format(owner))
    return found


def is_record(config: Any) -> bool:
    """Return whether a class says itself which fields it has."""
    if not isinstance(config, type):
        return False
    return (
        typing.is_typeddict(config)
        or _pydantic_fields(config) is not None
        or hasattr(config, "__attrs_attrs__")
        or hasattr(config, "__dataclass_params__")
        or (issubclass(config, tuple) and hasattr(config, "_field_defaults"))
    ) and not _has_own_constructor(config)


def _has_own_constructor(config: Any) -> bool:
    """Return whether a dataclass, or a class of attrs, is made by a constructor that somebody wrote for it."""
    own = vars(config).get("__init__")
    if own is None or hasattr(config, "__pydantic_fields__"):
        return False
    if hasattr(config, "__attrs_attrs__"):
        return "__attrs_init__" in vars(config)
    return "__dataclass_params__" in vars(config) and not config.__dataclass_params__.init


def _of_record(config: Any) -> Iterator[Field]:
    pydantic = _pydantic_fields(config)
    if pydantic is not None:
        yield from _of_pydantic(config, pydantic)
    elif hasattr(config, "__attrs_attrs__"):
        yield from _of_attrs(config)
    elif hasattr(config, "__dataclass_params__"):
        yield from _of_dataclass(config)
    else:
        hints = _hints(config)
        defaults = getattr(config, "_field_defaults", {})
        optional = getattr(config, "__optional_keys__", ())
        for name in getattr(config, "_fields", hints):
            annotation = hints.get(name, MISSING)
            yield Field(name, annotation, defaults.get(name, MISSING), is_optional=name in optional)


def _of_dataclass(config: Any) -> Iterator[Field]:
    hints = _hints(config)
    for field in config.__dataclass_fields__.values():
        if not field.init or field._field_type.name not in INIT_FIELDS:
            continue
        default = MISSING if field.default is dataclasses.MISSING else field.default
        factory = None if field.default_factory is dataclasses.MISSING else field.default_factory
        is_kept = field._field_type.name == INIT_FIELDS[0]
        yield Field(field.name, hints.get(field.name, MISSING), default, factory, is_kept=is_kept)


def _of_attrs(config: Any) -> Iterator[Field]:
    hints = _hints(config)
    nothing = sys.modules[type(config.__attrs_attrs__[0]).__module__].NOTHING if config.__attrs_attrs__ else None
    for field in config.__attrs_attrs__:
        if not field.init:
            continue
        default = MISSING if field.default is nothing else field.default
        factory = None
        if type(default).__name__ == "Factory":
            factory = default.factory  # which raises where it takes the config that is being made
            default = MISSING
        annotation = hints.get(field.name, MISSING)
        if field.converter is not None:
            annotation = Any  # it makes what is annotated of whatever it takes
        yield Field(field.alias or field.name.lstrip("_"), annotation, default, factory, attribute=field.name)


def _pydantic_fields(config: Any) -> Mapping[str, Any] | None:
    """Return the fields of a model or a dataclass of pydantic; None where it is neither."""
    found = getattr(config, "__pydantic_fields__", None)
    return found if isinstance(found, Mapping) else None


def _of_pydantic(config: Any, fields: Mapping[str, Any]) -> Iterator[Field]:
    settings: Mapping[str, Any] = getattr(config, "model_config", None) or getattr(config, "__pydantic_config__", {})
    is_by_name = settings.get("populate_by_name") or settings.get("validate_by_name")
    for name, info in fields.items():
        if info.init is False:
            continue
        keyword = name
        alias = info.validation_alias or info.alias
        if isinstance(alias, str) and not is_by_name:
            keyword = alias
        is_default = not info.is_required() and info.default_factory is None
        default = info.default if is_default else MISSING
        yield Field(keyword, info.annotation, default, info.default_factory, attribute=name)


def of_signature(owner: str, function: Callable[..., Any]) -> list[Field]:
    """Return the fields that a constructor, or a function, takes by their names.

    Raises UserError where it needs one without a name.
    """
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # of what is written in C
        raise UserError(UNNAMED.format(owner)) from None
    found = []
    names = getattr(inspect.unwrap(_constructor(function)), "__globals__", {})
    for name, parameter in signature.parameters.items():
        if parameter.kind in NAMED:
            found.append(Field(name, _resolved(parameter.annotation, names), parameter.default))
        elif parameter.kind is parameter.POSITIONAL_ONLY and parameter.default is MISSING:
            raise UserError(f"{owner} must be made by keywords, but it takes {name!r} by its place alone; remove the /")
    return found


def _constructor(function: Any) -> Any:
    if isinstance(function, type):
        return vars(function).get("__init__", function.__new__)
    return getattr(function, "func", function)


def _hints(config: Any) -> dict[str, Any]:
    """Return the annotations of a class, each as far as it names what can be found."""
    try:
        return typing.get_type_hints(config, include_extras=True)
    except Exception:  # whatever is evaluated of a text: a name that only a type checker imports is a NameError
        pass
    hints: dict[str, Any] = {}
    for base in reversed(config.__mro__):
        names = vars(sys.modules.get(base.__module__, typing))
        for name, annotation in vars(base).get("__annotations__", {}).items():
            hints[name] = _resolved(annotation, names)
    return hints


def _resolved(annotation: Any, names: Mapping[str, Any]) -> Any:
    """Return an annotation, or of its text what that names; Any where it cannot be found."""
    if not isinstance(annotation, str):
        return annotation
    try:
        return eval(annotation, dict(names))
    except Exception:
        return Any

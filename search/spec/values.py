"""Plain values, which YAML and JSON can hold, and typed ones: each becomes the other by the annotation of its field."""

import collections.abc
import dataclasses
import enum
import inspect
import numbers
import re
import typing
from collections.abc import Callable
from contextlib import suppress
from types import NoneType, UnionType
from typing import Annotated, Any, ForwardRef, Literal, NewType, TypeVar, Union, get_args, get_origin

SCALAR = str | int | float | None
"""The types of scalars that YAML and JSON can hold."""
MISSING: Any = inspect.Parameter.empty
"""Stands for the default, the annotation or the plain form that something lacks."""
WRAPPERS = ("Annotated", "Required", "NotRequired", "ReadOnly", "Final", "ClassVar")
"""The names in `typing` that say of a type something beside it."""
SERIES: dict[Any, Callable[[list[Any]], Any]] = {
    tuple: tuple,
    list: list,
    set: set,
    frozenset: frozenset,
    collections.abc.Sequence: list,
    collections.abc.MutableSequence: list,
    collections.abc.Collection: list,
    collections.abc.Iterable: list,
    collections.abc.Set: frozenset,
}
"""What a field may be annotated with that a list in YAML is for, and what makes it."""
MOST_BITS = 10_000
"""Of a whole number that is written: of a longer one Python makes no text."""


class UnfitError(ValueError):
    """A plain value is none of the type that a field is annotated with."""


def plain(value: Any) -> Any:
    """Return a scalar as YAML and JSON can hold it, also where it is an enum's or NumPy's; any other value as it is.

    Of a member of an enum it is its value or, where that is no scalar, its name.
    """
    if isinstance(value, enum.Enum):
        inner = plain(value.value)
        return inner if isinstance(inner, SCALAR) else value.name
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


def is_writable(value: Any) -> bool:
    """Return whether a plain value is a scalar that can be written: no half of a letter, no number of thousands."""
    if isinstance(value, str):
        return not re.search("[\x85\ud800-\udfff]", value)  # YAML would read the first as a space
    if isinstance(value, int):
        return value.bit_length() <= MOST_BITS
    return isinstance(value, float | None)


def form_of(annotation: Any, value: Any) -> Any:
    """Return the plain form of a typed value: a scalar, a list or a text; MISSING where none makes it again."""
    scalar = plain(value)
    if isinstance(scalar, SCALAR):
        return scalar if is_writable(scalar) else MISSING
    form: Any
    if isinstance(value, list | tuple | set | frozenset):
        form = [form_of(Any, item) for item in value]
        if MISSING in form:
            return MISSING
    else:
        form = _text_of(value)
        if form is MISSING:
            return MISSING
    try:
        return form if is_same(convert(annotation, form), value) else MISSING
    except UnfitError:
        return MISSING


def _text_of(value: Any) -> Any:
    """Return a value as text; MISSING where there is none, or it cannot be written."""
    try:
        text = str(value)
    except (Exception, SystemExit):  # of a foreign object's own code
        return MISSING
    return text if is_writable(text) else MISSING


def is_same(one: Any, other: Any) -> bool:
    """Return whether two values are of one type and equal; of an array, say, or of NaN nobody knows."""
    if one is other:
        return True
    try:
        return type(one) is type(other) and bool(one == other)
    except (Exception, SystemExit):  # as of an array, which has no one answer
        return False


def bare(annotation: Any) -> Any:
    """Return the type that an annotation is of, without what it says beside it."""
    while True:
        if isinstance(annotation, NewType):
            annotation = annotation.__supertype__
        elif isinstance(annotation, dataclasses.InitVar):
            annotation = annotation.type
        elif type(annotation).__name__ == "TypeAliasType":  # which Python 3.11 lacks
            annotation = annotation.__value__
        elif get_origin(annotation) is Annotated or _name_of(get_origin(annotation)) in WRAPPERS:
            annotation = get_args(annotation)[0]
        else:
            return NoneType if annotation is None else annotation


def _name_of(origin: Any) -> str:
    return str(getattr(origin, "_name", "")) if getattr(origin, "__module__", "") == typing.__name__ else ""


def parts_of(annotation: Any) -> tuple[Any, ...]:
    """Return the types of which a value may be: those of a union, else the one."""
    annotation = bare(annotation)
    if get_origin(annotation) in (Union, UnionType):
        return tuple(map(bare, get_args(annotation)))
    return (annotation,)


def convert(annotation: Any, value: Any) -> Any:
    """Return a plain value as what a field is annotated with.

    An int will do for a float, and nothing else for anything: true is no number, and 3.0 no whole one. A member of an
    enum is its value or its name; a list becomes a tuple; a text a path, a device or whatever a class makes of it and
    turns into it again. An annotation that says nothing takes anything. Raises UnfitError.
    """
    annotation = bare(annotation)
    if annotation is Any or annotation is MISSING or isinstance(annotation, str | TypeVar | ForwardRef):
        return value
    origin = get_origin(annotation)
    if origin in (Union, UnionType):
        return _of_union(parts_of(annotation), value)
    if origin is Literal:
        return _of_members(get_args(annotation), value)
    kind = origin or annotation
    if not isinstance(kind, type):
        return value
    if kind in SERIES:
        return _of_series(kind, get_args(annotation), value)
    if issubclass(kind, enum.Enum):
        return _of_enum(kind, value)
    if kind is NoneType or issubclass(kind, bool | int | float | str):
        return _of_scalar(kind, value)
    return _of_class(kind, value)


def _of_union(parts: tuple[Any, ...], value: Any) -> Any:
    """Return a value as the first of these types that takes it, its own before all."""
    if type(value) in parts:
        return value
    for part in parts:
        with suppress(UnfitError):
            return convert(part, value)
    raise UnfitError


def _of_members(members: tuple[Any, ...], value: Any) -> Any:
    """Return the member of these that a plain value stands for: by its value, then by its name in an enum."""
    for member in members:
        if _stands_for(value, plain(member)):
            return member
    for member in members:
        if isinstance(member, enum.Enum) and value == member.name:
            return member
    raise UnfitError


def _stands_for(value: Any, own: Any) -> bool:
    is_like = type(value) is type(own) or (type(own) is float and type(value) is int)
    return is_like and bool(value == own)


def _of_enum(kind: type[enum.Enum], value: Any) -> Any:
    with suppress(UnfitError):
        return _of_members(tuple(kind.__members__.values()), value)
    is_flag = issubclass(kind, enum.Flag) and type(value) is int
    if not isinstance(value, str) and not is_flag:
        raise UnfitError
    try:
        return kind(value)  # flags together, or what the enum itself makes of a text
    except Exception:
        raise UnfitError from None


def _of_scalar(kind: type, value: Any) -> Any:
    """Return a scalar as one of this type, which may be derived from that of a scalar."""
    if kind is NoneType:
        is_like = value is None
    elif issubclass(kind, float):
        is_like = type(value) in (int, float)
    else:
        is_like = issubclass(kind, type(value)) and (type(value) is bool) == issubclass(kind, bool)
    if not is_like:
        raise UnfitError
    if type(value) is kind or value is None:
        return value
    try:
        return kind(value)
    except Exception:  # of a class of the user's; of a number too large for a float
        raise UnfitError from None


def _of_series(kind: Any, annotations: tuple[Any, ...], value: Any) -> Any:
    """Return a list as a tuple, a set or a list of what is annotated."""
    if not isinstance(value, list | tuple):
        raise UnfitError
    if kind is tuple and annotations and annotations[-1] is not Ellipsis:
        if len(value) != len(annotations):
            raise UnfitError
        of_each = list(annotations)
    else:
        of_each = [annotations[0] if annotations else Any] * len(value)
    items = [convert(annotation, item) for annotation, item in zip(of_each, value, strict=True)]
    try:
        return SERIES[kind](items)
    except TypeError:  # a list in a set
        raise UnfitError from None


def _of_class(kind: Any, value: Any) -> Any:
    """Return what a class makes of a plain value: NumPy's scalars, other numbers, and what a text makes and gives."""
    try:
        if isinstance(value, kind) and not (isinstance(value, bool) and issubclass(kind, numbers.Number)):
            return value
        if hasattr(kind, "dtype") and hasattr(kind, "item"):
            made = kind(value)
            own = plain(made)
            if type(own) is float and type(value) in (int, float):
                return made
            if type(own) is type(value) and own == value:
                return made
        elif issubclass(kind, numbers.Number) and type(value) in (int, float, str):
            return kind(str(value))
        elif type(value) is str and _is_of_text(kind):
            made = kind(value)
            if kind(str(made)) == made:
                return made
    except Exception:  # whatever a class makes of a text that is none of its own
        raise UnfitError from None
    raise UnfitError


def _is_of_text(kind: Any) -> bool:
    """Return whether the values of a class may be told from each other and written; others are not even made."""
    return kind.__eq__ is not object.__eq__ and (kind.__str__, kind.__repr__) != (object.__str__, object.__repr__)

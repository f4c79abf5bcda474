"""The arguments of a workload's Config: which there are, and how plain values become a Config, and a Config those.

A field that holds a config of its own has the names of both, with a dot between: optimizer.lr.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, get_origin, is_typeddict

from search.errors import UserError, shown, suggestion
from search.spec import fields, values
from search.spec.fields import Field
from search.spec.values import MISSING, SCALAR, is_writable, plain

OWN = ("seed", "epochs")
"""Values that the search has for every trial, whether Config takes them or not."""


@dataclass(frozen=True)
class Arguments:
    """The arguments by which a Config is made: those of a class or a function, or of `train` where that takes them."""

    owner: str
    """What takes them, as texts name it: mine.Config, or mine.train."""
    make: Callable[..., Any]
    """Makes a Config of them."""
    fields: tuple[Field, ...]
    inner: Mapping[str, "Arguments"] = field(default_factory=dict)
    """Of the fields that hold a config of their own."""

    def names(self) -> list[str]:
        """Return their names, in order; a field that holds a config stands for those of that."""
        return list(self.leaves())

    def leaves(self) -> dict[str, Field]:
        """Return the field of each argument, by its name."""
        found: dict[str, Field] = {}
        for own in self.fields:
            if own.name not in self.inner:
                found[own.name] = own
                continue
            for name, leaf in self.inner[own.name].leaves().items():
                found[f"{own.name}.{name}"] = leaf
        return found

    def missing(self, given: Collection[str]) -> list[str]:
        """Return the arguments that a Config needs beside those given."""
        lacking = []
        for own in self.fields:
            inner = self.inner.get(own.name)
            if inner is None:
                if own.is_required and own.name not in given:
                    lacking.append(own.name)
                continue
            parts = _within(own.name, given)
            takes_after = bool(parts) and own.usual is not MISSING and own.usual is not None
            if not takes_after and (parts or own.is_required):
                lacking += [f"{own.name}.{name}" for name in inner.missing(parts)]
        return lacking

    def defaults(self, searched: Collection[str] = ()) -> dict[str, Any]:
        """Return the defaults that are scalars, as plain values, but for a factory's, and all of what is `searched`."""
        found = {}
        for name, (leaf, value) in self._defaults().items():
            if name in searched:
                form = leaf.form(value)
            else:
                form = plain(value)
                if leaf.factory is not None or not is_writable(form):
                    form = MISSING
            if form is not MISSING:
                found[name] = form
        return found

    def defaults_beside(self, before: Mapping[str, Any], searched: Collection[str]) -> dict[str, Any]:
        """Return the same; those that are made anew each time, and may be others, as they were `before`."""
        found = self.defaults(searched)
        for name, leaf in self.leaves().items():
            if leaf.factory is not None:
                found.pop(name, None)
                if name in before:
                    found[name] = before[name]
        return found

    def build(self, given: Mapping[str, Any]) -> Any:
        """Return the Config of these plain values: the one place where they become typed.

        Seed and epochs are left out where there are no such arguments: the process is seeded, and the trial ended, in
        any case. Raises UserError where a name is unknown or missing, and whatever Config raises at a value.
        """
        names = self.names()
        for name in given:
            if name not in names and name not in OWN:
                raise UserError(f"unknown hyperparameter {name!r} of {self.owner}, {suggestion(name, names)}")
        for name in self.missing(given):
            fix = "put it in space or in fixed, or give it a default"
            raise UserError(f"{self.owner} needs a value for {name!r}: {fix}")
        return self.make(**self._typed({name: value for name, value in given.items() if name in names}, MISSING))

    def values_of(self, config: Any, given: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Return the arguments, as plain values, of which `build` makes this Config again.

        `given` are the values that it was made of: what it does not keep is taken from there. What has no plain form is
        left out, as the Config has it in any case. Raises TypeError where it is no Config: a workload's `resolve` may
        return anything.
        """
        kind = dict if is_typeddict(self.make) else self.make
        if config is None or (isinstance(kind, type) and not isinstance(config, kind)):
            raise TypeError(f"resolve must return a Config, but got {shown(config)}")
        given = given or {}
        found = {}
        for name, leaf in self.leaves().items():
            value = self._read(config, name)
            if value is MISSING and name == leaf.name and name not in given:
                value = leaf.default
            is_left_out = name not in given and not isinstance(plain(value), SCALAR) and leaf.is_constant(value)
            form = MISSING
            if value is not MISSING and not is_left_out:
                form = leaf.form(value)
            if form is MISSING:
                form = given.get(name, MISSING)
            if form is not MISSING:
                found[name] = form
        return found

    def _typed(self, given: Mapping[str, Any], base: Any) -> dict[str, Any]:
        """Return what the Config is called with for these values, and for the rest of a `base` that it takes after."""
        typed = {}
        for own in self.fields:
            inner = self.inner.get(own.name)
            parts = _within(own.name, given)
            if inner is not None and parts:
                before = own.made_default() if base is MISSING else read(base, own)
                typed[own.name] = inner.make(**inner._typed(parts, MISSING if before is None else before))
            elif own.name in given:
                typed[own.name] = own.typed(given[own.name])
            elif base is not MISSING and (value := read(base, own)) is not MISSING:
                typed[own.name] = value
        return typed

    def _read(self, config: Any, name: str) -> Any:
        """Return the value of an argument that a Config keeps; MISSING where it keeps none."""
        for own in self.fields:
            if own.name == name and own.name not in self.inner:
                return read(config, own)
            if own.name in self.inner and name.startswith(f"{own.name}."):
                within = read(config, own)
                if within is None or within is MISSING:
                    return MISSING
                return self.inner[own.name]._read(within, name.removeprefix(f"{own.name}."))
        return MISSING

    def _defaults(self) -> dict[str, tuple[Field, Any]]:
        """Return the field and the default of every argument that has one, those within the default of a config."""
        found: dict[str, tuple[Field, Any]] = {}
        for own in self.fields:
            if own.name not in self.inner:
                if own.usual is not MISSING:
                    found[own.name] = (own, own.usual)
                continue
            inner = self.inner[own.name]
            for name, leaf in inner.leaves().items():
                value = leaf.usual
                if own.usual is not MISSING:
                    value = MISSING if own.usual is None else inner._read(own.usual, name)
                if value is not MISSING:
                    found[f"{own.name}.{name}"] = (leaf, value)
        return found


def _within(name: str, given: Iterable[str] | Mapping[str, Any]) -> dict[str, Any]:
    """Return those of the given names that are of a config within, by their names in that."""
    prefix = f"{name}."
    found = {}
    for key in given:
        if key.startswith(prefix):
            found[key.removeprefix(prefix)] = given[key] if isinstance(given, Mapping) else None
    return found


def read(config: Any, own: Field) -> Any:
    """Return what a Config, or a mapping in its place, keeps of a field; MISSING where it keeps nothing."""
    if not own.is_kept:
        return MISSING
    if isinstance(config, Mapping):
        return config.get(own.name, MISSING)
    try:
        return getattr(config, own.attribute or own.name, MISSING)
    except (Exception, SystemExit):  # of a property that raises
        return MISSING


def of_class(owner: str, config: Any) -> Arguments:
    """Return the arguments of a class that is made by keywords, or of a function that returns a config.

    Raises UserError where it is neither.
    """
    kind = get_origin(config) or config
    return _arguments(owner, kind, fields.of(owner, kind), (kind,))


def _arguments(owner: str, make: Callable[..., Any], own: list[Field], around: tuple[Any, ...]) -> Arguments:
    """Return the arguments with these fields, `around` which are the classes of the configs that they are within."""
    inner = {}
    for one in own:
        kind = _config_of(one)
        if kind is not None and kind not in around:
            inner[one.name] = _arguments(f"{owner}.{one.name}", kind, fields.of(owner, kind), (*around, kind))
    return Arguments(owner, make, tuple(own), inner)


def _config_of(own: Field) -> Any:
    """Return the class of the config that a field holds: that of its default, or the annotated one; None without."""
    if fields.is_record(type(own.default)):
        return type(own.default)
    for part in values.parts_of(own.annotation):
        if fields.is_record(part):
            made = own.usual
            return type(made) if fields.is_record(type(made)) else part
    return None


def of_function(owner: str, function: Callable[..., Any], but: Collection[str]) -> Arguments:
    """Return the arguments of a function that is called with keywords, but for those that the search gives.

    Its Config is a namespace: `config.lr`.
    """
    own = [one for one in fields.of_signature(owner, function) if one.name not in but]
    defaults = {one.name: one.default for one in own if one.default is not MISSING}

    def make(**given: Any) -> SimpleNamespace:
        return SimpleNamespace(**{**defaults, **given})

    return _arguments(owner, make, own, ())

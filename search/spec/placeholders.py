"""The placeholders of a command, held against the values that a search has for them.

Apart from the command itself, which a worker process needs, and no Optuna.
"""

import re
from collections.abc import Mapping
from typing import Any

from search.algorithms.space import Space
from search.errors import UserError, suggestion
from search.spec.arguments import OWN
from search.spec.command import Command
from search.spec.membership import boolean_meant
from search.spec.template import GIVEN


def check(command: Command, space: Space, entries: Mapping[str, Any], fixed: Mapping[str, Any]) -> None:
    """Raise UserError where a command and the values that a search has for it do not fit.

    `entries` are those of its space in YAML. The length of a list may be missing among its words: the list has it.
    """
    defaults = dict(command.defaults)
    _check_placeholders(command)
    lengths = {series.length for series in space.series.values()}
    searched = [name for name in entries if name in command.names and name not in lengths]
    for where, values in (("space", searched), ("fixed", fixed), ("defaults", defaults)):
        _check_taken(command, where, list(values))
    for name in command.names:
        possible = [values[name] for values in (fixed, defaults) if name in values]
        if name in space:
            entry = entries[name]
            possible += entry.get("values", [entry.get("low")])
        for item in space.series[name].items[:1] if name in space.series else ():
            possible.append([item])
        for value in possible:
            _check_value(command, name, value)
    _check_report(command)


def _check_placeholders(command: Command) -> None:
    """Raise UserError where a placeholder has no value."""
    known = [*command.names, *GIVEN]
    for name in GIVEN:
        if name in command.names:
            raise UserError(f"{name!r} must be no hyperparameter of a command, as {{{name}}} is its own; rename it")
    for name in command.placeholders():
        if name in known:
            continue
        fix = f"put it in space, fixed or defaults, or write {{{{{name}}}}} for braces; {suggestion(name, known)}"
        if name == "epochs":
            fix = "write epochs: 30, say"
        raise UserError(f"command must have a value for {{{name}}}, but there is none; {fix}")


def _check_taken(command: Command, where: str, names: list[str]) -> None:
    """Raise UserError where no placeholder takes a value."""
    taken = {*command.placeholders(), *OWN}
    for name in names:
        if not command.takes_file and name not in taken:
            raise UserError(
                f"command must take {where}.{name}, but has neither {{{name}}} nor {{config}}; add one, or remove that"
            )


def _check_value(command: Command, name: str, value: Any) -> None:
    """Raise UserError where a value is none for a flag, or none that a program can be given."""
    is_flag = any(word.flag == name for word in command.words)
    if is_flag and not isinstance(value, bool):
        rule = f"{{{name}:flag}} of command must be true or false"
        fix = boolean_meant(value) or f"write --{name} {{{name}}}"
        raise UserError(f"{rule}, but {name} may be {value!r}; {fix}")
    if isinstance(value, str) and "\0" in value:
        raise UserError(f"{name} must be text that a program can be given, but it has a zero byte: {value!r}")


def _check_report(command: Command) -> None:
    """Raise UserError where `report` is no regular expression that finds the metric."""
    if command.report is None:
        return
    rule = f"report must be a regular expression that finds the metric, as {command.metric}=(?P<{command.metric}>\\S+)"
    try:
        groups = re.compile(command.report).groupindex
    except (re.error, OverflowError, RecursionError) as error:
        raise UserError(f"{rule}, but {command.report!r} is none: {error}") from None
    if command.metric not in groups:
        there = ", ".join(groups) or "none"
        raise UserError(f"{rule}, but it has no group of that name; its groups are: {there}")

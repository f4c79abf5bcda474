"""A command: any program, in place of a module, with the values of a trial in its words (see template.py).

It prints its metrics, a JSON object on a line once an epoch, or text in which a regular expression finds them.
"""

import re
import shlex
import shutil
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from search.algorithms.space import Space
from search.errors import UserError, suggestion
from search.spec import template
from search.spec.arguments import OWN
from search.spec.membership import boolean_meant
from search.spec.template import GIVEN, Word

PYTHON = re.compile(r"(python|pypy)[0-9.]*")
INTERPRETERS = re.compile(rf"{PYTHON.pattern}|{template.SHELLS.pattern}|Rscript|julia|node|perl|ruby|lua|php|octave")
SCRIPT = re.compile(r"(?s:[^\s-].*)\.(py|pyc|sh|bash|R|r|jl|js|mjs|ts|pl|rb|lua|php|m)")
"""Matches a word that names the file of a script."""
SOURCE = re.compile(rf"{SCRIPT.pattern}|(?s:[^\s-].*)\.(ya?ml|json|toml|ini|cfg|conf|gin)")
"""Matches one that names that or a config."""


@dataclass(frozen=True)
class Command:
    """A program that is trained, in place of a module: its template, and what it prints and takes.

    It can be hashed and pickled. Raises UserError where the template breaks a rule.
    """

    line: str
    """The template, as it stands in the search's config."""
    names: tuple[str, ...] = ()
    """The hyperparameters that are searched, fixed, or have a default; seed and epochs among them."""
    defaults: tuple[tuple[str, Any], ...] = ()
    """The program's own."""
    report: str | None = None
    """The regular expression that finds its metrics; None where it prints them as JSON."""
    metric: str = ""
    """The one that decides."""

    def __post_init__(self) -> None:
        template.parse(self.line)

    @property
    def words(self) -> tuple[Word, ...]:
        """Return the template, word by word."""
        return template.parse(self.line)

    @property
    def title(self) -> str:
        """Return what people call it: its script's or module's name, else its program's."""
        return Path(self._script()).name or self.module() or Path(self._program()).name

    def placeholders(self) -> list[str]:
        """Return the names that stand in it, those of flags included."""
        names: list[str] = []
        for word in self.words:
            names += word.names
            if word.flag:
                names.append(word.flag)
        return list(dict.fromkeys(names))

    @property
    def takes_file(self) -> bool:
        """Return whether it is given all values, as a file."""
        return "config" in self.placeholders()

    @property
    def wants_folder(self) -> bool:
        """Return whether it is given a folder, or a file that needs one."""
        return not set(GIVEN).isdisjoint(self.placeholders())

    def filled(self, values: Mapping[str, Any], folder: str = "", file: str = "") -> list[str]:
        """Return the words of a trial with these values."""
        given = {**values, "folder": folder, "config": file}
        there = [word for word in self.words if not word.flag or given[word.flag] is True]
        return [word.filled(given) for word in there]

    def check_program(self) -> None:
        """Raise UserError where the program, or the script that it is to run, is not there or comes with a study."""
        program = self._program()
        path = shutil.which(program)
        if path is None:
            raise UserError(_no_program(program))
        _refuse_of_study(path)
        script = self._script()
        is_code = any(word.texts[0] == "-c" for word in self.words)
        if script and not is_code and INTERPRETERS.fullmatch(Path(program).name):
            if not Path(script).is_file():
                there = Path.cwd()
                raise UserError(f"command must name a script that exists, but there is no file {script!r} in {there}")
            _refuse_of_study(script)

    def files(self) -> Iterator[Path]:
        """Yield the files among its words that make it what it is: its program, scripts and configs, but no data."""
        for number, word in enumerate(self.words):
            text = word.texts[0]
            is_program = number == 0 and not INTERPRETERS.fullmatch(Path(text).name)
            if word.is_plain and (is_program or SOURCE.fullmatch(text)):
                with suppress(OSError, ValueError):  # a word too long for a path
                    path = Path(text)
                    if path.is_file():
                        yield path

    def module(self) -> str:
        """Return the module that Python is to run with -m; empty where it is none."""
        texts = [word.texts[0] if word.is_plain else "" for word in self.words]
        if PYTHON.fullmatch(Path(texts[0]).name) and "-m" in texts[:-1]:
            return texts[texts.index("-m") + 1]
        return ""

    def _program(self) -> str:
        return self.words[0].texts[0]

    def _script(self) -> str:
        for word in self.words:
            if word.is_plain and SCRIPT.fullmatch(word.texts[0]):
                return word.texts[0]
        return ""


def _no_program(program: str) -> str:
    rule = f"command must begin with a program that can be run, but there is no {program!r}"
    if Path(program).is_file():
        fix = f"make it executable (chmod +x {shlex.quote(program)}), or name what runs it before it, as python"
        return f"{rule} that may be executed; {fix}"
    if re.match(r"\w+=", program):
        return f"{rule}; what sets a variable is env: write env {program} ..."
    return f"{rule}, neither a file nor on the PATH; give its path"


def _refuse_of_study(file: str) -> None:
    for parent in Path(file).absolute().parents:
        if (parent / "journal.log").exists():
            rule = f"command must run what is yours, but {file} lies in {parent}"
            raise UserError(f"{rule}, a study: what comes with results is never run")


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

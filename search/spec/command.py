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

from search.errors import UserError
from search.spec import template
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

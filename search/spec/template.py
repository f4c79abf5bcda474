"""The template of a command: its words, and the places in them for the values of a trial.

python train.py --lr {lr} --epochs {epochs} --seed {seed} --out {folder} {amp:flag}

{name}        a hyperparameter that is searched, fixed or has a default; seed and epochs, too
{name:flag}   the word --name where it is true, none where it is false; --use-amp{amp:flag} is the word --use-amp
{folder}      the trial's own folder
{config}      the path of a JSON file with all values
{{ and }}     braces

A value is text within its word, so that none can add an argument.
"""

import itertools
import json
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from search.errors import UserError

GIVEN = ("folder", "config")
"""Placeholders that are no values of the trial."""
FORMS = "{name}, {name:flag}, {folder} and {config}, and {{ and }} for braces"
TOKEN = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")
OPERATORS = re.compile(r"&&?|\|\|?|;|[0-9]*>>?(&[0-9])?|<<?|[0-9]*>[\w./]+")
"""Matches a word that only a shell understands."""
SHELLS = re.compile(r"(ba|da|z|k|fi)?sh")


@dataclass(frozen=True)
class Word:
    """A word of a command: texts and placeholders in turn, a text first and last."""

    texts: tuple[str, ...]
    names: tuple[str, ...] = ()
    """Those of the placeholders."""
    flag: str = ""
    """The hyperparameter that says whether the word is there; empty of a word that always is."""

    @property
    def is_plain(self) -> bool:
        """Return whether it is the same in every trial."""
        return not (self.names or self.flag)

    def filled(self, values: Mapping[str, Any]) -> str:
        """Return the word with these values in it."""
        parts = [self.texts[0]]
        for name, text in zip(self.names, self.texts[1:], strict=True):
            parts += [text_of(values[name]), text]
        return "".join(parts)


def text_of(value: Any) -> str:
    """Return a value as text in a command: as JSON and Hydra have it, but numbers as Python does."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple):
        return json.dumps(value)
    return value if isinstance(value, str) else repr(value)


@lru_cache(maxsize=64)
def parse(line: str) -> tuple[Word, ...]:
    """Return the words of a template, split as a shell does. Raises UserError where it breaks a rule."""
    if "\0" in line:
        raise UserError(f"command must be text that a program can be given, but it has a zero byte: {line!r:.200}")
    try:
        texts = shlex.split(line)
    except ValueError as error:
        raise UserError(f"command must be one that a shell could split, but: {error}, in {line!r:.200}") from None
    if not texts or not texts[0]:
        raise UserError(f"command must begin with a program, but got {line!r:.200}")
    words = [_word(text) for text in texts]
    if not words[0].is_plain:
        raise UserError(f"command must begin with a program, the same in every trial, but it begins with {texts[0]!r}")
    for text in texts:
        if OPERATORS.fullmatch(text):
            rule = "command must be one program with its arguments, as it is run without a shell"
            raise UserError(f"{rule}, but got {text!r}; put the line into a script: sh train.sh {{lr}}")
    _check_shell(words)
    return tuple(words)


def _word(text: str) -> Word:
    """Return one word of a template."""
    texts: list[str] = []
    names: list[str] = []
    flag = ""
    literal = ""
    end = 0
    for token in TOKEN.finditer(text):
        literal += text[end : token.start()]
        end = token.end()
        name, colon, form = (token[1] or "").partition(":")
        if token[0] in ("{{", "}}"):
            literal += token[0][0]
        elif name and not colon:
            texts.append(literal)
            names.append(name)
            literal = ""
        elif name and form == "flag" and name not in GIVEN and not flag:
            flag = name
        else:
            raise UserError(f"command must have {FORMS}, but got {token[0]!r} in {text!r}")
    texts.append(literal + text[end:])
    if flag and texts == [""]:
        texts = [f"--{flag}"]
    return Word(tuple(texts), tuple(names), flag)


def _check_shell(words: list[Word]) -> None:
    """Raise UserError where a value would stand in the code of a shell, which could make anything of it."""
    if not SHELLS.fullmatch(Path(words[0].texts[0]).name):
        return
    for option, word in itertools.pairwise(words):
        if re.fullmatch("-[a-zA-Z]*c", option.texts[0]):
            if not word.is_plain:
                rule = "command must not put a value into the code of a shell, which could take it for more than that"
                raise UserError(f"{rule}; write sh -c 'python train.py --lr \"$1\"' sh {{lr}}")
            return

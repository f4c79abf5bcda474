"""The paths of a workload's files, which stand in a search's config: looked for beside that, too."""

import re
import shlex
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from search.spec.command import SOURCE, Command


def is_file(workload: str) -> bool:
    """Return whether a workload is named by the path of a file, and not by that of a module."""
    return workload.endswith(".py") or "/" in workload


def settled(settings: Mapping[str, Any], config: Path) -> dict[str, Any]:
    """Return the settings of a config's file with the paths of a workload's, or a command's, files as they are found.

    A workload's file is looked for in the config's folder, then in the working folder. The scripts and configs of a
    command are looked for the other way round: it runs in the working folder.
    """
    settled = dict(settings)
    workload = settings.get("workload")
    if isinstance(workload, str) and workload.endswith(".py"):
        beside = config.absolute().parent / workload
        settled["workload"] = _from_here(beside if beside.is_file() else Path(workload))
    command = settings.get("command")
    if isinstance(command, str):
        settled["command"] = _command(command, config)
    return settled


def in_full(source: str | Command) -> str | Command:
    """Return what is trained as processes with another working folder find it: a file by its full path."""
    if isinstance(source, str) and source.endswith(".py"):
        return str(Path(source).resolve())
    return source


def _command(line: str, config: Path) -> str:
    def found(match: re.Match[str]) -> str:
        word = match[0]
        beside = config.absolute().parent / word
        is_there = SOURCE.fullmatch(word) and beside.is_file() and not Path(word).is_file()
        return shlex.quote(_from_here(beside)) if is_there else word

    return re.sub(r"(?<!\S)[^\s'\"{}-][^\s'\"{}]*(?!\S)", found, line)


def _from_here(path: Path) -> str:
    """Return a path relative to the working folder, where it lies in that; else in full."""
    full = path.resolve()
    with suppress(ValueError, OSError):  # a working folder that was removed has no path
        return str(full.relative_to(Path.cwd().resolve()))
    return str(full)

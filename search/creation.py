"""The folder of a new study, made as a whole or not at all."""

import dataclasses
import itertools
import os
import re
import shutil
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import optuna

from search.errors import UserError, command
from search.journal import storage
from search.journal.earlier import EARLIER, Known
from search.journal.records import START
from search.journal.storage import Storage, Writer
from search.spec import temporary
from search.spec.config import StudyConfig
from search.spec.workload import Workload
from search.study import TAKES, Study, load

INODE = "inode"
"""The search's attribute that says which folder was made for it, where it has a command: a copy has another."""

NEW = ".new-"
"""Begins the name of the folder in which a study is made, beside the others."""


def create(
    config: StudyConfig,
    workload: Workload,
    epochs: int,
    holding: ExitStack | None = None,
    start: Sequence[Mapping[str, Any]] = (),
    known: Sequence[Known] = (),
) -> Study:
    """Make the folder of a new study and its journal, as a whole or not at all; `epochs` are those of a full trial.

    `start` are the configurations to try first, `known` trials of earlier studies. With `holding`, this process is its
    writer until that is closed. Raises UserError where the name is taken, or the folder cannot be written or locked.
    """
    folder = folder_of(config)
    output = folder.parent
    name = folder.name
    named = dataclasses.replace(config, name=name)
    defaults = workload.defaults(config.space)
    attributes: dict[str, Any] = {
        "config": named.as_mapping(),
        "epochs": epochs,
        "defaults": defaults,
        TAKES: workload.names(),
        START: [dict(params) for params in start],
    }
    if known:
        attributes[EARLIER] = [trial.as_recorded() for trial in known]
    try:
        output.mkdir(parents=True, exist_ok=True)
        temporary.sweep(output, NEW)
        with temporary.folder(output, NEW) as parent:
            hidden = parent / name
            (hidden / "logs").mkdir(parents=True)
            (hidden / "plots").mkdir()
            if config.command:
                attributes[INODE] = hidden.stat().st_ino
            journal = Storage(hidden / storage.JOURNAL)
            search = optuna.create_study(study_name=name, storage=journal, direction=config.objective.direction)
            for key, value in attributes.items():
                search.set_user_attr(key, value)
            if holding:
                holding.enter_context(Writer(hidden))
            hidden.rename(folder)
    except OSError as why:
        if os.path.lexists(folder):  # another start has taken the name meanwhile: take the next, or say so
            return create(config, workload, epochs, holding, start, known)
        raise UserError(f"output must be a folder that can be written, but {why}; give another with --output") from None
    return Study(name, folder, named, epochs, defaults, Storage(storage.file_of(folder)))


def check_origin(made: Study) -> None:
    """Raise UserError where a study's command would be run, but its folder is not the one that was made with it.

    A command can be anything: that of a study that came from elsewhere is run only where its user gives it, too.
    """
    if made.config.command and made.search.user_attrs.get(INODE) != made.folder.stat().st_ino:
        raise UserError(
            f"a study whose command is run must be in the folder that was made for it, but {made.folder} is a copy, "
            f"and would run {made.config.command!r:.200}; if that is yours, go on with its config: "
            f"{command('search.run', '--config', 'FILE', '--resume', made.folder)}"
        )


def confirm_origin(made: Study) -> None:
    """Record that the command of a study is its user's own."""
    if made.config.command:
        made.search.set_user_attr(INODE, made.folder.stat().st_ino)


def folder_of(config: StudyConfig) -> Path:
    """Return the folder that a new study gets. Raises UserError where its name is taken, or it would lie in a file."""
    output = Path(config.output)
    title = config.title.rpartition("/")[2].removesuffix(".py")
    module = re.sub(r"[^\w.-]", "_", title, flags=re.ASCII)[-70:]
    name = config.name or _free_name(output, f"{module}-{time.strftime('%Y%m%d-%H%M%S')}".lstrip(".-"))
    folder = output / name
    if output.exists() and not output.is_dir():
        raise UserError(f"output must be a folder, but {output} is a file; give another with --output")
    if os.path.lexists(folder):
        raise UserError(
            f"a study's name must be new, but {folder} exists; give another with --name, or go on with it: "
            f"{command('search.run', '--resume', folder)}"
        )
    return folder


def remove_if_unused(folder: Path) -> None:
    """Remove the folder of a study in which no trial has begun: whatever ended its start, its name is free again."""
    if is_unused(folder):
        shutil.rmtree(folder, ignore_errors=True)


def is_unused(folder: Path) -> bool:
    """Return whether no trial of a study has begun; False where it cannot be read."""
    try:
        return not load(folder).trials()
    except (OSError, UserError):
        return False


def _free_name(output: Path, name: str) -> str:
    """Return the name, or name-2, -3, ... where another study of this second has it."""
    names = itertools.chain([name], (f"{name}-{count}" for count in itertools.count(2)))
    return next(free for free in names if not os.path.lexists(output / free))

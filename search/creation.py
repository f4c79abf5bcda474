"""The folder of a new study, made as a whole or not at all."""

import dataclasses
import itertools
import os
import re
import shutil
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import optuna

from search.errors import UserError
from search.journal import storage
from search.journal.storage import Storage, Writer
from search.spec.config import StudyConfig
from search.spec.workload import Workload
from search.study import Study, load


def create(config: StudyConfig, workload: Workload, epochs: int, holding: ExitStack | None = None) -> Study:
    """Make the folder of a new study and its journal, as a whole or not at all; `epochs` are those of a full trial.

    With `holding`, this process is its writer until that is closed. Raises UserError where the name is taken, or the
    folder cannot be written or locked.
    """
    output = Path(config.output)
    module = re.sub(r"[^\w.-]", "_", config.workload, flags=re.ASCII)[-70:]
    name = config.name or _free_name(output, f"{module}-{time.strftime('%Y%m%d-%H%M%S')}".lstrip(".-"))
    named = dataclasses.replace(config, name=name)
    folder = output / name
    if output.exists() and not output.is_dir():
        raise UserError(f"output must be a folder, but {output} is a file; give another with --output")
    if os.path.lexists(folder):
        raise UserError(f"a study's name must be new, but {folder} exists; give another with --name")
    attributes = {"config": named.as_mapping(), "epochs": epochs, "defaults": workload.defaults()}
    try:
        output.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=output, prefix=".new-") as parent:
            hidden = Path(parent) / name
            (hidden / "logs").mkdir(parents=True)
            (hidden / "plots").mkdir()
            journal = Storage(hidden / storage.JOURNAL)
            search = optuna.create_study(study_name=name, storage=journal, direction=config.objective.direction)
            for key, value in attributes.items():
                search.set_user_attr(key, value)
            if holding:
                holding.enter_context(Writer(hidden))
            hidden.rename(folder)
    except OSError as why:
        if os.path.lexists(folder):  # another start has taken the name meanwhile: take the next, or say so
            return create(config, workload, epochs, holding)
        raise UserError(f"output must be a folder that can be written, but {why}; give another with --output") from None
    return Study(name, folder, named, epochs, workload.defaults(), Storage(storage.file_of(folder)))


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

"""The run folder: what a search leaves on disk, read and written. Opens without Ray.

The journal is the source of truth; the tables are derived from it and can be rebuilt at any time.
"""

import dataclasses
import itertools
import math
import os
import platform
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal

import optuna
import pandas as pd
from optuna.storages import JournalStorage
from ruamel.yaml import YAML

from search import journal
from search.config import StudyConfig
from search.space import Space, parse

PACKAGES = ("ray", "optuna", "torch", "numpy", "pandas")
RETRAINING = "retraining"


@dataclass(frozen=True)
class Study:
    """One search and its folder."""

    name: str
    """In the journal; the folder's, as long as nobody renames that."""
    folder: Path
    config: StudyConfig
    epochs: int
    """Epochs of a full trial."""
    storage: JournalStorage

    @property
    def logs(self) -> Path:
        """Return the folder of Ray's chatter and of what the workload printed."""
        return self.folder / "logs"

    @cached_property
    def space(self) -> Space:
        """Return the distribution of each hyperparameter."""
        return parse(self.config.space)

    @cached_property
    def search(self) -> optuna.Study:
        """Return the search in the journal."""
        return optuna.load_study(study_name=self.name, storage=self.storage)

    def trials(self) -> list[journal.Trial]:
        """Return the trials of the search, by number."""
        return journal.read(self.search, self.config.metric)

    def retrainings(self) -> list[str]:
        """Return the names of the retrainings in the journal, the newest last."""
        names = [name for name in optuna.get_all_study_names(self.storage) if name != self.name]
        ours = [name for name in names if name.startswith(f"{self.name}/{RETRAINING} ")]
        return sorted(ours, key=lambda name: int(name.rsplit(" ", 1)[1]))

    def new_retraining(self) -> optuna.Study:
        """Add an empty retraining to the journal."""
        name = f"{self.name}/{RETRAINING} {len(self.retrainings()) + 1}"
        return optuna.create_study(study_name=name, storage=self.storage, direction=direction(self.config.mode))

    def log_of(self, number: int) -> Path:
        """Return the file that holds what the workload printed in a trial, and the traceback of a failed one."""
        return self.logs / f"trial-{number:04}.log"

    def write_tables(self) -> None:
        """Derive trials.csv and curves.csv from the journal."""
        trials = self.trials()
        trials_table(trials).to_csv(self.folder / "trials.csv", index=False)
        curves_table(trials).to_csv(self.folder / "curves.csv", index=False)

    def write_best(self, path: Path, values: Mapping[str, Any], note: str) -> None:
        """Write a full workload config under a comment that names workload, study and value."""
        with path.open("w", encoding="utf-8") as file:
            file.write(f"# {self.config.workload}, study {self.name}: {note}\n")
            YAML().dump(dict(values), file)


def create(config: StudyConfig, epochs: int, share: Mapping[str, Any]) -> Study:
    """Make the folder of a new study and its journal. `share` is what each trial gets of the machine.

    Raises FileExistsError where the name is taken, OSError or ValueError where the folder cannot be written.
    """
    output = Path(config.output)
    name = config.name or _free_name(output, f"{config.workload}-{time.strftime('%Y%m%d-%H%M%S')}")
    config = dataclasses.replace(config, name=name)
    folder = output / name
    if output.exists() and not output.is_dir():
        raise ValueError(f"output must be a folder, but {output} is a file; give another with --output")
    if os.path.lexists(folder):
        raise FileExistsError(f"a study's name must be new, but {folder} exists; give another with --name")
    try:
        for part in ("logs", "plots"):
            (folder / part).mkdir(parents=True)
        storage = journal.open_storage(folder / "journal.log")
    except OSError as error:
        raise OSError(f"output must be a folder that can be written, but {error}; give another with --output") from None
    made = optuna.create_study(study_name=name, storage=storage, direction=direction(config.mode))
    made.set_user_attr("config", dataclasses.asdict(config))
    made.set_user_attr("epochs", epochs)
    resolved = {"config": dataclasses.asdict(config), "share": dict(share), **provenance()}
    YAML().dump(resolved, folder / "study.yaml")
    return Study(name, folder, config, epochs, storage)


def load(path: str | Path) -> Study:
    """Open the folder of a study, running or finished. Raises ValueError where it is none."""
    folder = Path(path)
    if not (folder / "journal.log").is_file():
        raise ValueError(f"a study is a folder with a journal.log, but {folder} has none")
    try:
        storage = journal.open_storage(folder / "journal.log")
        (name,) = (name for name in optuna.get_all_study_names(storage) if "/" not in name)
        attributes = optuna.load_study(study_name=name, storage=storage).user_attrs
        config = StudyConfig.of(attributes["config"])
    except (KeyError, TypeError, ValueError, OSError) as error:
        raise ValueError(f"{folder / 'journal.log'} must be the journal of a search, but: {error}") from None
    return Study(name, folder, config, attributes["epochs"], storage)


def trials_table(trials: list[journal.Trial]) -> pd.DataFrame:
    """Return a row a trial: trial, state, value, best_epoch, epochs, the hyperparameters, training_s, started, seconds.

    `value` is the best finite value, `epochs` how many were trained, `training_s` the seconds that took,
    `seconds` those from proposal to ending.
    """
    rows = []
    for trial in trials:
        row: dict[str, Any] = {"trial": trial.number, "state": trial.ending, "value": trial.value}
        row |= {"best_epoch": trial.best_epoch, "epochs": len(trial.epochs)}
        times = {"training_s": trial.epochs[-1]["elapsed_s"] if trial.epochs else math.nan}
        times |= {"started": trial.started, "seconds": trial.seconds}
        rows.append({**row, **_apart(trial.params, {*row, *times}), **times})
    frame = pd.DataFrame(rows, columns=None if rows else ["trial", "state", "value", "best_epoch", "epochs"])
    return frame.astype({"value": float})


def curves_table(trials: list[journal.Trial]) -> pd.DataFrame:
    """Return a row an epoch: trial, epoch (from 1), the raw metrics, elapsed_s."""
    rows = [
        {"trial": trial.number, "epoch": epoch, **_apart(metrics, {"trial", "epoch"})}
        for trial in trials
        for epoch, metrics in enumerate(trial.epochs, 1)
    ]
    return pd.DataFrame(rows, columns=None if rows else ["trial", "epoch"])


def _free_name(output: Path, name: str) -> str:
    """Return the name, or name-2, -3, ... where another study of this second has it."""
    names = itertools.chain([name], (f"{name}-{count}" for count in itertools.count(2)))
    return next(each for each in names if not os.path.lexists(output / each))


def provenance() -> dict[str, Any]:
    """Return what else decides a study's numbers: versions, machine, git revision."""
    return {
        "versions": {"python": platform.python_version(), **{name: _version(name) for name in PACKAGES}},
        "machine": {"system": platform.platform(), "processor": _processor(), "cpus": os.cpu_count()},
        "git": _git_revision(),
    }


def _apart(named: Mapping[str, Any], taken: set[str]) -> dict[str, Any]:
    """Return columns under other names where a table's own have them: a metric 'epoch' becomes 'epoch_'."""
    return {f"{name}_" if name in taken else name: value for name, value in named.items()}


def direction(mode: str) -> Literal["minimize", "maximize"]:
    """Return Optuna's word for a mode."""
    return "minimize" if mode == "min" else "maximize"


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor()


def _git_revision() -> str | None:
    """Return the commit of the working folder, with '+' where files differ from it."""
    command = ["git", "describe", "--always", "--abbrev=40", "--dirty=+", "--exclude=*"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None

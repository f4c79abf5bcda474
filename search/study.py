"""The run folder: what a search leaves on disk, read and written. Opens without Ray.

The journal is the source of truth; the tables are derived from it and can be rebuilt at any time.
"""

import dataclasses
import itertools
import os
import re
import tempfile
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import optuna

from search import files, journal, outcome, provenance, soundness
from search.config import StudyConfig
from search.outcome import Outcome
from search.snapshot import Snapshot
from search.space import Space, parse
from search.storage import Storage, file_of
from search.workload import Workload

RETRAINING, AUDIT = "retraining", "audit"
SESSIONS, FINISHED = "sessions", "finished"
CHOOSING = threading.Lock()
"""Held from looking whether a retraining has finished until best.yaml is written: two threads may be about to."""


@dataclass(frozen=True)
class Study:
    """One search and its folder."""

    name: str
    """In the journal; the folder's, as long as nobody renames that."""
    folder: Path
    config: StudyConfig
    epochs: int
    """Epochs of a full trial."""
    defaults: Mapping[str, Any]
    """Those of the workload's Config."""
    storage: Storage

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

    def others(self, kind: str) -> list[optuna.Study]:
        """Return the studies of a kind in the journal, the newest last."""
        prefix = f"{self.name}/{kind} "
        names = set(optuna.get_all_study_names(self.storage))
        found = itertools.takewhile(names.__contains__, (f"{prefix}{number}" for number in itertools.count(1)))
        return [optuna.load_study(study_name=name, storage=self.storage) for name in found]

    def add(self, kind: str, **attributes: Any) -> optuna.Study:
        """Add an empty study of a kind to the journal."""
        number = len(self.others(kind)) + 1
        made = optuna.create_study(
            study_name=f"{self.name}/{kind} {number}", storage=self.storage, direction=direction(self.config.mode)
        )
        for name, value in attributes.items():
            made.set_user_attr(name, value)
        return made

    def log_of(self, number: int) -> Path:
        """Return the file that holds what the workload printed in a trial, and the traceback of a failed one."""
        return self.logs / f"trial-{number:04}.log"

    def finished(self) -> list[optuna.Study]:
        """Return the retrainings that were not cut short, the newest last."""
        return [each for each in self.others(RETRAINING) if each.user_attrs.get(FINISHED)]

    def outcome(self) -> Outcome | None:
        """Return what the newest retraining that was not cut short found; None where there is none."""
        made = self.finished()
        return outcome.of(made[-1], self.config.metric, self.config.mode) if made else None

    def times_tested(self) -> int:
        """Return how many retrainings have looked at the test part."""
        return sum(any(key.startswith("test ") for key in each.user_attrs) for each in self.others(RETRAINING))

    def snapshot(self, found: Outcome | None = None) -> Snapshot:
        """Return the study as it is; `found` is what its newest retraining came to, before it has finished."""
        sessions = self.search.user_attrs.get(SESSIONS, [])
        found = found or self.outcome()
        return Snapshot(self.name, self.config, self.epochs, self.space, self.trials(), found, sessions)

    def trials_dataframe(self) -> Any:
        """Return a pandas DataFrame with a row a trial, the columns those of trials.csv."""
        from search import tables  # imports pandas: not while a trial could be trained

        return tables.trials(self.trials())

    def curves_dataframe(self) -> Any:
        """Return a pandas DataFrame with a row an epoch of each trial, the columns those of curves.csv."""
        from search import tables

        return tables.curves(self.trials())

    def best_config(self) -> dict[str, Any] | None:
        """Return the full workload config of the winner's best run, else of the best trial; None where none is."""
        found = self.outcome()
        if found and found.winner:
            return dict(found.winner.best_run(self.config.mode).attributes["config"])
        best = self._best()
        return self._full(best) if best else None

    def figures(self) -> dict[str, Any]:
        """Return the matplotlib Figures of plots/ by name: curves, history, hyperparameters, importances."""
        from search import pictures  # imports matplotlib: not while a trial could be trained

        return pictures.of(self.snapshot())

    def _best(self) -> journal.Trial | None:
        return journal.best([trial for trial in self.trials() if trial.may_win], self.config.mode)

    def _full(self, trial: journal.Trial) -> dict[str, Any]:
        return {**self.defaults, **self.config.fixed, **trial.params, "seed": self.config.seed}

    def write_tables(self) -> None:
        """Derive trials.csv and curves.csv from the journal."""
        from search import tables

        trials = self.trials()
        files.write(self.folder / "trials.csv", tables.trials(trials).to_csv(index=False))
        files.write(self.folder / "curves.csv", tables.curves(trials).to_csv(index=False))

    def write_best(self, values: Mapping[str, Any], note: str) -> None:
        """Write a full workload config to best.yaml, under a comment that names workload, study and value."""
        comment = f"# {self.config.workload}, study {self.name}: {note}\n"
        files.write(self.folder / "best.yaml", comment + files.yaml(values))

    def write_interim_best(self) -> None:
        """Write the best trial so far to best.yaml, unless a retraining has chosen one."""
        best = self._best()
        if not best:
            return
        with CHOOSING:
            if not self.finished():
                self.write_best(
                    self._full(best), f"{self.config.metric} {best.value:.6g} (trial {best.number}); not retrained"
                )

    def finish(self, retraining: optuna.Study, best: tuple[Mapping[str, Any], str] | None) -> None:
        """Record that a retraining has finished, and write its best, if any: a full config, and a note on it."""
        with CHOOSING:
            if best:
                self.write_best(*best)
            retraining.set_user_attr(FINISHED, True)

    def begin_session(self, share: Mapping[str, Any]) -> None:
        """Record that a search of the study begins on this machine; `share` is what each trial gets of it."""
        sessions = [*self.search.user_attrs.get(SESSIONS, []), {"share": dict(share), **provenance.describe()}]
        self.search.set_user_attr(SESSIONS, sessions)
        files.write(
            self.folder / "study.yaml", files.yaml({"config": dataclasses.asdict(self.config), SESSIONS: sessions})
        )


def create(config: StudyConfig, workload: Workload) -> Study:
    """Make the folder of a new study and its journal, as a whole or not at all.

    Raises FileExistsError where the name is taken, OSError or ValueError where the folder cannot be written, and what
    StudyConfig.check raises.
    """
    epochs = config.check(workload)
    output = Path(config.output)
    module = re.sub(r"[^\w.-]", "_", config.workload, flags=re.ASCII)[-70:]
    name = config.name or _free_name(output, f"{module}-{time.strftime('%Y%m%d-%H%M%S')}".lstrip(".-"))
    config = dataclasses.replace(config, name=name)
    folder = output / name
    if output.exists() and not output.is_dir():
        raise ValueError(f"output must be a folder, but {output} is a file; give another with --output")
    if os.path.lexists(folder):
        raise FileExistsError(f"a study's name must be new, but {folder} exists; give another with --name")
    try:
        output.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=output, prefix=".new-") as parent:
            made = Path(parent) / name
            for part in ("logs", "plots"):
                (made / part).mkdir(parents=True)
            search = optuna.create_study(
                study_name=name,
                storage=Storage(made / "journal.log"),
                direction=direction(config.mode),
            )
            attributes = {"config": dataclasses.asdict(config), "epochs": epochs, "defaults": workload.defaults()}
            for key, value in attributes.items():
                search.set_user_attr(key, value)
            made.rename(folder)
    except OSError as error:
        raise OSError(f"output must be a folder that can be written, but {error}; give another with --output") from None
    return load(folder)


def load(path: str | Path) -> Study:
    """Open the folder of a study, running or finished. Raises ValueError where it is none."""
    folder = Path(path)
    file = file_of(folder)
    try:
        storage = Storage(file)
        name = _only([name for name in optuna.get_all_study_names(storage) if "/" not in name])
        attributes = optuna.load_study(study_name=name, storage=storage).user_attrs
        config = StudyConfig.of(attributes["config"])
        made = Study(name, folder, config, attributes["epochs"], attributes["defaults"], storage)
        soundness.check(made.snapshot(), made.defaults, made.search, made.finished())
    except Exception as error:  # whatever Optuna, and we, make of records that no search of ours wrote
        why = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(f"{file} must be the journal of a search, but: {why:.300}") from None
    return made


def _only(names: list[str]) -> str:
    if len(names) != 1:
        raise ValueError(f"it holds {len(names)} searches")
    return names[0]


def _free_name(output: Path, name: str) -> str:
    """Return the name, or name-2, -3, ... where another study of this second has it."""
    names = itertools.chain([name], (f"{name}-{count}" for count in itertools.count(2)))
    return next(each for each in names if not os.path.lexists(output / each))


def direction(mode: str) -> Literal["minimize", "maximize"]:
    """Return Optuna's word for a mode."""
    return "minimize" if mode == "min" else "maximize"

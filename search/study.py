"""The run folder: what a search leaves on disk, read and written. Opens without Ray.

The journal is the source of truth; the tables are derived from it and can be rebuilt at any time.
"""

import dataclasses
import io
import itertools
import os
import re
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Self

import optuna
from ruamel.yaml import YAML

from search import journal, provenance
from search.config import StudyConfig
from search.space import Space, parse
from search.storage import Storage, file_of
from search.workload import Workload

KEPT = ("workload", "metric", "mode", "space", "fixed", "seed")
"""Settings without which the trials of a study could not be compared."""
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

    def write_tables(self) -> None:
        """Derive trials.csv and curves.csv from the journal."""
        from search import tables  # imports pandas: not while a trial could be trained

        trials = self.trials()
        write(self.folder / "trials.csv", tables.trials(trials).to_csv(index=False))
        write(self.folder / "curves.csv", tables.curves(trials).to_csv(index=False))

    def write_best(self, values: Mapping[str, Any], note: str) -> None:
        """Write a full workload config to best.yaml, under a comment that names workload, study and value."""
        comment = f"# {self.config.workload}, study {self.name}: {note}\n"
        write(self.folder / "best.yaml", comment + _yaml(values))

    def write_interim_best(self) -> None:
        """Write the best trial so far to best.yaml, unless a retraining has chosen one."""
        config = self.config
        able = [trial for trial in self.trials() if trial.may_win]
        if not able:
            return
        chosen = min if config.mode == "min" else max
        best = chosen(able, key=lambda trial: trial.value or 0.0)
        values = {**self.defaults, **config.fixed, **best.params, "seed": config.seed}
        with CHOOSING:
            if not any(each.user_attrs.get(FINISHED) for each in self.others(RETRAINING)):
                self.write_best(values, f"{config.metric} {best.value:.6g} (trial {best.number}); not retrained")

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
        write(self.folder / "study.yaml", _yaml({"config": dataclasses.asdict(self.config), SESSIONS: sessions}))

    def continued(self, config: StudyConfig, workload: Workload) -> Self:
        """Return the study under a config that may ask for more, but for nothing else than before.

        Raises ValueError, with the difference, where the trials so far would mean nothing under it.
        """
        config = dataclasses.replace(config, name=self.config.name, output=self.config.output)
        epochs = config.check(workload)
        old = {name: getattr(self.config, name) for name in KEPT} | {"epochs": self.epochs, "defaults": self.defaults}
        new = {name: getattr(config, name) for name in KEPT} | {"epochs": epochs, "defaults": workload.defaults()}
        if differences := list(_differences(old, new)):
            differences[3:] = [f"{len(differences) - 3} more"] if len(differences) > 3 else []
            raise ValueError(
                f"a study that goes on must keep {', '.join(KEPT)} and the workload's defaults, "
                f"but {'; '.join(differences)}; start a new study"
            )
        made = len(self.search.get_trials(deepcopy=False))
        if config.num_samples < made:
            raise ValueError(
                f"num_samples must be at least the {made} trials of the study, but got {config.num_samples}"
            )
        self.search.set_user_attr("config", dataclasses.asdict(config))
        return dataclasses.replace(self, config=config)


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
        _check(made)
    except Exception as error:  # whatever Optuna, and we, make of records that no search of ours wrote
        why = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(f"{file} must be the journal of a search, but: {why:.300}") from None
    return made


def _only(names: list[str]) -> str:
    if len(names) != 1:
        raise ValueError(f"it holds {len(names)} searches")
    return names[0]


def _check(study: Study) -> None:
    """Read all that the journal of a study holds. Raises anything where no search of ours wrote it."""
    if type(study.epochs) is not int or not 1 <= study.epochs < 2**31 or not isinstance(study.defaults, dict):
        raise ValueError(f"it has epochs {study.epochs!r} and defaults {study.defaults!r}")
    if study.search.direction.name.lower() != direction(study.config.mode):
        raise ValueError(f"it is to {study.search.direction.name.lower()} in mode {study.config.mode}")
    list(study.search.user_attrs.get(SESSIONS, []))
    for trial in study.trials():
        for name, value in trial.params.items():
            if not study.space[name]._contains(study.space[name].to_internal_repr(value)):
                raise ValueError(f"trial {trial.number} has {name}={value!r}, which is not in the space")
        sum(metrics["elapsed_s"] for metrics in trial.epochs)
    for each in study.others(RETRAINING):
        if each.user_attrs.get(FINISHED):
            _check_retraining(each, study.config.metric)


def _check_retraining(retraining: optuna.Study, metric: str) -> None:
    list(retraining.user_attrs["jobs"])
    for run in journal.read(retraining, metric):
        if not re.fullmatch("trial [0-9]{1,18}|reference", run.attributes["candidate"]):
            raise ValueError(f"a retraining has the candidate {run.attributes['candidate']!r}")
        dict(run.attributes["config"])


def write(path: Path, content: str | bytes) -> None:
    """Write a file as a whole: whoever reads it, or is killed, finds the old one or the new one."""
    made = path.with_name(f".{path.name}-{threading.get_native_id()}")
    try:
        made.write_bytes(content.encode() if isinstance(content, str) else content)
        made.replace(path)
    finally:
        made.unlink(missing_ok=True)


def _yaml(values: Mapping[str, Any]) -> str:
    text = io.StringIO()
    YAML().dump(dict(values), text)
    return text.getvalue()


def _differences(old: Any, new: Any, where: str = "") -> Iterator[str]:
    """Yield where two nested mappings differ, as text."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for name in dict.fromkeys([*old, *new]):
            place = f"{where}.{name}" if where else str(name)
            if (name in old) and (name in new):
                yield from _differences(old[name], new[name], place)
            else:
                yield f"{place} was {old[name]!r} and is gone" if name in old else f"{place} is new: {new[name]!r}"
    elif old != new:
        yield f"{where} was {old!r} and is {new!r}"


def _free_name(output: Path, name: str) -> str:
    """Return the name, or name-2, -3, ... where another study of this second has it."""
    names = itertools.chain([name], (f"{name}-{count}" for count in itertools.count(2)))
    return next(each for each in names if not os.path.lexists(output / each))


def direction(mode: str) -> Literal["minimize", "maximize"]:
    """Return Optuna's word for a mode."""
    return "minimize" if mode == "min" else "maximize"

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
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Self

import optuna

from search import files, journal, outcome, provenance
from search.config import StudyConfig
from search.outcome import Outcome
from search.snapshot import Snapshot
from search.space import Space, parse
from search.storage import Storage, file_of
from search.workload import Workload

KEPT = ("workload", "metric", "mode", "space", "fixed", "seed")
"""Settings without which the trials of a study could not be compared."""
RETRAINING, AUDIT = "retraining", "audit"
SESSIONS, FINISHED = "sessions", "finished"
LATEST = 1e11
"""Seconds since 1970 beyond which no calendar of the system goes."""
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

    def outcome(self) -> Outcome | None:
        """Return what the newest retraining that was not cut short found; None where there is none."""
        made = [each for each in self.others(RETRAINING) if each.user_attrs.get(FINISHED)]
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
            if not any(each.user_attrs.get(FINISHED) for each in self.others(RETRAINING)):
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
    for session in list(study.search.user_attrs.get(SESSIONS, [])):
        for part in ("share", "versions", "machine"):
            dict(session.get(part, {}))
    trials = study.trials()
    for trial in trials:
        for name, value in trial.params.items():
            if not study.space[name]._contains(study.space[name].to_internal_repr(value)):
                raise ValueError(f"trial {trial.number} has {name}={value!r}, which is not in the space")
        _check_times(trial)
    for each in study.others(RETRAINING):
        if each.user_attrs.get(FINISHED):
            _check_retraining(each, study, len(trials))


def _check_times(trial: journal.Trial) -> None:
    times = [*(metrics["elapsed_s"] for metrics in trial.epochs), trial.where[2] if trial.where else 0.0]
    if not all(0 <= seconds < LATEST for seconds in times):
        raise ValueError(f"trial {trial.number} was trained at {times}")


def _check_retraining(retraining: optuna.Study, study: Study, trials: int) -> None:
    list(retraining.user_attrs["jobs"])
    for run in journal.read(retraining, study.config.metric):
        _check_times(run)
        if not re.fullmatch("trial [0-9]{1,18}|reference", run.attributes["candidate"]):
            raise ValueError(f"a retraining has the candidate {run.attributes['candidate']!r}")
        if run.attributes["candidate"] != outcome.REFERENCE and int(run.attributes["candidate"][6:]) >= trials:
            raise ValueError(f"a retraining has the candidate {run.attributes['candidate']!r} of {trials} trials")
        for name in study.space:
            _ = run.attributes["config"][name]
    outcome.of(retraining, study.config.metric, study.config.mode)


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

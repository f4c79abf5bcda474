"""The run folder: what a search leaves on disk, read and written. Opens without Ray.

The journal is the source of truth; the tables are derived from it and can be rebuilt at any time.
"""

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import optuna

from search.algorithms.space import Space
from search.algorithms.stopping import Reason
from search.analysis import ablation, foreign
from search.analysis.ablation import ABLATION
from search.analysis.snapshot import Snapshot
from search.journal import earlier, front, limits, outcome, provenance, records, repair, storage
from search.journal.outcome import Outcome
from search.journal.storage import Storage, Writer
from search.journal.trial import Trial
from search.spec import files, temporary
from search.spec.config import StudyConfig
from search.spec.objective import Objective
from search.spec.start import of_defaults

RETRAINING = "retraining"
AUDIT = "audit"
SESSIONS = "sessions"
SOURCES = "sources"
LEAVES = "leaves"
FRESH = "fresh process"
"""The search's attribute that says why each trial is to have a process of its own."""
FINISHED = "finished"
TAKES = "takes"
"""The search's attribute that names the arguments of the workload's Config; studies of before have none."""


@dataclass(frozen=True)
class Study:
    """One search and its folder.

    >>> import search
    >>> study = search.load("results/sine")
    >>> study.trials_dataframe()
    >>> study.best_config()
    """

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
    def objective(self) -> Objective:
        """Return what the search is for."""
        return self.config.objective

    @property
    def logs(self) -> Path:
        """Return the folder of Ray's chatter and of what the workload printed."""
        return self.folder / "logs"

    def log_of(self, number: int) -> Path:
        """Return the file that holds what the workload printed in a trial, and the traceback of a failed one."""
        return files.trial_log(self.folder, number)

    def folder_of(self, run: str) -> Path:
        """Return the folder that a trial of the search, or a run of a retraining, has for itself."""
        return self.folder / "trials" / run

    @cached_property
    def space(self) -> Space:
        """Return the distribution of each hyperparameter."""
        return self.config.searched

    @cached_property
    def search(self) -> optuna.Study:
        """Return the search in the journal."""
        return optuna.load_study(study_name=self.name, storage=self.storage)

    def trials(self) -> list[Trial]:
        """Return the trials of the search, by number."""
        return records.read(self.search, self.objective)

    def ended(self) -> int:
        """Return how many trials of the search have ended, of those that count."""
        return sum(trial.ending not in ("running", "infeasible") for trial in self.trials())

    @property
    def wanted(self) -> int | None:
        """Return how many trials the search is to have: as many as asked, or as its space has; None for any number."""
        return limits.wanted(self.search, self.config)

    @property
    def ended_by(self) -> Reason | None:
        """Return why the search has ended; None as long as it has not."""
        return limits.ended_by(self.search, self.config, self.trials(), self.epochs)

    @property
    def start(self) -> list[dict[str, Any]]:
        """Return the hyperparameters to try first, by trial; of some the sampler draws what they lack."""
        return list(self.search.user_attrs.get(records.START, []))

    @property
    def default_params(self) -> dict[str, Any] | None:
        """Return the workload's defaults of what is searched; None where one is missing or not in the space."""
        return of_defaults(self.defaults, self.space)[0] or None

    @property
    def leaves(self) -> str:
        """Return what a trial has left behind in its process, as text; empty where none has been seen to."""
        return str(self.search.user_attrs.get(LEAVES, ""))

    def note_leaves(self, left: str) -> None:
        """Record what a trial has left behind, so that no process trains two of them from here on."""
        self.search.set_user_attr(LEAVES, left)

    @property
    def needs_fresh(self) -> bool:
        """Return whether each trial, and each run of a retraining, is to have a process of its own."""
        return self.config.fresh_process or FRESH in self.search.user_attrs

    def note_fresh(self, why: str) -> None:
        """Record that a trial failed in a process that had trained others, and did not in a fresh one."""
        self.search.set_user_attr(FRESH, why)

    def others(self, kind: str) -> list[optuna.Study]:
        """Return the studies of a kind in the journal, the newest last."""
        names = set(optuna.get_all_study_names(self.storage))
        studies: list[optuna.Study] = []
        while (name := f"{self.name}/{kind} {len(studies) + 1}") in names:
            studies.append(optuna.load_study(study_name=name, storage=self.storage))
        return studies

    def add(self, kind: str, **attributes: Any) -> optuna.Study:
        """Add an empty study of a kind to the journal."""
        name = f"{self.name}/{kind} {len(self.others(kind)) + 1}"
        added = optuna.create_study(study_name=name, storage=self.storage, direction=self.objective.direction)
        for key, value in attributes.items():
            added.set_user_attr(key, value)
        return added

    def finished(self) -> list[optuna.Study]:
        """Return the retrainings that were not cut short, the newest last."""
        return [retraining for retraining in self.others(RETRAINING) if retraining.user_attrs.get(FINISHED)]

    def outcome(self) -> Outcome | None:
        """Return what the newest retraining that was not cut short found; None where there is none."""
        finished = self.finished()
        return outcome.judge(finished[-1], self.config.aims) if finished else None

    def snapshot(self, found: Outcome | None = None) -> Snapshot:
        """Return the study as it is; `found` is what its newest retraining came to, before it has finished."""
        audit_runs = []
        for audit in self.others(AUDIT):
            audit_runs += records.read(audit, self.objective)
        trials = self.trials()
        return Snapshot(
            name=self.name,
            folder=self.folder,
            config=self.config,
            epochs=self.epochs,
            space=self.space,
            default_params=self.default_params,
            trials=[trial for trial in trials if trial.ending != "infeasible"],
            infeasible=[trial for trial in trials if trial.ending == "infeasible"],
            earlier=earlier.read(self.search),
            wanted=self.wanted,
            ended_by=limits.ended_by(self.search, self.config, trials, self.epochs),
            outcome=found or self.outcome(),
            sessions=self.search.user_attrs.get(SESSIONS, []),
            times_tested=sum(outcome.is_tested(retraining) for retraining in self.others(RETRAINING)),
            audit_runs=audit_runs,
            ablation=ablation.newest(self.others(ABLATION), self.objective),
            changes=self.search.user_attrs.get(records.CHANGES, []),
        )

    def trials_dataframe(self) -> Any:
        """Return a pandas DataFrame with a row a trial, the columns those of trials.csv."""
        from search.analysis import tables  # imports pandas: not while a trial could be trained

        trials = self.trials()
        return tables.trials(trials, self.space, self.config.aims, self.within(trials))

    def curves_dataframe(self) -> Any:
        """Return a pandas DataFrame with a row an epoch of each trial, the columns those of curves.csv."""
        from search.analysis import tables

        return tables.curves(self.trials())

    def best_config(self) -> dict[str, Any] | None:
        """Return the full workload config of the winner's best run, else of the best trial; None where none is."""
        found = self.outcome()
        if found and found.winner:
            return self.own(found.winner.best_run(self.objective).attributes["config"])
        best = self.best_trial()
        return self.own(self.values(best.params)) if best else None

    def own(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return those of a run's values that the workload's Config takes: it may have no seed, or no epochs."""
        takes = self.search.user_attrs.get(TAKES, list(values))
        return {name: value for name, value in values.items() if name in takes}

    def figures(self) -> dict[str, Any]:
        """Return the matplotlib Figures of plots/ by name: curves, history, hyperparameters, importances."""
        from search.views import pictures  # imports matplotlib: not while a trial could be trained

        return pictures.draw(self.snapshot())

    def values(self, params: Mapping[str, Any], seed: int | None = None) -> dict[str, Any]:
        """Return the full workload config of these hyperparameters; without a seed it is the search's."""
        return {**self.defaults, **self.config.values(params, seed)}

    def best_trial(self) -> Trial | None:
        """Return the best trial so far that may win, of several objectives by their rule; None where there is none."""
        return front.best(self.within(self.trials()), self.config.aims)

    def within(self, trials: Iterable[Trial]) -> list[Trial]:
        """Return the trials that lie in the space: those from before it was changed may not."""
        is_changed = records.CHANGES in self.search.user_attrs
        return [trial for trial in trials if not is_changed or self.space.is_whole(trial.params)]

    def write_tables(self) -> None:
        """Derive trials.csv and curves.csv from the journal."""
        from search.analysis import tables

        trials = self.trials()
        files.write(self.folder / "trials.csv", tables.csv(self.trials_dataframe()))
        files.write(self.folder / "curves.csv", tables.csv(tables.curves(trials)))

    def sources(self) -> dict[str, str]:
        """Return the digests of the workload's sources in its newest session; none where none were recorded."""
        sessions = self.search.user_attrs.get(SESSIONS, [])
        return dict(sessions[-1].get(SOURCES, {})) if sessions else {}

    def begin_session(self, share: Mapping[str, Any], sources: Mapping[str, str]) -> None:
        """Record that a search begins on this machine: what each trial gets of it, and digests of the sources."""
        session = {"share": dict(share), SOURCES: dict(sources), **provenance.describe()}
        sessions = [*self.search.user_attrs.get(SESSIONS, []), session]
        self.search.set_user_attr(SESSIONS, sessions)
        text = files.yaml({"config": self.config.as_mapping(), SESSIONS: sessions})
        files.write(self.folder / "study.yaml", text)

    def reconfigured(self, config: StudyConfig) -> "Study":
        """Record another config of the study, which must hold for the trials that it has; return the study under it."""
        self.search.set_user_attr("config", config.as_mapping())
        return dataclasses.replace(self, config=config)


def load(path: str | Path) -> Study:
    """Open the folder of a study, running or finished.

    Args:
        path: The folder, such as results/NAME.

    Raises:
        UserError: It is no study, or its journal is one that no search of ours wrote.

    """
    folder = Path(path)
    file = storage.file_of(folder)
    try:
        opened = Storage(file)
        name = _only([name for name in optuna.get_all_study_names(opened) if "/" not in name])
        attributes = optuna.load_study(study_name=name, storage=opened).user_attrs
        config = StudyConfig.of({"try_defaults": False, **attributes["config"]})  # a study of before had no such thing
        study = Study(name, folder, config, attributes["epochs"], attributes["defaults"], opened)
        foreign.check(study.snapshot(), study.defaults, study.search, study.finished())
    except Exception as error:  # whatever Optuna, and we, make of records that no search of ours wrote
        raise repair.explain(file, error) from None
    return study


def open_to_write(folder: Path, holding: ExitStack, tell: Callable[[str], None] | None = None) -> Study:
    """Return the study of a folder, whose writer this process is until `holding` is closed.

    With `tell` a damaged journal is cut off at the damage, and `tell` is told what was lost. Raises UserError where it
    is no study, or its journal is damaged, or another process writes it.
    """
    holding.enter_context(Writer(folder))
    temporary.sweep_study(folder)
    repair.mend(folder, tell)
    opened = load(folder)
    files.make_folder(opened.logs)  # git keeps no empty folder
    return opened


def _only(names: list[str]) -> str:
    if len(names) != 1:
        raise ValueError(f"it holds {len(names)} searches")
    return names[0]

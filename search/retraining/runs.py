"""Full training runs that are recorded in the journal: those of a retraining, and those of an audit."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna

from search.analysis.progress import LEFT
from search.journal.records import OpenTrial
from search.study import Study
from search.tune.pool import Kept, ProcessLostError, WorkerPool
from search.worker.jobs import Record

FOLDER = "folder"
"""The attribute of a run that names its own folder in trials/, where it has written something into that."""
Report = Callable[[str], None]
"""Prints a line for the user."""


@dataclass(frozen=True)
class Job:
    """One run that is to be trained, with one config and seed."""

    notes: Mapping[str, Any]
    """Attributes of its trial in the journal, by which a reader recognizes it."""
    values: dict[str, Any]
    """The full config."""


@dataclass(frozen=True)
class Run:
    """A job that has ended, and its result."""

    job: Job
    number: int
    """Of its trial in the journal."""
    record: Record
    kept: Kept
    """References to its models in Ray."""


def nothing(run: Run) -> Sequence[Job]:
    """Stand in for `more` of `train`: no run asks for another."""
    return ()


def train(
    study: Study,
    into: optuna.Study,
    jobs: Sequence[Job],
    pool: WorkerPool,
    report: Report,
    *,
    keep: bool,
    more: Callable[[Run], Sequence[Job]] = nothing,
) -> Iterator[Run]:
    """Train every job as a trial of a study in the journal; yield each run when it has ended and been recorded.

    `more` returns the jobs that a run asks for, which are trained too. `report` is told of a run that is the first to
    leave something behind in its process, which is recorded, too. Where that is a process of the search,
    ProcessLostError is raised: none of them may train another run.

    Jobs of the same config are trained once: a workload is deterministic in it, so that the others come to the same.
    With `keep`, Ray keeps models of each run. Raises what the pool raises; OSError where the journal cannot be written.
    """
    queue = Queue(study, into)
    queue.add(jobs)
    for index, record, kept in pool.train(queue.configs, queue.folders, keep=keep):
        if record.left and not study.leaves:
            study.note_leaves(record.left)
            report(LEFT.format(record.left))
            if pool.is_of_search:
                raise ProcessLostError
        for job, trial in queue.take(index):
            with study.storage.together():
                _write(trial, record, queue.folders[index])
            run = Run(job, trial.number, record, kept)
            yield run
            queue.add(more(run))


class Queue:
    """The jobs that are to be trained, as trials in the journal, by the configs that the pool is given.

    They are recorded first: an interruption leaves them open in the journal.
    """

    def __init__(self, study: Study, into: optuna.Study) -> None:
        self.configs: list[dict[str, Any]] = []
        """The pool's: they may become more while it trains."""
        self.folders: list[Path] = []
        """One a config."""
        self._study = study
        self._into = into
        self._waiting: dict[int, list[tuple[Job, OpenTrial]]] = {}
        """The jobs of each config that has not ended, by its index."""

    def add(self, jobs: Sequence[Job]) -> None:
        """Record jobs, and queue their configs."""
        kind = self._into.study_name.rpartition("/")[2].replace(" ", "-")
        with self._study.storage.together():
            for job in jobs:
                trial = OpenTrial(self._into, self._into.ask())
                for name, value in job.notes.items():
                    trial.note(name, value)
                trial.note("config", job.values)
                self._waiting[self._index_of(job.values, kind)].append((job, trial))

    def _index_of(self, values: dict[str, Any], kind: str) -> int:
        """Return the index of a config that has not ended: of the same one, or of a new one."""
        for index in self._waiting:
            if self.configs[index] == values:
                return index
        index = len(self.configs)
        self.configs.append(values)
        self.folders.append(self._study.folder_of(f"{kind}-{index:02d}"))
        self._waiting[index] = []
        return index

    def take(self, index: int) -> list[tuple[Job, OpenTrial]]:
        """Return the jobs of a config that has ended, and their trials."""
        return self._waiting.pop(index)


def _write(trial: OpenTrial, record: Record, folder: Path) -> None:
    """Write the result of a run, which had this folder, to its trial in the journal, and close that."""
    if folder.is_dir():
        trial.note(FOLDER, folder.name)
    if record.config:
        trial.note("config", record.config)
    if record.failure:
        trial.fail(record.failure)
    if record.where:
        trial.place(record.where)
    for epoch, (metrics, best) in enumerate(record.epochs, 1):
        trial.add(epoch, metrics, best)
    trial.end(record.ending)

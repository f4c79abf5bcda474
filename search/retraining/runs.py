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


def train(
    study: Study, into: optuna.Study, jobs: Sequence[Job], pool: WorkerPool, report: Report, *, keep: bool
) -> Iterator[Run]:
    """Train every job as a trial of a study in the journal; yield each run when it has ended and been recorded.

    `report` is told of a run that is the first to leave something behind in its process, which is recorded, too. Where
    that is a process of the search, ProcessLostError is raised: none of them may train another run.

    Jobs of the same config are trained once: a workload is deterministic in it, so that the others come to the same.
    With `keep`, Ray keeps models of each run. Raises what the pool raises; OSError where the journal cannot be written.
    """
    # Record all trials first: an interruption leaves them open in the journal.
    with study.storage.together():
        trials = [OpenTrial(into, into.ask()) for _ in jobs]
        for job, trial in zip(jobs, trials, strict=True):
            for name, value in job.notes.items():
                trial.note(name, value)
            trial.note("config", job.values)
    # Train them, and record each as it ends.
    configs: list[dict[str, Any]] = []
    for job in jobs:
        if job.values not in configs:
            configs.append(job.values)
    kind = into.study_name.rpartition("/")[2].replace(" ", "-")
    folders = [study.folder_of(f"{kind}-{index:02d}") for index in range(len(configs))]
    for index, record, kept in pool.train(configs, folders, keep=keep):
        if record.left and not study.leaves:
            study.note_leaves(record.left)
            report(LEFT.format(record.left))
            if pool.is_of_search:
                raise ProcessLostError
        for job, trial in zip(jobs, trials, strict=True):
            if job.values == configs[index]:
                with study.storage.together():
                    _write(trial, record, folders[index])
                yield Run(job, trial.number, record, kept)


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

"""Configurations trained in full, into the journal: those of a retraining, and those of an audit."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import optuna

from search.journal.records import OpenTrial
from search.study import Study
from search.tune.pool import Kept, WorkerPool
from search.worker.jobs import Record


@dataclass(frozen=True)
class Job:
    """One run to be trained."""

    notes: Mapping[str, Any]
    """What its trial in the journal is known by."""
    values: dict[str, Any]
    """The full config."""


@dataclass(frozen=True)
class Run:
    """A job that has ended."""

    job: Job
    number: int
    """Of its trial in the journal."""
    record: Record
    kept: Kept


def train(study: Study, into: optuna.Study, jobs: Sequence[Job], pool: WorkerPool, *, keep: bool) -> Iterator[Run]:
    """Train every job, into a study of the journal; yield each run as it ends, when it has been recorded.

    With `keep`, models are kept of each run. Raises what the pool raises; OSError where nothing can be written.
    """
    with study.storage.together():
        trials = [OpenTrial(into, into.ask()) for _ in jobs]
        for job, trial in zip(jobs, trials, strict=True):
            for name, value in job.notes.items():
                trial.note(name, value)
            trial.note("config", job.values)
    for index, record, kept in pool.train([job.values for job in jobs], keep=keep):
        with study.storage.together():
            _write(trials[index], record)
        yield Run(jobs[index], trials[index].number, record, kept)


def _write(trial: OpenTrial, record: Record) -> None:
    """Write a run as a trial in the journal."""
    if record.config:
        trial.note("config", record.config)
    if record.failure:
        trial.fail(record.failure)
    if record.where:
        trial.place(record.where)
    for epoch, (metrics, best) in enumerate(record.epochs, 1):
        trial.add(epoch, metrics, best)
    trial.end(record.ending)

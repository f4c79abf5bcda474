"""The lists of the report: the table of trials, and the failures with the end of what they printed."""

import math
from typing import Any

from search.analysis.snapshot import Snapshot
from search.journal import front
from search.journal.trial import FAILURE, Trial
from search.views.format import number

MAX_FAILURES = 20
MAX_FAILURE_BYTES = 4_000
"""At the end of a failed trial's file."""
MAX_REASON_LENGTH = 300
MAX_CELL_LENGTH = 200
"""Characters."""


def table(snapshot: Snapshot, shown: list[Trial]) -> dict[str, Any]:
    """Return the table of these trials: columns, rows, and what is said of those that it leaves out."""
    names = list(snapshot.space)
    reported = failures(snapshot)
    rows = []
    for trial in shown:
        cells = _cells(snapshot, trial, names)
        rows.append({"trial": trial.number, "state": trial.ending, "failure": trial in reported, "cells": cells})
    more = ""
    left_out = len(snapshot.trials) - len(rows)
    if left_out:
        more = f"{left_out} more are in trials.csv."
    columns = ["trial", "state", *snapshot.config.aims.names, "best epoch", "epochs", "training, s", *names]
    return {"columns": columns, "rows": rows, "more": more}


def failures(snapshot: Snapshot) -> list[Trial]:
    """Return the failed trials of which the report tells."""
    return snapshot.in_state("failed")[:MAX_FAILURES]


def _cells(snapshot: Snapshot, trial: Trial, names: list[str]) -> list[tuple[str, str]]:
    """Return a trial's values, best epoch, epochs, seconds of training and hyperparameters of these names."""
    worked_s = trial.worked if trial.epochs else None
    objectives = snapshot.config.aims
    values = front.point(trial, objectives) or [math.nan] * len(objectives.all)
    return [
        _cell(trial.value, ".6g"),
        *(_cell(value, ".6g") for value in values[1:]),
        _cell(trial.best_epoch or None),
        _cell(len(trial.epochs)),
        _cell(worked_s, ".3g"),
        *(_param_cell(trial, name) for name in names),
    ]


def _cell(value: Any, form: str = "") -> tuple[str, str]:
    """Return a value as text for a person, and what it is sorted by."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "", ""
    if form:
        return format(value, form), repr(value)
    return number(value), repr(value)


def _param_cell(trial: Trial, name: str) -> tuple[str, str]:
    """Return a hyperparameter as `_cell` does, null with a text of its own; nothing where the trial lacks it."""
    value = trial.params.get(name, math.nan)
    if value is None or isinstance(value, bool | str):
        text = number(value)[:MAX_CELL_LENGTH]
        return text, text
    return _cell(value)


def failure(snapshot: Snapshot, trial: Trial) -> dict[str, Any]:
    """Return why a trial failed, and the end of what it printed."""
    path = snapshot.log_of(trial.number)
    try:
        text = path.read_bytes()[-MAX_FAILURE_BYTES:].decode(errors="replace")
    except OSError:
        text = ""
    why = str(trial.attributes.get(FAILURE, "no reason was noted"))[:MAX_REASON_LENGTH]
    return {"trial": trial.number, "why": why, "text": text, "path": f"logs/{path.name}"}

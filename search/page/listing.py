"""What the report lists: the trials as a table, and the failures with their tracebacks."""

import math
from typing import Any

from search.journal import Trial
from search.snapshot import Snapshot
from search.study import Study
from search.words import number

MOST_FAILURES, MOST_TEXT = 20, 4_000
"""Failures, and bytes at the end of a trial's file."""
LONGEST = 200
"""Characters of a cell."""


def lists(study: Study, snapshot: Snapshot, shown: list[Trial]) -> dict[str, Any]:
    """Return the table of trials and the failures."""
    failed = [trial for trial in snapshot.trials if trial.ending == "failed"]
    metric, names = snapshot.config.metric, list(snapshot.space)
    told, listed = failed[:MOST_FAILURES], []
    for trial in shown:
        cells = [
            _cell(trial.value, ".6g"),
            _cell(trial.best_epoch or None),
            _cell(len(trial.epochs)),
            _cell(trial.worked if trial.epochs else None, ".3g"),
        ]
        cells += [_cell(trial.params.get(name)) for name in names]
        listed.append({"trial": trial.number, "state": trial.ending, "failure": trial in told, "cells": cells})
    more = f"{len(snapshot.trials) - len(listed)} more are in trials.csv." if len(listed) < len(snapshot.trials) else ""
    columns = ["trial", "state", metric, "best epoch", "epochs", "training, s", *names]
    unlisted = len(failed) - len(told)
    return {
        "table": {"columns": columns, "rows": listed, "more": more},
        "failures": [_failure(study, trial) for trial in told],
        "more_failures": f"{unlisted} more failed: see logs/." if unlisted > 0 else "",
    }


def _cell(value: Any, form: str = "") -> tuple[str, str]:
    """Return a value as text for a person, and what it is sorted by."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "", ""
    if isinstance(value, bool | str):
        return str(value)[:LONGEST], str(value)[:LONGEST]
    return (format(value, form) if form else number(value)), repr(value)


def _failure(study: Study, trial: Trial) -> dict[str, Any]:
    path = study.log_of(trial.number)
    try:
        text = path.read_bytes()[-MOST_TEXT:].decode(errors="replace")
    except OSError:
        text = ""
    why = str(trial.attributes.get("failure", "no reason was noted"))[:300]
    return {"trial": trial.number, "why": why, "text": text, "path": f"logs/{path.name}"}

"""A study's trials and their epochs as pandas tables."""

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

from search import journal


def trials(found: list[journal.Trial]) -> pd.DataFrame:
    """Return a row a trial: trial, state, value, best_epoch, epochs, the hyperparameters, training_s, started, seconds.

    `value` is the best finite value, `epochs` how many were trained, `training_s` the seconds that took,
    `seconds` those from proposal to ending.
    """
    rows = []
    for trial in found:
        row: dict[str, Any] = {"trial": trial.number, "state": trial.ending, "value": trial.value}
        row |= {"best_epoch": trial.best_epoch, "epochs": len(trial.epochs)}
        times = {"training_s": trial.worked if trial.epochs else math.nan}
        times |= {"started": trial.started, "seconds": trial.seconds}
        rows.append({**row, **_apart(trial.params, {*row, *times}), **times})
    frame = pd.DataFrame(rows, columns=None if rows else ["trial", "state", "value", "best_epoch", "epochs"])
    return frame.astype({"value": float})


def curves(found: list[journal.Trial]) -> pd.DataFrame:
    """Return a row an epoch: trial, epoch (from 1), the raw metrics, elapsed_s."""
    rows = [
        {"trial": trial.number, "epoch": epoch, **_apart(metrics, {"trial", "epoch"})}
        for trial in found
        for epoch, metrics in enumerate(trial.epochs, 1)
    ]
    return pd.DataFrame(rows, columns=None if rows else ["trial", "epoch"])


def recorded(found: list[journal.Trial]) -> pd.DataFrame:
    """Return a row an epoch: trial, the hyperparameters, epoch, the raw metrics, elapsed_s."""
    names = {name for trial in found for name in trial.params}
    params = pd.DataFrame([{"trial": trial.number, **_apart(trial.params, {"trial", "epoch"})} for trial in found])
    epochs = curves(found)
    return params.merge(epochs.rename(columns={name: f"{name}_" for name in names & set(epochs.columns)}), on="trial")


def _apart(named: Mapping[str, Any], taken: set[str]) -> dict[str, Any]:
    """Return columns under other names where a table's own have them: a metric 'epoch' becomes 'epoch_'."""
    return {f"{name}_" if name in taken else name: value for name, value in named.items()}

"""A study's trials and their epochs as pandas tables, and its stopped trials beside themselves trained to their end."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from search.analysis.snapshot import Snapshot
from search.journal.trial import Trial
from search.spec.objective import Objective

RUNG = "rung_"


def trials(found: Iterable[Trial]) -> pd.DataFrame:
    """Return a row a trial: trial, state, value, best_epoch, epochs, the hyperparameters, training_s, started, seconds.

    `value` is the best finite value, `epochs` how many were trained, `training_s` the seconds that took,
    `seconds` those from proposal to ending.
    """
    rows = []
    for trial in found:
        row = {
            "trial": trial.number,
            "state": trial.ending,
            "value": trial.value,
            "best_epoch": trial.best_epoch,
            "epochs": len(trial.epochs),
        }
        times = {
            "training_s": trial.worked if trial.epochs else math.nan,
            "started": trial.started,
            "seconds": trial.seconds,
        }
        rows.append({**row, **_apart(trial.params, {*row, *times}), **times})
    frame = pd.DataFrame(rows, columns=None if rows else ["trial", "state", "value", "best_epoch", "epochs"])
    return frame.astype({"value": float})


def curves(found: Iterable[Trial]) -> pd.DataFrame:
    """Return a row an epoch: trial, epoch (from 1), the raw metrics, elapsed_s."""
    rows = []
    for trial in found:
        for epoch, metrics in enumerate(trial.epochs, 1):
            rows.append({"trial": trial.number, "epoch": epoch, **_apart(metrics, {"trial", "epoch"})})
    return pd.DataFrame(rows, columns=None if rows else ["trial", "epoch"])


def recorded(found: Sequence[Trial]) -> pd.DataFrame:
    """Return a row an epoch: trial, the hyperparameters, epoch, the raw metrics, elapsed_s."""
    epochs = curves(found)
    params = pd.DataFrame([{"trial": trial.number, **_apart(trial.params, {"trial", "epoch"})} for trial in found])
    # A metric that has a hyperparameter's name gets another.
    metrics = {column: f"{column}_" for column in epochs.columns if column in params.columns and column != "trial"}
    return params.merge(epochs.rename(columns=metrics), on="trial")


def _apart(named: Mapping[str, Any], taken: set[str]) -> dict[str, Any]:
    """Return columns under other names where a table's own have them: a metric 'epoch' becomes 'epoch_'."""
    return {f"{name}_" if name in taken else name: value for name, value in named.items()}


@dataclass(frozen=True)
class Pair:
    """A trial as it ended in the search, and as an audit trained it."""

    trial: Trial
    run: Trial | None
    """None where it was not stopped, or is still to be trained."""

    @property
    def full(self) -> Trial | None:
        """Return the one that was trained to its end; its curve is taken throughout, so that none is of two."""
        if self.trial.ending == "complete":
            return self.trial
        return self.run if self.run and self.run.ending == "complete" else None

    def best_at(self, epoch: int, objective: Objective) -> float | None:
        """Return the best value up to an epoch, also where it ended by itself before; None where it is unknown."""
        bests = (self.full or self.trial).running_best(objective)
        if epoch > len(bests) and not self.full:
            return None
        return bests[min(epoch, len(bests)) - 1]

    @property
    def compared(self) -> bool:
        """Return whether it was trained again; a run that failed has not said all that it would."""
        return self.run is not None and self.run.ending != "failed"

    def difference(self, metric: str) -> str | None:
        """Return the first number that the run does not repeat to the last bit, as text; None where it repeats all.

        Of an epoch the metric is looked at first; the seconds that it took are no part of the answer.
        """
        again = self.run.epochs if self.run else ()
        for epoch, then in enumerate(self.trial.epochs, 1):
            now = again[epoch - 1] if epoch <= len(again) else {}
            names = {*then, *now} - {"elapsed_s"}
            for name in sorted(names, key=lambda name: (name != metric, name)):
                # As text, nan is nan and -0.0 is not 0.0.
                old = repr(then.get(name))
                new = repr(now.get(name))
                if old != new:
                    return f"epoch {epoch}, {name} {old} then, {new} now"
        return None


def pairs(snapshot: Snapshot) -> list[Pair]:
    """Return every trial of the search beside its run in the audits, by number; a run cut short is none."""
    runs = {run.attributes["trial"]: run for run in snapshot.audit_runs if run.ending != "running"}
    return [Pair(trial, runs.get(trial.number)) for trial in snapshot.trials]


def audit(snapshot: Snapshot, found: Sequence[Pair]) -> pd.DataFrame:
    """Return a row a trial: trial, state, epochs, rung_3, rung_9, ..., final_value, final_rank, repeats.

    state and epochs are those of the search, rung_N is the best value up to epoch N, final_value that over all epochs,
    final_rank 1 for the best; they are empty where they are unknown, as repeats is where nothing was trained again.
    The rungs are those of the scheduler and, as it may have been another before, all at which a trial was stopped.
    """
    objective = snapshot.objective
    table = pd.DataFrame([(pair.trial.number, pair.trial.ending, len(pair.trial.epochs)) for pair in found])
    table.columns = pd.Index(["trial", "state", "epochs"])
    stopped_at = {*table["epochs"][table["state"] == "stopped"]}
    for rung in sorted(stopped_at.union(snapshot.rungs)):
        table[f"{RUNG}{rung}"] = pd.Series([pair.best_at(rung, objective) for pair in found], dtype=float)
    table["final_value"] = pd.Series([pair.full.value if pair.full else None for pair in found], dtype=float)
    ranks = table["final_value"].rank(method="min", ascending=objective.mode == "min")
    table["final_rank"] = ranks.astype("Int64")
    repeats = [pair.difference(objective.metric) is None if pair.compared else None for pair in found]
    table["repeats"] = pd.Series(repeats, dtype="boolean")
    return table


def correlations(table: pd.DataFrame) -> dict[int, float]:
    """Return Spearman's rank correlation of every rung with the final order; NaN where there is no order.

    Over the trials with a final value. It is Pearson's of the ranks, since pandas' own needs scipy.
    """
    full = table.dropna(subset=["final_value"])
    final_ranks = full["final_value"].rank()
    columns = [name for name in map(str, full.columns) if name.startswith(RUNG)]
    return {int(name.removeprefix(RUNG)): full[name].rank().corr(final_ranks) for name in columns}


def true_best(table: pd.DataFrame, *states: str) -> "pd.Series[Any] | None":
    """Return the row with the best final value among the trials of these states; of equals, a complete one."""
    able = table[table["state"].isin(states)].dropna(subset=["final_value"])
    return None if able.empty else able.sort_values(["final_rank", "state", "trial"]).iloc[0]

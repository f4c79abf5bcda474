"""A study's trials and their epochs as pandas tables, and its stopped trials beside themselves trained to their end."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from pandas.api.types import is_numeric_dtype

from search.analysis.quotes import quoted
from search.analysis.snapshot import Snapshot
from search.journal import front
from search.journal.trial import LIMIT, Trial
from search.spec.objective import Objective
from search.spec.objectives import Objectives

MAX_EXACT = 2**53
"""Up to which a float holds every whole number."""
RUNG = "rung_"
"""What the column of a rung in an audit's table begins with: that of epoch 3 is rung_3."""


def trials(
    trials: Iterable[Trial],
    order: Iterable[str] = (),
    objectives: Objectives | None = None,
    able: Iterable[Trial] | None = None,
) -> pd.DataFrame:
    """Return a row a trial: trial, state, value, best_epoch, epochs, the hyperparameters, training_s, started, seconds.

    `value` is the best finite value, `epochs` how many were trained, `training_s` the seconds that took,
    `seconds` those from proposal to ending. `order` is that of the hyperparameters. Of several objectives there are the
    values of the others, too, under their names, and `front`, whether no trial dominates this one, of those that are
    `able` to win: all where nothing else is said.
    """
    rows = []
    trials = list(trials)
    names = hyperparameters(trials, order)
    on_front: set[int] = set()
    if objectives and objectives.are_several:
        on_front = {trial.number for trial in front.front(trials if able is None else able, objectives)}
    for trial in trials:
        result = {
            "trial": trial.number,
            "state": trial.ending,
            "value": trial.value,
            "best_epoch": trial.best_epoch,
            "epochs": len(trial.epochs),
        }
        if objectives and objectives.are_several:
            result |= _further(trial, objectives, is_on_front=trial.number in on_front)
        times = {
            "training_s": math.nan,
            "started": trial.started,
            "seconds": trial.seconds,
        }
        if trial.epochs:
            times["training_s"] = trial.worked
        params = _renamed(trial.params, {*result, *times})
        rows.append({**result, **params, **times})
    table = _with_types(rows, frame(rows, ["trial", "state", "value", "best_epoch", "epochs"]))
    if rows:
        columns = [*result, *_renamed(dict.fromkeys(names), {*result, *times}), *times]
        table = table[columns]
    return table.astype({"value": float})


def _further(trial: Trial, objectives: Objectives, *, is_on_front: bool) -> dict[str, Any]:
    """Return the columns of a trial that there are of several objectives."""
    names = objectives.names[1:]
    values = front.point(trial, objectives) or [math.nan] * (1 + len(names))
    columns = dict(zip(names, values[1:], strict=True))
    return {**_renamed(columns, {"trial", "state", "value", "best_epoch", "epochs"}), "front": is_on_front}


def hyperparameters(trials: Iterable[Trial], order: Iterable[str]) -> list[str]:
    """Return the hyperparameters of trials, of which each may lack some: in this order, then those that it lacks."""
    there: dict[str, None] = {}
    for trial in trials:
        there |= dict.fromkeys(trial.params)
    first = [name for name in order if name in there]
    return list(dict.fromkeys([*first, *there]))


def curves(trials: Iterable[Trial]) -> pd.DataFrame:
    """Return a row an epoch: trial, epoch (from 1), the raw metrics, elapsed_s."""
    rows = []
    for trial in trials:
        for epoch, metrics in enumerate(trial.epochs, 1):
            columns = _renamed(metrics, {"trial", "epoch"})
            rows.append({"trial": trial.number, "epoch": epoch, **columns})
    return frame(rows, ["trial", "epoch"])


def recorded(trials: Sequence[Trial], order: Iterable[str] = ()) -> pd.DataFrame:
    """Return a row an epoch: trial, the hyperparameters, epoch, the raw metrics, elapsed_s.

    A column has one type, as Parquet asks for: that of a choice between values of several is of texts, as in a CSV.
    """
    rows = []
    for trial in trials:
        params = _renamed(trial.params, {"trial", "epoch"})
        rows.append({"trial": trial.number, **params})
    names = list(_renamed(dict.fromkeys(hyperparameters(trials, order)), {"trial", "epoch"}))
    configs = _with_types(rows, pd.DataFrame(rows, columns=["trial", *names]))
    for name in configs.select_dtypes(include="object"):
        if not _is_of_one_type(configs[name].dropna()):
            configs[name] = configs[name].map(_as_text, na_action="ignore")
    epochs = curves(trials)
    # A metric that has a hyperparameter's name gets another.
    in_both = set(configs.columns) & set(epochs.columns) - {"trial"}
    epochs = epochs.rename(columns={name: f"{name}_" for name in in_both})
    return configs.merge(epochs, on="trial")


def frame(rows: list[dict[str, Any]], columns: list[str]) -> pd.DataFrame:
    """Return rows as a DataFrame, which has these columns where there is no row."""
    if not rows:
        return pd.DataFrame(rows, columns=columns)
    return pd.DataFrame(rows)


def _with_types(rows: list[dict[str, Any]], table: pd.DataFrame) -> pd.DataFrame:
    """Return the table of these rows with the values of each column as they are, where pandas would make them alike.

    In a column of 1 and null it makes the one 1.0, and the other NaN; so it does where a row lacks the column.
    """
    for column in table.columns:
        types = {type(row[column]) for row in rows if column in row}
        is_partial = int in types and any(column not in row for row in rows)
        if len(types) > 1 or is_partial:
            values = [row.get(column, math.nan) for row in rows]
            table[column] = pd.Series(values, dtype=object)
    return table


def csv(table: pd.DataFrame) -> str:
    """Return a table as CSV: an empty field is no value, and a text that looks like another value stands in quotes."""
    columns = {}
    for name, column in table.items():
        if not is_numeric_dtype(column):
            column = pd.Series(map(_quoted, column), dtype=object)
        columns[name] = column
    return pd.DataFrame(columns).to_csv(index=False)


def _quoted(value: Any) -> Any:
    if isinstance(value, str):
        return quoted(value)
    return value


def _as_text(value: Any) -> str:
    return str(_quoted(value))


def _is_of_one_type(values: Iterable[Any]) -> bool:
    """Return whether a column of Parquet holds these values as they are, numbers as numbers."""
    types = {type(value) for value in values}
    is_small = all(abs(value) <= MAX_EXACT for value in values if isinstance(value, int))
    return is_small and (len(types) <= 1 or types == {int, float})


def _renamed(named: Mapping[str, Any], taken: set[str]) -> dict[str, Any]:
    """Return columns under other names where a table's own have them: a metric 'epoch' becomes 'epoch_'."""
    columns = {}
    for name, value in named.items():
        column = f"{name}_" if name in taken else name
        columns[column] = value
    return columns


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
        if self.run and self.run.ending == "complete":
            return self.run
        return None

    @property
    def final_value(self) -> float | None:
        """Return the best value over all epochs; None where it was not trained to its end, or has none."""
        if not self.full:
            return None
        return self.full.value

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

    def repeats(self, metric: str) -> bool | None:
        """Return whether the run repeats the trial to the last bit; None where they cannot be compared."""
        if not self.compared:
            return None
        return self.difference(metric) is None

    def difference(self, metric: str) -> str | None:
        """Return the first number that the run does not repeat to the last bit, as text; None where it repeats all.

        Of an epoch the metric is looked at first; the seconds that it took are no part of the answer.
        """
        for epoch, then in enumerate(self.trial.epochs, 1):
            now = self._trained_again(epoch)
            names = {*then, *now} - {"elapsed_s"}
            for name in sorted(names, key=lambda name: (name != metric, name)):
                # As text, nan is nan and -0.0 is not 0.0.
                old = repr(then.get(name))
                new = repr(now.get(name))
                if old != new:
                    return f"epoch {epoch}, {name} {old} then, {new} now"
        return None

    def _trained_again(self, epoch: int) -> dict[str, float]:
        """Return the run's metrics of an epoch, counted from 1; none where it did not come so far."""
        if not self.run or epoch > len(self.run.epochs):
            return {}
        return self.run.epochs[epoch - 1]


def pairs(snapshot: Snapshot) -> list[Pair]:
    """Return every trial of the search beside its run in the audits, by number; a run cut short is none."""
    runs = {run.attributes["trial"]: run for run in snapshot.audit_runs if run.ending != "running"}
    return [Pair(trial, runs.get(trial.number)) for trial in snapshot.trials]


def audit(snapshot: Snapshot, pairs: Sequence[Pair]) -> pd.DataFrame:
    """Return a row a trial: trial, state, epochs, rung_3, rung_9, ..., final_value, final_rank, repeats.

    state and epochs are those of the search, rung_N is the best value up to epoch N, final_value that over all epochs,
    final_rank 1 for the best; they are empty where they are unknown, as repeats is where nothing was trained again.
    The rungs are those of the scheduler and, as it may have been another before, all at which a trial was stopped.
    """
    objective = snapshot.objective
    by_scheduler = [pair.trial for pair in pairs if pair.trial.ending == "stopped" and pair.trial.epochs]
    stopped_at = {len(trial.epochs) for trial in by_scheduler if LIMIT not in trial.attributes}
    rungs = sorted(stopped_at.union(snapshot.rungs))
    table = pd.DataFrame([_audit_row(pair, rungs, objective) for pair in pairs])
    # The types, as a column may hold nothing but None: of values, between epochs and repeats, and of repeats.
    value_columns = table.columns[3:-1]
    table = table.astype({**dict.fromkeys(value_columns, "float"), "repeats": "boolean"})
    # The final order.
    ranks = table["final_value"].rank(method="min", ascending=objective.mode == "min")
    table.insert(len(table.columns) - 1, "final_rank", ranks.astype("Int64"))
    return table


def _audit_row(pair: Pair, rungs: Sequence[int], objective: Objective) -> dict[str, Any]:
    """Return what is known of a pair, without the order: trial, state, epochs, the rungs, final_value, repeats."""
    row: dict[str, Any] = {
        "trial": pair.trial.number,
        "state": pair.trial.ending,
        "epochs": len(pair.trial.epochs),
    }
    for rung in rungs:
        row[f"{RUNG}{rung}"] = pair.best_at(rung, objective)
    row["final_value"] = pair.final_value
    row["repeats"] = pair.repeats(objective.metric)
    return row


def correlations(table: pd.DataFrame) -> dict[int, float]:
    """Return Spearman's rank correlation of every rung with the final order; NaN where there is no order.

    Over the trials with a final value. It is Pearson's of the ranks, since pandas' own needs scipy.
    """
    full = table.dropna(subset=["final_value"])
    final_ranks = full["final_value"].rank()
    by_rung = {}
    for column in map(str, full.columns):
        if column.startswith(RUNG):
            rung = int(column.removeprefix(RUNG))
            by_rung[rung] = full[column].rank().corr(final_ranks)
    return by_rung


def true_best(table: pd.DataFrame, *states: str) -> "pd.Series[Any] | None":
    """Return the row with the best final value among the trials of these states; of equals, a complete one."""
    able = table[table["state"].isin(states)].dropna(subset=["final_value"])
    if able.empty:
        return None
    return able.sort_values(["final_rank", "state", "trial"]).iloc[0]

"""What is known of a study's trials with hindsight: each as the search saw it beside itself trained to its end.

From the journal alone: the runs are those of the audits in it.
"""

import math
from dataclasses import dataclass
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from search import colours, journal
from search.axes import plain, scale_metric
from search.study import AUDIT, Study

RUNG = "rung_"


@dataclass(frozen=True)
class Pair:
    """A trial as it ended in the search, and as an audit trained it."""

    trial: journal.Trial
    run: journal.Trial | None
    """None where it was not stopped, or is still to be trained."""

    @property
    def full(self) -> journal.Trial | None:
        """Return the one that was trained to its end; its curve is taken throughout, so that none is of two."""
        return next((each for each in (self.trial, self.run) if each and each.ending == "complete"), None)

    def best_at(self, epoch: int, metric: str, mode: str) -> float | None:
        """Return the best value up to an epoch, also where it ended by itself before; None where it is unknown."""
        bests = (self.full or self.trial).bests(metric, mode)
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
            for name in sorted({*then, *now} - {"elapsed_s"}, key=lambda name: (name != metric, name)):
                old, new = (repr(each.get(name)) for each in (then, now))  # as text, nan is nan and -0.0 is not 0.0
                if old != new:
                    return f"epoch {epoch}, {name} {old} then, {new} now"
        return None


def pairs(study: Study) -> list[Pair]:
    """Return every trial of the search beside its run in the audits, by number; a run cut short is none."""
    runs = [run for each in study.others(AUDIT) for run in journal.read(each, study.config.metric)]
    ended = {run.attributes["trial"]: run for run in runs if run.ending != "running"}
    return [Pair(trial, ended.get(trial.number)) for trial in study.trials()]


def tabulate(study: Study, found: list[Pair]) -> pd.DataFrame:
    """Return a row a trial: trial, state, epochs, rung_3, rung_9, ..., final_value, final_rank, repeats.

    state and epochs are those of the search, rung_N is the best value up to epoch N, final_value that over all epochs,
    final_rank 1 for the best; they are empty where they are unknown, as repeats is where nothing was trained again.
    The rungs are those of the scheduler and, as it may have been another before, all at which a trial was stopped.
    """
    config = study.config
    table = pd.DataFrame([(each.trial.number, each.trial.ending, len(each.trial.epochs)) for each in found])
    table.columns = pd.Index(["trial", "state", "epochs"])
    rungs = {*table["epochs"][table["state"] == "stopped"]}
    for rung in sorted(rungs.union(config.scheduler.rungs(study.epochs) if config.scheduler else [])):
        values = [each.best_at(rung, config.metric, config.mode) for each in found]
        table[f"{RUNG}{rung}"] = pd.Series(values, dtype=float)
    table["final_value"] = pd.Series([each.full.value if each.full else None for each in found], dtype=float)
    ranks = table["final_value"].rank(method="min", ascending=config.mode == "min")
    table["final_rank"] = ranks.astype("Int64")
    repeats = [each.difference(config.metric) is None if each.compared else None for each in found]
    table["repeats"] = pd.Series(repeats, dtype="boolean")
    return table


def correlations(table: pd.DataFrame) -> dict[int, float]:
    """Return Spearman's rank correlation of every rung with the final order; NaN where there is no order.

    Over the trials with a final value. It is Pearson's of the ranks, since pandas' own needs scipy.
    """
    full = table.dropna(subset=["final_value"])
    columns = [name for name in map(str, full.columns) if name.startswith(RUNG)]
    return {int(name.removeprefix(RUNG)): full[name].rank().corr(full["final_value"].rank()) for name in columns}


def best(table: pd.DataFrame, *states: str) -> "pd.Series[Any] | None":
    """Return the row with the best final value among the trials of these states; of equals, a complete one."""
    able = table[table["state"].isin(states)].dropna(subset=["final_value"])
    return None if able.empty else able.sort_values(["final_rank", "state", "trial"]).iloc[0]


def draw(study: Study, table: pd.DataFrame) -> Figure:
    """Draw a panel a rung: the final value of every trial that has one against its value at the rung."""
    found, full, metric = correlations(table), table.dropna(subset=["final_value"]), study.config.metric
    label, columns = plain(metric), min(len(found), 3)
    rows = -(-len(found) // columns)
    figure = Figure(figsize=(max(6.0, 4.2 * columns), 3.8 * rows + 0.7), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True).ravel()
    for axes in panels[len(found) :]:
        axes.set_axis_off()
    finals, at_rungs = [*full["final_value"]], full[[f"{RUNG}{rung}" for rung in found]].to_numpy().ravel().tolist()
    for at, (axes, (rung, correlation)) in enumerate(zip(panels, found.items(), strict=False)):
        _scatter(axes, full, f"{RUNG}{rung}")
        scale_metric(axes, metric, finals + at_rungs, "x")
        scale_metric(axes, metric, finals + at_rungs)
        axes.set(xlabel=f"best {label} up to epoch {rung}", ylabel="" if at % columns else f"final best {label}")
        axes.set_title(f"epoch {rung}: rank correlation {number(correlation)}")
        axes.tick_params(labelbottom=True)
    handles, names = panels[0].get_legend_handles_labels()
    if handles:
        figure.legend(handles, names, loc="outside lower center", ncols=2 * columns)
    figure.suptitle(f"What the rungs saw of the final order of {len(full)} trials")
    return figure


def _scatter(axes: Axes, full: pd.DataFrame, rung: str) -> None:
    for state in ("stopped", "complete"):
        part, colour = full[full["state"] == state], colours.STATES[state]
        if len(part):
            axes.scatter(part[rung], part["final_value"], color=colour, s=22, alpha=0.85, label=state, linewidth=0)
    first = best(full, "complete", "stopped")
    if first is not None:
        label = f"the true best, trial {first['trial']}"
        axes.scatter(first[rung], first["final_value"], s=110, facecolor="none", edgecolor=colours.FRONT, label=label)
        both = full[["final_value", rung]].to_numpy()
        ends = [both.min(), both.max()]
        axes.plot(ends, ends, color="#555555", linestyle=":", linewidth=1, label="not improved after the rung")


def number(correlation: float) -> str:
    """Return a correlation as text."""
    return f"{correlation:.3f}" if math.isfinite(correlation) else "-"

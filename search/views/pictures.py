"""Pictures of a study, as matplotlib figures."""

import math
from collections.abc import Callable
from typing import Any, Literal

import matplotlib.axis
import matplotlib.style
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from search.analysis import tables
from search.analysis.importance import MIN_DIFFERENT_VALUES
from search.analysis.snapshot import Snapshot
from search.spec.space import Axis
from search.views.format import FRONT, STATES, correlation, short, spans_decades

STYLE = "seaborn-v0_8-whitegrid"
"""Of every picture: seaborn's, which matplotlib ships; seaborn itself takes a second to import."""
DPI = 120
FAINT = "#555555"
"""Of the lines that help the eye."""
SPACE = "space."
"""Before a hyperparameter's name, which may be 'value' too."""


def plain(name: str) -> str:
    """Return a user's name as matplotlib writes it as it stands, and not as a formula."""
    return name.replace("$", r"\$")


def scale_metric(axes: Axes, metric: str, values: list[float], side: Literal["x", "y"] = "y") -> None:
    """Label the axis of a metric; logarithmic where the values are positive and span more than a factor of ten."""
    if not values:
        axes.text(0.5, 0.5, "no finite value", ha="center", va="center", transform=axes.transAxes)
    elif spans_decades(values):
        axes.set(**{f"{side}scale": "log"})
        _write_plainly(axes.xaxis if side == "x" else axes.yaxis)
    axes.set(**{f"{side}label": plain(metric)})


def scale_parameter(axes: Axes, name: str, axis: Axis) -> None:
    """Label the x axis; show the whole range that was searched, on its scale."""
    axes.set_xlabel(plain(name))
    if axis.choices:
        names = [plain(short(choice)) for choice in axis.choices]
        axes.set_xticks(range(len(names)), names, rotation=30, ha="right", rotation_mode="anchor")
        axes.set_xlim(-0.5, len(names) - 0.5)
    elif axis.is_log:
        axes.set_xscale("log")
        margin = (axis.high / axis.low) ** 0.03
        axes.set_xlim(axis.low / margin, axis.high * margin)
        _write_plainly(axes.xaxis)
    else:
        margin = (axis.high - axis.low) * 0.03
        axes.set_xlim(axis.low - margin, axis.high + margin)
        axes.xaxis.set_major_locator(MaxNLocator(integer=axis.is_integer))


def _write_plainly(axis: matplotlib.axis.Axis) -> None:
    """Write 0.01 rather than 10⁻² at a logarithmic axis, and 0.02 and 0.05 too where it spans few decades."""
    low, high = axis.get_view_interval()
    few = 0 < low <= high < 500 * low
    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if few else (1.0,)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def draw(snapshot: Snapshot) -> dict[str, Figure]:
    """Return every picture of a study, by name."""
    pictures: tuple[Callable[[Snapshot], Figure], ...] = (curves, history, hyperparameters, importances)
    with matplotlib.style.context(STYLE):
        return {picture.__name__: picture(snapshot) for picture in pictures}


def curves(snapshot: Snapshot) -> Figure:
    """Draw the metric of every trial over the epochs, the rungs, and the winner in front."""
    figure = Figure(figsize=(9, 5), layout="constrained")
    axes = figure.add_subplot()
    trials = snapshot.trials
    front = snapshot.front
    front_name = "winner" if snapshot.winner else "best"
    width = 1.4 if len(trials) <= 60 else 0.7
    in_legend: set[str] = set()
    drawn: list[float] = []
    for trial in sorted(trials, key=lambda trial: trial is front):
        values = trial.curve(snapshot.objective)
        drawn += filter(math.isfinite, values)
        style: dict[str, Any] = {"color": STATES[trial.ending], "linewidth": width, "alpha": 0.8}
        label: str = trial.ending
        if trial is front:
            style |= {"color": FRONT, "linewidth": 2.5}
            label = f"{front_name}, trial {trial.number}"
        if len(values) == 1:
            style |= {"marker": "o", "markersize": 3}
        axes.plot(range(1, len(values) + 1), values, label=None if label in in_legend else label, **style)
        in_legend.add(label)
    rungs = snapshot.rungs
    for rung in rungs:
        axes.axvline(rung, color=FAINT, linestyle=":", linewidth=1)
    scale_metric(axes, snapshot.config.metric, drawn)
    margin = 0.5 if snapshot.epochs == 1 else 0.01 * snapshot.epochs
    title = f"Learning curves of {snapshot.config.workload}, trials: {len(trials)}"
    axes.set(xlabel="epoch", xlim=(1 - margin, snapshot.epochs + margin), title=title)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    handles, names = axes.get_legend_handles_labels()
    if rungs:
        handles.append(Line2D([], [], color=FAINT, linestyle=":"))
        names.append(f"rung (epochs {', '.join(map(str, rungs))})")
    if handles:
        figure.legend(handles, names, loc="outside right upper")
    return figure


def history(snapshot: Snapshot) -> Figure:
    """Draw the value of each trial against its number, and the best so far."""
    figure = Figure(figsize=(9, 4.5), layout="constrained")
    axes = figure.add_subplot()
    frame = _frame(snapshot)
    _scatter(axes, frame, "trial")
    best = [math.nan if value is None else value for value in snapshot.running_best]
    axes.step(range(len(best)), best, where="post", color=FRONT, linewidth=1.5, label="best so far")
    scale_metric(axes, snapshot.config.metric, list(frame["value"]))
    last = max(1, len(snapshot.trials) - 1)
    axes.set(xlabel="trial", xlim=(-0.02 * last, 1.02 * last), title="Best value of each trial, in order of proposal")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    figure.legend(loc="outside right upper")
    return figure


def hyperparameters(snapshot: Snapshot) -> Figure:
    """Draw the value of each trial against each hyperparameter."""
    names = list(snapshot.space)
    columns = min(len(names), 2 if len(names) in (2, 4) else 3)
    rows = -(-len(names) // columns)
    figure = Figure(figsize=(max(7.0, 4.2 * columns), 3.4 * rows + 0.5), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False, sharey=True).ravel()
    frame = _frame(snapshot)
    for axes in panels[len(names) :]:
        axes.set_axis_off()
    for at, (axes, name) in enumerate(zip(panels, names, strict=False)):
        column = f"{SPACE}{name}"
        _scatter(axes, frame, column)
        scale_parameter(axes, name, snapshot.axes[name])
        scale_metric(axes, snapshot.config.metric, list(frame["value"]))
        if at % columns:
            axes.set_ylabel("")
    handles, labels = panels[0].get_legend_handles_labels()
    if handles:
        figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))
    figure.suptitle("Best value of each trial against each hyperparameter")
    return figure


def importances(snapshot: Snapshot) -> Figure:
    """Draw how much each hyperparameter decides whether a trial is among the best, and how sure that is."""
    figure = Figure(figsize=(8, 1.2 + 0.5 * len(snapshot.space)), layout="constrained")
    axes = figure.add_subplot()
    found = snapshot.importances[::-1]
    axes.set_title(f"What sets the best of {len(snapshot.able)} trials apart (PED-ANOVA)")
    axes.set_xlabel("importance (shares of 1); lines: 80 % of bootstrap samples")
    if found:
        shares = [each.share for each in found]
        spread = [[each.share - each.low for each in found], [each.high - each.share for each in found]]
        names = [plain(each.name) for each in found]
        axes.barh(names, shares, xerr=spread, color="#4c72b0", error_kw={"ecolor": FAINT, "elinewidth": 1.5})
        for at, each in enumerate(found):
            axes.text(each.high, at, f" {each.share:.2f}", va="center")
        axes.set_xlim(0, max(each.high for each in found) * 1.15)
        axes.grid(False, axis="y")
    else:
        message = f"at least {MIN_DIFFERENT_VALUES} trials with different finite values are needed"
        axes.text(0.5, 0.5, message, ha="center", va="center", transform=axes.transAxes)
        axes.set(yticks=[], xticks=[])
    return figure


def _frame(snapshot: Snapshot) -> pd.DataFrame:
    """Return a row a trial with a value: trial, value, state, and the place of each hyperparameter on its axis."""
    rows = []
    for trial in snapshot.trials:
        row: dict[str, Any] = {"trial": trial.number, "value": trial.value, "state": trial.ending}
        for name, value in trial.params.items():
            row[f"{SPACE}{name}"] = snapshot.axes[name].position(value)
        rows.append(row)
    frame = pd.DataFrame(rows, columns=None if rows else ["trial", "value", "state"])
    return frame.astype({"value": float}).dropna(subset=["value"])


def _scatter(axes: Axes, frame: pd.DataFrame, x: str, y: str = "value") -> None:
    for state, colour in STATES.items():
        part = frame[frame["state"] == state]
        if len(part):
            axes.scatter(part[x], part[y], color=colour, s=22, alpha=0.85, label=state, linewidth=0)


def audit(snapshot: Snapshot, table: pd.DataFrame) -> Figure:
    """Draw a panel a rung: the final value of every trial that has one against its value at the rung."""
    found = tables.correlations(table)
    full = table.dropna(subset=["final_value"])
    label = plain(snapshot.config.metric)
    columns = min(len(found), 3)
    rows = -(-len(found) // columns)
    figure = Figure(figsize=(max(6.0, 4.2 * columns), 3.8 * rows + 0.7), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True).ravel()
    for axes in panels[len(found) :]:
        axes.set_axis_off()
    drawn = full["final_value"].to_list()
    for rung in found:
        drawn += full[f"{tables.RUNG}{rung}"].to_list()
    for number, (axes, rung) in enumerate(zip(panels, found, strict=False)):
        _scatter_rung(axes, full, f"{tables.RUNG}{rung}")
        scale_metric(axes, snapshot.config.metric, drawn, "x")
        scale_metric(axes, snapshot.config.metric, drawn)
        axes.set_xlabel(f"best {label} up to epoch {rung}")
        axes.set_ylabel("" if number % columns else f"final best {label}")
        axes.set_title(f"epoch {rung}: rank correlation {correlation(found[rung])}")
        axes.tick_params(labelbottom=True)
    handles, names = panels[0].get_legend_handles_labels()
    if handles:
        figure.legend(handles, names, loc="outside lower center", ncols=2 * columns)
    figure.suptitle(f"What the rungs saw of the final order of {len(full)} trials")
    return figure


def _scatter_rung(axes: Axes, full: pd.DataFrame, rung: str) -> None:
    _scatter(axes, full, rung, "final_value")
    first = tables.true_best(full, "complete", "stopped")
    if first is None:
        return
    label = f"the true best, trial {first['trial']}"
    axes.scatter(first[rung], first["final_value"], s=110, facecolor="none", edgecolor=FRONT, label=label)
    both = full[["final_value", rung]].to_numpy()
    ends = [both.min(), both.max()]
    axes.plot(ends, ends, color=FAINT, linestyle=":", linewidth=1, label="not improved after the rung")

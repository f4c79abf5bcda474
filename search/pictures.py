"""Pictures of a study, as matplotlib figures."""

import math
from collections.abc import Callable

import matplotlib.style
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from search import colours, journal
from search.axes import STYLE, plain, scale_metric, scale_parameter
from search.importance import LEAST
from search.snapshot import Snapshot
from search.space import position

SPACE = "space."
"""Before a hyperparameter's name, which may be 'value' too."""


def of(snapshot: Snapshot) -> dict[str, Figure]:
    """Return every picture of a study, by name."""
    pictures: tuple[Callable[[Snapshot], Figure], ...] = (curves, history, hyperparameters, importances)
    with matplotlib.style.context(STYLE):
        return {picture.__name__: picture(snapshot) for picture in pictures}


def curves(study: Snapshot) -> Figure:
    """Draw the metric of every trial over the epochs, the rungs, and the winner in front."""
    figure = Figure(figsize=(9, 5), layout="constrained")
    axes = figure.add_subplot()
    trials, front, word = study.trials, study.front, "winner" if study.is_judged else "best"
    shown: set[str] = set()
    drawn: list[float] = []
    for trial in sorted(trials, key=lambda trial: trial is front):
        values = [row.get(study.config.metric, math.nan) for row in trial.epochs]
        drawn += [value for value in values if math.isfinite(value)]
        is_front = trial is front
        colour = colours.FRONT if is_front else colours.STATES[trial.ending]
        width = 2.5 if is_front else 1.4 if len(trials) <= 60 else 0.7
        label = f"{word}, trial {trial.number}" if is_front else trial.ending
        name = label if label not in shown else None
        marker = "o" if len(values) == 1 else None
        epochs = range(1, len(values) + 1)
        axes.plot(epochs, values, label=name, color=colour, lw=width, marker=marker, ms=3, alpha=0.8)
        shown.add(label)
    rungs = study.rungs
    for rung in rungs:
        axes.axvline(rung, color="#555555", linestyle=":", linewidth=1)
    scale_metric(axes, study.config.metric, drawn)
    margin = 0.5 if study.epochs == 1 else 0.01 * study.epochs
    title = f"Learning curves of {study.config.workload}, trials: {len(trials)}"
    axes.set(xlabel="epoch", xlim=(1 - margin, study.epochs + margin), title=title)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    handles, names = axes.get_legend_handles_labels()
    if rungs:
        handles.append(Line2D([], [], color="#555555", linestyle=":"))
        names.append(f"rung (epochs {', '.join(map(str, rungs))})")
    if handles:
        figure.legend(handles, names, loc="outside right upper")
    return figure


def history(study: Snapshot) -> Figure:
    """Draw the value of each trial against its number, and the best so far."""
    figure = Figure(figsize=(9, 4.5), layout="constrained")
    axes = figure.add_subplot()
    frame = _frame(study)
    _scatter(axes, frame, "trial")
    best, front = [], None
    for trial in study.trials:
        if trial.may_win and trial.value is not None:
            front = trial.value if journal.better(trial.value, front, study.config.mode) else front
        best.append(math.nan if front is None else front)
    axes.step(range(len(best)), best, where="post", color=colours.FRONT, linewidth=1.5, label="best so far")
    scale_metric(axes, study.config.metric, list(frame["value"]))
    last = max(1, len(study.trials) - 1)
    axes.set(xlabel="trial", xlim=(-0.02 * last, 1.02 * last), title="Best value of each trial, in order of proposal")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    figure.legend(loc="outside right upper")
    return figure


def hyperparameters(study: Snapshot) -> Figure:
    """Draw the value of each trial against each hyperparameter."""
    names = list(study.space)
    columns = min(len(names), 2 if len(names) in (2, 4) else 3)
    rows = -(-len(names) // columns)
    figure = Figure(figsize=(max(7.0, 4.2 * columns), 3.4 * rows + 0.5), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False, sharey=True).ravel()
    frame = _frame(study)
    for axes in panels[len(names) :]:
        axes.set_axis_off()
    for at, (axes, name) in enumerate(zip(panels, names, strict=False)):
        column = f"{SPACE}{name}"
        _scatter(axes, frame, column)
        scale_parameter(axes, name, study.space[name])
        scale_metric(axes, study.config.metric, list(frame["value"]))
        if at % columns:
            axes.set_ylabel("")
    handles, labels = panels[0].get_legend_handles_labels()
    if handles:
        figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))
    figure.suptitle("Best value of each trial against each hyperparameter")
    return figure


def importances(study: Snapshot) -> Figure:
    """Draw how much each hyperparameter decides whether a trial is among the best, and how sure that is."""
    figure = Figure(figsize=(8, 1.2 + 0.5 * len(study.space)), layout="constrained")
    axes = figure.add_subplot()
    found = study.importances[::-1]
    axes.set_title(f"What sets the best of {len(study.able)} trials apart (PED-ANOVA)")
    axes.set_xlabel("importance (shares of 1); lines: 80 % of bootstrap samples")
    if found:
        shares = [each.share for each in found]
        spread = [[each.share - each.low for each in found], [each.high - each.share for each in found]]
        names = [plain(each.name) for each in found]
        axes.barh(names, shares, xerr=spread, color="#4c72b0", error_kw={"ecolor": "#555555", "elinewidth": 1.5})
        for at, each in enumerate(found):
            axes.text(each.high, at, f" {each.share:.2f}", va="center")
        axes.set_xlim(0, max(each.high for each in found) * 1.15)
        axes.grid(False, axis="y")
    else:
        message = f"at least {LEAST} trials with different finite values are needed"
        axes.text(0.5, 0.5, message, ha="center", va="center", transform=axes.transAxes)
        axes.set(yticks=[], xticks=[])
    return figure


def _frame(study: Snapshot) -> pd.DataFrame:
    rows = [
        {"trial": trial.number, "value": trial.value, "state": trial.ending}
        | {f"{SPACE}{name}": position(study.space[name], value) for name, value in trial.params.items()}
        for trial in study.trials
    ]
    frame = pd.DataFrame(rows, columns=None if rows else ["trial", "value", "state"])
    return frame.astype({"value": float}).dropna(subset=["value"])


def _scatter(axes: Axes, frame: pd.DataFrame, x: str) -> None:
    for state, colour in colours.STATES.items():
        part = frame[frame["state"] == state]
        if len(part):
            axes.scatter(part[x], part["value"], color=colour, s=22, alpha=0.85, label=state, linewidth=0)

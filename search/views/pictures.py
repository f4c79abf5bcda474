"""Pictures of a study, as matplotlib figures."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from search.analysis import tables
from search.analysis.dependence import Place
from search.analysis.importance import MIN_DIFFERENT_VALUES
from search.analysis.snapshot import Snapshot
from search.errors import count
from search.journal import front
from search.journal.trial import Trial
from search.views import fonts
from search.views.axes import plain, scale_metric, scale_parameter
from search.views.format import (
    FRONT_COLOUR,
    STATE_COLOURS,
    drawn,
    line_width,
    rungs_drawn,
    rungs_named,
    short,
)
from search.views.panels import legend_below, panels_of, scatter

STYLE = "seaborn-v0_8-whitegrid"
"""Of every picture: seaborn's, which matplotlib ships; seaborn itself takes a second to import."""
FAINT_COLOUR = "#555555"
"""Of the lines that help the eye."""
BAR_COLOUR = "#4c72b0"
EARLIER_COLOUR = "#5d9bd3"
"""Of the trials of earlier studies."""
PARAMETER = "space."
"""What the column of a hyperparameter begins with, whose own name may be 'value' too."""


def draw(snapshot: Snapshot) -> dict[str, Figure]:
    """Return every picture of a study, by name."""
    pictures: list[Callable[[Snapshot], Figure]] = [curves, history, hyperparameters, importances]
    if snapshot.config.aims.are_several:
        pictures.append(objectives)
    with fonts.style(STYLE, texts(snapshot)):
        return {picture.__name__: picture(snapshot) for picture in pictures}


def texts(snapshot: Snapshot) -> list[str]:
    """Return what is written into a study's pictures of the names that its user has chosen."""
    texts = [snapshot.config.title, snapshot.config.metric, *snapshot.space]
    for axis in snapshot.axes.values():
        texts += map(short, axis.choices)
    return texts


def curves(snapshot: Snapshot) -> Figure:
    """Draw the metric of every trial over the epochs, the rungs, and the winner in front."""
    figure = Figure(figsize=(9, 5), layout="constrained")
    axes = figure.add_subplot()
    # The curves: the one in front is drawn last.
    in_legend: set[str] = set()
    for trial in sorted(snapshot.trials, key=lambda trial: trial is snapshot.front):
        points = trial.points(snapshot.objective)
        epochs = [epoch for epoch, _ in points]
        values = [drawn(value) for _, value in points]
        label, style = _curve_style(snapshot, trial)
        axes.plot(epochs, values, label=None if label in in_legend else label, **style)
        in_legend.add(label)
    for rung in rungs_drawn(snapshot.rungs):
        axes.axvline(rung, color=FAINT_COLOUR, linestyle=":", linewidth=1)
    # The axes.
    scale_metric(axes, snapshot.config.metric, snapshot.epoch_values)
    margin = 0.5 if snapshot.epochs == 1 else 0.01 * snapshot.epochs
    title = f"Learning curves of {snapshot.config.title}, trials: {len(snapshot.trials)}"
    axes.set(xlabel="epoch", xlim=(1 - margin, snapshot.epochs + margin), title=title)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    # The legend.
    handles, labels = axes.get_legend_handles_labels()
    if snapshot.rungs:
        handles.append(Line2D([], [], color=FAINT_COLOUR, linestyle=":"))
        labels.append(rungs_named(snapshot.rungs))
    if handles:
        figure.legend(handles, labels, loc="outside right upper")
    return figure


def _curve_style(snapshot: Snapshot, trial: Trial) -> tuple[str, dict[str, Any]]:
    """Return what the legend calls a trial's curve, and how it is drawn; a single epoch is a dot."""
    label: str = trial.ending
    style: dict[str, Any] = {
        "color": STATE_COLOURS[trial.ending],
        "linewidth": line_width(len(snapshot.trials)),
        "alpha": 0.8,
    }
    if trial is snapshot.front:
        name = "winner" if snapshot.winning_trial else "best"
        label = f"{name}, trial {trial.number}"
        if trial is snapshot.defaults_trial:
            label += " (defaults)"
        style |= {"color": FRONT_COLOUR, "linewidth": 2.5}
    if len(trial.epochs) == 1:
        style |= {"marker": "o", "markersize": 3}
    return label, style


def history(snapshot: Snapshot) -> Figure:
    """Draw the value of each trial against its number, and the best so far."""
    figure = Figure(figsize=(9, 4.5), layout="constrained")
    axes = figure.add_subplot()
    table = _trials_with_a_value(snapshot)
    scatter(axes, table, "trial")
    best = [math.nan if value is None else drawn(value) for value in snapshot.running_best]
    axes.step(
        [trial.number for trial in snapshot.trials],
        best,
        where="post",
        color=FRONT_COLOUR,
        linewidth=1.5,
        label="best so far",
    )
    scale_metric(axes, snapshot.config.metric, table["value"].to_list())
    last = snapshot.last
    axes.set(xlabel="trial", xlim=(-0.02 * last, 1.02 * last), title="Best value of each trial, in order of proposal")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    figure.legend(loc="outside right upper")
    return figure


def hyperparameters(snapshot: Snapshot) -> Figure:
    """Draw the value of each trial against each hyperparameter."""
    names = list(snapshot.space)
    columns = min(len(names), 3)
    if len(names) == 4:
        columns = 2
    rows = -(-len(names) // columns)
    figure = Figure(figsize=(max(7.0, 4.2 * columns), 3.4 * rows + 0.5), layout="constrained")
    panels = panels_of(figure, len(names), columns, sharex=False)
    table = _trials_with_a_value(snapshot)
    for at, (axes, name) in enumerate(zip(panels, names, strict=True)):
        _scatter_earlier(axes, snapshot, name)
        _draw_curve(axes, snapshot.dependences.get(name, []))
        scatter(axes, table, f"{PARAMETER}{name}")
        scale_parameter(axes, name, snapshot.axes[name])
        scale_metric(axes, snapshot.config.metric, table["value"].to_list())
        if at % columns:  # the axis is that of the panel on the left
            axes.set_ylabel("")
    legend_below(figure, panels[0], len(STATE_COLOURS) + 1)
    figure.suptitle("Best value of each trial against each hyperparameter")
    return figure


def importances(snapshot: Snapshot) -> Figure:
    """Draw how much each hyperparameter decides whether a trial is among the best, and how sure that is."""
    figure = Figure(figsize=(8, 1.2 + 0.5 * len(snapshot.space)), layout="constrained")
    axes = figure.add_subplot()
    axes.set_title(f"What sets the best of {count(len(snapshot.able), 'trial')} apart (PED-ANOVA)")
    axes.set_xlabel("importance (shares of 1); lines: 80 % of bootstrap samples")
    if not snapshot.importances:
        message = f"at least {MIN_DIFFERENT_VALUES} trials with different finite values are needed"
        axes.text(0.5, 0.5, message, ha="center", va="center", transform=axes.transAxes)
        axes.set(yticks=[], xticks=[])
        return figure
    # A row a hyperparameter: name, share, low, high; the most important on top.
    table = pd.DataFrame(snapshot.importances[::-1])
    names = table["name"].map(plain).to_list()
    spread = [table["share"] - table["low"], table["high"] - table["share"]]
    error_style = {"ecolor": FAINT_COLOUR, "elinewidth": 1.5}
    axes.barh(range(len(table)), table["share"], xerr=spread, color=BAR_COLOUR, error_kw=error_style)
    axes.set_yticks(range(len(table)), names)
    for at, (share, high) in enumerate(zip(table["share"], table["high"], strict=True)):
        axes.text(high, at, f" {share:.2f}", va="center")
    axes.set_xlim(0, table["high"].max() * 1.15)
    axes.grid(False, axis="y")
    return figure


def objectives(snapshot: Snapshot) -> Figure:
    """Draw each objective after the first against the first, and the front."""
    aims = snapshot.config.aims
    others = aims.names[1:]
    columns = min(len(others), 3)
    rows = -(-len(others) // columns)
    figure = Figure(figsize=(max(6.0, 4.2 * columns), 3.8 * rows + 0.5), layout="constrained")
    panels = panels_of(figure, len(others), columns, sharex=True, sharey=False)
    on_front = front.points(snapshot.on_front, aims)
    for at, (axes, name) in enumerate(zip(panels, others, strict=True), 1):
        table = _placed(snapshot, at)
        scatter(axes, table, "value", "other")
        line = [[drawn(point[0]) for point in on_front], [drawn(point[at]) for point in on_front]]
        axes.plot(*line, "-" if len(others) == 1 else "o", fillstyle="none", color=FRONT_COLOUR, label="front")
        scale_metric(axes, aims.names[0], table["value"].to_list(), "x")
        scale_metric(axes, name, table["other"].to_list())
        axes.tick_params(labelbottom=True)
    legend_below(figure, panels[0], 2 * columns + 2)
    figure.suptitle(f"Objectives of {plain(snapshot.config.title)}: {count(len(on_front), 'trial')} on the front")
    return figure


def _placed(snapshot: Snapshot, at: int) -> pd.DataFrame:
    """Return a row a trial with a value of all objectives: value, other (of the objective at a place), state."""
    rows = []
    for trial in snapshot.able:
        point = front.point(trial, snapshot.config.aims)
        if point:
            rows.append({"value": drawn(point[0]), "other": drawn(point[at]), "state": trial.ending})
    return tables.frame(rows, ["value", "other", "state"])


def _trials_with_a_value(snapshot: Snapshot) -> pd.DataFrame:
    """Return a row a trial with a value: trial, value, state, and the place of each hyperparameter on its axis."""
    rows = []
    for trial in snapshot.trials:
        row: dict[str, Any] = {"trial": trial.number, "value": trial.value, "state": trial.ending}
        placed = snapshot.placed(trial.params)
        for name in snapshot.space:
            at = snapshot.axes[name].position(placed[name]) if name in placed else math.nan
            row[f"{PARAMETER}{name}"] = drawn(at)
        rows.append(row)
    table = tables.frame(rows, ["trial", "value", "state"]).astype({"value": float})
    table["value"] = table["value"].map(drawn)
    return table.dropna(subset=["value"])


def _scatter_earlier(axes: Axes, snapshot: Snapshot, name: str) -> None:
    """Draw a point for each trial of an earlier study with a value of a hyperparameter."""
    places = []
    values = []
    for known in snapshot.earlier:
        placed = snapshot.placed(known.params)
        if known.values is not None and name in placed:
            places.append(drawn(snapshot.axes[name].position(placed[name])))
            values.append(drawn(known.values[0]))
    if values:
        axes.scatter(places, values, color=EARLIER_COLOUR, s=14, alpha=0.7, label="earlier studies", linewidth=0)


def _draw_curve(axes: Axes, curve: Sequence[Place]) -> None:
    """Draw the partial dependence on a hyperparameter, and its band."""
    if curve:
        at = [drawn(place.position) for place in curve]
        low = [drawn(place.low) for place in curve]
        high = [drawn(place.high) for place in curve]
        axes.fill_between(at, low, high, color=BAR_COLOUR, alpha=0.2, linewidth=0)
        axes.plot(at, [drawn(place.mean) for place in curve], color=BAR_COLOUR, label="partial dependence")

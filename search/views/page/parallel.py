"""The chart of the report in which a line a trial goes through all its hyperparameters: parallel coordinates."""

import json

from search.analysis.snapshot import Snapshot
from search.errors import count
from search.views.format import number
from search.views.page import rows
from search.views.page.layers import (
    CHOSEN,
    TIP,
    TRIALS,
    VALUED,
    Chart,
    Spec,
    chart,
    layer,
    number_channel,
    range_of,
)
from search.views.page.rows import Rows


def parallel(snapshot: Snapshot) -> Chart:
    """Return the chart: an axis a leading hyperparameter, and last one of the value, on which the best is on top."""
    names = [*rows.leading(snapshot), snapshot.config.metric]
    x = _axes_channel(names)
    y = number_channel("at", None, {"domain": [-0.06, 1.06]}) | {"axis": None}
    # The lines: the best in front of the others, and wide ones that nobody sees for the mouse.
    line = {"x": x, "y": y, "detail": {"field": "trial"}}
    fold = _fold(len(names))
    other = {"color": "var(--stopped)", "opacity": 0.45, "strokeWidth": 1}
    chosen = {"color": "var(--front)", "strokeWidth": 3}
    target = {"opacity": 0, "strokeWidth": 7, "cursor": "pointer"}
    # What stands at the ends of each axis, readable across the lines.
    labels = _labels(snapshot)
    text = {"x": x, "y": y, "text": {"field": "text"}}
    halo = {"fontSize": 11, "stroke": "var(--paper)", "strokeWidth": 3, "color": "var(--ink)"}
    layers = [
        layer(TRIALS, "line", other, line, [*fold, {"filter": "!datum.best"}]),
        layer(TRIALS, "line", {"color": "var(--complete)"}, line, [*fold, {"filter": "datum.best"}]),
        layer(TRIALS, "line", chosen, line, [*fold, {"filter": CHOSEN}]),
        layer(labels, "text", halo, text),
        layer(labels, "text", {"fontSize": 11, "color": "var(--ink)"}, text),
        layer(TRIALS, "line", target, {**line, "tooltip": TIP}, fold),
    ]
    if snapshot.space.conditions:
        layers[3:3] = _stops(line, fold)
    top = count(len(rows.top(snapshot)), "trial")
    alt = f"Parallel coordinates over {', '.join(names)}; what stands out: the best {top}"
    return chart("parallel", alt, 260, layers)


def _axes_channel(names: list[str]) -> Spec:
    axis = {
        "labelExpr": f"{json.dumps(names)}[datum.value]",
        "labelAngle": 0,
        "labelLimit": 90,
        "orient": "top",
        "grid": True,
        "domain": False,
        "ticks": False,
        "labelFontWeight": "bold",
    }
    scale = {"domain": list(range(len(names))), "padding": 0}
    return {"field": "axis", "type": "ordinal", "title": None, "scale": scale, "axis": axis}


def _fold(axes: int) -> list[Spec]:
    """Return what makes a row a trial and axis of a row a trial: u0, u1, ... become axis 0, 1, ... and `at`.

    `at` is null where a trial lacks a hyperparameter: its line has a gap there.
    """
    return [
        {"fold": [f"u{axis}" for axis in range(axes)], "as": ["key", "at"]},
        {"calculate": "+slice(datum.key, 1)", "as": "axis"},
        {"filter": VALUED},
    ]


def _stops(line: Spec, fold: list[Spec]) -> list[Spec]:
    """Return layers with a dot where a line meets an axis: between two gaps there is no line to be seen."""
    there = {"filter": "isValid(datum.at)"}
    other = {"color": "var(--stopped)", "opacity": 0.45, "size": 10}
    best = {"color": "var(--complete)", "size": 10}
    return [
        layer(TRIALS, "circle", other, line, [*fold, there, {"filter": "!datum.best"}]),
        layer(TRIALS, "circle", best, line, [*fold, there, {"filter": "datum.best"}]),
    ]


def _labels(snapshot: Snapshot) -> Rows:
    """Return a row an end of an axis: axis, at (just beyond it), text."""
    worst, best = sorted((min(snapshot.values), max(snapshot.values)), reverse=snapshot.config.mode == "min")
    ranges = [*(range_of(snapshot.axes[name]) for name in rows.leading(snapshot)), (number(worst), number(best))]
    labels: Rows = []
    for axis, (low, high) in enumerate(ranges):
        labels.append({"axis": axis, "at": -0.03, "text": low})
        labels.append({"axis": axis, "at": 1.03, "text": high})
    return labels

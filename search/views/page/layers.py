"""What the charts of the report have in common, in Vega-Lite: channels, layers, and the page's colours, `var(--front)`.

A channel says which column of the rows a position or a colour shows, and on which scale.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from search.analysis.dependence import Place
from search.analysis.snapshot import Snapshot
from search.spec.axes import Axis
from search.views.format import drawn, number, short, spans_decades
from search.views.page import rows
from search.views.page.rows import Rows

Spec = dict[str, Any]
STATES = ("complete", "stopped", "diverged", "failed", "running", "retraining")
"""What a bar or a point may be, each of a colour of the page."""
VALUED = "isValid(datum.value)"
VALUELESS = "!isValid(datum.value)"
CHOSEN = "datum.trial === chosen"
"""Of the trial that was clicked: the page sets the parameter `chosen` of every chart."""
FRONT = {"color": "var(--front)"}
"""The style of what is chosen, or on the front."""
TIP = {"field": "tip"}
"""Of a tooltip: a row's text. The page's script gives the page's own rows theirs, and makes a table of it."""
NUMBERS: Spec = {"format": ".6~g", "labelOverlap": True, "tickCount": 6}
"""Of an axis of numbers of any size."""
EPOCHS = {"name": "epochs"}
TRIALS = {"name": "trials"}
"""The page's own rows."""


@dataclass(frozen=True)
class Chart:
    """One chart."""

    name: str
    alt: str
    """What it shows, for whoever does not see it."""
    spec: Spec
    data: dict[str, Rows] = field(default_factory=dict)
    """Rows of its own, by name."""


def chart(name: str, alt: str, height: int | Spec, layers: list[Spec], **data: Rows) -> Chart:
    """Return a chart as wide as the page lets it be, and so many pixels high."""
    spec = {
        "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
        "width": "container",
        "height": height,
        "autosize": {"type": "fit-x", "contains": "padding"},
        "params": [{"name": "chosen", "value": -1}],
        "layer": layers,
    }
    return Chart(name, alt, spec, data)


def layer(data: Spec | Rows, mark: str, style: Spec, encoding: Spec, transform: str | list[Spec] = "") -> Spec:
    """Return a layer: a mark in a style for each row, of those that a filter or a transform leaves."""
    if isinstance(data, list):
        data = {"values": data}
    if isinstance(transform, str):
        transform = [{"filter": transform}] if transform else []
    return {"data": data, "transform": transform, "mark": {"type": mark, **style}, "encoding": encoding}


def number_channel(column: str, title: str | None = None, scale: Spec | None = None, **axis: Any) -> Spec:
    """Return the channel of a column of numbers, with an axis under this title."""
    whole_scale = {"nice": False, **(scale or {})}
    return {"field": column, "type": "quantitative", "title": title, "scale": whole_scale, "axis": axis}


def name_channel(column: str, **axis: Any) -> Spec:
    """Return the channel of a column of names, in the order of the rows."""
    return {"field": column, "type": "nominal", "title": None, "sort": None, "axis": {"labelLimit": 120, **axis}}


def colour_channel(column: str = "state", names: tuple[str, ...] = STATES) -> Spec:
    """Return the channel of a colour of the page; its legend is the page's, too."""
    scale = {"domain": names, "range": [f"var(--{name})" for name in names]}
    return {"field": column, "type": "nominal", "scale": scale, "legend": None}


def metric_channel(snapshot: Snapshot, column: str = "value", values: Sequence[float] = ()) -> Spec:
    """Return the channel of the metric over what is drawn, which is the value of each trial and the noise around it."""
    if not values:
        values = snapshot.values + [known.values[0] for known in snapshot.earlier if known.values]
        for row in rows.noise(snapshot):
            values += row.values()
    return number_channel(column, snapshot.config.metric, value_scale(values), **NUMBERS)


def value_scale(values: Sequence[float]) -> Spec:
    """Return the scale of these values, which must be some."""
    places = list(map(drawn, values))
    kind: Spec = {"type": "linear", "zero": False}
    if spans_decades(places):
        kind = {"type": "log"}
    return {**kind, "padding": 8, "domain": [min(places), max(places)]}


def band(snapshot: Snapshot) -> list[Spec]:
    """Return layers across the whole chart: the winner's mean and the noise of the seeds around it."""
    noise = rows.noise(snapshot)
    if not noise:
        return []
    low_to_high = {"y": metric_channel(snapshot, "low"), "y2": {"field": "high"}}
    mean = {"y": metric_channel(snapshot, "mean")}
    return [
        layer(noise, "rect", {"color": "var(--band)"}, low_to_high),
        layer(noise, "rule", {"color": "var(--front)", "strokeDash": [2, 2]}, mean),
    ]


def earlier(snapshot: Snapshot, x: Spec, at: int) -> list[Spec]:
    """Return a layer with a point for each trial of an earlier study, of a panel; none where there are none."""
    found = rows.earlier(snapshot, at)
    if not found:
        return []
    style = {"size": 30, "opacity": 0.7, "color": "var(--retraining)"}
    return [layer(found, "circle", style, {"x": x, "y": metric_channel(snapshot), "tooltip": TIP})]


def dependence(snapshot: Snapshot, x: Spec, curve: Sequence[Place]) -> list[Spec]:
    """Return layers for the curve of a hyperparameter: its line, and a band around it; none where there is no curve."""
    if not curve:
        return []
    found = []
    for place in curve:
        ends = {"low": drawn(place.low), "value": drawn(place.mean), "high": drawn(place.high)}
        found.append({x["field"]: drawn(place.position), **ends})
    low_to_high = {"x": x, "y": metric_channel(snapshot, "low"), "y2": {"field": "high"}}
    return [
        layer(found, "area", {"color": "var(--validation)", "opacity": 0.2, "clip": True}, low_to_high),
        layer(found, "line", {"color": "var(--validation)", "clip": True}, {"x": x, "y": metric_channel(snapshot)}),
    ]


def points(snapshot: Snapshot, x: Spec) -> list[Spec]:
    """Return layers with a point for each trial that has a value, and a ring around the chosen one."""
    place = {"x": x, "y": metric_channel(snapshot)}
    there = f"{VALUED} && isValid(datum['{x['field']}'])"
    style = {"size": 45, "opacity": 0.85, "cursor": "pointer"}
    ring = {"size": 170, "strokeWidth": 2.5, "color": "var(--front)"}
    return [
        layer(TRIALS, "point", ring, place, f"{there} && {CHOSEN}"),  # below the points, which have the tooltips
        layer(TRIALS, "circle", style, {**place, "color": colour_channel(), "tooltip": TIP}, there),
    ]


def parameter_channel(snapshot: Snapshot, at: int) -> Spec:
    """Return the channel of one of the leading hyperparameters: the whole range that was searched, on its scale."""
    title = rows.leading(snapshot)[at]
    axis = snapshot.axes[title]
    if axis.choices:
        return _choice_channel(f"p{at}", title, axis)
    scale: Spec = {"domain": [drawn(axis.low), drawn(axis.high)], "padding": 6}
    if axis.is_log:
        scale["type"] = "log"
    else:
        scale["zero"] = False
    ticks = {**NUMBERS, "tickCount": 5}
    if axis.is_integer:
        ticks["tickMinStep"] = 1
    return number_channel(f"p{at}", title, scale, **ticks)


def _choice_channel(column: str, title: str, axis: Axis) -> Spec:
    """Return the channel of a hyperparameter that is a choice, of which the column has the places."""
    labels = json.dumps([short(choice) for choice in axis.choices])
    labelled = {"labelExpr": f"{labels}[datum.value]", "labelAngle": -30}
    scale = {"domain": list(range(len(axis.choices)))}
    return {"field": column, "type": "ordinal", "title": title, "scale": scale, "axis": labelled}


def range_of(axis: Axis) -> tuple[str, str]:
    """Return the two ends of a hyperparameter's range as texts: of a choice its first and its last."""
    if axis.choices:
        return short(axis.choices[0]), short(axis.choices[-1])
    return number(axis.low), number(axis.high)

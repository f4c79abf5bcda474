"""What the charts of the report have in common, in Vega-Lite: axes, layers, and the page's colours, `var(--front)`."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from search.analysis.snapshot import Snapshot
from search.spec.space import Axis
from search.views.format import short, spans_decades
from search.views.page import rows
from search.views.page.rows import Rows

Spec = dict[str, Any]
STATES = ("complete", "stopped", "diverged", "failed", "running", "retraining")
VALUED, VALUELESS = "isValid(datum.value)", "!isValid(datum.value)"
TIP = {"field": "tip"}
"""Of a tooltip: a row's text. The page's script gives the page's own rows theirs, and makes a table of it."""
CHOSEN = "datum.trial === chosen"
"""Of the trial that was clicked: the page sets the parameter `chosen` of every chart."""
NUMBERS: Spec = {"format": ".6~g", "labelOverlap": True, "tickCount": 6}
"""Of an axis of numbers of any size."""
EPOCHS, TRIALS = {"name": "epochs"}, {"name": "trials"}
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
    """Return a chart as wide as the page lets it be."""
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
    source = {"values": data} if isinstance(data, list) else data
    steps = [{"filter": transform}] if isinstance(transform, str) and transform else transform or []
    return {"data": source, "transform": steps, "mark": {"type": mark, **style}, "encoding": encoding}


def number(name: str, title: str | None = None, scale: Spec | None = None, **axis: Any) -> Spec:
    """Return the channel of a number."""
    scaled = {"nice": False, **(scale or {})}
    return {"field": name, "type": "quantitative", "title": title, "scale": scaled, "axis": axis}


def name(column: str, **axis: Any) -> Spec:
    """Return the channel of a name, in the order of the rows."""
    return {"field": column, "type": "nominal", "title": None, "sort": None, "axis": {"labelLimit": 120, **axis}}


def colour(column: str = "state", names: tuple[str, ...] = STATES) -> Spec:
    """Return the channel of a colour of the page; its legend is the page's, too."""
    scale = {"domain": names, "range": [f"var(--{each})" for each in names]}
    return {"field": column, "type": "nominal", "scale": scale, "legend": None}


def metric(snapshot: Snapshot, column: str = "value", drawn: Sequence[float] = ()) -> Spec:
    """Return the channel of the metric over what is drawn, which is the value of each trial and the noise around it."""
    if not drawn:
        drawn = list(snapshot.values)
        for row in rows.noise(snapshot):
            drawn += row.values()
    return number(column, snapshot.config.metric, scale(drawn), **NUMBERS)


def scale(drawn: Sequence[float]) -> Spec:
    """Return the scale of these values, which must be some."""
    kind = "log" if spans_decades(drawn) else "linear"
    zero = {} if kind == "log" else {"zero": False}
    return {"type": kind, **zero, "padding": 8, "domain": [min(drawn), max(drawn)]}


def band(snapshot: Snapshot) -> list[Spec]:
    """Return layers across the whole chart: the winner's mean and the noise of the seeds around it."""
    found = rows.noise(snapshot)
    ends = {"y": metric(snapshot, "low"), "y2": {"field": "high"}}
    dashed = {"color": "var(--front)", "strokeDash": [2, 2]}
    mean = layer(found, "rule", dashed, {"y": metric(snapshot, "mean")})
    return [layer(found, "rect", {"color": "var(--band)"}, ends), mean] if found else []


def points(snapshot: Snapshot, x: Spec) -> list[Spec]:
    """Return layers with a point for each trial that has a value, and a ring around the chosen one."""
    place = {"x": x, "y": metric(snapshot)}
    style = {"size": 45, "opacity": 0.85, "cursor": "pointer"}
    ring = {"size": 170, "strokeWidth": 2.5, "color": "var(--front)"}
    return [
        layer(TRIALS, "point", ring, place, f"{VALUED} && {CHOSEN}"),  # below the points, which have the tooltips
        layer(TRIALS, "circle", style, {**place, "color": colour(), "tooltip": TIP}, VALUED),
    ]


def parameter(snapshot: Snapshot, at: int) -> Spec:
    """Return the channel of one of the leading hyperparameters: the whole range that was searched, on its scale."""
    title = rows.leading(snapshot)[at]
    axis = snapshot.axes[title]
    if axis.choices:
        labels = json.dumps([short(choice) for choice in axis.choices])
        drawn = {"labelExpr": f"{labels}[datum.value]", "labelAngle": -30}
        places: Spec = {"domain": list(range(len(axis.choices)))}
        return {"field": f"p{at}", "type": "ordinal", "title": title, "scale": places, "axis": drawn}
    scale: Spec = {"domain": [axis.low, axis.high], "padding": 6}
    scale |= {"type": "log"} if axis.is_log else {"zero": False}
    steps: Spec = {"tickMinStep": 1} if axis.is_integer else {}
    return number(f"p{at}", title, scale, **{**NUMBERS, "tickCount": 5, **steps})


def ends(axis: Axis) -> tuple[object, object]:
    """Return the two ends of a hyperparameter's range: of a choice its first and its last."""
    if axis.choices:
        return short(axis.choices[0]), short(axis.choices[-1])
    return axis.low, axis.high

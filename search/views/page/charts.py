"""The charts of the report."""

from collections.abc import Sequence

from search.analysis.dependence import Place
from search.analysis.snapshot import Snapshot
from search.errors import count
from search.views.format import epochs_of, line_width, number, rungs_drawn, span
from search.views.page import rows, timeline
from search.views.page.fronts import fronts
from search.views.page.layers import (
    CHOSEN,
    EPOCHS,
    FRONT,
    NUMBERS,
    TIP,
    TRIALS,
    VALUED,
    VALUELESS,
    Chart,
    Spec,
    band,
    chart,
    colour_channel,
    dependence,
    earlier,
    layer,
    metric_channel,
    name_channel,
    number_channel,
    parameter_channel,
    points,
    value_scale,
)
from search.views.page.parallel import parallel
from search.views.page.rows import Rows

SECTIONS = ("retraining", "front", "curves", "history", "parallel", "panels", "pair", "importances", "timeline")
MAX_BARS = 3_000
"""Trainings in a timeline: the newest."""
WHOLE_NUMBERS = {"tickMinStep": 1, "format": "d", "grid": False}
"""Of an axis of whole numbers."""


def charts(snapshot: Snapshot, stretches: list[Rows]) -> dict[str, list[Chart]]:
    """Return the charts of each section of the report, none where there is nothing for it; a timeline a stretch."""
    sections: dict[str, list[Chart]] = {section: [] for section in SECTIONS}
    if snapshot.outcome and any(candidate.values for candidate in snapshot.outcome.candidates):
        sections["retraining"] = [_retraining(snapshot)]
    if snapshot.config.aims.are_several:
        sections["front"] = fronts(snapshot)
    if snapshot.values:
        sections["curves"] = [_curves(snapshot)]
        sections["history"] = [_history(snapshot)]
        sections["parallel"] = [parallel(snapshot)]
        for at, name in enumerate(rows.leading(snapshot)):
            sections["panels"].append(_panel(snapshot, at, snapshot.dependences.get(name, [])))
    if len(snapshot.importances) > 1:
        sections["pair"] = [_pair(snapshot)]
    if snapshot.importances:
        sections["importances"] = [_importances(snapshot)]
    sections["timeline"] = [_timeline(stretch, at) for at, stretch in enumerate(stretches)]
    return sections


def _retraining(snapshot: Snapshot) -> Chart:
    runs = rows.candidates(snapshot)
    spreads = rows.spreads(runs)
    noise = rows.noise(snapshot)
    # The channels: a line a candidate, on which its parts lie below each other.
    values = [row["value"] for row in runs] + rows.ends(spreads) + rows.ends(noise)
    linear = value_scale(values) | {"type": "linear", "zero": False}
    x = number_channel("value", snapshot.config.metric, linear, **NUMBERS)
    low_to_high = {"x": {**x, "field": "low"}, "x2": {"field": "high"}}
    y = {"y": name_channel("candidate"), "yOffset": {"field": "part", "sort": rows.PARTS}}
    colour = {"color": colour_channel("part", rows.PARTS)}
    # The layers: the noise behind all, a line for the spread of the seeds, a point a seed.
    layers = [
        layer(spreads, "rule", {"strokeWidth": 2}, {**y, **low_to_high, **colour}),
        layer({"name": "runs"}, "circle", {"size": 55, "opacity": 0.9}, {**y, "x": x, **colour, "tooltip": TIP}),
    ]
    if noise:
        layers.insert(0, layer(noise, "rect", {"color": "var(--band)"}, low_to_high))
    means = []
    for label, candidate in rows.ranked(snapshot):
        mean = number(candidate.mean) if candidate.values else "none"
        means.append(f"{label} {mean}")
    alt = f"Values of {count(len(means), 'configuration')} over their seeds, by mean: {'; '.join(means)}"
    return chart("retraining", alt, 60 + 48 * len(means), layers, runs=runs)


def _curves(snapshot: Snapshot) -> Chart:
    seeds = rows.seeds_by_epoch(snapshot)
    values = snapshot.epoch_values + rows.ends(seeds)
    x = number_channel("epoch", "epoch", {"domain": [1, max(2, snapshot.epochs)]}, **WHOLE_NUMBERS)
    y = metric_channel(snapshot, "value", values)
    curve = {"x": x, "y": y, "detail": {"field": "trial"}}
    coloured = {**curve, "color": colour_channel()}
    rungs = [{"epoch": rung} for rung in rungs_drawn(snapshot.rungs)]
    single: list[Spec] = [
        {"filter": VALUED},
        {"joinaggregate": [{"op": "count", "as": "count"}], "groupby": ["trial"]},
        {"filter": "datum.count === 1"},
    ]
    line = {"strokeWidth": line_width(len(snapshot.trials)), "opacity": 0.75}
    chosen = {**FRONT, "strokeWidth": 3, "point": FRONT}
    target = {"strokeWidth": 9, "opacity": 0, "cursor": "pointer"}
    layers = [
        layer(rungs, "rule", {"color": "var(--faint)", "strokeDash": [3, 3]}, {"x": x}),
        layer(EPOCHS, "line", line, coloured, VALUED),
        layer(EPOCHS, "circle", {"size": 25}, coloured, single),
        *_winner_layers(seeds, x, y),
        layer(EPOCHS, "line", chosen, curve, f"{VALUED} && {CHOSEN}"),
        layer(EPOCHS, "line", target, {**curve, "tooltip": TIP}, VALUED),
    ]
    return chart("curves", _curves_alt(snapshot), 320, layers)


def _winner_layers(seeds: Rows, x: Spec, y: Spec) -> list[Spec]:
    """Return the layers of the winner's retraining: its mean over the seeds, and a band around it."""
    if not seeds:
        return []
    spread = {"x": x, "y": {**y, "field": "low"}, "y2": {"field": "high"}}
    mean = {"x": x, "y": {**y, "field": "mean"}}
    return [
        layer(seeds, "area", {**FRONT, "opacity": 0.25}, spread),
        layer(seeds, "line", {**FRONT, "strokeDash": [4, 2]}, mean),
    ]


def _curves_alt(snapshot: Snapshot) -> str:
    alt = f"Learning curves of {count(len(snapshot.trials), 'trial')} over {count(snapshot.epochs, 'epoch')}"
    if snapshot.rungs:
        alt += f"; rungs at {epochs_of(snapshot.rungs)}"
    front = snapshot.front
    if front:
        alt += f"; the best is trial {front.number} with {number(front.value)}"
    return alt


def _history(snapshot: Snapshot) -> Chart:
    last = snapshot.last
    x = number_channel("trial", "trial, in order of proposal", {"domain": [0, last], "padding": 8}, **WHOLE_NUMBERS)
    best = rows.best_so_far(snapshot)
    step = {"interpolate": "step-after", **FRONT, "strokeWidth": 1.5}
    cross = {"shape": "cross", "size": 50, "filled": True, "cursor": "pointer"}
    at_the_top = {"x": x, "y": {"value": 6}, "color": colour_channel(), "tooltip": TIP}
    layers = [
        *band(snapshot),
        layer(best, "line", step, {"x": x, "y": metric_channel(snapshot)}),
        layer(TRIALS, "point", cross, at_the_top, VALUELESS),
        *points(snapshot, x),
    ]
    alt = f"Best value of each of {count(len(snapshot.trials), 'trial')} by number"
    first_best = snapshot.objective.best(snapshot.able)
    if first_best:
        alt += f"; the best, {number(first_best.value)}, came in trial {first_best.number}"
    return chart("history", alt, 260, layers)


def _panel(snapshot: Snapshot, at: int, curve: Sequence[Place]) -> Chart:
    alt = f"Best value of each trial against {rows.leading(snapshot)[at]}"
    x = parameter_channel(snapshot, at)
    layers = [*band(snapshot), *earlier(snapshot, x, at), *dependence(snapshot, x, curve), *points(snapshot, x)]
    return chart(f"panel{at}", alt, 210, layers)


def _pair(snapshot: Snapshot) -> Chart:
    # The channels: the two hyperparameters that matter most, and the value as a colour.
    names = rows.leading(snapshot)
    first = snapshot.importances[0].name
    second = snapshot.importances[1].name
    place = {
        "x": parameter_channel(snapshot, names.index(first)),
        "y": parameter_channel(snapshot, names.index(second)),
    }
    kind = value_scale(snapshot.values)["type"]
    value = {
        "field": "value",
        "type": "quantitative",
        "legend": {"orient": "bottom", "format": ".6~g", "gradientLength": 200, "title": snapshot.config.metric},
        "scale": {"type": kind, "scheme": "viridis", "reverse": snapshot.config.mode == "min"},
    }
    # The layers: a ring around the chosen trial, a circle a value, a cross where there is none.
    ring = {"size": 260, "strokeWidth": 2.5, **FRONT}
    circle = {"size": 90, "stroke": "var(--faint)", "strokeWidth": 0.5, "opacity": 1, "cursor": "pointer"}
    cross = {"shape": "cross", "size": 50, "color": "var(--diverged)", "cursor": "pointer"}
    there = " && ".join(f"isValid(datum.{channel['field']})" for channel in place.values())
    layers = [
        layer(TRIALS, "point", ring, place, f"{there} && {CHOSEN}"),
        layer(TRIALS, "circle", circle, {**place, "tooltip": TIP, "color": value}, f"{there} && {VALUED}"),
        layer(TRIALS, "point", cross, {**place, "tooltip": TIP}, f"{there} && {VALUELESS}"),
    ]
    return chart("pair", f"Value of each trial, as a colour, against {first} and {second}", 320, layers)


def _importances(snapshot: Snapshot) -> Chart:
    shares = rows.importances(snapshot)
    x = number_channel("value", "importance (shares of 1)", {"domainMin": 0}, tickCount=6)
    y = name_channel("name")
    spread = {"y": y, "x": {**x, "field": "low"}, "x2": {"field": "high"}}
    layers = [
        layer(shares, "bar", {"color": "var(--validation)", "opacity": 0.75}, {"y": y, "x": x, "tooltip": TIP}),
        layer(shares, "rule", {"strokeWidth": 2, "color": "var(--ink)"}, spread),
    ]
    tips = "; ".join(row["tip"] for row in shares)
    alt = f"Importances, with 80 % of bootstrap samples: {tips}"
    return chart("importances", alt, 40 + 28 * len(shares), layers)


def _timeline(stretch: Rows, at: int) -> Chart:
    lanes = len({bar["lane"] for bar in stretch})
    x = number_channel("start", "seconds", None, grid=False, tickCount=6)
    encoding = {
        "y": name_channel("lane", ticks=False),
        "x": x,
        "x2": {"field": "end"},
        "color": colour_channel(),
        "tooltip": TIP,
    }
    style = {"stroke": "var(--paper)", "strokeWidth": 0.5, "cursor": "pointer"}
    bars = layer({"name": "bars"}, "bar", style, encoding)
    processes = "1 process" if lanes == 1 else f"{lanes} processes"
    duration = span(timeline.duration_s(stretch))
    alt = f"What ran when in {processes} over {duration}: {count(len(stretch), 'training')}"
    return chart(f"timeline{at}", alt, 40 + 22 * lanes, [bars], bars=stretch[-MAX_BARS:])

"""The charts of the report."""

import json

from search.analysis.snapshot import Snapshot
from search.views import format as words
from search.views.page import rows
from search.views.page.layers import (
    CHOSEN,
    EPOCHS,
    NUMBERS,
    TIP,
    TRIALS,
    VALUED,
    VALUELESS,
    Chart,
    Spec,
    band,
    chart,
    colour,
    ends,
    layer,
    metric,
    name,
    number,
    parameter,
    points,
    scale,
)
from search.views.page.rows import Rows

MOST_BARS = 3_000
"""Trainings in a timeline: the newest."""
WHOLE = {"tickMinStep": 1, "format": "d", "grid": False}
"""Of an axis of whole numbers."""


def charts(snapshot: Snapshot, stretches: list[Rows]) -> dict[str, list[Chart]]:
    """Return the charts of each section of the report, none where there is nothing for it; a timeline a stretch."""
    is_valued = any(trial.value is not None for trial in snapshot.trials)
    is_retrained = snapshot.outcome and any(candidate.values for candidate in snapshot.outcome.candidates)
    weighed = snapshot.importances
    return {
        "retraining": [_retraining(snapshot)] if is_retrained else [],
        "curves": [_curves(snapshot)] if is_valued else [],
        "history": [_history(snapshot)] if is_valued else [],
        "parallel": [_parallel(snapshot)] if is_valued else [],
        "panels": [_panel(snapshot, at) for at in range(len(rows.leading(snapshot)))] if is_valued else [],
        "pair": [_pair(snapshot)] if len(weighed) > 1 else [],
        "importances": [_importances(snapshot)] if weighed else [],
        "timeline": [_timeline(each, at) for at, each in enumerate(stretches)],
    }


def _retraining(snapshot: Snapshot) -> Chart:
    y = {"y": name("candidate"), "yOffset": {"field": "part", "sort": ["validation", "test"]}}
    colours = colour("part", ("validation", "test"))
    found, noise = rows.candidates(snapshot), rows.noise(snapshot)
    spreads = rows.spreads(found)
    drawn = [row["value"] for row in found] + [row[end] for row in [*spreads, *noise] for end in ("low", "high")]
    x = number("value", snapshot.config.metric, scale(drawn) | {"type": "linear", "zero": False}, **NUMBERS)
    runs, high = {"name": "runs"}, {"x2": {"field": "high"}}
    layers = [
        layer(spreads, "rule", {"strokeWidth": 2}, {**y, "x": {**x, "field": "low"}, **high, "color": colours}),
        layer(runs, "circle", {"size": 55, "opacity": 0.9}, {**y, "x": x, "color": colours, "tooltip": TIP}),
    ]
    if noise:
        across = {"x": {**x, "field": "low"}, **high}
        layers.insert(0, layer(noise, "rect", {"color": "var(--band)"}, across))
    ranked = rows.ranked(snapshot)
    means = "; ".join(f"{name} {words.number(each.mean) if each.values else 'none'}" for name, each in ranked)
    alt = f"Values of {len(ranked)} configurations over their seeds, by mean: {means}"
    return chart("retraining", alt, 60 + 48 * len(ranked), layers, runs=found)


def _curves(snapshot: Snapshot) -> Chart:
    x = number("epoch", "epoch", {"domain": [1, max(2, snapshot.epochs)]}, **WHOLE)
    seeds = rows.seeds_by_epoch(snapshot)
    drawn_values = rows.curves(snapshot) + [row[end] for row in seeds for end in ("low", "high")]
    y = metric(snapshot, "value", drawn_values)
    line = {"x": x, "y": y, "detail": {"field": "trial"}}
    front = {"color": "var(--front)"}
    rungs = [{"epoch": rung} for rung in snapshot.rungs]
    single: list[Spec] = [
        {"filter": VALUED},
        {"joinaggregate": [{"op": "count", "as": "count"}], "groupby": ["trial"]},
        {"filter": "datum.count === 1"},
    ]
    width = 1.4 if len(snapshot.trials) <= 60 else 0.7
    drawn = [
        layer(rungs, "rule", {"color": "var(--faint)", "strokeDash": [3, 3]}, {"x": x}),
        layer(EPOCHS, "line", {"strokeWidth": width, "opacity": 0.75}, {**line, "color": colour()}, VALUED),
        layer(EPOCHS, "circle", {"size": 25}, {**line, "color": colour()}, single),
    ]
    if seeds:
        spread = {"x": x, "y": {**y, "field": "low"}, "y2": {"field": "high"}}
        drawn.append(layer(seeds, "area", {**front, "opacity": 0.25}, spread))
        drawn.append(layer(seeds, "line", {**front, "strokeDash": [4, 2]}, {"x": x, "y": {**y, "field": "mean"}}))
    chosen = {**front, "strokeWidth": 3, "point": front}
    target = {"strokeWidth": 9, "opacity": 0, "cursor": "pointer"}
    drawn.append(layer(EPOCHS, "line", chosen, line, f"{VALUED} && {CHOSEN}"))
    drawn.append(layer(EPOCHS, "line", target, {**line, "tooltip": TIP}, VALUED))
    at = f"; rungs at epochs {', '.join(map(str, snapshot.rungs))}" if rungs else ""
    best = (
        f"; the best is trial {snapshot.front.number} with {words.number(snapshot.front.value)}"
        if snapshot.front
        else ""
    )
    alt = f"Learning curves of {len(snapshot.trials)} trials over {snapshot.epochs} epochs{at}{best}"
    return chart("curves", alt, 320, drawn)


def _history(snapshot: Snapshot) -> Chart:
    last = max(1, len(snapshot.trials) - 1)
    x = number("trial", "trial, in order of proposal", {"domain": [0, last], "padding": 8}, **WHOLE)
    best = rows.best_so_far(snapshot)
    step = {"interpolate": "step-after", "color": "var(--front)", "strokeWidth": 1.5}
    cross = {"shape": "cross", "size": 50, "filled": True, "cursor": "pointer"}
    none = {"x": x, "y": {"value": 6}, "color": colour(), "tooltip": TIP}
    drawn = [
        *band(snapshot),
        layer(best, "line", step, {"x": x, "y": metric(snapshot)}),
        layer(TRIALS, "point", cross, none, VALUELESS),
        *points(snapshot, x),
    ]
    came = f"; the best, {words.number(best[-1]['value'])}, came in trial {best[-2]['trial']}" if best else ""
    return chart("history", f"Best value of each of {len(snapshot.trials)} trials by number{came}", 260, drawn)


def _parallel(snapshot: Snapshot) -> Chart:
    leading, values = rows.leading(snapshot), snapshot.values
    names, last = [*leading, snapshot.config.metric], len(leading)
    axis = {"labelExpr": f"{json.dumps(names)}[datum.value]", "labelAngle": 0, "labelLimit": 90, "orient": "top"}
    axis |= {"grid": True, "domain": False, "ticks": False, "labelFontWeight": "bold"}
    scale = {"domain": [*range(last + 1)], "padding": 0}
    x = {"field": "axis", "type": "ordinal", "title": None, "scale": scale, "axis": axis}
    y = number("at", None, {"domain": [-0.06, 1.06]}) | {"axis": None}
    line = {"x": x, "y": y, "detail": {"field": "trial"}}
    fold: list[Spec] = [
        {"fold": [f"u{at}" for at in range(last + 1)], "as": ["key", "at"]},
        {"calculate": "+slice(datum.key, 1)", "as": "axis"},
        {"filter": f"{VALUED} && isValid(datum.at)"},
    ]
    ranges = [
        *(ends(snapshot.axes[name]) for name in leading),
        sorted((min(values), max(values)), reverse=snapshot.config.mode == "min"),
    ]
    labels: Rows = [
        {"axis": at, "at": place, "text": words.number(end)}
        for at, both in enumerate(ranges)
        for place, end in zip((-0.03, 1.03), both, strict=True)
    ]
    text = {"x": x, "y": y, "text": {"field": "text"}}
    halo = {"fontSize": 11, "stroke": "var(--paper)", "strokeWidth": 3, "color": "var(--ink)"}
    others = {"color": "var(--stopped)", "opacity": 0.45, "strokeWidth": 1}
    target = {"opacity": 0, "strokeWidth": 7, "cursor": "pointer"}
    drawn = [
        layer(TRIALS, "line", others, line, [*fold, {"filter": "!datum.best"}]),
        layer(TRIALS, "line", {"color": "var(--complete)"}, line, [*fold, {"filter": "datum.best"}]),
        layer(TRIALS, "line", {"color": "var(--front)", "strokeWidth": 3}, line, [*fold, {"filter": CHOSEN}]),
        layer(labels, "text", halo, text),
        layer(labels, "text", {"fontSize": 11, "color": "var(--ink)"}, text),
        layer(TRIALS, "line", target, {**line, "tooltip": TIP}, fold),
    ]
    alt = f"Parallel coordinates over {', '.join(names)}; the best {len(rows.top(snapshot))} trials stand out"
    return chart("parallel", alt, 260, drawn)


def _panel(snapshot: Snapshot, at: int) -> Chart:
    alt = f"Best value of each trial against {rows.leading(snapshot)[at]}"
    return chart(f"panel{at}", alt, 210, [*band(snapshot), *points(snapshot, parameter(snapshot, at))])


def _pair(snapshot: Snapshot) -> Chart:
    names = rows.leading(snapshot)
    first, second = (names.index(each.name) for each in snapshot.importances[:2])
    place = {"x": parameter(snapshot, first), "y": parameter(snapshot, second)}
    said = {"tooltip": TIP}
    scale = {"type": "log" if words.spans_decades(snapshot.values) else "linear", "scheme": "viridis"}
    legend = {"orient": "bottom", "format": ".6~g", "gradientLength": 200, "title": snapshot.config.metric}
    value = {"field": "value", "type": "quantitative", "legend": legend}
    value["scale"] = scale | {"reverse": snapshot.config.mode == "min"}
    circle = {"size": 90, "stroke": "var(--faint)", "strokeWidth": 0.5, "opacity": 1, "cursor": "pointer"}
    cross = {"shape": "cross", "size": 50, "color": "var(--diverged)", "cursor": "pointer"}
    ring = {"size": 260, "strokeWidth": 2.5, "color": "var(--front)"}
    drawn = [
        layer(TRIALS, "point", ring, place, CHOSEN),
        layer(TRIALS, "circle", circle, {**place, **said, "color": value}, VALUED),
        layer(TRIALS, "point", cross, {**place, **said}, VALUELESS),
    ]
    alt = f"Value of each trial, as a colour, against {names[first]} and {names[second]}"
    return chart("pair", alt, 320, drawn)


def _importances(snapshot: Snapshot) -> Chart:
    found = snapshot.importances
    shares: Rows = [{"name": each.name, "value": each.share, "low": each.low, "high": each.high} for each in found]
    for row in shares:
        row["tip"] = f"{row['name']} {row['value']:.2f} ({row['low']:.2f} to {row['high']:.2f})"
    x = number("value", "importance (shares of 1)", {"domainMin": 0}, tickCount=6)
    bar = {"y": name("name"), "x": x, "tooltip": TIP}
    spread = {"y": name("name"), "x": {**x, "field": "low"}, "x2": {"field": "high"}}
    drawn = [
        layer(shares, "bar", {"color": "var(--validation)", "opacity": 0.75}, bar),
        layer(shares, "rule", {"strokeWidth": 2, "color": "var(--ink)"}, spread),
    ]
    said = "; ".join(row["tip"] for row in shares)
    return chart("importances", f"Importances, with 80 % of bootstrap samples: {said}", 40 + 28 * len(shares), drawn)


def _timeline(stretch: Rows, at: int) -> Chart:
    lanes, seconds = len({bar["lane"] for bar in stretch}), max(bar["end"] for bar in stretch)
    x = number("start", "seconds", None, grid=False, tickCount=6)
    style = {"stroke": "var(--paper)", "strokeWidth": 0.5, "cursor": "pointer"}
    bars = {"y": name("lane", ticks=False), "x": x, "x2": {"field": "end"}, "color": colour(), "tooltip": TIP}
    alt = f"What ran when in {lanes} processes over {words.span(seconds)}: {len(stretch)} trainings"
    return chart(
        f"timeline{at}", alt, 40 + 22 * lanes, [layer({"name": "bars"}, "bar", style, bars)], bars=stretch[-MOST_BARS:]
    )

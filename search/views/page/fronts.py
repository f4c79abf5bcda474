"""The charts of several objectives: each of the others against the first, with the front."""

from search.analysis.snapshot import Snapshot
from search.errors import count
from search.journal import front
from search.views.format import drawn
from search.views.page.layers import (
    CHOSEN,
    FRONT,
    NUMBERS,
    TIP,
    TRIALS,
    Chart,
    chart,
    colour_channel,
    layer,
    number_channel,
    value_scale,
)
from search.views.page.rows import Rows


def fronts(snapshot: Snapshot) -> list[Chart]:
    """Return a chart for each objective after the first; none where no trial has a value of all."""
    objectives = snapshot.config.aims
    if not front.points(snapshot.able, objectives):
        return []
    return [_front(snapshot, at) for at in range(1, len(objectives.all))]


def _front(snapshot: Snapshot, at: int) -> Chart:
    objectives = snapshot.config.aims
    points = front.points(snapshot.able, objectives)
    # The channels: the first objective, and this one.
    x = number_channel("value", objectives.names[0], value_scale([point[0] for point in points]), **NUMBERS)
    y = number_channel(f"o{at}", objectives.names[at], value_scale([point[at] for point in points]), **NUMBERS)
    place = {"x": x, "y": y}
    placed = f"isValid(datum.value) && isValid(datum.o{at})"
    # The layers: the front as a line, a ring around the chosen trial, a point a trial.
    line = {**FRONT, "strokeWidth": 1.5, "opacity": 0.6}
    ring = {**FRONT, "size": 170, "strokeWidth": 2.5}
    point = {"size": 55, "opacity": 0.85, "cursor": "pointer"}
    layers = [
        layer(_line(snapshot, at), "line", line, {**place, "order": {"field": "order"}}),
        layer(TRIALS, "point", ring, place, f"{placed} && {CHOSEN}"),
        layer(TRIALS, "circle", point, {**place, "color": colour_channel(), "tooltip": TIP}, placed),
    ]
    on_front = snapshot.on_front
    ends = [f"trial {trial.number} with {front.described(trial, objectives)}" for trial in (on_front[0], on_front[-1])]
    alt = (
        f"{objectives.names[at]} against {objectives.names[0]} of {count(len(points), 'trial')}; "
        f"{len(on_front)} on the front, from {ends[0]} to {ends[1]}"
    )
    return chart(f"front{at}", alt, 320, layers)


def _line(snapshot: Snapshot, at: int) -> Rows:
    """Return a row a trial of the front, by the first objective: value, oN, order; of more than two it is no line."""
    objectives = snapshot.config.aims
    if len(objectives.all) > 2:
        return []
    rows: Rows = []
    on_front = front.points(snapshot.on_front, objectives)
    for order, point in enumerate(on_front):
        rows.append({"value": drawn(point[0]), f"o{at}": drawn(point[at]), "order": order})
    return rows

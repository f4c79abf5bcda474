"""The winner beside the defaults, or the best so far where nothing is judged, as a table of texts.

Where the defaults win, the best of the other finalists stands beside them.
"""

from dataclasses import dataclass

from search.analysis.snapshot import Snapshot
from search.journal import front
from search.views.format import number, spread

OFF = "off"
"""Stands for the value of a hyperparameter that a configuration has not."""


@dataclass(frozen=True)
class Comparison:
    """A table: a column a configuration, a row a hyperparameter or metric with its name and a cell a column."""

    title: str
    columns: list[str]
    rows: list[tuple[str, list[str]]]


def compare(snapshot: Snapshot) -> Comparison:
    """Return the comparison of a study; without columns where no trial may win yet."""
    winner = snapshot.winner
    if not winner or not snapshot.outcome:
        return _best_so_far(snapshot)
    title = "The winner beside the defaults"
    names = ["winner"]
    candidates = [winner]
    opponent = snapshot.outcome.opponent(snapshot.objective)
    if snapshot.defaults_win:
        title = "The defaults win"
        names = ["defaults"]
    if opponent:
        names.append("default" if opponent is snapshot.outcome.reference else opponent.label)
        candidates.append(opponent)
    if snapshot.defaults_win and opponent:
        title = "The defaults, which win, beside the best trial"
    rows: list[tuple[str, list[str]]] = []
    params = [snapshot.params_of(candidate) for candidate in candidates]
    for name in snapshot.space:
        cells = [number(own[name]) if name in own else OFF for own in params]
        if set(cells) != {OFF}:
            rows.append((name, cells))
    for at, metric in enumerate(snapshot.config.aims.names):
        cells = [spread(candidate.values_of(at, snapshot.config.aims)) for candidate in candidates]
        rows.append((metric, cells))
    for test in winner.tests:
        cells = [spread(candidate.tests.get(test, [])) for candidate in candidates]
        rows.append((test, cells))
    return Comparison(title, names, rows)


def _best_so_far(snapshot: Snapshot) -> Comparison:
    title = "The best trial" if snapshot.is_unjudged else "The best so far"
    best = snapshot.front
    if not best:
        return Comparison(title, [], [])
    rows: list[tuple[str, list[str]]] = []
    for name in snapshot.space:
        if name in best.params:
            cell = number(best.params[name])
            rows.append((name, [cell]))
    values = front.point(best, snapshot.config.aims) or [best.value]
    for name, value in zip(snapshot.config.aims.names, values, strict=False):
        rows.append((name, [number(value)]))
    return Comparison(title, [f"trial {best.number}"], rows)

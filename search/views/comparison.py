"""The winner beside the defaults, or the best so far where nothing is judged, as a table of texts."""

from dataclasses import dataclass

from search.analysis.snapshot import Snapshot
from search.views.format import number, spread


@dataclass(frozen=True)
class Comparison:
    """A table: a column a configuration, a row a hyperparameter or metric with its name and a cell a column."""

    columns: list[str]
    rows: list[tuple[str, list[str]]]
    is_judged: bool


def compare(snapshot: Snapshot) -> Comparison:
    """Return the comparison of a study; without columns where no trial may win yet."""
    if not snapshot.winner:
        return _best_so_far(snapshot)
    names = ["winner"]
    candidates = [snapshot.winner]
    if snapshot.outcome and snapshot.outcome.reference:
        names.append("default")
        candidates.append(snapshot.outcome.reference)
    rows: list[tuple[str, list[str]]] = []
    for name in snapshot.space:
        cells = [number(candidate.config[name]) for candidate in candidates]
        rows.append((name, cells))
    cells = [spread(candidate.values) for candidate in candidates]
    rows.append((snapshot.config.metric, cells))
    for test in snapshot.winner.tests:
        cells = [spread(candidate.tests.get(test, [])) for candidate in candidates]
        rows.append((test, cells))
    return Comparison(names, rows, is_judged=True)


def _best_so_far(snapshot: Snapshot) -> Comparison:
    best = snapshot.front
    if not best:
        return Comparison([], [], is_judged=False)
    rows: list[tuple[str, list[str]]] = []
    for name in snapshot.space:
        if name in best.params:
            cell = number(best.params[name])
            rows.append((name, [cell]))
    rows.append((snapshot.config.metric, [number(best.value)]))
    return Comparison([f"trial {best.number}"], rows, is_judged=False)

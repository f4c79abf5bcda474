"""A study as rows of plain values, of which the charts of the report are drawn; the columns have safe names."""

import math
from collections.abc import Callable, Mapping
from typing import Any

from search.analysis.snapshot import Snapshot, epochs_of
from search.journal import front
from search.journal.outcome import Candidate
from search.journal.trial import Trial
from search.spec.objective import deviation, mean
from search.views.format import drawn, number, spans_decades

Rows = list[dict[str, Any]]
MAX_EPOCHS = 15_000
"""That are drawn: a page must stay small, and a person sees no more."""
MAX_EARLIER = 1_000
"""Trials of earlier studies that are drawn, in each panel."""
MAX_HYPERPARAMETERS = 24
"""That are drawn."""
MAX_TEXT_LENGTH = 100
"""Characters of a value's text."""
PARTS = ("choosing", "validation", "test")
"""Of what a retraining found of a candidate."""
TOP_SHARE = 0.1
"""Of the trials, which counts as the best."""


def shown(snapshot: Snapshot, max_trials: int) -> list[Trial]:
    """Return the trials that a page shows, by number: all, or so many of the best."""
    able = snapshot.objective.ranked(snapshot.able)
    first = {trial.number for trial in able}
    others = [trial for trial in snapshot.trials if trial.number not in first]
    return sorted([*able, *others][:max_trials], key=lambda trial: trial.number)


def leading(snapshot: Snapshot) -> list[str]:
    """Return the hyperparameters that are drawn, in their order: all, or of very many those that matter most."""
    names = list(snapshot.space)
    if len(names) <= MAX_HYPERPARAMETERS:
        return names
    by_importance = [importance.name for importance in snapshot.importances]
    chosen = by_importance[:MAX_HYPERPARAMETERS] or names[:MAX_HYPERPARAMETERS]
    return sorted(chosen, key=names.index)


def floor(values: list[float]) -> float:
    """Return what a band may reach down to without taking a logarithmic axis from these values."""
    places = list(map(drawn, values))
    if not spans_decades(places):
        return -math.inf
    return min(places) / 2


def trials(snapshot: Snapshot, shown: list[Trial]) -> Rows:
    """Return a row a trial: trial, state, value, text, best_epoch, epochs, best; pN, uN, tN of the Nth leading name.

    Of several objectives also oN and xN of each after the first.

    pN is its value (of a choice its place), uN where that stands in its range, from 0 to 1, tN the value as text. The
    last uN is where the value stands among those of all trials, 1 for the best.
    """
    best = {trial.number for trial in top(snapshot)}
    names = leading(snapshot)
    standing = _standing(snapshot)
    rows = []
    for trial in shown:
        row: dict[str, Any] = {
            "trial": trial.number,
            "state": trial.ending,
            "value": None,
            "best": trial.number in best,
            "text": "none",
            "best_epoch": trial.best_epoch,
            "epochs": len(trial.epochs),
            **_params(snapshot, snapshot.placed(trial.params), names),
        }
        if trial.value is not None:
            row["value"] = drawn(trial.value)
            row["text"] = f"{trial.value:.5g}"
            row[f"u{len(names)}"] = standing(trial.value)
            row |= _further(snapshot, trial)
        rows.append(row)
    return rows


def _further(snapshot: Snapshot, trial: Trial) -> dict[str, Any]:
    """Return the columns oN, xN of each objective after the first: a trial's value, and that as text."""
    columns: dict[str, Any] = {}
    values = front.point(trial, snapshot.config.aims) or ()
    for at, value in enumerate(values[1:], 1):
        columns[f"o{at}"] = drawn(value)
        columns[f"x{at}"] = f"{value:.5g}"
    return columns


def _params(snapshot: Snapshot, params: Mapping[str, Any], names: list[str]) -> dict[str, Any]:
    """Return the columns pN, uN, tN of these hyperparameters of a configuration, without those that it lacks."""
    columns: dict[str, Any] = {}
    for at, name in enumerate(names):
        if name in params:
            value = params[name]
            axis = snapshot.axes[name]
            columns[f"p{at}"] = drawn(axis.position(value))
            columns[f"u{at}"] = axis.unit(value)
            columns[f"t{at}"] = number(value)[:MAX_TEXT_LENGTH]
    return columns


def earlier(snapshot: Snapshot, at: int) -> Rows:
    """Return a row a trial of an earlier study with a value of a hyperparameter, by its place: value, pN, tip."""
    rows = []
    name = leading(snapshot)[at]
    for known in snapshot.earlier[:MAX_EARLIER]:
        placed = snapshot.placed(known.params)
        if known.values is not None and name in placed:
            place = drawn(snapshot.axes[name].position(placed[name]))
            tip = f"{known.source}, its trial {known.number}: {known.values[0]:.5g}"
            rows.append({"value": drawn(known.values[0]), f"p{at}": place, "tip": tip})
    return rows


def _standing(snapshot: Snapshot) -> Callable[[float], float]:
    """Return what tells where a value stands among those of all trials: 1 for the best, 0 for the worst."""
    values = snapshot.values
    if not values:
        return float
    scale: Callable[[float], float] = math.log if spans_decades(values) else float
    # Halves, as the difference of two floats may be none.
    low = scale(min(values)) / 2
    high = scale(max(values)) / 2

    def standing(value: float) -> float:
        if high <= low:
            return 0.5
        place = (scale(value) / 2 - low) / (high - low)
        if snapshot.config.mode == "min":
            return 1 - place
        return place

    return standing


def top(snapshot: Snapshot) -> list[Trial]:
    """Return the best tenth of the trials with a value that counts, at least three of them."""
    able = snapshot.objective.ranked(snapshot.able)
    return able[: max(3, round(TOP_SHARE * len(able)))]


def stride(shown: list[Trial]) -> int:
    """Return of how many epochs of a trial one is drawn."""
    rounded_up = -(-epochs_of(shown) // MAX_EPOCHS)
    return max(1, rounded_up)


def epochs(snapshot: Snapshot, shown: list[Trial]) -> Rows:
    """Return a row an epoch: trial, epoch, value; of very many only every so-manyth of a trial, and its last."""
    rows = []
    every = stride(shown)
    for trial in shown:
        points = trial.points(snapshot.objective)
        for count, (epoch, value) in enumerate(points, 1):
            is_drawn = count % every == 1 % every or count == len(points)
            if is_drawn:
                finite = drawn(float(f"{value:.6g}")) if math.isfinite(value) else None
                rows.append({"trial": trial.number, "epoch": epoch, "value": finite})
    return rows


def best_so_far(snapshot: Snapshot) -> Rows:
    """Return a row for each trial that improved, in order of proposal, and for the last: trial, value."""
    rows: Rows = []
    for trial, best in zip(snapshot.trials, snapshot.running_best, strict=True):
        if best is not None and (not rows or drawn(best) != rows[-1]["value"]):
            rows.append({"trial": trial.number, "value": drawn(best)})
    if rows:
        rows.append({"trial": snapshot.trials[-1].number, "value": rows[-1]["value"]})
    return rows


def noise(snapshot: Snapshot) -> Rows:
    """Return one row: low, mean, high - the winner's mean over seeds and one standard deviation; none without."""
    winner = snapshot.winner
    verdict = snapshot.verdict
    if not winner or not verdict or verdict.noise is None:
        return []
    return [_band(winner.mean, verdict.noise, floor(snapshot.values))]


def seeds_by_epoch(snapshot: Snapshot) -> Rows:
    """Return a row an epoch of the winner's retraining: epoch, low, mean, high over its seeds; none of one seed."""
    if not snapshot.winner:
        return []
    curve_of_seed = [run.curve(snapshot.objective) for run in snapshot.winner.runs]
    least = floor(snapshot.epoch_values)
    rows = []
    for epoch, seeds in enumerate(zip(*curve_of_seed, strict=False), 1):
        if len(seeds) > 1 and all(map(math.isfinite, seeds)):
            rows.append({"epoch": epoch, **_band(mean(list(seeds)), deviation(list(seeds)), least)})
    return rows


def _band(center: float, spread: float, least: float = -math.inf) -> dict[str, float]:
    """Return low, mean and high of what lies no further from a center than its spread, and above the least."""
    low = max(center - spread, least)
    return {"low": drawn(low), "mean": drawn(center), "high": drawn(center + spread)}


def ends(rows: Rows) -> list[float]:
    """Return low and high of each row."""
    values: list[float] = []
    for row in rows:
        values += [row["low"], row["high"]]
    return values


def importances(snapshot: Snapshot) -> Rows:
    """Return a row a hyperparameter, the most important first: name, value, low, high, tip."""
    rows = []
    for importance in snapshot.importances:
        low = importance.low
        high = importance.high
        tip = f"{importance.name} {importance.share:.2f} ({low:.2f} to {high:.2f})"
        rows.append({"name": importance.name, "value": importance.share, "low": low, "high": high, "tip": tip})
    return rows


def candidates(snapshot: Snapshot) -> Rows:
    """Return a row a run of the retraining, by rank: candidate, part, value, tip.

    The parts are `PARTS`: validation and test are of the runs that judge, choosing is of the seed that chose.
    """
    rows = []
    for label, candidate in ranked(snapshot):
        chose = [run.value for run in candidate.choosing if run.value is not None]
        parts = {"choosing": chose, "validation": candidate.values if candidate.is_judged else []}
        if snapshot.verdict and snapshot.verdict.test:
            parts["test"] = candidate.tests.get(snapshot.verdict.test.metric, [])
        for part, seeds in parts.items():
            for value in filter(math.isfinite, seeds):
                tip = f"{label}, {part}: {value:.5g}"
                rows.append({"candidate": label, "part": part, "value": drawn(value), "tip": tip})
    return rows


def spreads(runs: Rows) -> Rows:
    """Return a row a part of a candidate: candidate, part, low, mean, high - mean ± standard deviation."""
    groups: dict[tuple[str, str], list[float]] = {}
    for row in runs:
        groups.setdefault((row["candidate"], row["part"]), []).append(row["value"])
    rows = []
    for (label, part), seeds in groups.items():
        spread = deviation(seeds) if len(seeds) > 1 else 0.0
        rows.append({"candidate": label, "part": part, **_band(mean(seeds), spread)})
    return rows


def ranked(snapshot: Snapshot) -> list[tuple[str, Candidate]]:
    """Return the candidates of the retraining by rank, with a name for each; the defaults last, unless they win."""
    if not snapshot.outcome:
        return []
    named = []
    for rank, candidate in enumerate(snapshot.outcome.ranked(snapshot.objective), 1):
        is_reference = candidate is snapshot.outcome.reference
        name = candidate.label
        if not candidate.is_sound:
            name = f"{name}, not every seed"
        elif not is_reference or snapshot.defaults_win:
            name = f"{rank}. {name}"
        named.append((name, candidate))
    return named

"""A study as rows of plain values, of which the charts of the report are drawn; the columns have safe names."""

import math
from collections.abc import Callable
from typing import Any

from search.analysis.snapshot import Snapshot
from search.journal.outcome import Candidate
from search.journal.trial import Trial
from search.spec.objective import deviation, mean
from search.views.format import number, spans_decades

Rows = list[dict[str, Any]]
MOST_POINTS = 15_000
"""Epochs that are drawn: a page must stay small, and a person sees no more."""
MOST_NAMES = 24
"""Hyperparameters that are drawn."""
LONGEST = 100
"""Characters of a value's text."""
TOP = 0.1
"""Share of the trials that counts as the best."""


def shown(snapshot: Snapshot, most: int) -> list[Trial]:
    """Return the trials that a page shows, by number: all, or so many of the best."""
    able = snapshot.objective.ranked(snapshot.able)
    others = [trial for trial in snapshot.trials if not trial.may_win]
    return sorted([*able, *others][:most], key=lambda trial: trial.number)


def leading(snapshot: Snapshot) -> list[str]:
    """Return the hyperparameters that are drawn, in their order: all, or of very many those that matter most."""
    names = list(snapshot.space)
    if len(names) <= MOST_NAMES:
        return names
    weighed = [importance.name for importance in snapshot.importances]
    chosen = set(weighed[:MOST_NAMES] or names[:MOST_NAMES])
    return [name for name in names if name in chosen]


def curves(snapshot: Snapshot) -> list[float]:
    """Return the finite values of the metric at all epochs of all trials."""
    drawn: list[float] = []
    for trial in snapshot.trials:
        drawn += filter(math.isfinite, trial.curve(snapshot.objective))
    return drawn


def floor(drawn: list[float]) -> float:
    """Return what a band may reach down to without taking a logarithmic axis from the values."""
    return min(drawn) / 2 if spans_decades(drawn) else -math.inf


def trials(snapshot: Snapshot, shown: list[Trial]) -> Rows:
    """Return a row a trial: trial, state, value, text, best_epoch, epochs, best; pN, uN, tN of the Nth leading name.

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
            "value": trial.value,
            "best": trial.number in best,
            "text": "none" if trial.value is None else f"{trial.value:.5g}",
            "best_epoch": trial.best_epoch,
            "epochs": len(trial.epochs),
        }
        for at, name in enumerate(names):
            if name in trial.params:
                value = trial.params[name]
                axis = snapshot.axes[name]
                row[f"p{at}"] = axis.position(value)
                row[f"u{at}"] = axis.unit(value)
                row[f"t{at}"] = number(value)[:LONGEST]
        if trial.value is not None:
            row[f"u{len(names)}"] = standing(trial.value)
        rows.append(row)
    return rows


def _standing(snapshot: Snapshot) -> Callable[[float], float]:
    """Return what tells where a value stands among those of all trials: 1 for the best, 0 for the worst."""
    drawn = snapshot.values
    if not drawn:
        return float
    scale = math.log if spans_decades(drawn) else float
    # Halves, as the difference of two floats may be none.
    low = scale(min(drawn)) / 2
    high = scale(max(drawn)) / 2

    def standing(value: float) -> float:
        at = (scale(value) / 2 - low) / (high - low) if high > low else 0.5
        return 1 - at if snapshot.config.mode == "min" else at

    return standing


def top(snapshot: Snapshot) -> list[Trial]:
    """Return the best tenth of the trials with a value that counts, at least three of them."""
    able = snapshot.objective.ranked(snapshot.able)
    return able[: max(3, round(TOP * len(able)))]


def stride(shown: list[Trial]) -> int:
    """Return of how many epochs of a trial one is drawn."""
    return -(-sum(len(trial.epochs) for trial in shown) // MOST_POINTS) or 1


def epochs(snapshot: Snapshot, shown: list[Trial]) -> Rows:
    """Return a row an epoch: trial, epoch, value; of very many only every so-manyth of a trial, and its last."""
    rows = []
    every = stride(shown)
    for trial in shown:
        for epoch, value in enumerate(trial.curve(snapshot.objective), 1):
            if epoch % every == 1 % every or epoch == len(trial.epochs):
                finite = float(f"{value:.6g}") if math.isfinite(value) else None
                rows.append({"trial": trial.number, "epoch": epoch, "value": finite})
    return rows


def best_so_far(snapshot: Snapshot) -> Rows:
    """Return a row for each trial that improved, in order of proposal, and for the last: trial, value."""
    rows: Rows = []
    for trial, best in enumerate(snapshot.running_best):
        if best is not None and (not rows or best != rows[-1]["value"]):
            rows.append({"trial": trial, "value": best})
    if rows:
        rows.append({"trial": len(snapshot.trials) - 1, "value": rows[-1]["value"]})
    return rows


def noise(snapshot: Snapshot) -> Rows:
    """Return one row: low, mean, high - the winner's mean over seeds and one standard deviation; none without."""
    winner = snapshot.winner
    if not winner or not snapshot.verdict or snapshot.verdict.noise is None:
        return []
    low = max(winner.mean - snapshot.verdict.noise, floor(snapshot.values))
    return [{"low": low, "mean": winner.mean, "high": winner.mean + snapshot.verdict.noise}]


def seeds_by_epoch(snapshot: Snapshot) -> Rows:
    """Return a row an epoch of the winner's retraining: epoch, low, mean, high over its seeds; none of one seed."""
    curves_by_seed = [run.curve(snapshot.objective) for run in snapshot.winner.runs] if snapshot.winner else []
    least = floor(curves(snapshot))
    rows = []
    for epoch, of_seeds in enumerate(zip(*curves_by_seed, strict=False), 1):
        seeds = list(of_seeds)
        if len(seeds) > 1 and all(map(math.isfinite, seeds)):
            middle = mean(seeds)
            spread = deviation(seeds)
            rows.append({"epoch": epoch, "low": max(middle - spread, least), "mean": middle, "high": middle + spread})
    return rows


def candidates(snapshot: Snapshot) -> Rows:
    """Return a row a run of the retraining, by rank: candidate, part (validation or test), value, tip."""
    rows = []
    for label, candidate in ranked(snapshot):
        parts = {"validation": candidate.values}
        if snapshot.verdict and snapshot.verdict.test:
            parts["test"] = candidate.tests.get(snapshot.verdict.test.metric, [])
        for part, seeds in parts.items():
            for value in filter(math.isfinite, seeds):
                tip = f"{label}, {part}: {value:.5g}"
                rows.append({"candidate": label, "part": part, "value": value, "tip": tip})
    return rows


def spreads(found: Rows) -> Rows:
    """Return a row for each part of each of the candidates: candidate, part, low, high - mean ± standard deviation."""
    groups: dict[tuple[str, str], list[float]] = {}
    for row in found:
        groups.setdefault((row["candidate"], row["part"]), []).append(row["value"])
    rows = []
    for (label, part), seeds in groups.items():
        middle = mean(seeds)
        spread = deviation(seeds) if len(seeds) > 1 else 0.0
        rows.append({"candidate": label, "part": part, "low": middle - spread, "high": middle + spread})
    return rows


def ranked(snapshot: Snapshot) -> list[tuple[str, Candidate]]:
    """Return the candidates of the retraining by rank, with a name for each; the defaults last."""
    if not snapshot.outcome:
        return []
    named = []
    for rank, candidate in enumerate(snapshot.outcome.ranked(snapshot.objective), 1):
        is_reference = candidate is snapshot.outcome.reference
        name = "defaults" if is_reference else candidate.name
        if not candidate.is_sound:
            name = f"{name}, not every seed"
        elif not is_reference:
            name = f"{rank}. {name}"
        named.append((name, candidate))
    return named

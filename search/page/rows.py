"""A study as rows of plain values, of which the charts of the report are drawn; the columns have safe names."""

import math
from collections.abc import Callable
from typing import Any

from search import journal
from search.outcome import Candidate, deviation, mean
from search.snapshot import Snapshot
from search.space import position, unit
from search.words import number, spans_decades

Rows = list[dict[str, Any]]
MOST_POINTS = 15_000
"""Epochs that are drawn: a page must stay small, and a person sees no more."""
MOST_NAMES = 24
"""Hyperparameters that are drawn."""
LONGEST = 100
"""Characters of a value's text."""
TOP = 0.1
"""Share of the trials that counts as the best."""
APART = 600.0
"""Seconds in which nothing ran, after which a timeline begins anew."""


def shown(study: Snapshot, most: int) -> list[journal.Trial]:
    """Return the trials that a page shows, by number: all, or so many of the best."""
    able = journal.ranked(study.able, study.config.mode)
    others = [trial for trial in study.trials if not trial.may_win]
    return sorted([*able, *others][:most], key=lambda trial: trial.number)


def leading(study: Snapshot) -> list[str]:
    """Return the hyperparameters that are drawn, in their order: all, or of very many those that matter most."""
    most = {each.name for each in study.importances[:MOST_NAMES]} or {*[*study.space][:MOST_NAMES]}
    return [name for name in study.space if name in most] if len(study.space) > MOST_NAMES else [*study.space]


def values(study: Snapshot) -> list[float]:
    """Return the value of each trial that has one."""
    return [trial.value for trial in study.trials if trial.value is not None]


def curves(study: Snapshot) -> list[float]:
    """Return the finite values of the metric at all epochs of all trials."""
    found = [metrics.get(study.config.metric, math.nan) for trial in study.trials for metrics in trial.epochs]
    return [value for value in found if math.isfinite(value)]


def floor(drawn: list[float]) -> float:
    """Return what a band may reach down to without taking a logarithmic axis from the values."""
    return min(drawn) / 2 if spans_decades(drawn) else -math.inf


def trials(study: Snapshot, shown: list[journal.Trial]) -> Rows:
    """Return a row a trial: trial, state, value, text, best_epoch, epochs, best; pN, uN, tN of the Nth leading name.

    pN is its value (of a choice its place), uN where that stands in its range, from 0 to 1, tN the value as text. The
    last uN is where the value stands among those of all trials, 1 for the best.
    """
    best, names, standing = {trial.number for trial in top(study)}, leading(study), _standing(study)
    rows = []
    for trial in shown:
        row: dict[str, Any] = {"trial": trial.number, "state": trial.ending, "value": trial.value}
        row["best"] = trial.number in best
        row["text"] = "none" if trial.value is None else f"{trial.value:.5g}"
        row |= {"best_epoch": trial.best_epoch, "epochs": len(trial.epochs)}
        for at, name in enumerate(names):
            if name in trial.params:
                value, kind = trial.params[name], study.space[name]
                row |= {f"p{at}": position(kind, value), f"u{at}": unit(kind, value), f"t{at}": number(value)[:LONGEST]}
        if trial.value is not None:
            row[f"u{len(names)}"] = standing(trial.value)
        rows.append(row)
    return rows


def _standing(study: Snapshot) -> Callable[[float], float]:
    """Return what tells where a value stands among those of all trials: 1 for the best, 0 for the worst."""
    drawn, is_min = values(study), study.config.mode == "min"
    if not drawn:
        return float
    place = math.log if spans_decades(drawn) else float
    low, high = place(min(drawn)) / 2, place(max(drawn)) / 2  # halves, as the difference of two floats may be none

    def standing(value: float) -> float:
        at = (place(value) / 2 - low) / (high - low) if high > low else 0.5
        return 1 - at if is_min else at

    return standing


def top(study: Snapshot) -> list[journal.Trial]:
    """Return the best tenth of the trials with a value that counts, at least three of them."""
    able = journal.ranked(study.able, study.config.mode)
    return able[: max(3, round(TOP * len(able)))]


def stride(shown: list[journal.Trial]) -> int:
    """Return of how many epochs of a trial one is drawn."""
    return -(-sum(len(trial.epochs) for trial in shown) // MOST_POINTS) or 1


def epochs(study: Snapshot, shown: list[journal.Trial]) -> Rows:
    """Return a row an epoch: trial, epoch, value; of very many only every so-manyth of a trial, and its last."""
    rows, every = [], stride(shown)
    for trial in shown:
        for epoch, metrics in enumerate(trial.epochs, 1):
            if epoch % every == 1 % every or epoch == len(trial.epochs):
                value = metrics.get(study.config.metric, math.nan)
                finite = float(f"{value:.6g}") if math.isfinite(value) else None
                rows.append({"trial": trial.number, "epoch": epoch, "value": finite})
    return rows


def best_so_far(study: Snapshot) -> Rows:
    """Return a row a trial in order of proposal: trial, value (the best up to it)."""
    rows: Rows = []
    best: float | None = None
    for trial in study.trials:
        if trial.may_win and trial.value is not None and journal.better(trial.value, best, study.config.mode):
            best = trial.value
            rows.append({"trial": trial.number, "value": best})
    if rows:
        rows.append({"trial": len(study.trials) - 1, "value": best})
    return rows


def noise(study: Snapshot) -> Rows:
    """Return one row: low, mean, high - the winner's mean over seeds and one standard deviation; none without."""
    winner = study.outcome.winner if study.outcome else None
    if not winner or not study.verdict or study.verdict.noise is None:
        return []
    low = max(winner.mean - study.verdict.noise, floor(values(study)))
    return [{"low": low, "mean": winner.mean, "high": winner.mean + study.verdict.noise}]


def seeds_by_epoch(study: Snapshot) -> Rows:
    """Return a row an epoch of the winner's retraining: epoch, low, mean, high over its seeds; none of one seed."""
    winner = study.outcome.winner if study.outcome else None
    runs = [[each.get(study.config.metric, math.nan) for each in run.epochs] for run in winner.runs] if winner else []
    rows, least = [], floor(curves(study))
    for epoch, all_seeds in enumerate(zip(*runs, strict=False), 1):
        found = [*all_seeds]
        if len(found) > 1 and all(map(math.isfinite, found)):
            middle, spread = mean(found), deviation(found)
            low = max(middle - spread, least)
            rows.append({"epoch": epoch, "low": low, "mean": middle, "high": middle + spread})
    return rows


def candidates(study: Snapshot) -> Rows:
    """Return a row a run of the retraining, by rank: candidate, part (validation or test), value, tip."""
    rows = []
    for label, candidate in ranked(study):
        parts = {"validation": candidate.values}
        if study.verdict and study.verdict.test:
            parts["test"] = candidate.tests.get(study.verdict.test.metric, [])
        for part, found in parts.items():
            rows += [
                {"candidate": label, "part": part, "value": value, "tip": f"{label}, {part}: {value:.5g}"}
                for value in filter(math.isfinite, found)
            ]
    return rows


def spreads(found: Rows) -> Rows:
    """Return a row for each part of each of the candidates: candidate, part, low, high - mean ± standard deviation."""
    groups: dict[tuple[str, str], list[float]] = {}
    for row in found:
        groups.setdefault((row["candidate"], row["part"]), []).append(row["value"])
    rows = []
    for (label, part), seeds in groups.items():
        middle, spread = mean(seeds), deviation(seeds) if len(seeds) > 1 else 0.0
        rows.append({"candidate": label, "part": part, "low": middle - spread, "high": middle + spread})
    return rows


def ranked(study: Snapshot) -> list[tuple[str, Candidate]]:
    """Return the candidates of the retraining by rank, with a name for each; the defaults last."""
    found = study.outcome
    both = enumerate(found.ranked(study.config.mode), 1) if found else ()
    return [(_label(at, each, is_reference=bool(found and each is found.reference)), each) for at, each in both]


def _label(rank: int, candidate: Candidate, *, is_reference: bool) -> str:
    if not candidate.is_sound:
        return f"{'defaults' if is_reference else candidate.name}, not every seed"
    return "defaults" if is_reference else f"{rank}. {candidate.name}"


def stretches(study: Snapshot) -> list[Rows]:
    """Return, for each stretch of time without a long pause, a row a training: lane, trial, state, start, end, tip, ...

    start and end are seconds since the stretch began, `at` is when that was, `worked` how many of them were training. A
    lane is a process.
    """
    bars = [_bar(trial, f"trial {trial.number}", trial.ending) for trial in study.trials]
    for candidate in study.outcome.candidates if study.outcome else ():
        bars += [_bar(run, f"{candidate.name}, retrained", "retraining") for run in candidate.runs]
    found: list[Rows] = []
    last = -math.inf
    for bar in sorted((bar for bar in bars if bar), key=lambda bar: float(bar["start"])):
        if bar["start"] > last + APART:
            found.append([])
        found[-1].append(bar)
        last = max(last, bar["end"])
    for rows in found:
        _name_lanes(rows)
        began = rows[0]["start"]
        for bar in rows:
            bar |= {"at": began, "start": round(bar["start"] - began, 3), "end": round(bar["end"] - began, 3)}
            bar["tip"] = f"{bar.pop('name')}, {bar['state']}: {bar['start']:.1f} to {bar['end']:.1f} s, {bar['lane']}"
    return found


def _bar(trial: journal.Trial, name: str, state: str) -> dict[str, Any]:
    """Return a training with its start and end, in seconds since 1970; empty where nobody knows when it was."""
    end = trial.started + trial.seconds
    start = max(trial.where[2], trial.started) if trial.where else max(trial.started, end - trial.worked)
    end = end if math.isfinite(end) else start + trial.worked
    if not (math.isfinite(start) and math.isfinite(end)):
        return {}
    start = min(start, max(trial.started, end - trial.worked)) if start > end else start  # a clock that is ahead
    lane = f"{trial.where[0]} {trial.where[1]}" if trial.where else ""
    return {
        "lane": lane,
        "name": name,
        "state": state,
        "start": start,
        "end": end,
        "worked": trial.worked,
        "trial": trial.number if state != "retraining" else -1,
    }


def _name_lanes(rows: Rows) -> None:
    """Put each training whose process nobody has noted into the first lane that is free then."""
    ends: list[float] = []
    for bar in rows:
        if not bar["lane"]:
            free = next((at for at, end in enumerate(ends) if end <= bar["start"]), len(ends))
            ends[free : free + 1] = [bar["end"]]
            bar["lane"] = f"process {free + 1}"


def busy(stretch: Rows) -> float | None:
    """Return the share of the time from each process's first training to the end of its last that was training."""
    lanes: dict[str, tuple[float, float]] = {}
    for bar in stretch:
        first, last = lanes.get(bar["lane"], (math.inf, -math.inf))
        lanes[bar["lane"]] = min(first, bar["start"]), max(last, bar["end"])
    whole = sum(last - first for first, last in lanes.values())
    return min(1.0, sum(bar["worked"] for bar in stretch) / whole) if whole > 0 else None

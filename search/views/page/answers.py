"""What the report says in words: what won, can it be trusted, what mattered, what it cost, what to try next; and lists.

The lists are the table of trials, and the failures with their tracebacks.
"""

import math
from dataclasses import dataclass
from typing import Any

from search.analysis.snapshot import Snapshot
from search.analysis.verdict import Gain, Verdict
from search.journal.trial import FAILURE, WORDS, State, Trial
from search.views.format import count, number, plus_minus, span, spread, values
from search.views.page.advice import advice
from search.views.page.rows import Rows

ENDINGS: dict[State, str] = {**WORDS, "running": "running or cut off"}
"""The states of a trial, in words."""
MOST_FAILURES = 20
MOST_FAILURE_BYTES = 4_000
"""Failures, and bytes at the end of a trial's file."""
LONGEST = 200
"""Characters of a cell."""


@dataclass(frozen=True)
class Card:
    """One question and its answer."""

    title: str
    lines: list[str]
    lead: bool = True
    """Whether the first line is the answer, and the others what it rests on."""
    wide: bool = False


def progress(snapshot: Snapshot) -> str:
    """Return how far the study is."""
    ended = snapshot.ended
    running = snapshot.endings["running"]
    asked = snapshot.config.num_samples
    if ended < asked or running:
        still = f", {running} running or cut off" if running else ""
        return f"Not finished: {ended} of {asked} trials have ended{still}."
    if snapshot.outcome and not snapshot.winner:
        return f"{asked} trials, retrained: no configuration trained to its end with every seed."
    if not snapshot.winner:
        return f"{count(asked, 'trial')}, not retrained yet."
    if not snapshot.is_current:
        return f"{count(asked, 'trial')}; the verdict is on the best of fewer: --resume judges those of now."
    return f"{count(asked, 'trial')}, retrained and judged."


def cards(snapshot: Snapshot, stretches: list[Rows]) -> list[Card]:
    """Return the answers, in the order in which people ask; `stretches` are those of its time."""
    return [_won(snapshot), _trust(snapshot), _mattered(snapshot), _cost(snapshot, stretches), _next(snapshot)]


def _won(snapshot: Snapshot) -> Card:
    title = "What won?"
    front = snapshot.front
    winner = snapshot.winner
    if not front:
        return Card(title, ["nothing yet", "no trial has been trained to its end"])
    if winner:
        mean = f"{snapshot.config.metric} {spread(winner.values)} over {count(len(winner.values), 'seed')}"
        return Card(title, [winner.name, mean, values(front.params)])
    value = f"{snapshot.config.metric} {number(front.value)} in the search; not retrained, so not judged"
    return Card(title, [f"trial {front.number} so far", value, values(front.params)])


def _trust(snapshot: Snapshot) -> Card:
    title = "Can I trust it?"
    verdict = snapshot.verdict
    if not verdict and snapshot.outcome:
        return Card(title, ["no", "retrained with other seeds, no finalist trained to its end with every seed"])
    if not verdict:
        return Card(title, ["not yet", "the best of many noisy trials flatters itself; retraining judges it"])
    lines = [_gain(verdict.validation)] if verdict.validation else ["nothing to compare it with"]
    lines += _survived(verdict)
    if verdict.noise is not None:
        lines.append(f"its standard deviation over seeds is {verdict.noise:.2g}: believe no smaller difference")
    if verdict.rivals:
        lines.append(f"not told apart from it: {', '.join(each.name for each in verdict.rivals)}")
    return Card(title, lines)


def _survived(verdict: Verdict) -> list[str]:
    """Return what is to be said of held-out data, as at most one line."""
    if verdict.survived is not None and verdict.survived <= 0:
        return ["nothing of the validation gain survived on the held-out test part"]
    if verdict.survived is not None:
        return [f"{verdict.survived:.0%} of the validation gain survived on the held-out test part"]
    if verdict.validation and not verdict.test:
        return ["no test metric stands for the search's, so nobody knows what survives on held-out data"]
    return []


def _gain(gain: Gain) -> str:
    doubt = {True: "", False: ": within the noise", None: ", on a single seed"}
    word = "worse" if gain.value < 0 else "better"
    return f"{word} than the defaults by {plus_minus(abs(gain.value), gain.error)}{doubt[gain.is_sure]}"


def _mattered(snapshot: Snapshot) -> Card:
    found = snapshot.importances
    if not found:
        return Card("What mattered?", ["too few trials to say"])
    lines = [f"{each.name} {each.share:.0%} ({each.low:.0%} to {each.high:.0%})" for each in found[:4]]
    clear = len(found) < 2 or found[0].low > found[1].high
    doubt = [] if clear else [f"their order may be chance, with {len(snapshot.able)} trials"]
    return Card("What mattered?", [*lines, *doubt])


def _cost(snapshot: Snapshot, stretches: list[Rows]) -> Card:
    clock_s = 0.0
    for stretch in stretches:
        clock_s += max(bar["end"] for bar in stretch)
    clock = span(clock_s)
    counts = snapshot.endings
    ended = ", ".join(f"{counts[state]} {word}" for state, word in ENDINGS.items() if counts[state])
    return Card(
        "What did it cost?",
        [
            f"{clock} by the clock, {span(snapshot.worked)} of training in the search",
            f"{count(len(snapshot.trials), 'trial')}: {ended}" if snapshot.trials else "no trial yet",
            f"{snapshot.trained} of {max(1, snapshot.full)} epochs trained; stopping early saved {snapshot.saved:.0%}",
        ],
    )


def _next(snapshot: Snapshot) -> Card:
    return Card("What should I try next?", advice(snapshot), lead=False, wide=True)


def notes(snapshot: Snapshot) -> list[str]:
    """Return what is to be said below the winner and the defaults."""
    if not snapshot.winner:
        return []
    notes = []
    seeds = len(snapshot.winner.runs)
    if seeds > 1:
        notes.append(f"Mean ± standard deviation over {seeds} seeds, none of which the search used.")
    verdict = snapshot.verdict
    if verdict and verdict.validation and verdict.test:
        notes.append(f"Gain over the defaults: {_signed(verdict.validation)}, {_signed(verdict.test)}.")
    if snapshot.times_tested > 1:
        notes.append("The test part has been looked at before, by an earlier retraining of this study.")
    return notes


def _signed(gain: Gain) -> str:
    return f"{gain.metric} {plus_minus(gain.value, gain.error)}"


def facts(snapshot: Snapshot) -> list[tuple[str, str]]:
    """Return how the study was made, a line a fact: of its newest session, and when the others were."""
    if not snapshot.sessions:
        return []
    newest = snapshot.sessions[-1]
    versions = ", ".join(f"{name} {version}" for name, version in newest.get("versions", {}).items() if version)
    machine = newest.get("machine", {})
    share = newest.get("share", {})
    return [
        ("command", str(newest.get("command", "unknown"))),
        ("begun", ", ".join(str(session.get("time")) for session in snapshot.sessions)),
        ("seed", str(snapshot.config.seed)),
        ("versions", versions),
        ("machine", f"{machine.get('processor')}, {machine.get('cpus')} CPUs, {machine.get('system')}"),
        (
            "at once",
            f"{share.get('concurrent')} trials, each with {share.get('cpus')} CPUs and {share.get('gpus')} GPUs",
        ),
        ("git revision", str(newest.get("git") or "none")),
    ]


def table(snapshot: Snapshot, shown: list[Trial]) -> dict[str, Any]:
    """Return the table of trials: columns, rows, and what is said of those that it leaves out."""
    names = list(snapshot.space)
    told = failures(snapshot)
    rows = []
    for trial in shown:
        cells = [
            _cell(trial.value, ".6g"),
            _cell(trial.best_epoch or None),
            _cell(len(trial.epochs)),
            _cell(trial.worked if trial.epochs else None, ".3g"),
        ]
        cells += [_cell(trial.params.get(name)) for name in names]
        rows.append({"trial": trial.number, "state": trial.ending, "failure": trial in told, "cells": cells})
    left = len(snapshot.trials) - len(rows)
    columns = ["trial", "state", snapshot.config.metric, "best epoch", "epochs", "training, s", *names]
    return {"columns": columns, "rows": rows, "more": f"{left} more are in trials.csv." if left else ""}


def failures(snapshot: Snapshot) -> list[Trial]:
    """Return the failed trials of which the report tells."""
    return [trial for trial in snapshot.trials if trial.ending == "failed"][:MOST_FAILURES]


def _cell(value: Any, form: str = "") -> tuple[str, str]:
    """Return a value as text for a person, and what it is sorted by."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "", ""
    if isinstance(value, bool | str):
        return str(value)[:LONGEST], str(value)[:LONGEST]
    return (format(value, form) if form else number(value)), repr(value)


def failure(snapshot: Snapshot, trial: Trial) -> dict[str, Any]:
    """Return why a trial failed, and the end of what it printed."""
    path = snapshot.log_of(trial.number)
    try:
        text = path.read_bytes()[-MOST_FAILURE_BYTES:].decode(errors="replace")
    except OSError:
        text = ""
    why = str(trial.attributes.get(FAILURE, "no reason was noted"))[:300]
    return {"trial": trial.number, "why": why, "text": text, "path": f"logs/{path.name}"}

"""What a program did, on one screen: a search, and an audit of its early stopping."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console
from rich.table import Table

from search.analysis import tables
from search.analysis.snapshot import Snapshot, epochs_of
from search.analysis.tables import Pair
from search.journal.trial import FAILURE, WORDS
from search.views.comparison import compare
from search.views.format import correlation, span

TRACEBACK = "Traceback (most recent call last):"
MAX_LISTED = 5
"""Trials of an audit that the terminal tells something of; the table has all."""
TABLE_STYLE: dict[str, Any] = {"box": None, "pad_edge": False, "padding": (0, 2, 0, 0)}


def show(console: Console, snapshot: Snapshot, is_program: bool, best: Path) -> int:
    """Print the winner beside the defaults, what early stopping saved, where everything is and what to do next.

    `best` is the file that holds the winner's config. Returns the exit code: 1 where nothing won.
    """
    console.print()
    winner = snapshot.winner
    if winner:
        _show_winner(console, snapshot)
    else:
        console.print("no winner: no configuration was retrained to its end with every seed")
    _show_trials(console, snapshot)
    _show_failure(console, snapshot)
    best_folder = "the winner in best/, " if winner else ""
    console.print(f"everything is in {snapshot.folder}: {best_folder}pictures in plots/, tables in *.csv")
    report = snapshot.folder / "report.html"
    if report.is_file():
        console.print(f"open {report} in a browser")
    if winner and is_program:
        console.print("train the winner again with")
        console.print(f"  python -m {snapshot.config.workload} --config {best}")
    if not winner:
        return 1
    return 0


def _show_winner(console: Console, snapshot: Snapshot) -> None:
    outcome = snapshot.outcome
    winner = snapshot.winner
    assert outcome is not None
    assert winner is not None
    console.print(f"the winner is {winner.name} of {snapshot.name}, by its mean over {len(winner.runs)} seeds")
    comparison = compare(snapshot)
    table = Table("", *comparison.columns, **TABLE_STYLE)
    for name, cells in comparison.rows:
        table.add_row(name, *cells)
    console.print(table)
    reference = outcome.reference
    if reference and reference.is_sound and snapshot.objective.is_better(reference.mean, winner.mean):
        console.print("the defaults are better than the winner: search longer, or in another space")
    if winner.tests and snapshot.times_tested > 1:
        console.print("the test part has been looked at before, by an earlier retraining of this study")


def _show_trials(console: Console, snapshot: Snapshot) -> None:
    """Say how many trials ended how, and what they cost."""
    endings = snapshot.endings
    counts = [f"{endings[ending]} {word}" for ending, word in WORDS.items()]
    if endings["running"]:
        counts.append(f"{endings['running']} cut off")
    console.print(f"{len(snapshot.trials)} trials: {', '.join(counts)}")
    work = f"{span(snapshot.worked)} of work; stopping early saved {snapshot.saved:.0%}"
    console.print(f"{snapshot.trained} of {snapshot.full} epochs trained, {work}")


def _show_failure(console: Console, snapshot: Snapshot) -> None:
    """Say why the first trial that failed did; where all have failed, with its traceback."""
    failed = snapshot.in_state("failed")
    if not failed:
        return
    first = failed[0]
    log = snapshot.log_of(first.number)
    console.print(f"trial {first.number} failed: {first.attributes.get(FAILURE)}")
    console.print(f"  see {log}")
    if len(failed) == len(snapshot.trials) and log.exists():
        _, begins, traceback = log.read_text(encoding="utf-8", errors="replace").rpartition(TRACEBACK)
        console.print(f"{begins}{traceback}".rstrip())


def audit(console: Console, snapshot: Snapshot, pairs: Sequence[Pair], table: pd.DataFrame) -> None:
    """Print what early stopping cost and saved, of an audit's table, and whether the search's numbers came again."""
    _show_true_best(console, snapshot, table)
    _show_rungs(console, table)
    audited = epochs_of(pair.run for pair in pairs if pair.run)
    trained = f"{snapshot.trained} of {snapshot.full} epochs trained in the search"
    console.print(f"{trained}, stopping early saved {snapshot.saved:.0%}; the audit trained {audited}")
    _show_repeats(console, snapshot, pairs)
    _show_unfinished(console, pairs)


def _show_true_best(console: Console, snapshot: Snapshot, table: pd.DataFrame) -> None:
    """Say whether the true best was stopped, and what that cost."""
    best = tables.true_best(table, "complete", "stopped")
    if best is None:
        return
    fate = "was not stopped"
    if best["state"] == "stopped":
        fate = f"was stopped at epoch {best['epochs']}"
    value = f"{snapshot.config.metric} {best['final_value']:.5g}"
    console.print(f"the true best of {snapshot.name} is trial {best['trial']}, {value}, which {fate}")
    best_complete = tables.true_best(table, "complete")
    if best_complete is None:
        console.print("no trial was trained to its end in the search")
    elif best_complete["trial"] != best["trial"]:
        lost = abs(best_complete["final_value"] - best["final_value"])
        name = f"trial {best_complete['trial']}, {best_complete['final_value']:.5g}"
        console.print(f"the best that was not is {name}: {lost:.3g} worse")


def _show_rungs(console: Console, table: pd.DataFrame) -> None:
    """Say what each rung knew of the final order."""
    rungs = Table("rung", **TABLE_STYLE)
    rungs.add_column("stopped there", justify="right")
    rungs.add_column(f"rank correlation with the final order of {table['final_value'].count()} trials")
    stopped_at = table["epochs"][table["state"] == "stopped"]
    for rung, rank_correlation in tables.correlations(table).items():
        stopped_there = (stopped_at == rung).sum()
        rungs.add_row(f"epoch {rung}", str(stopped_there), correlation(rank_correlation))
    console.print(rungs)


def _show_repeats(console: Console, snapshot: Snapshot, pairs: Sequence[Pair]) -> None:
    """Say whether the search's numbers came again, and where they first differ."""
    compared = [pair for pair in pairs if pair.compared]
    differing = {}
    for pair in compared:
        difference = pair.difference(snapshot.config.metric)
        if difference:
            differing[pair.trial.number] = difference
    repeated = len(compared) - len(differing)
    line = f"{repeated} of {len(compared)} trained again repeat their epochs to the last bit"
    if differing:
        line += "; on another machine or a GPU the others may differ:"
    console.print(line)
    _show_list(console, differing)


def _show_unfinished(console: Console, pairs: Sequence[Pair]) -> None:
    """Say which runs have no final value, and why."""
    unfinished = {}
    for pair in pairs:
        if pair.run and pair.run.ending != "complete":
            diverged = f"diverged at epoch {len(pair.run.epochs)}"
            unfinished[pair.trial.number] = pair.run.attributes.get(FAILURE, diverged)
    if unfinished:
        console.print(f"trained again, and without a final value: {len(unfinished)}")
    _show_list(console, unfinished)


def _show_list(console: Console, line_of: Mapping[int, str]) -> None:
    """Print what is to be said of the first few trials, and the numbers of the others."""
    numbers = list(line_of)
    for number in numbers[:MAX_LISTED]:
        console.print(f"  trial {number}: {line_of[number].splitlines()[0]}")
    others = numbers[MAX_LISTED:]
    if others:
        console.print(f"  and trials {', '.join(map(str, others))}")

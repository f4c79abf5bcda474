"""What a program did, on one screen: a search, and an audit of its early stopping."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd
from rich.console import Console
from rich.table import Table

from search.analysis import tables
from search.analysis.snapshot import Snapshot
from search.analysis.tables import Pair
from search.journal.trial import FAILURE, WORDS
from search.views.comparison import compare
from search.views.format import correlation, span

TRACEBACK = "Traceback (most recent call last):"
LISTED = 5
"""Trials of an audit that the terminal tells something of; the table has all."""


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
    best_folder = "the winner in best/, " if winner else ""
    console.print(f"everything is in {snapshot.folder}: {best_folder}pictures in plots/, tables in *.csv")
    report = snapshot.folder / "report.html"
    if report.is_file():
        console.print(f"open {report} in a browser")
    if winner and is_program:
        console.print("train the winner again with")
        console.print(f"  python -m {snapshot.config.workload} --config {best}")
    return 0 if winner else 1


def _show_winner(console: Console, snapshot: Snapshot) -> None:
    outcome = snapshot.outcome
    winner = snapshot.winner
    assert outcome is not None
    assert winner is not None
    console.print(f"the winner is {winner.name} of {snapshot.name}, by its mean over {len(winner.runs)} seeds")
    comparison = compare(snapshot)
    table = Table("", *comparison.columns, box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name, cells in comparison.rows:
        table.add_row(name, *cells)
    console.print(table)
    reference = outcome.reference
    if reference and reference.is_sound and snapshot.objective.is_better(reference.mean, winner.mean):
        console.print("the defaults are better than the winner: search longer, or in another space")
    if winner.tests and snapshot.times_tested > 1:
        console.print("the test part has been looked at before, by an earlier retraining of this study")


def _show_trials(console: Console, snapshot: Snapshot) -> None:
    trials = snapshot.trials
    endings = snapshot.endings
    counts = [f"{endings[ending]} {word}" for ending, word in WORDS.items()]
    if endings["running"]:
        counts.append(f"{endings['running']} cut off")
    console.print(f"{len(trials)} trials: {', '.join(counts)}")
    work = f"{span(snapshot.worked)} of work; stopping early saved {snapshot.saved:.0%}"
    console.print(f"{snapshot.trained} of {snapshot.full} epochs trained, {work}")
    failed = [trial for trial in trials if trial.ending == "failed"]
    if not failed:
        return
    log = snapshot.log_of(failed[0].number)
    console.print(f"trial {failed[0].number} failed: {failed[0].attributes.get(FAILURE)}")
    console.print(f"  see {log}")
    if len(failed) == len(trials) and log.exists():
        _, begins, traceback = log.read_text(encoding="utf-8", errors="replace").rpartition(TRACEBACK)
        console.print(f"{begins}{traceback}".rstrip())


def audit(console: Console, snapshot: Snapshot, pairs: Sequence[Pair], table: pd.DataFrame) -> None:
    """Print what early stopping cost, of an audit's table, and whether the search's numbers came again."""
    _show_order(console, snapshot, table)
    _show_runs(console, snapshot, pairs)


def _show_order(console: Console, snapshot: Snapshot, table: pd.DataFrame) -> None:
    """Say whether the true best was stopped, what that cost, and what each rung knew of the final order."""
    first = tables.true_best(table, "complete", "stopped")
    kept = tables.true_best(table, "complete")
    if first is not None:
        fate = f"was stopped at epoch {first['epochs']}" if first["state"] == "stopped" else "was not stopped"
        value = f"{snapshot.config.metric} {first['final_value']:.5g}"
        console.print(f"the true best of {snapshot.name} is trial {first['trial']}, {value}, which {fate}")
        if kept is None:
            console.print("no trial was trained to its end in the search")
        elif kept["trial"] != first["trial"]:
            lost = abs(kept["final_value"] - first["final_value"])
            best = f"trial {kept['trial']}, {kept['final_value']:.5g}"
            console.print(f"the best that was not is {best}: {lost:.3g} worse")
    rungs = Table("rung", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    rungs.add_column("stopped there", justify="right")
    rungs.add_column(f"rank correlation with the final order of {table['final_value'].count()} trials")
    stopped_at = table["epochs"][table["state"] == "stopped"]
    for rung, rank_correlation in tables.correlations(table).items():
        rungs.add_row(f"epoch {rung}", str((stopped_at == rung).sum()), correlation(rank_correlation))
    console.print(rungs)


def _show_runs(console: Console, snapshot: Snapshot, pairs: Sequence[Pair]) -> None:
    """Say what was saved, whether the search's numbers came again, and which runs have no final value."""
    audited = sum(len(pair.run.epochs) for pair in pairs if pair.run)
    trained = f"{snapshot.trained} of {snapshot.full} epochs trained in the search"
    console.print(f"{trained}, stopping early saved {snapshot.saved:.0%}; the audit trained {audited}")
    compared = [pair for pair in pairs if pair.compared]
    differing = {}
    for pair in compared:
        if difference := pair.difference(snapshot.config.metric):
            differing[pair.trial.number] = difference
    same = f"{len(compared) - len(differing)} of {len(compared)} trained again repeat their epochs to the last bit"
    console.print(same + ("; on another machine or a GPU the others may differ:" if differing else ""))
    _show_list(console, differing)
    unfinished = {}
    for pair in pairs:
        if pair.run and pair.run.ending != "complete":
            diverged = f"diverged at epoch {len(pair.run.epochs)}"
            unfinished[pair.trial.number] = pair.run.attributes.get(FAILURE, diverged)
    if unfinished:
        console.print(f"trained again, and without a final value: {len(unfinished)}")
    _show_list(console, unfinished)


def _show_list(console: Console, lines: Mapping[int, str]) -> None:
    numbers = list(lines)
    for number in numbers[:LISTED]:
        console.print(f"  trial {number}: {lines[number].splitlines()[0]}")
    if len(numbers) > LISTED:
        console.print(f"  and trials {', '.join(map(str, numbers[LISTED:]))}")

"""What an audit says: what early stopping cost, and whether the search's numbers came again.

Apart from the summary of a search, which must not import pandas before its first trial.
"""

from collections.abc import Mapping, Sequence

import pandas as pd
from rich.console import Console
from rich.table import Table

from search.analysis import tables
from search.analysis.snapshot import Snapshot, epochs_of
from search.analysis.tables import Pair
from search.errors import count
from search.journal.trial import FAILURE
from search.views.format import correlation, some_of
from search.views.summary import TABLE_STYLE

MAX_LISTED = 5
"""Trials that the terminal tells something of; the table has all."""


def show(console: Console, snapshot: Snapshot, pairs: Sequence[Pair], table: pd.DataFrame) -> None:
    """Print what early stopping cost and saved, of an audit's table, and whether the search's numbers came again."""
    _show_true_best(console, snapshot, table)
    _show_rungs(console, table)
    audited = epochs_of(pair.run for pair in pairs if pair.run)
    trained = f"{snapshot.trained} of {count(snapshot.full, 'epoch')} trained in the search"
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
    """Say what each rung knew of the final order; of very many, what some did."""
    rungs = Table("rung", **TABLE_STYLE)
    correlation_at = tables.correlations(table)
    shown = some_of([*correlation_at])
    stopped = "stopped there" if len(shown) == len(correlation_at) else "stopped up to there"
    rungs.add_column(stopped, justify="right")
    rungs.add_column(f"rank correlation with the final order of {count(int(table['final_value'].count()), 'trial')}")
    stopped_at = table["epochs"][table["state"] == "stopped"]
    before = 0
    for rung in shown:
        stopped_there = ((stopped_at > before) & (stopped_at <= rung)).sum()
        rungs.add_row(f"epoch {rung}", str(stopped_there), correlation(correlation_at[rung]))
        before = rung
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
        console.print(f"  and {'trial' if len(others) == 1 else 'trials'} {', '.join(map(str, others))}")

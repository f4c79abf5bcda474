"""What a search did, on one screen."""

from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from search.analysis.snapshot import Snapshot
from search.errors import command
from search.journal.trial import FAILURE, WORDS
from search.views import no_winner
from search.views.comparison import compare
from search.views.format import span

TRACEBACK = "Traceback (most recent call last):"
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
        console.print(f"no winner: {no_winner.why(snapshot)}")
    _show_trials(console, snapshot)
    _show_failure(console, snapshot)
    best_folder = "the winner in best/, " if winner else ""
    console.print(f"everything is in {snapshot.folder}: {best_folder}pictures in plots/, tables in *.csv")
    report = snapshot.folder / "report.html"
    if report.is_file():
        console.print(f"open {report} in a browser")
    if winner and is_program:
        console.print("train the winner again with")
        console.print(f"  {command(snapshot.config.workload, '--config', best)}")
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
    asked = snapshot.config.num_samples
    if snapshot.wanted < asked:
        console.print(f"the space has no configuration beside these, of {asked} that were asked for")
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
    if len(failed) == snapshot.ended and log.exists():
        _, begins, traceback = log.read_text(encoding="utf-8", errors="replace").rpartition(TRACEBACK)
        console.print(f"{begins}{traceback}".rstrip())

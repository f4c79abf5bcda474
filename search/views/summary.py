"""What a search did, on one screen."""

import itertools
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from search.analysis.snapshot import Snapshot
from search.errors import count, program
from search.journal import front
from search.journal.trial import FAILURE, WORDS
from search.spec.command import Command
from search.views import no_winner
from search.views.chosen import chosen_among
from search.views.comparison import compare
from search.views.format import evenly, infeasible, number, outside, span
from search.views.limits import ending

TRACEBACK = "Traceback (most recent call last):"
WITHOUT_MODEL = {"metrics.json", "curves.csv", "plot.png", "epochs.gif"}
"""The files in best/ that are there without one of the workload's `save`."""
MAX_OF_FRONT = 10
"""Trials of a front that are printed."""
GAP = 2
"""Between the columns of a table."""
TABLE_STYLE: dict[str, Any] = {"box": None, "pad_edge": False, "padding": (0, GAP, 0, 0)}


def show(console: Console, snapshot: Snapshot, is_program: bool, best: Path) -> int:
    """Print the winner beside the defaults, what early stopping saved, where everything is and what to do next.

    `best` is the file that holds the winner's config. Returns the exit code: 1 where nothing won, though it was to be
    retrained.
    """
    console.print()
    winner = snapshot.winner
    if winner:
        _show_winner(console, snapshot)
    elif snapshot.is_unjudged:
        _show_best(console, snapshot)
    else:
        console.print(f"no winner: {no_winner.why(snapshot)}")
    _show_front(console, snapshot)
    _show_trials(console, snapshot)
    _show_failure(console, snapshot)
    console.print(f"everything is in {snapshot.folder}: {_place_of_best(snapshot)}pictures in plots/, tables in *.csv")
    report = snapshot.folder / "report.html"
    if report.is_file():
        console.print(f"open {report} in a browser")
    has_best = bool(winner) or snapshot.is_unjudged
    again = _again(snapshot, best) if has_best else ""
    if again and (is_program or snapshot.config.command):
        console.print("train the winner again with" if winner else "train the best trial again with")
        console.print(f"  {again}")
    return 0 if has_best else 1


def _place_of_best(snapshot: Snapshot) -> str:
    """Return where the winner is, and whether that is a model, as the beginning of a list; empty without one."""
    if snapshot.is_unjudged:
        return "the best trial's config in best.yaml, "
    if not snapshot.winner:
        return ""
    names = {path.name for path in (snapshot.folder / "best").glob("*")}
    if names <= WITHOUT_MODEL:
        return "the winner's metrics in best/ (no model was saved), "
    return "the winner in best/, "


def _again(snapshot: Snapshot, best: Path) -> str:
    """Return the line for a shell that trains the best config again; a command does so into a folder `winner`."""
    source = snapshot.config.source
    if not isinstance(source, Command):
        return program(source, "--config", best)
    winner = snapshot.winner
    front = snapshot.front
    values: Mapping[str, Any] = {}
    if winner:
        values = winner.best_run(snapshot.objective).attributes["config"]
    elif front:
        values = {**dict(source.defaults), **snapshot.config.values(front.params)}
    kept = snapshot.folder / "best" / "folder"
    if front and not winner:
        kept = snapshot.folder / "trials" / f"{front.number:04d}"
    line = shlex.join(source.filled(values, "winner", str(kept / "config.json")))
    if "folder" in source.placeholders():
        line = f"mkdir -p winner && {line}"
    return line


def _show_winner(console: Console, snapshot: Snapshot) -> None:
    outcome = snapshot.outcome
    winner = snapshot.winner
    assert outcome is not None
    assert winner is not None
    by = chosen_among(outcome) or f"by its mean over {count(len(winner.runs), 'seed')}"
    if outcome.defaults_win:
        console.print(f"the defaults win in {snapshot.name}: {no_winner.why_defaults(snapshot)}")
    else:
        console.print(f"the winner is {winner.name} of {snapshot.name}, {by}")
    _show_table(console, snapshot)
    for candidate in (winner, outcome.reference):
        if candidate and not candidate.is_sound:
            console.print(
                f"of {candidate.label} {no_winner.wrong_seeds(candidate)}: its means are of epochs before that"
            )
    verdict = snapshot.verdict
    gain = verdict.validation if verdict and not verdict.further else None
    if gain and gain.is_sure and gain.value < 0:
        console.print("the defaults are better than the winner: search longer, or in another space")
    if verdict and verdict.over and gain and gain.is_sure is False and outcome.defaults_win:
        console.print(f"the seeds do not tell {verdict.over.label} from them: more seeds would")
    if winner.tests and snapshot.times_tested > 1:
        console.print("the test part has been looked at before, by an earlier retraining of this study")


def _show_best(console: Console, snapshot: Snapshot) -> None:
    """Print the best trial of a search that is not to be retrained."""
    best = snapshot.front
    assert best is not None
    are_defaults = ", the defaults," if best is snapshot.defaults_trial else ""
    console.print(
        f"the best is trial {best.number}{are_defaults} of {snapshot.name}; with finalists: 0 it is not retrained, so "
        f"not judged"
    )
    _show_table(console, snapshot)


def _show_table(console: Console, snapshot: Snapshot) -> None:
    comparison = compare(snapshot)
    table = Table("", *comparison.columns, **TABLE_STYLE)
    for name, cells in comparison.rows:
        table.add_row(name, *cells)
    console.print(table)


def _show_front(console: Console, snapshot: Snapshot) -> None:
    """Print the trials of which none is beaten in all of several objectives, as many as fit."""
    objectives = snapshot.config.aims
    trials = snapshot.on_front if objectives.are_several else []
    if not trials:
        return
    evenly_shown = evenly(trials)[:MAX_OF_FRONT]
    shown = [trial for trial in trials if trial in evenly_shown]
    columns = [["on the front", *(f"trial {trial.number}" for trial in shown)]]
    points = [front.point(trial, objectives) or () for trial in shown]
    for at, name in enumerate(objectives.names):
        columns.append([name, *(number(point[at]) for point in points)])
    for name in snapshot.space:
        params = [number(trial.params[name]) if name in trial.params else "" for trial in shown]
        columns.append([name, *params])
    # The hyperparameters that fit beside the objectives.
    least = 1 + len(objectives.names)
    ends = list(itertools.accumulate(max(map(len, column)) + GAP for column in columns))
    fitting = max(least, sum(end - GAP <= console.width for end in ends))
    table = Table(*(column[0] for column in columns[:fitting]), **TABLE_STYLE)
    for row in zip(*(column[1:] for column in columns[:fitting]), strict=True):
        table.add_row(*row)
    console.print(table)
    if len(trials) > len(shown):
        console.print(f"{len(trials) - len(shown)} more are on the front, see trials.csv")
    if fitting < len(columns):
        console.print(f"not shown for want of width: {', '.join(column[0] for column in columns[fitting:])}")


def _show_trials(console: Console, snapshot: Snapshot) -> None:
    """Say how many trials ended how, and what they cost."""
    endings = snapshot.endings
    counts = [f"{endings[ending]} {word}" for ending, word in WORDS.items()]
    if endings["running"]:
        counts.append(f"{endings['running']} cut off")
    console.print(f"{count(len(snapshot.trials), 'trial')}: {', '.join(counts)}")
    if line := infeasible(snapshot.refused, len(snapshot.infeasible)):
        console.print(line)
    if snapshot.earlier:
        console.print(f"the sampler was told {count(len(snapshot.earlier), 'trial')} of earlier studies before these")
    if line := outside(len(snapshot.outside)):
        console.print(line)
    asked = snapshot.config.num_samples
    if asked is not None and snapshot.wanted is not None and snapshot.wanted < asked:
        console.print(f"the space has no configuration beside these, of {asked} that were asked for")
    if snapshot.ended_by and (line := ending(snapshot.ended_by, snapshot.config)):
        console.print(f"{line}; --resume with another {snapshot.ended_by.setting} goes on")
    work = f"{span(snapshot.worked)} of work; stopping early saved {snapshot.saved:.0%}"
    console.print(f"{snapshot.trained} of {count(snapshot.full, 'epoch')} trained, {work}")


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

"""What a search did, on one screen."""

from pathlib import Path

from rich.console import Console
from rich.table import Table

from search import journal, outcome
from search.outcome import Outcome
from search.study import Study
from search.words import number, span

TRACEBACK = "Traceback (most recent call last):"


def show(console: Console, study: Study, found: Outcome | None, is_program: bool, best: Path) -> int:
    """Print the winner beside the defaults, what early stopping saved, where everything is and what to do next.

    `best` is the file that holds the winner's config. Returns the exit code: 1 where nothing won.
    """
    console.print()
    if found and found.winner:
        _winner(console, study, found)
    else:
        console.print("no winner: no configuration was retrained to its end with every seed")
    _trials(console, study)
    best_folder = "the winner in best/, " if found and found.winner else ""
    console.print(f"everything is in {study.folder}: {best_folder}pictures in plots/, tables in *.csv")
    if (study.folder / "report.html").is_file():
        console.print(f"open {study.folder / 'report.html'} in a browser")
    if found and found.winner and is_program:
        console.print("train the winner again with")
        console.print(f"  python -m {study.config.workload} --config {best}")
    return 0 if found and found.winner else 1


def _winner(console: Console, study: Study, found: Outcome) -> None:
    winner, reference = found.winner, found.reference
    assert winner is not None
    console.print(f"the winner is {winner.name} of {study.name}, by its mean over {len(winner.runs)} seeds")
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column()
    table.add_column("winner")
    columns = [winner]
    if reference:
        table.add_column("default")
        columns.append(reference)
    for name in study.space:
        table.add_row(name, *(number(candidate.config[name]) for candidate in columns))
    metric = study.config.metric
    table.add_row(metric, *(outcome.spread(candidate.values) for candidate in columns))
    for name in winner.tests:
        table.add_row(name, *(outcome.spread(candidate.tests.get(name, [])) for candidate in columns))
    console.print(table)
    if reference and reference.is_sound and journal.better(reference.mean, winner.mean, study.config.mode):
        console.print("the defaults are better than the winner: search longer, or in another space")
    if winner.tests and study.times_tested() > 1:
        console.print("the test part has been looked at before, by an earlier retraining of this study")


def _trials(console: Console, study: Study) -> None:
    snapshot = study.snapshot()
    trials = snapshot.trials
    counts = {word: sum(trial.ending == ending for trial in trials) for ending, word in journal.WORDS.items()}
    counts["cut off"] = sum(trial.ending == "running" for trial in trials)
    if not counts["cut off"]:
        del counts["cut off"]
    console.print(f"{len(trials)} trials: " + ", ".join(f"{count} {word}" for word, count in counts.items()))
    work = f"{span(snapshot.worked)} of work; stopping early saved {snapshot.saved:.0%}"
    console.print(f"{snapshot.trained} of {snapshot.full} epochs trained, {work}")
    failed = [trial for trial in trials if trial.ending == "failed"]
    if failed:
        log = study.log_of(failed[0].number)
        console.print(f"trial {failed[0].number} failed: {failed[0].attributes.get('failure')}")
        console.print(f"  see {log}")
        if len(failed) == len(trials) and log.exists():
            _, begins, traceback = log.read_text(encoding="utf-8", errors="replace").rpartition(TRACEBACK)
            console.print(f"{begins}{traceback}".rstrip())

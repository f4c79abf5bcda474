"""Search, retrain the best, draw, and say what came of it.

python -m search.run --num-samples 32 --gpus-per-trial 0.25
"""

import platform
import shutil
from collections.abc import Callable
from contextlib import ExitStack, suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rich.console import Console

from search import __version__, opening, program, retrain, summary, tracker
from search.outcome import Outcome
from search.session import Session
from search.snapshot import Snapshot
from search.study import Study
from search.tasks import ProcessLostError, Tasks
from search.workload import Workload


def main(arguments: list[str] | None = None) -> int:
    """Run what the command line asks for; return the exit code."""
    parser = opening.parser("search.run", "Search hyperparameters, retrain the best, draw, and say what came of it.")
    parser.add_argument("--no-best", action="store_false", dest="best", help="leave ./best.yaml alone")
    parser.add_argument("--version", action="store_true", help="print the versions and leave")
    flags = vars(parser.parse_args(arguments))
    console = program.Terminal()
    if flags.pop("version", False):
        console.print(_versions())
        return 0

    def prepare(holding: ExitStack) -> Callable[[], int]:
        session, loaded = opening.opened(flags, holding, console, "search.run")
        return lambda: _run(session, loaded, console)

    return program.guarded(prepare)


def _run(session: Session, loaded: Workload, console: Console) -> int:
    """Search, retrain, draw and say what came of it, as far as that is left to do; return the exit code."""
    made, config = session.study, session.study.config
    ended = sum(trial.ending != "running" for trial in made.trials())
    found = retrain.current(made, loaded) if ended == config.num_samples else None
    if found:
        _report(made, _draw(made, found), console)
    if not found or tracker.lag(made):
        if found:
            console.print(f"telling {', '.join(config.trackers)} what they lack")
        else:
            session.announce(ended)
        with session.working() as folder, session.telling():
            found = found or _work(session, loaded, folder, console, is_searched=ended == config.num_samples)
    best = made.folder / "best.yaml"
    if config.best and found and found.winner:
        best = Path(shutil.copyfile(best, "best.yaml"))
    return summary.show(console, made, found, loaded.is_program, best)


def _work(session: Session, loaded: Workload, folder: Path, console: Console, *, is_searched: bool) -> Outcome | None:
    """Search, unless that is done, retrain, in the processes of the search or else in new ones, and draw."""
    found: list[Outcome | None] = []
    drawn: list[Snapshot] = []

    def draw(outcome: Outcome | None) -> None:
        drawn.append(_draw(session.study, outcome))

    def use(processes: list[Any], check: Callable[[], None]) -> None:
        console.print("retraining the best with other seeds, and the defaults beside them")
        session.meanwhile(_import_what_draws)
        tasks = Tasks(session.study, session.share, retrain.LOG, processes, check)
        outcome = retrain.retrain(session.study, loaded, tasks, lambda line: console.print(f"  {line}"), draw)
        if not outcome:
            draw(None)
        found.append(outcome)
        check()

    if not is_searched:
        with suppress(ProcessLostError):
            session.search(folder, use)
    if not found:
        session.check()  # a wish to end may have gone with the process
        use([], session.check)
    _report(session.study, drawn[-1], console)  # when the winner's own pictures are there, too
    return found[0]


def _import_what_draws() -> None:
    """Import what takes half a second, while there is nothing to do but to wait."""
    from search import plot, report  # noqa: F401


def _draw(made: Study, found: Outcome | None) -> Snapshot:
    """Derive the tables and the pictures from the journal; return of what they were made."""
    from search import plot  # imports matplotlib: not before the first trial

    snapshot = made.snapshot(found)
    made.write_tables()
    plot.draw(made, snapshot)
    return snapshot


def _report(made: Study, snapshot: Snapshot, console: Console) -> None:
    """Write the report; where that goes wrong say so, and go on: the winner is kept."""
    from search import report

    try:
        report.write(made, snapshot)
    except Exception as error:
        why = f"{type(error).__name__}: {' '.join(str(error).split()):.200}"
        console.print(f"the report could not be written, {why}; try python -m search.report {made.folder}")


def _versions() -> str:
    return (
        f"search {__version__} (ray {version('ray')}, optuna {version('optuna')}, python {platform.python_version()})"
    )


if __name__ == "__main__":
    program.leave(main())

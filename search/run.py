"""Search, retrain the best, draw, and say what came of it.

python -m search.run --num-samples 32 --gpus-per-trial 0.25

The same from Python: search.run(config), which is the function below.
"""

import logging
import platform
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import Any

import optuna
from rich.console import Console

from search import __version__, best_file, cli, session
from search.analysis.snapshot import Snapshot
from search.best_file import BEST
from search.errors import UserError, command, one_line
from search.journal.outcome import Outcome
from search.request import Asked
from search.retraining import finalists, race, redrawing
from search.session import Session
from search.spec.config import StudyConfig
from search.study import Study
from search.tune import tracker
from search.tune.logs import LogFile
from search.tune.pool import ProcessLostError, WorkerPool
from search.views import summary

Config = StudyConfig | Mapping[str, Any] | str | Path


def run(
    config: Config | None = None,
    *,
    resume: str | Path | None = None,
    repair: bool = False,
    allow_changes: bool = False,
    retry_failed: bool = False,
) -> Study:
    """Search, retrain the best and draw, as `python -m search.run` does; return the study.

    It is quiet, but shows its progress where standard output is a terminal. Ctrl-C ends it as it ends the program.

    >>> study = search.run({"workload": "sine", "metric": "loss", "space": {...}, "num_samples": 16})
    >>> study.best_config()

    Args:
        config: A StudyConfig, the mapping that one is made of, or the path of a YAML file that holds it.
        resume: The folder of a study that goes on; without a config, under its own.
        repair: Where that study's journal is damaged, go on without what follows; a copy of it is kept.
        allow_changes: Whether it goes on though the workload's sources, its space or fixed values have changed.
        retry_failed: Whether its trials that failed are trained again, under their own numbers.

    Raises:
        UserError: The config, the workload or the folder breaks a rule; nothing was started then.
        OSError: What is recorded could not be written, as on a full disk.
        RuntimeError: A hundred configurations in a row were infeasible.
        KeyboardInterrupt: It was interrupted; what was finished is kept, and the text says how to go on.

    """
    if config is None and resume is None:
        raise UserError("run must be given a config, or with resume the folder of a study, but got neither")
    folder = None if resume is None else Path(resume)
    settings = None if config is None else _settings(config)
    asked = Asked(settings, resume=folder, repair=repair, allow_changes=allow_changes, retry_failed=retry_failed)
    console = cli.Terminal(quiet=not sys.stdout.isatty())
    with ExitStack() as holding:
        holding.enter_context(_as_a_guest())
        opened = session.begin(asked, holding, console, _call, is_program=False)
        outcome = _work_and_keep(opened)
        _hand_over(opened, outcome)
        return opened.study


def _call(folder: Path) -> str:
    """Return what goes on with a study, as its caller would write it."""
    return f"search.run(resume={str(folder)!r})"


def _settings(config: Config) -> Mapping[str, Any]:
    if isinstance(config, StudyConfig):
        return config.as_mapping()
    return config if isinstance(config, Mapping) else cli.settings_of(Path(config))


@contextmanager
def _as_a_guest() -> Iterator[None]:
    """Leave logging and warnings of the caller's process as they were: a search sends them to its own log."""
    verbosity = optuna.logging.get_verbosity()
    had_warnings = warnings.showwarning.__module__ == logging.__name__
    loggers = [logging.getLogger(name) for name in (None, "ray", "optuna")]
    before = [(logger, logger.handlers[:], logger.level, logger.propagate) for logger in loggers]
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with warnings.catch_warnings():
        try:
            yield
        finally:
            if not had_warnings:
                logging.captureWarnings(False)
            optuna.logging.set_verbosity(verbosity)
            for handler in logging.getLogger().handlers:
                if isinstance(handler, LogFile):
                    handler.close()
            for logger, handlers, level, propagate in before:
                logger.handlers[:] = handlers
                logger.setLevel(level)
                logger.propagate = propagate


def main(arguments: list[str] | None = None) -> int:
    """Run what the command line asks for; return the exit code."""
    parser = cli.search_parser("search.run", "Search hyperparameters, retrain the best, draw, and say what came of it.")
    parser.add_argument("--no-best", action="store_false", dest="best", help="leave ./best.yaml alone")
    parser.add_argument("--version", action="store_true", help="print the versions and leave")
    flags = vars(parser.parse_args(arguments))
    console = cli.Terminal()
    if flags.pop("version", False):
        console.print(_versions())
        return 0

    def prepare(holding: ExitStack) -> Callable[[], int]:
        opened = session.begin(cli.asked(flags), holding, console, cli.resume_command)
        return lambda: _show(opened)

    return cli.guarded(prepare)


def _show(opened: Session) -> int:
    """Do what is asked for and sum it up; the summary is shown also where ./best.yaml cannot be written."""
    outcome = _work_and_keep(opened)
    best = opened.study.folder / "best.yaml"
    problem: OSError | None = None
    try:
        best = _hand_over(opened, outcome)
    except OSError as error:
        problem = error
    code = summary.show(opened.console, opened.study.snapshot(outcome), opened.workload.is_program, best)
    if problem:
        raise problem
    return code


def _hand_over(opened: Session, outcome: Outcome | None) -> Path:
    """Copy the winner's config to ./best.yaml, where it is asked for; return the file that holds it. Raises OSError."""
    made = opened.study
    own = made.folder / "best.yaml"
    has_best = outcome.winner is not None if outcome else made.config.finalists == 0 and own.is_file()
    if not (made.config.best and has_best):
        return own
    best_file.copy(made, BEST, opened.console.print)
    return BEST


def _work_and_keep(opened: Session) -> Outcome | None:
    """Search, retrain, draw and report, as far as that is left to do; return what won."""
    made = opened.study
    config = made.config
    if config.best and BEST.is_dir():
        raise UserError(f"the winner's config goes to ./{BEST}, but that is a folder; move it, or add --no-best")
    is_searched = made.ended_by is not None
    outcome = finalists.current(made, opened.workload) if is_searched else None
    is_done = is_searched and (outcome is not None or config.finalists == 0)
    if is_done:
        _finish_unjudged(made)
        _report(made, _draw(made, outcome, opened.console), opened.console)
    is_undrawn = outcome is not None and redrawing.is_due(made, opened.workload)
    if not is_done or is_undrawn or tracker.lag(made):
        if is_undrawn:
            opened.console.print("drawing the winner, as that was cut off")
        elif is_done:
            opened.console.print(f"telling {', '.join(config.trackers)} what they lack")
        else:
            opened.announce()
        with opened.working() as folder, opened.tracking():
            if not is_done:
                outcome = _work(opened, folder, is_searched=is_searched)
            elif is_undrawn:
                _draw_again(opened, outcome)
    return outcome


def _finish_unjudged(made: Study) -> None:
    """Write the best trial to best.yaml, where nothing is to be retrained."""
    if made.config.finalists == 0:
        best_file.write_interim(made)


def _work(opened: Session, folder: Path, *, is_searched: bool) -> Outcome | None:
    """Search, unless that is done, retrain, in the processes of the search or else in new ones, and draw."""
    made = opened.study
    console = opened.console
    outcomes: list[Outcome | None] = []
    drawn: list[Snapshot] = []

    def draw(outcome: Outcome | None) -> None:
        drawn.append(_draw(made, outcome, console))

    def retrain(processes: list[Any], check: Callable[[], None]) -> None:
        if runners := race.of(made, opened.workload):
            console.print(runners.announcement(again=finalists.was_cut_off(made)))
        session.tell_changes(made, console)  # while it was searched: a process that starts has the new ones
        opened.meanwhile(_import_what_draws)
        pool = WorkerPool(made, opened.share, finalists.LOG, processes, check)
        outcome = finalists.retrain(made, opened.workload, pool, lambda line: console.print(f"  {line}"), draw)
        if not outcome:
            _finish_unjudged(made)
            draw(None)
        outcomes.append(outcome)
        check()

    if not is_searched:
        with suppress(ProcessLostError):
            opened.search(folder, retrain)
    if not outcomes:
        opened.check()  # a wish to end may have gone with the process
        retrain([], opened.check)
    _report(made, drawn[-1], console)  # when the winner's own pictures are there, too
    return outcomes[0]


def _draw_again(opened: Session, outcome: Outcome | None) -> None:
    """Draw the winner, whose drawing was cut off, and report with its pictures."""
    made = opened.study
    console = opened.console
    pool = WorkerPool(made, opened.share, finalists.LOG, check=opened.check)
    redrawing.draw(made, pool, lambda line: console.print(f"  {line}"))
    _report(made, made.snapshot(outcome), console)


def _import_what_draws() -> None:
    """Import what takes half a second, while there is nothing to do but to wait."""
    from search import plot, report  # noqa: F401


def _draw(made: Study, found: Outcome | None, console: Console) -> Snapshot:
    """Derive the tables and the pictures from the journal; return of what they were made."""
    from search import plot  # imports matplotlib: not before the first trial
    from search.views import fonts, pictures

    snapshot = made.snapshot(found)
    made.write_tables()
    plot.draw(made, snapshot)
    lacking = fonts.lacking(pictures.texts(snapshot))
    if lacking:
        console.print(lacking)
    return snapshot


def _report(made: Study, snapshot: Snapshot, console: Console) -> None:
    """Write the report; where that goes wrong say so, and go on: the winner is kept."""
    from search import report

    try:
        report.write(made, snapshot)
    except Exception as error:
        why = f"{type(error).__name__}: {one_line(str(error), 200)}"
        console.print(f"the report could not be written, {why}; try {command('search.report', made.folder)}")


def _versions() -> str:
    return (
        f"search {__version__} (ray {version('ray')}, optuna {version('optuna')}, python {platform.python_version()})"
    )


class CallableModule(ModuleType):
    """Makes this module the function, too: `search.run` is the module, whoever imported it first."""

    def __call__(
        self,
        config: Config | None = None,
        *,
        resume: str | Path | None = None,
        repair: bool = False,
        allow_changes: bool = False,
        retry_failed: bool = False,
    ) -> Study:
        """Return run(...) of the same."""
        return run(config, resume=resume, repair=repair, allow_changes=allow_changes, retry_failed=retry_failed)


sys.modules[__name__].__class__ = CallableModule

if __name__ == "__main__":
    cli.leave(main())

"""What the command lines share: their flags, and a user's mistake as one line with exit code 2."""

import argparse
import logging
import os
import signal
import sys
import traceback
from collections.abc import Callable
from contextlib import ExitStack, suppress
from io import TextIOWrapper
from pathlib import Path
from typing import Any, NoReturn

import optuna
from rich.console import Console

from search import creation, shadows, signals, study
from search.errors import EndedError, UserError, command
from search.request import Asked
from search.session import Session, tell_changes
from search.signals import Interrupted, Shutdown
from search.spec import files, paths, workload
from search.spec.config import DEFAULT_FILE
from search.spec.fit import Fit
from search.spec.intact import intact
from search.study import Study
from search.tune import cluster
from search.worker import isolation

log = logging.getLogger(__name__)
BUG = "this is a fault of search, not of yours: please report it, with the lines above and what `{}` prints"
VERSION_COMMAND = "python -m search.run --version"


class Terminal(Console):
    """Where a program talks to a person: lines as long as they are, and no markup in what users have named."""

    problem = ""
    """Why the output of this process was lost; empty where it was not."""

    def __init__(self, *, quiet: bool = False) -> None:
        if isinstance(sys.stdout, TextIOWrapper):
            sys.stdout.reconfigure(errors="replace")  # an encoding that lacks a character ends no search
        super().__init__(highlight=False, soft_wrap=True, markup=False, emoji=False, quiet=quiet)
        if self.width < 1:  # of COLUMNS=0, with which rich would print nothing
            self.width = 80

    def _check_buffer(self) -> None:
        """Write what is to be shown; where that cannot be, as on a full disk, go on in silence: `guarded` tells of it.

        This is rich's own method (of 14), in which it writes: a search is not lost for the lines that tell of it.
        """
        try:
            super()._check_buffer()
        except OSError as error:
            self.on_broken_pipe()
            Terminal.problem = f"the output could not be written, {_one_line(error)}: it was done without"

    def on_broken_pipe(self) -> None:
        """Go on in silence where the reader, head for one, has seen enough; rich would end the program."""
        self.quiet = True
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def guarded(prepare: Callable[[ExitStack], Callable[[], int]]) -> int:
    """Return the exit code of what `prepare` returns.

    A UserError is printed as one line, and the code is 2; so is what the system refuses in `prepare`, and where it does
    so later, as a full disk does, the code is 1. An interruption has the code of its signal. Any other error is ours:
    its traceback is printed, and logged where there is a log, and the code is 1. What `prepare` puts on the stack is
    closed at the end.
    """
    _open_closed_streams()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    if sys.path[:1] != [""]:
        sys.path.insert(0, "")  # a workload lies in the working folder, also where we are not started with -m
    early = Shutdown(lambda: None, lambda: None)
    with ExitStack() as holding:
        try:
            with early.listening(), isolation.importing():
                action = prepare(holding)
            early.check()
        except BaseException as error:
            if early.is_wished:  # whatever that, raised in an import, has become
                return _answer(Interrupted("interrupted", early.exit_code))
            if isinstance(error, OSError):
                return _tell(f"error: {_one_line(error)}", 2)
            return _answer(error)
        if signal.getsignal(signal.SIGINT) is signal.SIG_DFL and signals.is_main_thread():
            signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            code = action()
        except BaseException as error:
            code = _answer(error)
        return _tell(Terminal.problem, code) if Terminal.problem else code


def _open_closed_streams() -> None:
    """Give the process the streams that its shell has closed, as by `>&-`: what they get is lost, and nothing else."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            file = os.open(os.devnull, os.O_RDWR)
            os.dup2(file, number)
            setattr(sys, name, os.fdopen(number, "r" if number == 0 else "w"))


def _answer(error: BaseException) -> int:
    """Tell a person of an error; return the exit code. Raises SystemExit again, which is argparse's."""
    if isinstance(error, UserError):
        return _tell(f"error: {_one_line(error)}", 2)
    if isinstance(error, KeyboardInterrupt):
        return _tell(str(error) or "interrupted", getattr(error, "exit_code", 130))
    if isinstance(error, OSError | EndedError):
        return _tell(f"error: {_one_line(error)}", 1)
    if not isinstance(error, Exception):
        raise error
    if hidden := shadows.hides(error):
        return _tell(f"error: {hidden}", 2)
    if logging.getLogger().handlers:  # else logging would print it, too
        log.error("a fault of search", exc_info=error)
    traceback.print_exception(error)
    return _tell(BUG.format(VERSION_COMMAND), 1)


def _tell(line: str, code: int) -> int:
    with suppress(OSError):  # on a full disk the code alone tells
        print(line, file=sys.stderr, flush=True)
    return code


def _one_line(error: BaseException) -> str:
    """Return what an error says, also where a file's name has an end of line in it."""
    return str(error).replace("\n", "\\n")


def leave(code: int) -> NoReturn:
    """End the process with this exit code: taking its libraries down object by object takes half a second."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, AttributeError):  # a stream that is closed from the start is None
            stream.flush()
    os._exit(code)


def study_parser(module: str, description: str) -> argparse.ArgumentParser:
    """Return the parser of a program whose first argument is the folder of a study."""
    parser = argparse.ArgumentParser(f"python -m {module}", description=description, allow_abbrev=False)
    parser.add_argument("study", type=Path, metavar="results/NAME", help="folder of a study")
    return parser


def of_study(module: str, description: str, action: Callable[[Study], str], arguments: list[str] | None) -> int:
    """Return the exit code of a program that prints what `action` returns for the study that its arguments name."""
    console = Terminal()

    def prepare(holding: ExitStack) -> Callable[[], int]:
        made = study.load(study_parser(module, description).parse_args(arguments).study)

        def act() -> int:
            console.print(action(made))
            return 0

        return act

    return guarded(prepare)


def search_parser(module: str, description: str) -> argparse.ArgumentParser:
    """Return the parser of a program that searches; it holds only the flags that were given."""
    parser = given_parser(module, description)
    add = parser.add_argument
    add("--config", metavar="FILE", help=f"YAML of the search ({DEFAULT_FILE})")
    add("--resume", metavar="results/NAME", help="go on with this study; more trials with --num-samples")
    add("--repair", action="store_true", help="with --resume: where the journal is damaged, go on without what follows")
    add("--allow-changes", action="store_true", help="go on though sources, space or fixed values changed")
    add("--retry-failed", action="store_true", help="with --resume: train the trials again that have failed")
    add_settings(parser)
    return parser


def given_parser(module: str, description: str) -> argparse.ArgumentParser:
    """Return a parser that holds only the flags that were given."""
    return argparse.ArgumentParser(
        f"python -m {module}",
        description=description,
        allow_abbrev=False,
        argument_default=argparse.SUPPRESS,
    )


def add_settings(parser: argparse.ArgumentParser) -> None:
    """Add the flags that win over the settings of a search."""
    add = parser.add_argument
    add("--num-samples", type=int_or_null, metavar="N", help="trials in all; null for any number")
    add("--time-budget", type=given, metavar="TIME", help="of searching, as 90s, 10m, 1.5h, 2d; null for no limit")
    add("--epoch-budget", type=int_or_null, metavar="N", help="epochs of all trials together; null for no limit")
    add("--patience", type=int_or_null, metavar="N", help="trials in a row without an improvement; null for no limit")
    add("--target", type=float_or_null, metavar="VALUE", help="of the metric, that ends the search; null for none")
    add("--gpus-per-trial", type=float, metavar="G", help="0 for the CPU, 1/k to share a GPU among k trials, or whole")
    add("--cpus-per-trial", type=float, metavar="C", help="default: the machine's cores, shared out")
    add("--seed", type=int, metavar="N", help="of the sampler and of every trial")
    add("--ray-address", metavar="ADDRESS", help="of a Ray cluster, 'auto' or host:port (a Ray on this machine)")
    add("--name", help="of the study and its folder (workload and time)")
    add("--output", metavar="FOLDER", help="folder of the studies (results)")


def given(text: str) -> str | None:
    """Return what a flag gives; None for null."""
    return None if text in ("null", "none") else text


def int_or_null(text: str) -> int | None:
    """Return a whole number, or None for null."""
    return None if given(text) is None else int(text)


def float_or_null(text: str) -> float | None:
    """Return a number, or None for null."""
    return None if given(text) is None else float(text)


def asked(flags: dict[str, Any]) -> Asked:
    """Return what the flags of `search_parser` ask for: they win over a file, or over the study that goes on.

    Raises UserError where a file does not exist or is no config.
    """
    ours = ("config", "resume", "repair", "allow_changes", "retry_failed")
    changes = {name: value for name, value in flags.items() if name not in ours}
    resume = Path(flags["resume"]) if "resume" in flags else None
    file = flags.get("config", None if resume else DEFAULT_FILE)
    settings = settings_of(Path(file)) if file else None
    how = {name: flags[name] for name in ("repair", "allow_changes", "retry_failed") if name in flags}
    return Asked(settings, changes, resume, **how)


def settings_of(file: Path) -> dict[str, Any]:
    """Return the settings in a YAML file; the files of a workload or a command are looked for in its folder, too.

    Raises UserError where it does not exist or is no config.
    """
    return paths.settled(files.read(file), file)


def resume_command(folder: Path) -> str:
    """Return the command that goes on with a study."""
    return command("search.run", "--resume", folder)


def session_of(made: Study, console: Console, module: str) -> Session:
    """Return a session of a study whose writer this process is, for a program that works on it.

    Raises UserError, before Ray is started.
    """
    creation.check_origin(made)
    with intact(made.config.title):
        fit = Fit(made.config, workload.load(made.config.source))
    share, here = cluster.share_of(made.config)
    tell_changes(made, console)
    return Session(made, fit, share, here, console, command(module, made.folder))

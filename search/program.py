"""What our command lines share: quiet libraries, and a user's mistake as one line with exit code 2."""

import argparse
import os
import sys
from collections.abc import Callable
from contextlib import ExitStack, suppress
from io import TextIOWrapper
from pathlib import Path
from typing import NoReturn

import optuna
from rich.console import Console

from search import residue, storage, study
from search.study import Study
from search.writer import Writer


class Terminal(Console):
    """Where a program talks to a person: lines as long as they are, and no markup in what users have named."""

    def __init__(self) -> None:
        if isinstance(sys.stdout, TextIOWrapper):
            sys.stdout.reconfigure(errors="replace")  # an encoding that lacks a character ends no search
        super().__init__(highlight=False, soft_wrap=True, markup=False, emoji=False)

    def on_broken_pipe(self) -> None:
        """Go on in silence where the reader, head for one, has seen enough; rich would end the program."""
        self.quiet = True
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def guarded(prepare: Callable[[ExitStack], Callable[[], int]]) -> int:
    """Return the exit code of what `prepare` returns; 2, after one line, where it raises what is the user's mistake.

    What the action itself raises is ours, but for a full disk and the like, and an interruption. What `prepare` puts
    on the stack is closed at the end.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    if sys.path[:1] != [""]:
        sys.path.insert(0, "")  # a workload lies in the working folder, also where we are not started with -m
    with ExitStack() as holding:
        try:
            with residue.importing():
                action = prepare(holding)
        except (ValueError, TypeError, OSError) as error:
            print(f"error: {_one_line(error)}", file=sys.stderr)
            return 2
        except KeyboardInterrupt:
            return 130
        try:
            return action()
        except KeyboardInterrupt:
            print("interrupted", file=sys.stderr)
            return 130
        except OSError as error:
            print(f"error: {_one_line(error)}", file=sys.stderr)
            return 1


def leave(code: int) -> NoReturn:
    """End the process with this exit code: taking its libraries down object by object takes half a second."""
    with suppress(OSError):
        sys.stdout.flush()
    with suppress(OSError):
        sys.stderr.flush()
    os._exit(code)


def _one_line(error: Exception) -> str:
    """Return what an error says, also where a file's name has an end of line in it."""
    return str(error).replace("\n", "\\n")


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


def opened(folder: Path, holding: ExitStack) -> Study:
    """Return the study of a folder, and become its writer. Raises ValueError where it is none, OSError where taken."""
    holding.enter_context(Writer(folder))
    storage.mend(folder)
    return study.load(folder)

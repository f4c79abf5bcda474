"""What our command lines share: quiet libraries, and a user's mistake as one line with exit code 2."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

import optuna
from rich.console import Console

from search import study
from search.study import Study


def console() -> Console:
    """Return where a program talks to a person: colours only on a terminal, lines as long as they are."""
    return Console(highlight=False, soft_wrap=True)


def guarded(prepare: Callable[[], int]) -> int:
    """Return its exit code, or 2 after the message of an error that is the user's."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sys.path.insert(0, "")  # a workload lies in the working folder, also where we are not started with -m
    try:
        return prepare()
    except (ValueError, TypeError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def named_study(module: str, description: str, arguments: list[str] | None) -> Study:
    """Return the study whose folder is the one argument. Raises ValueError where it is none."""
    parser = argparse.ArgumentParser(f"python -m {module}", description=description, allow_abbrev=False)
    parser.add_argument("study", type=Path, metavar="results/NAME", help="folder of a study")
    return study.load(parser.parse_args(arguments).study)

"""The command line of `python -m heart.train`: one config, trained in full, into a run folder."""

import argparse
import itertools
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import fields
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from heart.config import Config, build, find, read
from heart.data import load
from heart.history import History
from heart.model import MLP

Metrics = dict[str, float]
Resolve = Callable[[Config], Config]
Train = Callable[[Config], Iterator[tuple[Metrics, MLP]]]
Test = Callable[[MLP, Config], Metrics]


class Terminal(Console):
    """The program's output: no line is wrapped, and no text that users named is read as rich's markup."""

    def __init__(self) -> None:
        super().__init__(highlight=False, soft_wrap=True, markup=False, emoji=False)
        if self.width < 1:  # of COLUMNS=0, with which rich would print nothing
            self.width = 80

    def on_broken_pipe(self) -> None:
        """Train on without output where the reader of the pipe, such as `head`, has closed it."""
        with suppress(SystemExit):  # rich redirects the output to /dev/null, then ends the program
            super().on_broken_pipe()


def main(resolve: Resolve, train: Train, test: Test, arguments: list[str] | None = None) -> int:
    """Train what the command line asks for; return the exit code."""
    console = Terminal()
    flags = vars(_parser().parse_args(arguments))
    try:
        output = Path(flags.pop("output"))  # a TypeError at `--output=--`, which Python 3.11's argparse makes a list of
        config = resolve(_config(flags, console))
        folder = _make_folder(output)
    except (ValueError, TypeError, OSError) as error:
        print(f"error: {error}".replace("\n", "\\n"), file=sys.stderr)
        return 2
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)  # as Ctrl-C: what is trained is kept
    history = History(config)
    try:
        code = _follow(train(config), history, console)
        if history.best is None:
            folder.rmdir()
            console.print("no epoch with a finite loss, so there is nothing to keep")
        else:
            _finish(history, folder, test, console)
        return code
    except KeyboardInterrupt:
        print(f"interrupted; what was written is in {folder}", file=sys.stderr)
        return 130
    except OSError as error:
        print(f"error: {error}; what was written is in {folder}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "python -m heart.train", description="Train one network in full.", allow_abbrev=False
    )
    parser.add_argument("--config", metavar="FILE", help="YAML of the settings below; the flags win over it")
    parser.add_argument("--output", metavar="FOLDER", default="results", help="folder of the run folders (results)")
    for item in fields(Config):
        kind = type(item.default)
        meaning = f"{item.metadata['help']} ({item.default})".replace("%", "%%")
        flag = "--" + item.name.replace("_", "-")
        spellings = dict.fromkeys((flag, f"--{item.name}"))
        parser.add_argument(
            *spellings, dest=item.name, type=kind, help=meaning, default=argparse.SUPPRESS, metavar=kind.__name__
        )
    return parser


def _config(flags: dict[str, object], console: Console) -> Config:
    name = flags.pop("config")
    if name is None:
        return build(flags)
    path = find(str(name))
    console.print(f"config read from {path}")
    return build(read(path) | flags)


def _make_folder(output: Path) -> Path:
    """Make and return a new folder, named after the time."""
    stem = f"train-{time.strftime('%Y%m%d-%H%M%S')}"
    for count in itertools.count(1):
        folder = output / (stem if count == 1 else f"{stem}-{count}")
        try:
            folder.mkdir(parents=True)
        except OSError as error:
            if not (isinstance(error, FileExistsError) and output.is_dir()):
                raise ValueError(f"output must be a folder that can be written, but: {error}; give --output") from None
        else:
            return folder
    raise AssertionError


def _follow(epochs: Iterator[tuple[Metrics, MLP]], history: History, console: Console) -> int:
    """Pull every epoch into the history, with a progress bar; return the exit code."""
    total = history.config.epochs
    columns = (TextColumn("training"), BarColumn(), MofNCompleteColumn(), TextColumn("epochs"), TimeElapsedColumn())
    hidden = not console.is_terminal or console.is_dumb_terminal  # nothing is redrawn there
    with Progress(*columns, TimeRemainingColumn(), console=console, transient=True, disable=hidden) as bar:
        task = bar.add_task("", total=total)
        try:
            for epoch, (metrics, model) in enumerate(epochs, 1):
                if not history.add(metrics, model):
                    console.print(f"diverged: val_loss is {metrics['val_loss']} at epoch {epoch}; try a lower lr")
                    return 1
                bar.update(task, advance=1)
                if epoch % max(1, total // 10) == 0 or epoch == total:
                    console.print(_line(epoch, metrics))
        except KeyboardInterrupt:
            console.print(f"interrupted after {len(history.rows)} of {total} epochs")
            return 130
    return 0


def _line(epoch: int, metrics: Metrics) -> str:
    return (
        f"epoch {epoch:4}  train_loss {metrics['train_loss']:.5f}  "
        f"val_loss {metrics['val_loss']:.5f}  val_accuracy {metrics['val_accuracy']:.2%}"
    )


def _finish(history: History, folder: Path, test: Test, console: Console) -> None:
    config = history.config
    assert history.best is not None
    scores = test(history.best, config)
    history.write(folder, scores, load(config.points, config.data_seed, config.device).train)
    kept = history.rows[history.best_epoch - 1]
    console.print(f"kept epoch {history.best_epoch}, the best by val_loss")
    console.print(f"  validation  loss {kept['val_loss']:.5f}  accuracy {kept['val_accuracy']:.2%}")
    console.print(f"  test        loss {scores['test_loss']:.5f}  accuracy {scores['test_accuracy']:.2%}")
    console.print(f"written to {folder}: {', '.join(sorted(path.name for path in folder.iterdir()))}")

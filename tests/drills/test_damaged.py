"""Whatever lies in a study's folder in the place of its files, a command does its work or says in one line why not."""

import os
import shutil
import socket
from collections.abc import Callable
from contextlib import chdir
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from matplotlib.figure import Figure

from search import audit, best_file, plot, report, retrain
from search.run import main as run_main
from search.session import Session
from search.views.page import page
from tests import studies
from tests.hostile import Ended, in_a_process

STARTED = 55
"""The exit code of a program that would have started a Ray now."""
PATHS = [
    *("journal.log", "study.yaml", "writer.lock", "best.yaml", "best", "best/metrics.json", "best/plot.png", "plots"),
    *("plots/curves.png", "plots/finalists.png", "logs", "logs/trial-0000.log", "logs/ray.log", "report.html"),
    *("trials.csv", "curves.csv", "audit.csv", "best/epochs.gif", "best/curves.csv", ".journal.log-1"),
]


class Started(BaseException):
    """A program would have started a Ray now."""


def started(*_: Any) -> None:
    raise Started


# Kinds of damage: each is called with a path at which there is nothing.


def nothing(path: Path) -> None:
    """Leave the path empty."""


def folder(path: Path) -> None:
    path.mkdir()


def full_folder(path: Path) -> None:
    path.mkdir()
    (path / "file").write_text("x", encoding="utf-8")


def unix_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made, chdir(path.parent):  # its path may be too long for a socket
        made.bind(path.name)


def written(content: bytes, path: Path) -> None:
    path.write_bytes(content)


def linked(to: str, path: Path) -> None:
    path.symlink_to(to)


DAMAGES: dict[str, Callable[[Path], None]] = {
    "nothing": nothing,
    "a folder": folder,
    "a full folder": full_folder,
    "a FIFO": os.mkfifo,
    "a socket": unix_socket,
    "an empty file": partial(written, b""),
    "bytes": partial(written, bytes(range(256)) * 20),
    "a NUL": partial(written, b"\0"),
    "text": partial(written, b"not this\n"),
    "JSON": partial(written, b'{"op_code": 0, "worker_id": "x"}\n[1]\n{"op_code": 99}\n3\n'),
    "deep JSON": partial(written, b"[" * 100_000),
    "deep YAML": partial(written, b"a: " + b"[" * 3000),
    "a link to nothing": partial(linked, "nowhere"),
    "a link to itself": partial(linked, "best"),
    "a link to a folder": partial(linked, "/usr"),
    "a link to a device": partial(linked, "/dev/full"),
    "a link to endless zeros": partial(linked, "/dev/zero"),
}
COMMANDS: dict[str, Callable[[], int]] = {
    "plot": lambda: plot.main(["s"]),
    "report": lambda: report.main(["s"]),
    "retrain": lambda: retrain.main(["s"]),
    "audit": lambda: audit.main(["s"]),
    "resume": lambda: run_main(["--resume", "s", "--repair"]),
    "extend": lambda: run_main(["--resume", "s", "--num-samples", "9"]),
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a study that is searched, retrained, drawn and reported."""
    made = studies.create(tmp_path_factory.mktemp("made"), "s", num_samples=3)
    for depth in (1.0, 2.0):
        studies.add(made, studies.curve(depth, 9), "complete")
    studies.add(made, studies.curve(3.0, 3), "stopped")
    studies.retrain(made, {"trial 0": [1.0, 1.1], "reference": [2.0, 2.1]}, {}, "test_loss")
    made.write_tables()
    best_file.write_interim(made)
    plot.draw(made)
    report.write(made)
    (made.folder / "best").mkdir()
    for name in ("metrics.json", "curves.csv"):
        (made.folder / "best" / name).write_text("{}\n", encoding="utf-8")
    shutil.copy(made.folder / "plots" / "curves.png", made.folder / "best" / "plot.png")
    return made.folder


def put(damage: Callable[[Path], None], path: Path) -> None:
    """Put a damage in the place of what is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
    path.parent.mkdir(exist_ok=True)
    damage(path)


def run(command: Callable[[], int], here: Path) -> Ended:
    """Run a command in a process of its own, up to where it would start a Ray or render a picture."""

    def call() -> int:
        Session.working = started  # type: ignore[method-assign, assignment]
        Figure.savefig = lambda *_, **__: None  # type: ignore[method-assign]
        page.render = lambda *_: b"<html>"
        try:
            return command()
        except Started:
            return STARTED
        except SystemExit as left:
            return int(left.code or 0)

    return in_a_process(call, here)


def fault(ended: Ended) -> str:
    """Return what is wrong in how a command ended; empty where nothing is."""
    text = f"{ended.code}: {ended.said}{ended.told}"
    if ended.code not in (0, 1, 2, STARTED) or "Traceback" in text:
        return text
    lines = ended.told.splitlines()
    has_said = len(lines) == 1 and lines[0].startswith("error: ")
    return "" if has_said == (ended.code in (1, 2)) else text


def faults(whole: Path, tmp_path: Path, names: list[str], damages: list[str], paths: list[str]) -> list[str]:
    """Return what is wrong of each damage of each path, with each command."""
    found = []
    for path in paths:
        for kind in damages:
            for name in names:
                here = tmp_path / "here"
                shutil.copytree(whole, here / "s", symlinks=True)
                put(DAMAGES[kind], here / "s" / path)
                if why := fault(run(COMMANDS[name], here)):
                    found.append(f"{name} with {kind} at {path}: {why[-600:]}")
                shutil.rmtree(here)
    return found


ALL = list(DAMAGES)
FEW = ["a folder", "a FIFO", "a link to nothing"]


@pytest.mark.parametrize(
    ("name", "paths"),
    [
        ("plot", ["journal.log", "plots", "plots/curves.png", "trials.csv"]),
        ("report", ["report.html", "best/plot.png"]),
        ("resume", ["writer.lock", "logs"]),
    ],
)
def test_a_damaged_folder_is_worked_on_or_one_line(name: str, paths: list[str], whole: Path, tmp_path: Path) -> None:
    assert faults(whole, tmp_path, [name], FEW, paths) == []


@pytest.mark.full
@pytest.mark.parametrize("path", PATHS)
def test_so_it_is_of_every_damage_to_every_file(path: str, whole: Path, tmp_path: Path) -> None:
    assert faults(whole, tmp_path, list(COMMANDS), ALL, [path]) == []

"""The disk fills up or turns read-only in the middle of a search, which says so and goes on when there is room."""

import json
import os
import resource
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from search import study
from tests.programs import TOY, Done, begin, resume, search, start, until_gone, until_line, write

MANY = {**TOY, "num_samples": 10_000, "finalists": 1}


def check_that_it_goes_on(folder: Path, asked: int) -> None:
    """The journal is whole after its resumption, and every trial ended once."""
    before = [trial for trial in study.load(folder).trials() if trial.ending != "running"]
    assert len(before) >= 4
    done = start("search.run", "--resume", folder, "--num-samples", asked, cwd=folder.parents[1])
    assert done.returncode == 0, done.stdout + done.stderr
    trials = study.load(folder).trials()
    assert [trial.number for trial in trials] == list(range(asked))
    assert {trial.ending for trial in trials} <= {"complete", "stopped"}
    assert {trial.number: trial for trial in before}.items() <= {trial.number: trial for trial in trials}.items()
    lines = (folder / "journal.log").read_bytes().splitlines()
    told = [each["trial_id"] for each in map(json.loads, lines) if each["op_code"] == 6 and each["state"] in (1, 2, 3)]
    assert len(told) == len(set(told))


class Disk:
    """One of six megabytes, which only root may mount."""

    error = "[Errno 28] No space left on device"

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.folder = folder
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m", "none", folder], capture_output=True)
        self.is_there = not mounted.returncode

    def fill(self, process: subprocess.Popen[str]) -> None:
        with (self.folder / "full").open("wb", buffering=0) as stream, suppress(OSError):
            while stream.write(bytes(512)):
                pass

    def make_room(self) -> None:
        (self.folder / "full").unlink()

    def end(self) -> None:
        if self.is_there:
            subprocess.run(["umount", "--lazy", self.folder], check=True)


class Limit:
    """On the size of files, which is to a process what a full disk is, whoever runs the tests, and wherever."""

    error = "[Errno 27] File too large"

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.is_there = True

    def fill(self, process: subprocess.Popen[str]) -> None:
        size = (self.folder / "s" / "journal.log").stat().st_size + 1000  # a few records, and a part of one
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (size, size))

    def make_room(self) -> None:
        """Do nothing: the limit has gone with its process."""

    def end(self) -> None:
        """Do nothing."""


@pytest.fixture
def room(kind: type[Disk | Limit], tmp_path: Path) -> Iterator[Disk | Limit]:
    """Return a place for studies that can be filled up."""
    made = kind(tmp_path / "disk")
    if not made.is_there:
        pytest.skip("only root may mount a disk; the limit on the size of files is tried in any case")
    yield made
    made.end()


WAITS = """
import time
from pathlib import Path
from tests.toy import Config, loss, save, test

def train(config):
    while config.seed and not Path("go").exists():
        time.sleep(0.02)
    for epoch in range(1, config.epochs + 1):
        yield {"loss": loss(config, epoch)}, {"x": config.x, "y": config.y}
"""
"""The retraining, whose seeds are not the search's, waits until the disk is full. It prints nothing: only we write."""


SEARCH = MANY, "  [4/", 2
RETRAINING = {**TOY, "workload": "waits"}, "retraining the best", 0


@pytest.mark.parametrize(
    ("kind", "config", "moment", "more"),
    [
        pytest.param(Limit, *SEARCH, id="a limit, in the search"),
        pytest.param(Disk, *RETRAINING, id="a disk, in the retraining"),
        pytest.param(Disk, *SEARCH, id="a disk, in the search", marks=pytest.mark.full),
        pytest.param(Limit, *RETRAINING, id="a limit, in the retraining", marks=pytest.mark.full),
    ],
)
def test_a_full_disk_ends_the_search_with_one_line_and_loses_nothing(
    config: dict[str, Any], moment: str, more: int, tmp_path: Path, temporary: Path, room: Disk | Limit
) -> None:
    (tmp_path / "waits.py").write_text(WAITS, encoding="utf-8")
    arguments = ["--config", write(tmp_path, config), "--name", "s", "--output", room.folder]
    with begin(tmp_path, *arguments, TMPDIR=str(temporary)) as process:
        until_line(process, moment)
        room.fill(process)
        (tmp_path / "go").touch()
        _, errors = process.communicate(timeout=100)
    assert process.returncode == 1
    assert errors.startswith(f"error: {room.error}")
    kept = room.folder / "s"
    assert errors.endswith(f"; what was finished is in {kept}; to go on: python -m search.run --resume {kept}\n")
    assert errors.count("\n") == 1
    until_gone(temporary)
    room.make_room()
    if isinstance(room, Limit):  # what is derived is small, and fits
        assert "not retrained" in (kept / "best.yaml").read_text(encoding="utf-8")
    before = len(study.load(kept).trials())
    check_that_it_goes_on(kept, before + more)
    assert "over 2 seeds" in (kept / "best.yaml").read_text(encoding="utf-8")


def set_read_only(folder: Path, yes: bool) -> bool:
    """Make a folder and what lies in it read-only or not, also to root; return whether that can be done here."""
    paths = [folder, *(path for path in folder.iterdir() if not path.is_symlink())]
    if os.getuid():
        command = ["chmod", "a-w" if yes else "u+w"]
    else:
        command = ["chattr", "+i" if yes else "-i"]
    return bool(shutil.which(command[0])) and not subprocess.run([*command, *paths], capture_output=True).returncode


@pytest.mark.full
def test_a_folder_that_turns_read_only_ends_the_search_with_one_line(tmp_path: Path) -> None:
    folder = tmp_path / "results" / "s"
    try:
        with begin(tmp_path, "--config", write(tmp_path, MANY), "--name", "s") as process:
            until_line(process, "  [4/")
            if not set_read_only(folder, True):
                pytest.skip("the file system knows no read-only for root")
            _, errors = process.communicate(timeout=100)
        assert process.returncode == 1
        assert errors.startswith("error: [Errno ")
        assert errors.count("\n") == 1
        refused: Done = resume(tmp_path)
        assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
        assert "a study's folder must take writing" in refused.stderr
    finally:
        set_read_only(folder, False)
    check_that_it_goes_on(folder, len(study.load(folder).trials()) + 2)


SPOILS = """
import shutil
from pathlib import Path
from tests.toy import Config, save, train

def test(model, config):
    plots = Path("results/s/plots")
    shutil.rmtree(plots)
    plots.touch()
    return {"test_loss": 0.0}
"""


def test_pictures_that_cannot_be_written_cost_no_winner_and_are_drawn_by_the_resumed_search(tmp_path: Path) -> None:
    (tmp_path / "spoils.py").write_text(SPOILS, encoding="utf-8")
    done = search(tmp_path, {**TOY, "workload": "spoils", "finalists": 1, "seeds": 1})
    assert done.returncode == 1
    told = "error: results/s/plots must be a folder, but it is a file; move it away; what was finished is in results/s"
    assert done.stderr.startswith(told)
    folder = tmp_path / "results" / "s"
    assert (folder / "best" / "model.pt").exists()
    assert "over 1 seed" in (folder / "best.yaml").read_text(encoding="utf-8")
    (folder / "plots").unlink()
    (tmp_path / "spoils.py").write_text("from tests.toy import Config, save, test, train\n", encoding="utf-8")
    again = resume(tmp_path, "--allow-changes")
    assert (again.returncode, again.stderr) == (0, "")
    assert len(list((folder / "plots").iterdir())) == 4

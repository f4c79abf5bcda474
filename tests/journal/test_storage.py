"""The journal's file: what is written together is what would have been written one by one."""

import json
import subprocess
import sys
from collections.abc import Callable
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.distributions import BaseDistribution, FloatDistribution

from search.journal.records import OpenTrial, read
from search.journal.repair import mend
from search.journal.storage import BATCH, Storage
from search.spec.objective import Objective
from tests.programs import ENVIRONMENT

SPACE: dict[str, BaseDistribution] = {"x": FloatDistribution(0, 1), "y": FloatDistribution(0, 1)}


def create(path: Path) -> tuple[Storage, optuna.Study]:
    storage = Storage(path)
    return storage, optuna.create_study(study_name="s", storage=storage, sampler=optuna.samplers.RandomSampler(seed=0))


def search(study: optuna.Study, together: Callable[[], Any], trials: int = 3) -> None:
    """Write as a searcher does: the proposal, epochs, the last epochs with the ending."""
    for number in range(trials):
        with together():
            trial = OpenTrial(study, study.ask(SPACE))
        for epoch in (1, 2, 3):
            with together():
                trial.add(epoch, {"loss": 1 / epoch}, 1 / epoch)
                if epoch == 3:
                    trial.end("complete" if number else "stopped")


def lines(path: Path) -> list[dict[str, Any]]:
    """Return the records without what differs from run to run, or tells what was written together."""
    found = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    without = ("worker_id", "datetime_start", "datetime_complete", BATCH)
    return [{name: each[name] for name in each if name not in without} for each in found]


def batches(path: Path) -> list[int]:
    """Return how many records each batch has."""
    sizes: list[int] = []
    for line in path.read_bytes().splitlines():
        if BATCH in json.loads(line):
            sizes.append(0)
        sizes[-1] += 1
    return sizes


def test_together_or_one_by_one_the_same_records_are_written_and_read(tmp_path: Path) -> None:
    _, alone = create(tmp_path / "alone.log")
    storage, together = create(tmp_path / "together.log")
    search(alone, nullcontext)
    search(together, storage.together)
    assert lines(tmp_path / "together.log") == lines(tmp_path / "alone.log")
    assert batches(tmp_path / "together.log") == [1] + 3 * [3, 2, 2, 3]
    assert set(batches(tmp_path / "alone.log")) == {1}
    again = optuna.load_study(study_name="s", storage=Storage(tmp_path / "together.log"))
    found = [(each.ending, each.params, each.epochs) for each in read(again, Objective("loss"))]
    assert found == [(each.ending, each.params, each.epochs) for each in read(alone, Objective("loss"))]
    assert found == [(each.ending, each.params, each.epochs) for each in read(together, Objective("loss"))]


def test_what_waits_is_read_by_its_writer_and_on_the_disk_only_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "j.log"
    storage, study = create(path)
    before = path.read_bytes()
    with storage.together():
        search(study, storage.together, trials=1)
        search(study, nullcontext, trials=1)
        assert [each.ending for each in read(study, Objective("loss"))] == ["stopped", "stopped"]
        assert path.read_bytes() == before
    assert path.read_bytes().startswith(before)
    assert [each.ending for each in read(study, Objective("loss"))] == ["stopped", "stopped"]
    search(study, nullcontext, trials=1)
    assert len(read(optuna.load_study(study_name="s", storage=Storage(path)), Objective("loss"))) == 3


def test_what_was_recorded_before_an_exception_is_written(tmp_path: Path) -> None:
    storage, study = create(tmp_path / "j.log")
    with suppress(KeyError), storage.together():
        study.ask(SPACE)
        raise KeyError
    assert len(optuna.load_study(study_name="s", storage=Storage(tmp_path / "j.log")).trials) == 1


LITTLE_ROOM = """
import resource, sys
from pathlib import Path
import optuna
from tests.journal.test_storage import create, search

path = Path(sys.argv[1])
storage, study = create(path)
room = path.stat().st_size + int(sys.argv[2])
resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))
try:
    with storage.together():
        search(study, storage.together, trials=3)
except OSError as error:
    print(error.strerror)
"""


@pytest.mark.parametrize("room", [0, 100, 1000])
def test_where_the_disk_is_full_in_the_middle_an_error_is_raised_and_whole_records_are_left(
    room: int, tmp_path: Path
) -> None:
    """A limit on the size of files is to a process what a full disk is."""
    path = tmp_path / "journal.log"
    command = [sys.executable, "-c", LITTLE_ROOM, str(path), str(room)]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, timeout=60)
    assert done.stdout == "File too large\n", done.stderr
    mend(tmp_path)
    found = path.read_bytes()
    assert found.endswith(b"\n")
    study = optuna.load_study(study_name="s", storage=Storage(path))
    assert (len(study.trials) > 0) == (room == 1000)  # the first record takes more than 100
    whole = tmp_path / "whole.log"
    search(create(whole)[1], nullcontext)
    assert lines(path) == lines(whole)[: len(lines(path))]

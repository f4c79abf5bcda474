"""The journal's file: what is written together is what would have been written one by one."""

import json
import os
import signal
from collections.abc import Callable
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, FloatDistribution

from search.journal import OpenTrial, read
from search.storage import Storage

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
    """Return the records without what differs from run to run."""
    found = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [{name: each[name] for name in each if name != "worker_id" and "datetime" not in name} for each in found]


def test_together_or_one_by_one_the_same_records_are_written_and_read(tmp_path: Path) -> None:
    _, alone = create(tmp_path / "alone.log")
    storage, together = create(tmp_path / "together.log")
    search(alone, nullcontext)
    search(together, storage.together)
    assert lines(tmp_path / "together.log") == lines(tmp_path / "alone.log")
    again = optuna.load_study(study_name="s", storage=Storage(tmp_path / "together.log"))
    found = [(each.ending, each.params, each.epochs) for each in read(again, "loss")]
    assert found == [(each.ending, each.params, each.epochs) for each in read(alone, "loss")]
    assert found == [(each.ending, each.params, each.epochs) for each in read(together, "loss")]


def test_what_waits_is_read_by_its_writer_and_on_the_disk_only_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "j.log"
    storage, study = create(path)
    before = path.read_bytes()
    with storage.together():
        search(study, storage.together, trials=1)
        search(study, nullcontext, trials=1)
        assert [each.ending for each in read(study, "loss")] == ["stopped", "stopped"]
        assert path.read_bytes() == before
    assert path.read_bytes().startswith(before)
    assert [each.ending for each in read(study, "loss")] == ["stopped", "stopped"]
    search(study, nullcontext, trials=1)
    assert len(read(optuna.load_study(study_name="s", storage=Storage(path)), "loss")) == 3


def test_what_was_recorded_before_an_exception_is_written(tmp_path: Path) -> None:
    storage, study = create(tmp_path / "j.log")
    with suppress(KeyError), storage.together():
        study.ask(SPACE)
        raise KeyError
    assert len(optuna.load_study(study_name="s", storage=Storage(tmp_path / "j.log")).trials) == 1


def test_a_writer_that_is_killed_leaves_all_or_nothing_of_what_it_wrote_together(tmp_path: Path) -> None:
    path = tmp_path / "j.log"
    storage, study = create(path)
    search(study, storage.together, trials=1)
    before = path.read_bytes()
    child = os.fork()
    if child == 0:
        with storage.together():
            study.ask(SPACE)
            os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    assert path.read_bytes() == before

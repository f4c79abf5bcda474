"""The models that a retraining keeps of a run: of which epochs, how many bytes, of which runs."""

import itertools
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from search.retraining.finalists import Models
from search.retraining.runs import Job, Run
from search.spec.objective import Objective
from search.tune.pool import Kept
from search.views.format import evenly
from search.worker import checkpoints, jobs
from search.worker.checkpoints import MOST_EPOCHS, Checkpoints, Copies
from search.worker.training import Order, Training
from tests.programs import ENVIRONMENT


@pytest.mark.parametrize("epochs", [1, 2, 3, 19, 20, 21, 30, 100, 10_000, 10**7])
def test_checkpoints_are_of_the_first_and_the_last_epoch_and_denser_at_the_start(epochs: int) -> None:
    chosen = checkpoints.spread(epochs, 20)
    assert (chosen[0], chosen[-1]) == (1, epochs)
    assert min(epochs, 15) <= len(chosen) <= 20
    gaps = np.diff(chosen)
    half = len(gaps) // 2
    assert sum(gaps[:half]) <= sum(gaps[len(gaps) - half :])


@pytest.mark.parametrize("count", [*range(9), 20])
def test_any_first_few_of_a_film_are_spread_over_all_of_it(count: int) -> None:
    order = evenly(range(count))
    assert sorted(order) == list(range(count))
    assert set(order[:2]) == {*range(count)} & {count - 1, 0}
    for few in range(2, count):
        assert max(np.diff(sorted(order[:few]))) <= 2 * (count - 1) / (few - 1) + 1


@pytest.mark.parametrize(("size", "kept"), [(5_000, MOST_EPOCHS), (4_000_000, 8), (12_000_000, 0), (40_000_000, 0)])
def test_checkpoints_of_a_run_fit_into_their_memory_or_are_fewer_or_none(size: int, kept: int) -> None:
    made = Checkpoints()
    for epoch in range(1, 101):
        if made.want(epoch, 100):
            made.add(epoch, bytes(size))
    assert len(made.models) == kept
    assert sum(map(len, made.models.values())) <= checkpoints.MOST_BYTES
    assert kept == 0 or (next(iter(made.models)) == 1 and [*made.models][-1] == 100)


def test_checkpoints_of_a_model_that_grows_end_where_their_memory_does() -> None:
    made = Checkpoints()
    for epoch in range(1, 101):
        if made.want(epoch, 100):
            made.add(epoch, bytes(epoch * 500_000))
    assert 3 <= len(made.models) < MOST_EPOCHS
    assert sum(map(len, made.models.values())) <= checkpoints.MOST_BYTES


def test_after_a_model_that_cannot_be_pickled_no_other_is_wanted() -> None:
    made = Checkpoints()
    assert made.want(1, 30)
    made.add(1, bytes(10))
    later = next(epoch for epoch in range(2, 31) if made.want(epoch, 30))
    made.add(later, None)
    assert not any(made.want(epoch, 30) for epoch in range(2, 31))
    assert list(made.models) == [1]


def copies_of(workload: str, **values: Any) -> tuple[Copies, list[float]]:
    """Return the copies of a run, and its metric at every epoch."""
    metric = "val_loss" if workload == "heart.train" else "loss"
    order = Order(workload, 0, Objective(metric), values)
    training, copies, seen = Training(order), Copies(order), []
    while True:
        result = training.advance(seconds=0)
        copies.take(training, result)
        seen += [metrics[metric] for _, metrics, _ in result["epochs"]]
        if result["ended"]:
            training.close()
            return copies, seen


def test_the_last_checkpoint_is_the_kept_model_where_the_last_epoch_is_the_best() -> None:
    copies, losses = copies_of("heart.train", points=2000, epochs=6, hidden1=8, hidden2=8, engine="torch")
    assert min(losses) == losses[-1]
    assert list(copies.checkpoints.models) == [1, 2, 3, 4, 5, 6]
    assert copies.checkpoints.models[6] == copies.best
    assert len(set(copies.checkpoints.models.values())) == 6  # each as it was, not as it is now


def test_where_nothing_can_be_drawn_no_checkpoint_is_kept() -> None:
    copies, _ = copies_of("tests.toy")
    assert copies.best is not None
    assert copies.checkpoints.models == {}


TRAINS = """
import sys
from pathlib import Path
from search.spec.objective import Objective
from search.worker import jobs
from search.worker.training import Order
log, folder = sys.argv[1:]
values = {"points": 2000, "epochs": 3, "engine": "torch"}
for keep in (True, False):
    record, best, models = jobs.train(Order("heart.train", 0, Objective("val_loss", "min"), values), log, keep)
    Path(folder, str(keep)).write_text(f"{record.checkpoints} {best is not None} {list(models)}")
"""


def test_an_audit_keeps_no_models(tmp_path: Path) -> None:
    command = [sys.executable, "-c", TRAINS, str(tmp_path / "log"), str(tmp_path)]
    subprocess.run(command, check=True, env=ENVIRONMENT, timeout=60)
    assert (tmp_path / "True").read_text(encoding="utf-8") == "(1, 2, 3) True [1, 2, 3]"
    assert (tmp_path / "False").read_text(encoding="utf-8") == "() False []"


def test_of_each_candidate_only_the_best_run_keeps_its_checkpoints() -> None:
    """As outcome.Candidate.best_run chooses it, of equal ones the first; also of the reference, which may win."""
    for order in itertools.permutations([("a", 0, 2.0), ("a", 1, 1.0), ("a", 2, 1.0), ("reference", 3, 0.0)]):
        models = Models(Objective("loss"))
        for candidate, number, value in order:
            record = jobs.Record("complete", best=value)
            kept = Kept("model", "checkpoints", (1, 2))
            models.add(Run(Job({"candidate": candidate}, {}), number, record, kept))
        assert [number for number, each in sorted(models.of_run.items()) if each.epochs] == [1, 3]
        assert all(each.model for each in models.of_run.values())

"""What a workload may yield: metrics alone, nested ones, or ones that are missing; in a generator or any iterator."""

import math
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from search.spec.objective import Objective
from search.worker import jobs, process
from search.worker.training import Order, Training, ending
from tests.programs import CONFIG

Write = Callable[[str], Order]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Return a function that writes a workload and returns the order to train it."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def write_module(text: str, metric: str = "loss") -> Order:
        (tmp_path / "yielding.py").write_text(text, encoding="utf-8")
        sys.modules.pop("yielding", None)
        process.prepare.cache_clear()
        return Order("yielding", 0, Objective(metric, "min"), {})

    return write_module


@pytest.mark.parametrize(
    "train",
    [
        "def train(config):\n  for e in range(3): yield {'loss': e}, 'm'",
        "def train(config): return iter([({'loss': e}, 'm') for e in range(3)])",
        "def train(config): return [({'loss': e}, 'm') for e in range(3)]",
        "import functools\ndef f(n, c): return (({'loss': e}, 'm') for e in range(n))\ntrain = functools.partial(f, 3)",
        "class T:\n  def __call__(self, c): return map(lambda e: ({'loss': e}, 'm'), range(3))\ntrain = T()",
        "def train(config, folder): yield from [({'loss': e}, 'm') for e in range(3)]",
        "import torch\ndef train(config): yield from (({'loss': torch.tensor(e)}, 'm') for e in range(3))",
        "import decimal\ndef train(config): yield from (({'loss': decimal.Decimal(e)}, 'm') for e in range(3))",
    ],
)
def test_whatever_returns_an_iterator_is_trained_as_a_generator_is(train: str, write: Write) -> None:
    training = Training(write(f"{CONFIG}\n{train}\n"))
    result = training.advance(seconds=60)
    assert [metrics["loss"] for _, metrics, _ in result["epochs"]] == [0, 1, 2]
    assert (training.model, result["best"], ending(result)) == ("m", 0, "complete")
    assert training.close() == ""


@pytest.mark.parametrize("returned", ["None", "0.5", "'loss'", "{'loss': 1.0}"])
def test_a_train_that_returns_what_is_no_epochs_is_told_what_it_may_do(returned: str, write: Write) -> None:
    result = Training(write(f"{CONFIG}\ndef train(config): return {returned}\n")).pull()
    assert result["failure"] == (
        "TypeError: train must yield metrics, or (metrics, model), once an epoch, or call report(metrics, model), "
        f"but it returned {returned}"
    )


def test_metrics_within_metrics_have_the_names_of_both(write: Write) -> None:
    order = write(f"{CONFIG}\ndef train(c): yield {{'val': {{'loss': 1, 'top': {{1: 0.5, 5: 0.9}}}}, 'none': {{}}}}\n")
    order = Order(order.workload, 0, Objective("val/loss"), {})
    result = Training(order).pull()
    assert result["metrics"] == {"val/loss": 1.0, "val/top/1": 0.5, "val/top/5": 0.9}
    assert result["notes"] == ["the metric 'none' must be a number to be recorded, but got {}"]


SPARSE = """
def train(config):
    for epoch in range(1, 7):
        yield {"loss": 10 - epoch} if epoch in GIVEN else {"other": epoch}
"""


def sparse(given: list[int]) -> str:
    return CONFIG.replace("epochs: int = 3", "epochs: int = 6") + SPARSE.replace("GIVEN", str(given))


def test_an_epoch_without_the_metric_decides_nothing(write: Write) -> None:
    training = Training(write(sparse([3, 6])))
    results = [training.pull() for _ in range(6)]
    assert [result["value"] for result in results] == [None, None, 7, 7, 7, 4]
    assert [result["best"] for result in results] == [None, None, 7, 7, 7, 4]
    assert [result["ended"] for result in results] == [False] * 5 + [True]
    said = [note for result in results for note in result["notes"]]
    assert said == ["no 'loss' in the first epoch, which decides nothing; there is 'other'"]
    assert ending(results[-1]) == "complete" and ending(results[1]) == "stopped"


def test_a_trial_whose_last_epoch_lacks_the_metric_is_complete_and_one_that_never_has_it_failed(write: Write) -> None:
    assert ending(Training(write(sparse([2]))).advance(seconds=60)) == "complete"
    result = Training(write(sparse([]))).advance(seconds=60)
    assert (ending(result), result["epoch"]) == ("failed", 6)
    assert result["failure"] == "train yields no 'loss', there are: other"


@pytest.mark.parametrize("value", ["True", "'much'", "None", "[1]", "{'a': 1}", "torch.tensor(True)", "np.bool_(True)"])
def test_for_the_metric_that_decides_a_truth_or_a_text_is_no_number(value: str, write: Write) -> None:
    text = f"import torch, numpy as np\n{CONFIG}\ndef train(c): yield {{'loss': {value}, 'other': True}}\n"
    result = Training(write(text)).pull()
    if value == "{'a': 1}":
        assert result["metrics"] == {"loss/a": 1.0, "other": 1.0}
    else:
        assert result["failure"].startswith("loss must be a number, but got ")


def test_a_config_without_epochs_and_seed_is_ended_by_the_search_and_seeded_all_the_same(write: Write) -> None:
    text = "import random\ndef train(x=1.0):\n  while True: yield {'loss': random.random()}\n"
    order = write(text)

    def losses(seed: int) -> list[float]:
        seeded = Order(order.workload, 0, order.objective, {"x": 2.0, "seed": seed}, epochs=4)
        training = Training(seeded)
        result = training.advance(seconds=60)
        assert training.values == {"seed": seed, "x": 2.0}
        training.close()
        return [metrics["loss"] for _, metrics, _ in result["epochs"]]

    assert len(losses(1)) == 4
    assert losses(1) == losses(1) != losses(2)


FOLDER = """
import os
def train(config, folder):
    assert os.environ["SEARCH_TRIAL_DIR"] == str(folder)
    assert not list(folder.iterdir())
    if config.x:
        (folder / "weights").write_text("here")
    yield {"loss": 1.0}
"""


def test_each_trial_has_a_folder_of_its_own_that_is_new_and_stays_only_where_something_is_in_it(
    write: Write, tmp_path: Path
) -> None:
    order = write(CONFIG + FOLDER)
    own = tmp_path / "trials" / "0003"
    own.mkdir(parents=True)
    (own / "of a process that died").touch()
    for x in (1.0, 0.0):
        training = Training(Order(order.workload, 0, order.objective, {"x": x}, folder=own))
        assert "failure" not in training.pull()
        training.close()
        assert [path.name for path in own.parent.rglob("*")] == (["0003", "weights"] if x else [])
        assert "SEARCH_TRIAL_DIR" not in os.environ


def test_without_a_model_there_is_nothing_to_test_save_or_draw_and_that_is_said(write: Write, tmp_path: Path) -> None:
    given = "def test(m, c): 1 / 0\ndef save(m, c, p): 1 / 0\ndef plot(m, c): 1 / 0\n"
    order = write(f"{CONFIG}\ndef train(c): yield {{'loss': 1.0}}\n{given}")
    log = str(tmp_path / "log")
    saved = (os.dup(1), os.dup(2))
    try:
        _, model, checkpoints = jobs.train(order, log, keep=True)
        scores = jobs.test(order, log, model)
        files = jobs.package(order, log, model)
        (drawn,) = jobs.draw_all(order, log, [jobs.Shot({}, 0)], model)
    finally:
        for number, file in enumerate(saved, 1):
            os.dup2(file, number)
            os.close(file)
    assert (model, checkpoints) == (b"", {})
    assert scores == ({}, f"not tested: {jobs.NO_MODEL}")
    assert files == ({}, [f"not kept: {jobs.NO_MODEL}"])
    assert drawn.problem == jobs.NO_MODEL


def test_a_metric_that_is_not_finite_ends_the_trial_also_where_it_was_missing_before(write: Write) -> None:
    text = f"{CONFIG}\ndef train(c):\n  yield {{'a': 1}}\n  yield {{'loss': float('nan')}}\n"
    result = Training(write(text)).advance(seconds=60)
    assert (ending(result), result["epoch"], math.isnan(result["value"])) == ("diverged", 2, True)


PUSHED = """
import pathlib
ends = pathlib.Path(__file__).with_name("ends")
def train(config, report):
    try:
        for epoch in range(1, 10):
            report({"loss": 1 / epoch}, f"model {epoch}")
    finally:
        ends.write_text(f"at {epoch}")
"""


def test_a_trainer_that_reports_is_trained_as_a_generator_is_and_ended_where_it_stands(
    write: Write, tmp_path: Path
) -> None:
    training = Training(write(CONFIG + PUSHED))
    assert training.pull()["metrics"] == {"loss": 1.0}
    assert training.model == "model 1"
    assert not (tmp_path / "ends").exists()
    assert training.close() == ""
    assert (tmp_path / "ends").read_text(encoding="utf-8") == "at 1"
    result = Training(write(CONFIG + PUSHED)).advance(seconds=60)
    assert (ending(result), result["epoch"]) == ("complete", 3)


def test_a_trainer_that_is_silent_for_too_long_fails_and_one_that_goes_on_is_named(write: Write) -> None:
    order = write(f"{CONFIG}\ndef train(c, report):\n  while True: pass\n")
    result = Training(Order(order.workload, 0, order.objective, {}, timeout=0.2)).pull()
    assert result["failure"] == "TimeoutError: reported nothing for longer than epoch_timeout (0.2 s)"
    text = (
        "def train(c, report):\n  for _ in range(99):\n    try: report({'loss': 1.0})\n    except BaseException: pass\n"
    )
    training = Training(write(f"{CONFIG}\n{text}"))
    training.pull()
    assert training.close() == "a trainer that goes on after it was told to end 4 times"


ENDS = """
import pathlib
def train(config, folder):
    for epoch in range(COUNT):
        yield {"loss": 1 / (epoch + 1)}
        (folder / f"epoch {epoch + 1}").touch()
    (folder / "last").touch()
    THEN
"""


@pytest.mark.parametrize(
    ("count", "then", "notes", "files"),
    [
        ("config.epochs", "", [], ["epoch 1", "epoch 2", "epoch 3", "last"]),
        (
            "config.epochs",
            "raise RuntimeError('late')",
            ["train raised RuntimeError: late after its last epoch; the trial is complete"],
            ["epoch 1", "epoch 2", "epoch 3", "last"],
        ),
        (
            "99",
            "",
            ["train goes on after its last epoch, where the trial ends: it yields more often than epochs says"],
            ["epoch 1", "epoch 2", "epoch 3"],
        ),
    ],
)
def test_after_its_last_epoch_a_workload_runs_on_to_its_own_end(
    count: str, then: str, notes: list[str], files: list[str], write: Write, tmp_path: Path
) -> None:
    order = write(CONFIG + ENDS.replace("COUNT", count).replace("THEN", then))
    (tmp_path / "study").mkdir()
    own = tmp_path / "study" / "trials" / "0000"
    training = Training(Order(order.workload, 0, order.objective, {}, folder=own))
    result = training.advance(seconds=60)
    assert (result["epoch"], ending(result)) == (3, "complete")
    assert training.settle(result) == notes
    training.close()
    assert sorted(path.name for path in own.iterdir()) == files

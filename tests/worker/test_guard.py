"""Nothing that a workload's own code raises or gives ends its process: it is told, as plain text and plain numbers."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from search.spec.objective import Objective
from search.worker import checkpoints, jobs, metrics, process
from search.worker.plain import is_plain
from search.worker.training import Order, Training, ending

HEAD = """
import asyncio, enum, sys, threading
import numpy as np
from collections.abc import Mapping
from dataclasses import dataclass

class Silent(Exception):
    def __str__(self): raise KeyboardInterrupt

class Shy:
    def __repr__(self): raise SystemExit

class Closed(Mapping):
    def __getitem__(self, key): raise Silent
    def __iter__(self): raise Silent
    def __len__(self): raise Silent

class Word(str):
    def __str__(self): return self

class Names(str, enum.Enum):
    LOSS = "loss"

class Last(BaseException):
    pass

@dataclass(frozen=True)
class Config:
    epochs: int = 3
    seed: int = 0

"""
NO_TEXT = "(its text cannot be read)"
Write = Callable[[str], Order]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Return a function that writes a workload, below HEAD, and returns the order to train it."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def write_module(body: str) -> Order:
        (tmp_path / "guarded.py").write_text(HEAD + body, encoding="utf-8")
        sys.modules.pop("guarded", None)
        process.prepare.cache_clear()
        return Order("guarded", 0, Objective("loss"), {})

    return write_module


def train(order: Order) -> dict[str, Any]:
    """Return the last result of a trial, of which all must be plain: it goes to a process without the workload."""
    training = Training(order)
    result = training.advance(seconds=60)
    training.close()
    assert is_plain(result, 5)
    return result


@pytest.mark.parametrize(
    ("given", "failure"),
    [
        ("{3: 1.0, None: 2.0, (4, 5): 3.0}", "train yields no 'loss', there are: 3, None, (4, 5)"),
        ("{'loss': Shy()}", f"loss must be a number, but got {NO_TEXT}"),
        ("{'loss': 'x' * 999}", f"loss must be a number, but got '{'x' * 79}"),
        ("{'loss': 10**400}", "loss must be a number, but float() of it raises OverflowError: int too large"),
        ("{'loss': 1.0, Names.LOSS: 2.0, b'loss': 3.0}", None),
        ("{3: 1.0, '3': 2.0, 'loss': 1.0}", None),
        (
            "{'loss': 1.0, type('Odd', (), {'__str__': lambda _: 'loss'})(): 2.0}",
            "loss must be a number, but there are",
        ),
        ("Closed()", f"Silent: {NO_TEXT}"),
        (
            "[0.5]",
            "TypeError: train must yield or report metrics, a mapping of numbers by name, and a model or none, but ",
        ),
        ("{Shy(): 0.5}", "SystemExit"),
    ],
)
def test_metrics_without_the_objectives_fail_their_trial_and_say_why(
    given: str, failure: str | None, write: Write
) -> None:
    result = train(write(f"def train(c): yield {given}, None\n"))
    assert result.get("failure", "").startswith(failure or "")
    assert ending(result) == ("failed" if failure else "complete")


@pytest.mark.parametrize(
    "given", ["None", "1.0", "({'loss': 1.0}, None, None)", "Shy()", "'loss'", "(None, {'loss': 1.0})"]
)
def test_what_is_no_pair_of_metrics_and_model_is_told_so(given: str, write: Write) -> None:
    result = train(write(f"def train(c): yield {given}\n"))
    assert result["failure"].startswith("TypeError: train must yield or report metrics, a mapping of numbers by name, ")


def test_a_name_that_is_no_plain_text_becomes_one_and_what_is_no_number_is_left_out(write: Write) -> None:
    given = "{Names.LOSS: np.float32(1), Word('a'): 2.0, 3: True, 'm': Closed(), '\\udc80': 5, 'three': 3, 'z': Shy()}"
    result = train(write(f"def train(c): yield {given}, None\n"))
    assert result["metrics"] == {"loss": 1.0, "a": 2.0, "3": 1.0, "\\udc80": 5.0, "three": 3.0}


def test_of_two_metrics_with_one_name_none_counts() -> None:
    assert metrics.read({3: 1.0, "3": 2.0, "4": 3.0}, "")[0] == {"4": 3.0}


def test_a_matrix_of_torch_beside_the_loss_costs_nothing() -> None:
    """Its float() raises a RuntimeError, where NumPy's raises a TypeError."""
    import torch

    numbers, others = metrics.read({"loss": 1, "confusion": torch.ones(2, 2)}, "")
    assert (numbers, list(others)) == ({"loss": 1.0}, ["confusion"])


RAISED = [
    ("Silent()", f"Silent: {NO_TEXT}"),
    ("KeyboardInterrupt", "KeyboardInterrupt"),
    ("asyncio.CancelledError", "CancelledError"),
    ("GeneratorExit", "GeneratorExit"),
    ("Last(1)", "Last: 1"),
    ("type('', (Exception,), {})", "an exception without a name"),
    ("SystemExit(3)", "SystemExit: 3"),
    ("ValueError('two\\nlines  \\udc80')", "ValueError: two lines \\udc80"),
    ("ValueError('x' * 10**6)", f"ValueError: {'x' * 500}"),
]
BODIES = {
    "train": "def train(c):\n  yield {'loss': 1.0}, None\n  raise RAISED\n",
    "resolve": "def train(c): yield\ndef resolve(c): raise RAISED\n",
    "import": "def train(c): yield\nraise RAISED\n",
}


@pytest.mark.parametrize(("raised", "failure"), RAISED)
@pytest.mark.parametrize("where", BODIES)
def test_whatever_a_workload_raises_is_its_trials_failure(raised: str, failure: str, where: str, write: Write) -> None:
    result = train(write(BODIES[where].replace("RAISED", raised)))
    assert (ending(result), result["epoch"]) == ("failed", 1 if where == "train" else 0)
    assert failure[:200] in result["failure"]
    assert "guarded.py" in result["traceback"]
    result["traceback"].encode()


@pytest.mark.parametrize("resolved", ["None", "{'epochs': 1, 'seed': 0}"])
def test_a_resolve_that_returns_no_config_is_told(resolved: str, write: Write) -> None:
    result = train(write(f"def train(c): yield\ndef resolve(c): return {resolved}\n"))
    assert result["failure"] == f"TypeError: resolve must return a Config, but got {resolved}"


@pytest.mark.parametrize("end", ["raise KeyboardInterrupt", "raise Silent()", "yield 1"])
def test_a_generator_that_objects_to_its_end_ends_no_process(end: str, write: Write) -> None:
    training = Training(write(f"def train(c):\n  try: yield {{'loss': 1}}, 2\n  finally: {end}\n"))
    training.pull()
    training.close()
    assert (training.model, training._yields) == (None, None)


def test_streams_that_a_workload_has_closed_or_removed_cost_only_what_is_printed(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for spoil in ("sys.stderr.close(); sys.stdout.close()", "sys.stderr = sys.stdout = None"):
        streams = [(tmp_path / name).open("w") for name in ("stdout", "stderr")]
        monkeypatch.setattr(sys, "stdout", streams[0])
        monkeypatch.setattr(sys, "stderr", streams[1])
        training = Training(write(f"def train(c):\n  try: yield {{'loss': 1}}, 2\n  finally: {spoil}; raise Last\n"))
        training.pull()
        training.close()
        process.remove_if_empty(tmp_path / "none.log")
        for stream in streams:
            stream.close()


def test_a_workload_that_swallows_the_time_limit_fails_by_it_all_the_same(write: Write) -> None:
    body = """
def train(c):
    try:
        threading.Event().wait()
    except BaseException:
        yield {"loss": 1.0}, None
"""
    order = write(body)
    result = Training(Order(order.workload, 0, order.objective, {}, timeout=0.2)).pull()
    assert result["failure"] == "TimeoutError: reported nothing for longer than epoch_timeout (0.2 s)"


def test_the_limit_holds_also_where_a_metric_is_waited_for(write: Write) -> None:
    """As a number on a GPU is."""
    body = """
class Late:
    def __float__(self): threading.Event().wait()
def train(c): yield {"loss": 1.0, "late": Late()}, None
"""
    order = write(body)
    result = Training(Order(order.workload, 0, order.objective, {}, timeout=0.2)).pull()
    assert result["failure"] == "TimeoutError: reported nothing for longer than epoch_timeout (0.2 s)"


SCORES = """
def train(c): yield {'loss': 1.0}, None
def test(model, c):
    SCORES
"""


@pytest.mark.parametrize(
    ("body", "scores", "problem"),
    [
        ("return {'a': np.float32(1), 'b': True}", {"a": 1.0, "b": 1.0}, ""),
        ("return {'a': 1, 'm': np.ones((2, 2)), 3: 'x'}", {"a": 1.0}, "test: m, 3 must be a number; left out"),
        (
            "return None",
            {},
            "test raised TypeError: what test returns must be a mapping of numbers by name, but got None",
        ),
        ("return 0.5", {"test": 0.5}, ""),
        ("raise KeyboardInterrupt", {}, "test raised KeyboardInterrupt"),
    ],
)
def test_scores_that_are_numbers_are_kept_and_the_others_named(
    body: str, scores: dict[str, float], problem: str, write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "redirect_output", lambda path: None)
    order = write(SCORES.replace("SCORES", body))
    model = checkpoints.pickle("a model")[0]
    assert jobs.test(order, "", model) == (scores, problem)


def test_a_score_that_is_not_finite_is_one() -> None:
    numbers, others = metrics.read({"a": float("nan"), "b": float("-inf")}, "")
    assert (str(numbers["a"]), numbers["b"], others) == ("nan", float("-inf"), {})


@pytest.mark.parametrize("raised", ["KeyboardInterrupt", "Silent()", "GeneratorExit"])
def test_no_job_of_a_retraining_raises_what_the_workload_raises(
    raised: str, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "redirect_output", lambda path: None)
    body = f"""
class Model:
    def __reduce__(self): raise {raised}
def train(c): yield {{'loss': 1.0}}, Model()
def fail(*_): raise {raised}
test = save = plot = fail
"""
    order = write(body)
    record, model, _ = jobs.train(order, "", keep=True)
    assert (record.ending, record.config, model) == ("complete", {"epochs": 3, "seed": 0}, None)
    kind = raised.removesuffix("()")
    model = checkpoints.pickle("a model")[0]
    assert jobs.test(order, "", model)[1].startswith(f"test raised {kind}")
    assert jobs.package(order, "", model)[1][0].startswith(f"save raised {kind}")
    (drawn,) = jobs.draw_all(order, "", [jobs.Shot({}, 0)], model)
    assert drawn.problem.startswith(f"plot raised {kind}")


def test_a_job_in_a_process_that_cannot_import_the_workload_says_so(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "redirect_output", lambda path: None)
    order = write("raise KeyboardInterrupt")
    model = checkpoints.pickle("a model")[0]
    assert jobs.train(order, "", keep=True)[0].failure == "KeyboardInterrupt"
    assert jobs.test(order, "", model)[1] == "test raised KeyboardInterrupt"
    assert jobs.package(order, "", model)[1] == ["save raised KeyboardInterrupt"]
    drawn = jobs.draw_all(order, "", [jobs.Shot({}, 0)] * 2, model)
    assert [each.problem for each in drawn] == ["plot raised KeyboardInterrupt"] * 2

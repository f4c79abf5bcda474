"""What a trial leaves in its process that cannot be put back is found; what a workload loads once is not."""

import _thread
import math
import multiprocessing
import random
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from search.worker import leftovers
from search.worker.leftovers import Leftovers

NAME = "a_workload_of_these_tests"


class Counter:
    """An object of the workload's own, as its module has one at the top."""

    def __init__(self) -> None:
        self.calls = 3
        self.data: Any = None


class Slotted:
    """The same, without a dictionary."""

    __slots__ = ("calls",)

    def __init__(self) -> None:
        self.calls = 3


def function(seen: Any = [1]) -> None:  # noqa: B006 - as people write it
    seen[0] += 1


for own in (Counter, Slotted, function):
    own.__module__ = NAME


@pytest.fixture
def module() -> ModuleType:
    """Return a workload's module with all that one may have at its top."""
    made = ModuleType(NAME)
    torch.manual_seed(0)
    values = {
        "weights": np.zeros(100_000),
        "rows": np.zeros((3, 4)).T,
        "tensor": torch.zeros(3, dtype=torch.bfloat16),
        "model": torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.BatchNorm1d(2)),
        "counter": Counter(),
        "nested": {"a": [np.zeros(2)], 3: (Counter(),)},
        "generator": np.random.default_rng(0),
        "state": np.random.RandomState(0),
        "python": random.Random(0),
        "noise": torch.Generator(),
        "text": "plain",
        "slotted": Slotted(),
        "space": SimpleNamespace(a=1),
        "function": function,
        "itself": [object()],
    }
    vars(made).update(values)
    made.itself.append(made.itself)
    return made


def train(model: Any) -> None:
    optimizer = torch.optim.SGD(model.parameters(), lr=1)
    model(torch.ones(4, 2)).sum().backward()
    optimizer.step()


CHANGES: dict[str, Callable[[Any], Any]] = {
    "weights": lambda module: module.weights.__iadd__(1),
    "rows": lambda module: module.rows.__iadd__(1),
    "tensor": lambda module: module.tensor.add_(1),
    "model.0.bias": lambda module: train(module.model[0]),
    "model.1.running_mean": lambda module: module.model[1](torch.ones(4, 2)),
    "counter.calls": lambda module: setattr(module.counter, "calls", 4),
    "nested['a'][0]": lambda module: module.nested["a"][0].fill(1),
    "nested[3][0].calls": lambda module: setattr(module.nested[3][0], "calls", 0),
    "generator": lambda module: module.generator.random(),
    "state": lambda module: module.state.rand(),
    "python": lambda module: module.python.random(),
    "slotted.calls": lambda module: setattr(module.slotted, "calls", 4),
    "space.a": lambda module: setattr(module.space, "a", 2),
    "function's default[0][0]": lambda module: module.function(),
    "noise": lambda module: torch.rand(1, generator=module.noise),
}


@pytest.mark.parametrize("name", CHANGES)
def test_an_object_that_a_trial_has_changed_is_named(name: str, module: ModuleType) -> None:
    before = Leftovers({NAME: module})
    assert before.find() == ""
    CHANGES[name](module)
    assert before.find().startswith("a changed ")
    assert f"{NAME}.{name}" in [*before._changed()]


def test_what_a_workload_loads_once_is_no_change(module: ModuleType) -> None:
    before = Leftovers({NAME: module})
    module.counter.data = np.ones(3)
    module.nested["more"] = np.ones(3)
    module.itself.append(np.ones(3))
    module.late = np.ones(3)  # type: ignore[attr-defined]
    module.model.eval()
    assert before.find() == ""


def test_a_name_that_stands_for_another_object_is_put_back(module: ModuleType) -> None:
    before = Leftovers({NAME: module})
    weights = module.weights
    module.weights = np.ones(100_000)  # type: ignore[attr-defined]
    del module.rows
    assert before.find() == ""
    assert module.weights is weights
    assert module.rows.shape == (4, 3)


@pytest.fixture
def stop() -> Iterator[threading.Event]:
    event = threading.Event()
    yield event
    event.set()


def test_a_thread_that_still_runs_is_named_and_one_that_ends_is_not(stop: threading.Event) -> None:
    before = Leftovers({})
    threads = [threading.Thread(target=stop.wait, name=name, daemon=True) for name in ("b", "a")]
    for thread in threads:
        thread.start()
    assert before.find() == "the running thread 'a'"
    assert Leftovers({}).find() == ""
    stop.set()
    assert before.find() == ""


def test_a_process_that_still_runs_is_named() -> None:
    before = Leftovers({})
    process = multiprocessing.get_context("spawn").Process(target=signal.pause, name="loader", daemon=True)
    process.start()
    try:
        assert before.find() == "the running process 'loader'"
    finally:
        process.kill()
        process.join()
    assert before.find() == ""


def test_memory_that_grows_from_trial_to_trial_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """By less than a trial may need it is not: freed memory need not go back to the system."""
    monkeypatch.setattr(leftovers, "MOST_GROWTH_BYTES", 50_000_000)
    before = Leftovers({})
    leftovers._first_memory_bytes.cache_clear()
    assert before.find() == ""
    kept = np.ones(4_000_000)
    assert before.find() == ""
    more = np.ones(4_000_000)
    assert before.find().endswith(" MB of memory")
    del kept, more
    leftovers._first_memory_bytes.cache_clear()


def test_a_thread_that_python_did_not_begin_is_passed_over() -> None:
    """It cannot be waited for: threading knows it only as one that has asked for its own name."""
    before = Leftovers({})
    known, stop = threading.Event(), threading.Event()

    def foreign() -> None:
        threading.current_thread()
        known.set()
        stop.wait()

    _thread.start_new_thread(foreign, ())
    known.wait()
    try:
        assert any(isinstance(thread, threading._DummyThread) for thread in threading.enumerate())
        assert before.find() == ""
    finally:
        stop.set()


def test_a_value_that_is_no_number_is_no_change_as_long_as_it_stays(module: ModuleType) -> None:
    module.counter.calls = math.nan
    before = Leftovers({NAME: module})
    assert before.find() == ""
    module.counter.calls = 1.0
    assert before.find() == f"a changed {NAME}.counter.calls"


def test_a_pool_that_waits_for_work_is_no_running_thread_and_one_that_works_is(stop: threading.Event) -> None:
    """torch.compile keeps one, whose compiled code is to stay."""
    before = Leftovers({})
    with ThreadPoolExecutor(2, thread_name_prefix="pool") as pool:
        pool.submit(int).result()
        pool.submit(int).result()
        assert before.find() == ""
        pool.submit(stop.wait)
        assert before.find() == "the running thread 'pool_0'"
        stop.set()

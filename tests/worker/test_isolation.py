"""What a trial leaves in its process is put back: everything that could change another trial's numbers, and no data."""

import os
import random
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from search.worker import isolation
from search.worker.isolation import Surroundings
from search.worker.plain import MOST_ENTRIES, is_plain

NAME = "a_workload_of_these_tests"


@pytest.fixture
def module() -> Iterator[ModuleType]:
    """Return a module of a workload's package, which a trial may change."""
    made = ModuleType(f"{NAME}.parts")
    sys.modules[made.__name__] = made
    yield made
    del sys.modules[made.__name__]


def leave(module: ModuleType, **values: Any) -> Surroundings:
    """Return the process as it is with these values at the top of a module."""
    vars(module).update(values)
    return Surroundings(NAME)


def test_numbers_texts_and_what_they_lie_in_are_put_back_as_often_as_they_are_changed(module: ModuleType) -> None:
    settings = {"rate": 0.1, "steps": [1, 2]}
    before = leave(module, count=0, name="a", settings=settings, seen=[[1]], kinds={"a"}, pair=([1], 2))
    for _ in range(2):  # what is put back is a copy, too: the next trial may change it
        module.count, module.name = 5, "b"  # type: ignore[attr-defined]
        module.settings["rate"] = 9.0
        module.settings["steps"].append(3)
        module.seen[0].append(2)
        module.seen.append([3])
        module.kinds.add("b")
        module.pair[0].append(7)
        before.restore()
        assert (module.count, module.name, module.kinds, module.pair) == (0, "a", {"a"}, ([1], 2))
        assert (module.settings, module.seen) == ({"rate": 0.1, "steps": [1, 2]}, [[1]])


def test_a_list_a_dict_or_a_set_that_others_hold_too_stays_the_same_one(module: ModuleType) -> None:
    """Another module may have imported it by name."""
    seen, settings, kinds = list[int](), {"rate": 0.1}, {"a"}
    before = leave(module, seen=seen, settings=settings, kinds=kinds)
    seen.append(1)
    settings["rate"] = 1.0
    kinds.add("b")
    before.restore()
    assert (seen, settings, kinds) == ([], {"rate": 0.1}, {"a"})
    assert (module.seen is seen, module.settings is settings, module.kinds is kinds) == (True, True, True)


def test_a_value_of_another_kind_that_is_equal_is_put_back_too(module: ModuleType) -> None:
    before = leave(module, is_on=True, size=2)
    module.is_on, module.size = 1, 2.0  # type: ignore[attr-defined]
    before.restore()
    assert (type(module.is_on), type(module.size)) == (bool, int)


def test_what_a_workload_has_loaded_stays(module: ModuleType) -> None:
    """In a dict that was empty, at a name that was not there, or too large for a setting."""
    large = list(range(MOST_ENTRIES + 1))
    before = leave(module, cache={}, large=large)
    data = module.cache["data"] = np.arange(3.0)
    module.loaded = [1, 2]  # type: ignore[attr-defined]
    large.append(-1)
    before.restore()
    assert module.cache["data"] is data
    assert module.loaded == [1, 2]
    assert large[-1] == -1


def test_a_setting_is_put_back_also_where_data_was_laid_beside_it(module: ModuleType) -> None:
    before = leave(module, settings={"scale": 1.0}, cache={})
    for _ in range(2):
        module.settings["scale"] *= 2
        module.settings["mean"] = np.zeros(3)
        before.restore()
        assert module.settings["scale"] == 1.0
        assert module.settings["mean"].shape == (3,)


def test_a_module_of_another_package_is_left_alone_though_its_name_begins_alike() -> None:
    other = ModuleType(f"{NAME}_more")
    sys.modules[other.__name__] = other
    try:
        before = leave(other, count=0)
        other.count = 1  # type: ignore[attr-defined]
        before.restore()
        assert other.count == 1
    finally:
        del sys.modules[other.__name__]


def test_folder_path_and_environment_are_put_back(tmp_path: Path) -> None:
    os.environ["GONE"] = "1"
    try:
        before = Surroundings(NAME)
        here, path = Path.cwd(), sys.path
        kept = list(path)
        os.chdir(tmp_path)
        os.environ["NEW"] = os.environ.pop("GONE")
        sys.path.insert(0, str(tmp_path))
        sys.path = [*sys.path, "more"]
        sys.path, new = path, sys.path
        assert new is not path
        before.restore()
        assert Path.cwd() == here
        assert (os.environ.get("GONE"), os.environ.get("NEW")) == ("1", None)
        assert sys.path == kept
    finally:
        os.environ.pop("GONE")


def test_torchs_settings_of_the_process_are_put_back() -> None:
    before = Surroundings(NAME)
    found = torch.get_default_dtype(), torch.get_num_threads(), torch.is_grad_enabled()
    torch.set_default_dtype(torch.float64)
    torch.set_num_threads(found[1] + 1)
    torch.set_grad_enabled(False)
    torch.use_deterministic_algorithms(True)
    before.restore()
    assert (torch.get_default_dtype(), torch.get_num_threads(), torch.is_grad_enabled()) == found
    assert not torch.are_deterministic_algorithms_enabled()


def test_a_workload_that_forgets_a_generator_draws_the_same_numbers_in_every_trial() -> None:
    def drawn() -> tuple[float, float, float]:
        return random.random(), float(np.random.random()), float(torch.rand(()))

    isolation.seed(3)
    first = drawn()
    drawn()
    isolation.seed(3)
    assert drawn() == first
    isolation.seed(4)
    assert not set(drawn()) & set(first)


SETTINGS: list[Any] = [None, True, 1, 2.5, 1j, "a", b"a", [], {"a": [1, (2, 3)]}, [{"b"}], [0] * MOST_ENTRIES]
DATA: list[Any] = [
    np.float64(1),
    np.arange(2),
    [object()],
    {"a": np.arange(2)},
    [[[[1]]]],
    [0] * (MOST_ENTRIES + 1),
]


@pytest.mark.parametrize("value", SETTINGS, ids=range(len(SETTINGS)))
def test_a_setting_is_a_number_a_text_or_a_small_container_of_such(value: Any) -> None:
    assert is_plain(value)


@pytest.mark.parametrize("value", DATA, ids=range(len(DATA)))
def test_what_is_large_or_deep_or_an_object_is_no_setting(value: Any) -> None:
    assert not is_plain(value)


def test_a_list_that_holds_itself_is_no_setting() -> None:
    endless: list[Any] = []
    endless.append(endless)
    assert not is_plain(endless)

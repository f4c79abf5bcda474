"""What Ray and Tune would let a search wait for."""

import subprocess
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from search.tune import shortcuts
from search.tune.cluster import count_cpus
from tests.programs import TOY, begin, write

SERVERS = ("monitor.py", "dashboard/dashboard.py", "log_monitor.py")


def test_a_search_starts_a_process_a_core_however_short_its_trials_are_and_no_server_that_it_does_not_use(
    tmp_path: Path,
) -> None:
    """On a real Ray. Left to itself Tune starts two a core, and one more each time that a trial ends before a start."""
    commands: dict[int, str] = {}
    config = write(tmp_path, {**TOY, "num_samples": 60, "sampler": "random", "scheduler": None})
    with begin(tmp_path, "--config", config, "--name", "s") as process:
        while process.poll() is None:
            for each in psutil.Process(process.pid).children(recursive=True):
                try:
                    command = " ".join(each.cmdline())
                except psutil.Error:
                    continue
                if command:  # a process that ends has none
                    commands[each.pid] = command
            with suppress(subprocess.TimeoutExpired):
                process.wait(0.05)
        _, errors = process.communicate()
    assert (process.returncode, errors) == (0, "")
    workers = [each for each in commands.values() if each.startswith("ray::") and "Agent" not in each]
    assert count_cpus() <= len(workers) <= count_cpus() + 1  # one more where the machine is busy
    assert any("gcs_server" in command for command in commands.values())
    assert not [command for command in commands.values() if any(server in command for server in SERVERS)]


class Controller:
    """Stands for Tune's controller: a trial whose process starts, and whether another is free."""

    def __init__(self) -> None:
        self.is_one_free = False
        self.trial = SimpleNamespace(trial_id="a", placement_group_factory="cpu")
        self._trial_to_actor: list[Any] = [self.trial]
        self._resetting_trials: list[Any] = []
        self._actor_cache = SimpleNamespace(has_cached_object=lambda resources: self.is_one_free)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [0.0]
    monkeypatch.setattr("search.tune.shortcuts.time", SimpleNamespace(monotonic=lambda: now[0]))
    return now


def test_a_trial_leaves_the_process_that_starts_for_it_only_when_it_has_waited_beside_a_free_one(
    clock: list[float],
) -> None:
    controller, moved = Controller(), []

    def tunes_own(controller: Any, trial: Any) -> bool:
        moved.append(controller.is_one_free)
        return bool(controller.is_one_free)

    reuse = shortcuts._its_own_first(tunes_own)
    clock[0] = 1000.0
    assert not reuse(controller, controller.trial)  # as Tune asks at each step: nothing is free, no time is counted
    for clock[0], controller.is_one_free in ((2000.0, True), (2009.0, True)):
        assert not reuse(controller, controller.trial)
    assert moved == [False]
    for clock[0], controller.is_one_free in ((2010.0, False), (2011.0, False), (2012.0, True)):
        assert reuse(controller, controller.trial) == controller.is_one_free


def test_a_trial_without_a_process_of_its_own_takes_a_free_one_at_once(clock: list[float]) -> None:
    controller = Controller()
    controller.is_one_free, controller._trial_to_actor = True, []
    assert shortcuts._its_own_first(lambda controller, trial: True)(controller, controller.trial)


def test_a_trial_that_is_given_its_process_takes_a_free_one_as_tune_says(clock: list[float]) -> None:
    """It has one that is only made ready for it: none starts."""
    controller = Controller()
    controller.is_one_free, controller._resetting_trials = True, [controller.trial]
    assert shortcuts._its_own_first(lambda controller, trial: True)(controller, controller.trial)


def functions() -> dict[str, Any]:
    """Return what is replaced, as it is now."""
    from ray._private import services
    from ray._private.node import Node
    from ray.air._internal import usage
    from ray.tune.execution import class_cache
    from ray.tune.execution.tune_controller import TuneController

    return {
        **{name: getattr(Node, name) for name in ("start_monitor", "start_log_monitor", "start_api_server")},
        "get_node": services.get_node,
        "reuse": TuneController._maybe_reuse_cached_actor,
        "reset": TuneController._on_trial_reset,
        "tag_callbacks": usage.tag_callbacks,
        "variables": class_cache.DEFAULT_ENV_VARS,
        "propagated": class_cache.ENV_VARS_TO_PROPAGATE,
    }


@pytest.mark.parametrize("has_dashboard", [True, False])
def test_what_is_replaced_is_rays_own_again_afterwards_also_after_an_error(
    has_dashboard: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a dashboard's packages its server stays: an agent would look for it."""
    from ray._private import utils

    missing = None if has_dashboard else ImportError("no dashboard")
    monkeypatch.setattr(utils, "get_dashboard_dependency_error", lambda: missing)
    rays = functions()

    def replaced(within: Any) -> set[str]:
        found = set[str]()
        with suppress(KeyError), within:
            found = {name for name, each in functions().items() if each is not rays[name]}
            raise KeyError
        assert functions() == rays
        return found

    servers = {"start_monitor", "start_log_monitor"} | (set() if has_dashboard else {"start_api_server"})
    assert replaced(shortcuts.lean_start()) == {*servers, "get_node"}
    assert replaced(shortcuts.steady_processes(print, is_our_ray=True)) == {"reuse", "reset", "variables", "propagated"}
    assert replaced(shortcuts.steady_processes(print, is_our_ray=False)) == {"reuse", "reset"}
    assert replaced(shortcuts.uncounted_callbacks()) == {"tag_callbacks"}

"""Patches of Ray and Tune, where they make a search wait and have no setting against it.

Written for Ray 2.60, to which pyproject.toml pins us: read them again with each release.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

import psutil

REGISTRATION_S = 10.0
"""Time after which waiting for a node is left to Ray's own function."""
USUAL_S = 1.0
"""Time that a registration usually takes at most; after it one looks why it does not come."""
PATIENCE_S = 10.0
"""Time that a trial waits for a process that is starting for it, from when another has become free."""


@contextmanager
def lean_start() -> Iterator[None]:
    """Start Ray on this machine without the services that a search never uses.

    These are the autoscaler, the log monitor, which forwards lines to a driver that has asked for none, and the
    dashboard's server, which Ray starts even without a dashboard. (Where all of Ray is installed that one stays: an
    agent would look for it each second.) Each takes half a second of a core while workers start, and the autoscaler
    takes a second to end. Nor does Ray take SIGTERM for itself, with handlers that raise SystemExit(15) in the middle
    of its start.
    """
    from ray._private import services, utils
    from ray._private.node import Node

    unused = ["start_monitor", "start_log_monitor"]
    if utils.get_dashboard_dependency_error() is not None:
        unused.append("start_api_server")
    with ExitStack() as replaced:
        for name in unused:
            _replace(replaced, Node, name, lambda node, **options: None)
        _replace(replaced, utils, "set_sigterm_handler", lambda handler: None)
        _replace(replaced, services, "get_node", _node_at_once(services))
        yield


def _replace(replaced: ExitStack, owner: Any, name: str, value: Any) -> None:
    """Replace an attribute until the stack is closed, which puts the original back."""
    replaced.callback(setattr, owner, name, getattr(owner, name))
    setattr(owner, name, value)


def _node_at_once(services: Any) -> Callable[[str, str], Any]:
    """Return a get_node that waits until a node is registered: Ray's own looks too early, and again a second later.

    It raises OSError where the raylet has died, for which Ray's own would wait for half a minute.
    """
    from ray._private.state import GlobalState

    original = services.get_node

    def get_node(address: str, node_id: str) -> Any:
        state = GlobalState()
        deadline = time.monotonic() + REGISTRATION_S
        state._initialize_global_state(services._get_gcs_client_options(address))
        while not any(node["Alive"] for node in state.node_table()) and time.monotonic() < deadline:
            time.sleep(0.01)
            if time.monotonic() > deadline - REGISTRATION_S + USUAL_S and _has_died("raylet"):
                raise OSError("its raylet died")
        return original(address, node_id)

    return get_node


def _has_died(name: str) -> bool:
    """Return whether a child of this process of that name has ended; nobody has asked for its exit code yet."""
    for child in psutil.Process().children():
        with suppress(psutil.NoSuchProcess):
            if child.name() == name and child.status() == psutil.STATUS_ZOMBIE:
                return True
    return False


@contextmanager
def steady_processes(tell_left: Callable[[str], None], *, is_our_ray: bool) -> Iterator[None]:
    """Have Tune train in the workers that our own Ray has prestarted, keep those that are starting, and end stale ones.

    Tune gives its processes a runtime environment, for which Ray starts new workers while the prestarted ones idle and
    die. Its variables are ones that the workers of this machine have inherited anyway. `tell_left` is called with what
    a trial has left behind in its process, each time that a process is ended for it.
    """
    from ray.tune.execution import class_cache
    from ray.tune.execution.tune_controller import TuneController

    with ExitStack() as replaced:
        if is_our_ray:
            _replace(replaced, class_cache, "DEFAULT_ENV_VARS", {})
            _replace(replaced, class_cache, "ENV_VARS_TO_PROPAGATE", set())
        name = "_maybe_reuse_cached_actor"
        _replace(replaced, TuneController, name, _its_own_first(getattr(TuneController, name)))
        name = "_on_trial_reset"
        _replace(replaced, TuneController, name, _in_another_process(getattr(TuneController, name), tell_left))
        yield


def _in_another_process(
    original: Callable[[Any, Any, Any], None], tell_left: Callable[[str], None]
) -> Callable[[Any, Any, Any], None]:
    """Return an _on_trial_reset that gives a trial another process where the one it was to reuse says that it is stale.

    Tune's would end the trial as failed.
    """

    def on_trial_reset(controller: Any, trial: Any, answer: bool | str) -> None:
        if isinstance(answer, bool):
            original(controller, trial, answer)
            return
        # Any text, also an empty one, is that of a process that must not train this trial.
        controller._resetting_trials.remove(trial)
        stale = controller._trial_to_actor.pop(trial)
        controller._actor_to_trial.pop(stale)
        trial.set_ray_actor(None)
        controller._remove_actor(tracked_actor=stale)
        controller._schedule_trial_actor(trial)
        if answer:
            tell_left(answer)

    return on_trial_reset


@contextmanager
def uncounted_callbacks() -> Iterator[None]:
    """Keep Tune from counting its callbacks by kind: to recognize them it imports every installed tracker, a second."""
    from ray.air._internal import usage

    with ExitStack() as replaced:
        _replace(replaced, usage, "tag_callbacks", lambda callbacks: False)
        yield


def _its_own_first(original: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    """Return a _maybe_reuse_cached_actor that leaves a trial alone while a process of its own is starting.

    Tune's would move the trial to a process that has become free, end the one that is starting, and start yet another
    for the next trial, and so on for as long as trials are shorter than a start: one process works, and a core is lost
    to starts. After PATIENCE_S Tune decides: where a node is lost, the trial's own process may never come.
    """
    free_since: dict[str, float] = {}
    """When another process was first free, by the trial_id of the trial that waited."""

    def reuse(controller: Any, trial: Any) -> bool:
        is_starting = trial in controller._trial_to_actor and trial not in controller._resetting_trials
        if is_starting and controller._actor_cache.has_cached_object(trial.placement_group_factory):
            now = time.monotonic()
            if now - free_since.setdefault(trial.trial_id, now) < PATIENCE_S:
                return False
        return original(controller, trial)

    return reuse

"""Where Ray and Tune would let a search wait, and have no setting for it: functions of theirs that are replaced.

Read from Ray 2.60, to which pyproject.toml holds us.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

REGISTRATION = 10.0
"""Seconds until waiting for a node is left to Ray."""
PATIENCE = 10.0
"""Seconds that a trial waits for a process of its own, from when another has become free."""


@contextmanager
def lean_start() -> Iterator[None]:
    """Let Ray start on this machine without what a search never uses.

    That is its autoscaler, what forwards log lines to a driver that has asked for none, and the dashboard's server,
    which comes without a dashboard too (where all of Ray is installed it stays: an agent would look for it each
    second). Each takes half a second of a core while workers start, and the first a second to end.
    """
    from ray._private import services, utils
    from ray._private.node import Node

    unused = ["start_monitor", "start_log_monitor"]
    if utils.get_dashboard_dependency_error() is not None:
        unused.append("start_api_server")
    with ExitStack() as replaced:
        for name in unused:
            _replace(replaced, Node, name, lambda node, **options: None)
        _replace(replaced, services, "get_node", _node_at_once(services))
        yield


def _replace(replaced: ExitStack, owner: Any, name: str, value: Any) -> None:
    replaced.callback(setattr, owner, name, getattr(owner, name))
    setattr(owner, name, value)


def _node_at_once(services: Any) -> Callable[[str, str], Any]:
    """Return what finds a node once it is there: Ray's own looks at once, when it never is, and a second later."""
    from ray._private.state import GlobalState

    rays_own = services.get_node

    def get_node(address: str, node_id: str) -> Any:
        state, deadline = GlobalState(), time.monotonic() + REGISTRATION
        state._initialize_global_state(services._get_gcs_client_options(address))
        while not any(node["Alive"] for node in state.node_table()) and time.monotonic() < deadline:
            time.sleep(0.01)
        return rays_own(address, node_id)

    return get_node


@contextmanager
def steady_processes(*, is_our_ray: bool) -> Iterator[None]:
    """Let Tune train in the workers that Ray has started beforehand, where that is ours, and keep those that start.

    Tune gives its processes a runtime environment, of variables that those of this machine have inherited anyway, for
    which Ray starts new ones while the others idle and die.
    """
    from ray.tune.execution import class_cache
    from ray.tune.execution.tune_controller import TuneController

    with ExitStack() as replaced:
        if is_our_ray:
            _replace(replaced, class_cache, "DEFAULT_ENV_VARS", {})
            _replace(replaced, class_cache, "ENV_VARS_TO_PROPAGATE", set())
        name = "_maybe_reuse_cached_actor"
        _replace(replaced, TuneController, name, _its_own_first(getattr(TuneController, name)))
        yield


@contextmanager
def uncounted_callbacks() -> Iterator[None]:
    """Let Tune not count its callbacks by kind: it imports every tracker that is installed to know one: a second."""
    from ray.air._internal import usage

    with ExitStack() as replaced:
        _replace(replaced, usage, "tag_callbacks", lambda callbacks: False)
        yield


def _its_own_first(tunes_own: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    """Return what gives a trial a process that has become free, but not while one starts for that trial.

    Tune would move the trial, end the process that starts, and start yet another for the next trial, and so on for as
    long as trials are shorter than a start: with one process at work, and a core lost to starts. After PATIENCE it
    may: where a node is lost the trial's own may never come.
    """
    since: dict[str, float] = {}

    def reuse(controller: Any, trial: Any) -> bool:
        waits = trial in controller._trial_to_actor and trial not in controller._resetting_trials
        if waits and controller._actor_cache.has_cached_object(trial.placement_group_factory):
            now = time.monotonic()
            if now - since.setdefault(trial.trial_id, now) < PATIENCE:
                return False
        return tunes_own(controller, trial)

    return reuse

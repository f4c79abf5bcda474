"""Where Ray and Tune would let a search wait, and have no setting for it: functions of theirs that are replaced.

Read from Ray 2.60. Where a later one has no function of that name, all works as it does without us, only later.
"""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import wraps
from typing import Any

NOT_STARTED = ("start_monitor", "start_api_server", "start_log_monitor")
"""Processes of Ray's head: its autoscaler, the dashboard's server, which comes without a dashboard too, and what
forwards log lines to a driver that has asked for none. Each takes half a second of a core while workers start, and
the first a second to end."""
REGISTRATION = 10.0
"""Seconds until waiting for a node is left to Ray."""
PATIENCE = 10.0
"""Seconds that a trial waits for a process of its own while another is free."""


@contextmanager
def lean_start() -> Iterator[None]:
    """Let Ray start on this machine without what a search never uses."""
    from ray._private import services
    from ray._private.node import Node

    replacements: list[tuple[Any, str, Any]] = [(Node, name, lambda node, **options: None) for name in NOT_STARTED]
    replacements.append((services, "get_node", _node_at_once(services)))
    with ExitStack() as replaced:
        for owner, name, function in replacements:
            if hasattr(owner, name):
                replaced.callback(setattr, owner, name, getattr(owner, name))
                setattr(owner, name, function)
        yield


def _node_at_once(services: Any) -> Any:
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


def use_started_workers() -> None:
    """Let Tune train in the workers that Ray has started beforehand, one a core; for a Ray that we have started.

    Tune gives its processes a runtime environment, of variables that those of this machine have inherited anyway, for
    which Ray starts new ones while the others idle and die.
    """
    from ray.tune.execution import class_cache

    for name in ("DEFAULT_ENV_VARS", "ENV_VARS_TO_PROPAGATE"):
        getattr(class_cache, name, set()).clear()


def keep_starting_processes() -> None:
    """Let a trial wait for the process that starts for it, where another has become free in the meantime.

    Tune would move it there, end the one that starts, and start yet another for the next trial, and so on for as long
    as trials are shorter than a start: with one process at work, and a core lost to starts. After PATIENCE it may:
    where a node is lost the process may never come.
    """
    from ray.tune.execution.tune_controller import TuneController

    name = "_maybe_reuse_cached_actor"
    tunes_own = getattr(TuneController, name, None)
    if tunes_own is None or hasattr(tunes_own, "__wrapped__"):
        return
    since: dict[str, float] = {}

    @wraps(tunes_own)
    def reuse(controller: Any, trial: Any) -> bool:
        has_its_own = trial in controller._trial_to_actor and trial not in controller._resetting_trials
        if has_its_own and time.monotonic() - since.setdefault(trial.trial_id, time.monotonic()) < PATIENCE:
            return False
        since.pop(trial.trial_id, None)
        return bool(tunes_own(controller, trial))

    setattr(TuneController, name, reuse)

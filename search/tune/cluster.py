"""The Ray cluster of a session: started on this machine and removed at the end, or joined at an address."""

import atexit
import logging
import os
import re
import socket
import sys
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

import psutil

from search import shadows
from search.errors import UserError, one_line
from search.spec import temporary
from search.spec.config import StudyConfig
from search.spec.sources import INSTALLED
from search.spec.temporary import TemporaryFolder
from search.tune import deaths, logs, requirements, shortcuts
from search.tune.health import Health
from search.tune.quota import cpu_quota
from search.tune.resources import Node, Share, share_out
from search.worker import isolation

log = logging.getLogger(__name__)
ENVIRONMENT = {
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # they cost more than the rest of the controller; we have a journal
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # fit() would return normally and say nothing of the interruption
    "TUNE_GLOBAL_CHECKPOINT_S": "1000000",  # Tune's own state is not part of the run folder
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    "RAY_AIR_NEW_OUTPUT": "0",  # verbose=0 still prints a box
    "RAY_CHDIR_TO_TRIAL_DIR": "0",  # a workload that reads data/x.csv must find it
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_task_oom_retries": "1",  # else a run for which the memory does not suffice is begun again for ever
    "RAY_process_group_cleanup_enabled": "true",  # what a trial has started ends with its process, however that ends
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "PL_DISABLE_FORK": "1",  # as Tune sets it in its processes, ray#28197
}
"""Settings of Ray and Tune that are read from the environment; a user's own values win."""
TEMPORARY = "search-"
"""Begins the name of the folder of Ray's own files."""
CLAIM = threading.Lock()
"""Held by the thread that runs a search: Ray is one a process."""


def count_gpus() -> int:
    """Return how many GPUs Ray will find on this machine, as CUDA_VISIBLE_DEVICES leaves them."""
    _import_ray()
    from ray._private.accelerators import get_accelerator_manager_for_resource

    manager = get_accelerator_manager_for_resource("GPU")
    assert manager is not None
    visible = manager.get_current_process_visible_accelerator_ids()
    count = int(manager.get_current_node_num_accelerators())
    return count if visible is None else min(count, len(visible))


def count_cpus() -> int:
    """Return how many whole cores this process may use, as its quota and its affinity leave them; at least one."""
    quota = cpu_quota()
    if hasattr(os, "sched_getaffinity"):
        in_affinity = len(os.sched_getaffinity(0))
    else:
        in_affinity = os.cpu_count() or 1
    if quota is None:
        return in_affinity
    return max(1, min(int(quota), in_affinity))


def count_memory_bytes() -> int:
    """Return the memory of this machine, or of its container, as Ray counts it."""
    _import_ray()
    from ray._common.utils import get_system_memory

    return int(get_system_memory())


@contextmanager
def claimed() -> Iterator[None]:
    """Claim this process for a Ray of ours. Raises UserError where it has a Ray, of ours or of the caller's."""
    if not CLAIM.acquire(blocking=False):
        raise UserError("a process runs one search at a time, but another of its threads does; use another process")
    try:
        if _import_ray().is_initialized():
            raise UserError("a search needs a process without a Ray, but this one has one; call ray.shutdown() before")
        yield
    finally:
        CLAIM.release()


def share_of(config: StudyConfig) -> tuple[Share, Node]:
    """Return each trial's share of the machines that train, and the first of these machines.

    Raises UserError where a trial asks for more than they have, no cluster answers, or Ray could not start.
    """
    machines = nodes(config.ray_address)
    share = share_out(config, machines)
    requirements.check(share.concurrent, is_our_ray=config.ray_address is None)
    return share, machines[0]


def nodes(address: str | None) -> list[Node]:
    """Return the machines that train: this one, or the nodes of the cluster at an address.

    Raises UserError where no cluster answers there.
    """
    if address is None:
        return [Node(count_cpus(), count_gpus())]
    ray = _import_ray()
    _join(ray, address)
    try:
        resources = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    finally:
        ray.shutdown()
    return [Node(int(of_node.get("CPU", 0)), int(of_node.get("GPU", 0))) for of_node in resources]


def _join(ray: Any, address: str) -> None:
    """Connect this process to a running cluster. Raises UserError where none answers."""
    try:
        _check_port(address)
        ray.init(address=address, log_to_driver=False, configure_logging=False)
    except (OSError, OverflowError, RuntimeError, ValueError, ray.exceptions.AuthenticationError) as error:
        why = str(error).strip().partition("\n")[0].partition(". ")[0]
        token = "where it has a token, put that into ~/.ray/auth_token and set RAY_AUTH_MODE=token"
        raise UserError(f"ray_address must be that of a running cluster, but {address!r}: {why}; {token}") from None


def _check_port(address: str) -> None:
    """Raise OSError where nothing listens at host:port: Ray would try again for minutes."""
    host_and_port = re.fullmatch(r"([\w.-]+):(\d+)", address)
    if host_and_port:
        socket.create_connection((host_and_port[1], int(host_and_port[2])), timeout=10).close()


class Paths(list[str]):
    """The folders from which Ray's workers import, to which Ray adds the working folder in front of all others.

    There a user may have a search.py. It is added where a worker imports the workload, when it has imported ours.
    """

    def __init__(self) -> None:
        ours = Path(shadows.__file__).parents[1]
        super().__init__([] if INSTALLED.match(f"{ours}/") else [str(ours)])

    def extend(self, folders: Iterable[str]) -> None:
        """Add folders, but not the working folder."""
        super().extend(folder for folder in folders if Path(folder) != Path.cwd())


class Ray:
    """The Ray cluster of one session: the one at `address`, or a new one on this machine, whatever RAY_ADDRESS says.

    It is started and ended in a block of `held`, in which no signal is raised: that would break off Ray's C++. `alarm`
    is called in another thread where Ray dies.
    """

    def __init__(
        self,
        address: str | None,
        here: Node,
        log: Path,
        held: Callable[[], AbstractContextManager[None]] = nullcontext,
        alarm: Callable[[], None] = lambda: None,
    ) -> None:
        self.health = Health(is_ours=address is None, alarm=alarm)
        self._address = address
        self._here = here
        self._log = log
        self._held = held
        self._folder: TemporaryFolder | None = None
        self._stderr = -1
        """A duplicate of the file descriptor of stderr, while that writes to the log; else -1."""
        self._helpers: list[threading.Thread] = []

    def meanwhile(self, function: Callable[[], None]) -> None:
        """Call a function in a thread of its own, which is joined before Ray is shut down."""
        thread = threading.Thread(target=function)
        self._helpers.append(thread)
        thread.start()

    @contextmanager
    def running(self) -> Iterator[Path]:
        """Start or join the cluster and yield a temporary folder; at the end shut it down and remove the folder.

        Ray runs with token authentication and without its dashboard. What it logs and prints goes to the log file.
        Raises UserError where no cluster answers at the address.
        """
        ray = _import_ray()
        logs.log_to(self._log)
        try:
            with self._held():
                folder = self._begin(ray)
            yield folder
        finally:
            with self._held():
                self._end(ray)

    def _begin(self, ray: Any) -> Path:
        """Start a Ray on this machine, or join the one at the address; return the temporary folder."""
        parent = Path(_short_folder())
        temporary.sweep(parent, TEMPORARY)
        self._folder = TemporaryFolder(parent, TEMPORARY)
        # Send stderr to the log: Ray's C++ writes there.
        sys.stderr.flush()
        with self._log.open("ab") as file:
            self._stderr = os.dup(2)
            os.dup2(file.fileno(), 2)
        self.health.begin(ray)
        if self._address:
            _join(ray, self._address)
        else:
            self._start(ray, self._folder.path)
        return self._folder.path

    def _end(self, ray: Any) -> None:
        """Shut Ray down, remove the temporary folder and restore stderr.

        A thread that drops an object reference of Ray's during the shutdown makes Ray's C++ end the process with exit
        code 1. The garbage collector may do that in any thread, so helpers are joined and it is off.
        """
        self.health.end()
        for thread in self._helpers:
            thread.join()
        with isolation.uncollected():
            ray.shutdown()
        atexit.unregister(ray.shutdown)  # it would wait half a second for log lines, which go to a file
        self._clear()

    def _start(self, ray: Any, folder: Path) -> None:
        """Start a Ray on this machine. Raises OSError where one of its processes did not, with what that says."""
        try:
            with shortcuts.lean_start():
                ray.init(
                    address="local",
                    num_cpus=self._here.cpus,
                    num_gpus=self._here.gpus,
                    include_dashboard=False,
                    log_to_driver=False,
                    configure_logging=False,
                    _temp_dir=str(folder),
                    job_config=ray.job_config.JobConfig(_py_driver_sys_path=Paths()),
                )
        except (AttributeError, ImportError):
            raise  # no fault of the machine's
        except Exception as error:  # Ray raises plain ones, too
            log.exception("Ray did not start")
            why = f"{one_line(str(error), 200)}{deaths.of_ray(folder)}"
            raise OSError(f"Ray did not start on this machine: {why}; see that `ulimit -a` leaves it room") from None

    def abandon(self) -> None:
        """Kill every child process, remove the temporary folder and restore stderr, without a call to Ray."""
        for process in psutil.Process().children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                process.kill()
        self._clear()

    def _clear(self) -> None:
        """Remove the temporary folder and restore stderr, as far as `running` had come."""
        if self._folder:
            self._folder.remove()
        if self._stderr >= 0:
            sys.stderr.flush()
            os.dup2(self._stderr, 2)
            os.close(self._stderr)
            self._stderr = -1


def import_tune() -> None:
    """Import Tune ahead of its use: that takes half a second."""
    import ray.tune  # noqa: F401


def _import_ray() -> Any:
    """Set Ray's environment and import it: it reads some of its settings on import."""
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    import ray
    import ray._private.worker

    ray._private.worker._worker_logs_enabled = False  # log_to_driver=False leaves "(raylet) A worker died"
    return ray


def _short_folder() -> str:
    """Return the folder for temporary files, or /tmp where its name is too long for Ray's sockets (107 bytes)."""
    folder = tempfile.gettempdir()
    return folder if len(folder) <= 20 else "/tmp"

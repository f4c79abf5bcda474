"""The Ray that a search runs on: started for it alone, sized to its trials, cleaned away behind it."""

import logging
import math
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from search.config import StudyConfig

SILENCE = {
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # they cost more than the rest of the controller; we have a journal
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # fit() would return normally and say nothing of the interruption
    "TUNE_GLOBAL_CHECKPOINT_S": "1000000",  # Tune's own state is not part of the run folder
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    "RAY_AIR_NEW_OUTPUT": "0",  # verbose=0 still prints a box
    "RAY_CHDIR_TO_TRIAL_DIR": "0",  # a workload that reads data/x.csv must find it
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}


@dataclass(frozen=True)
class Share:
    """What each trial gets of a machine, and how many trials that lets run at once."""

    gpus: float
    cpus: float
    concurrent: int
    note: str = ""
    """What the user should know of it, in one line."""


def share_out(config: StudyConfig, cpus: int, gpus: int) -> Share:
    """Return the share of a machine with so many cores and GPUs that each trial of a search gets.

    Raises ValueError where it has GPUs or cores, but fewer than one trial asks for: Ray would wait for ever.
    """
    wanted, note = config.gpus_per_trial, ""
    if wanted and not gpus:
        wanted, note = 0.0, "no GPU on this machine: running on the CPU instead"
    if wanted > gpus:
        raise ValueError(f"gpus_per_trial must be at most this machine's {gpus}, but got {wanted:g}")
    if config.cpus_per_trial is not None and config.cpus_per_trial > cpus:
        raise ValueError(f"cpus_per_trial must be at most this machine's {cpus}, but got {config.cpus_per_trial:g}")
    if not wanted:
        each = config.cpus_per_trial or 1.0
        concurrent = max(1, math.floor(cpus / each + 1e-9))
        return Share(0.0, each, concurrent, f"{note}, {concurrent} trials at once" if note else "")
    a_gpu = round(1 / wanted) if wanted < 1 else 1
    slots = gpus * a_gpu if wanted < 1 else math.floor(gpus / wanted)
    share = _round_down(1 / a_gpu) if wanted < 1 else wanted
    each = config.cpus_per_trial or _fair_cpus(cpus, slots)
    return Share(share, each, max(1, min(slots, math.floor(cpus / each + 1e-9))))


def _fair_cpus(cpus: int, slots: int) -> float:
    """Return cores for each of so many trials: whole ones where they suffice, since Ray counts threads by them."""
    return float(cpus // slots) if cpus >= slots else _round_down(cpus / slots)


def _round_down(share: float) -> float:
    """Return a share as Ray keeps it, to 1/10000, so that as many fit as were meant to."""
    return math.floor(share * 10_000 + 1e-6) / 10_000


def count_gpus() -> int:
    """Return how many GPUs Ray will find on this machine, as CUDA_VISIBLE_DEVICES leaves them."""
    _import_ray()
    from ray._private.accelerators import get_accelerator_manager_for_resource

    manager = get_accelerator_manager_for_resource("GPU")
    assert manager is not None
    visible = manager.get_current_process_visible_accelerator_ids()
    found = int(manager.get_current_node_num_accelerators())
    return found if visible is None else min(found, len(visible))


def count_cpus() -> int:
    """Return how many cores this process may use, as its container's quota and its affinity leave them."""
    _import_ray()
    from ray._private.utils import get_num_cpus

    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(int(get_num_cpus(override_docker_cpu_warning=True)), allowed))


def check_home() -> None:
    """Raise OSError where Ray cannot keep its token."""
    try:
        folder = Path("~/.ray").expanduser()
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except (OSError, RuntimeError) as error:
        raise OSError(f"Ray needs a HOME that can be written, for its token, but: {error}; set HOME") from None


@contextmanager
def running(cpus: int, gpus: int, logs: Path) -> Iterator[Path]:
    """Run a local Ray of our own, also where RAY_ADDRESS is set; yield its temporary folder.

    What Ray says goes to logs/ray.log. The folder is removed at the end.
    """
    ray = _import_ray()
    _log_to(logs / "ray.log")
    folder = Path(tempfile.mkdtemp(prefix="search-", dir=_short_folder()))
    errors = _redirect_errors(logs / "ray.log")
    try:
        ray.init(
            address="local",
            num_cpus=cpus,
            num_gpus=gpus,
            include_dashboard=False,
            log_to_driver=False,
            configure_logging=False,
            _temp_dir=str(folder),
        )
        yield folder
    finally:
        ray.shutdown()
        shutil.rmtree(folder, ignore_errors=True)
        sys.stderr.flush()
        os.dup2(errors, 2)
        os.close(errors)


def _redirect_errors(path: Path) -> int:
    """Send this process's error stream to the end of a file, for Ray's C++ writes there; return a copy of the old."""
    sys.stderr.flush()
    old = os.dup(2)
    with path.open("ab") as file:
        os.dup2(file.fileno(), 2)
    return old


def _import_ray() -> Any:
    """Import Ray as quiet as it can be told to be: it reads some of its settings when it is imported."""
    for name, value in SILENCE.items():
        os.environ.setdefault(name, value)
    import ray
    import ray._private.worker

    ray._private.worker._worker_logs_enabled = False  # log_to_driver=False leaves "(raylet) A worker died"
    return ray


def _short_folder() -> str:
    """Return the folder for temporary files, or /tmp where its name is too long for Ray's sockets (107 bytes)."""
    folder = tempfile.gettempdir()
    return folder if len(folder) <= 20 else "/tmp"


def _log_to(path: Path) -> None:
    """Send the log lines and warnings of this process to a file, not to the terminal.

    The handler is the root's: ray.init() empties the list of Ray's own logger.
    """
    handler = logging.FileHandler(path, delay=True)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.getLogger().handlers[:] = [handler]
    logging.captureWarnings(True)
    for name in ("ray", "optuna"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True

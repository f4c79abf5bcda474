"""What the jobs of a retraining come to in worker processes of a real Ray."""

import tempfile
import threading
from pathlib import Path
from typing import Any

import pytest

from search.tune import cluster
from search.tune.pool import ProcessLostError, WorkerPool
from search.tune.resources import Node, Share
from search.worker.jobs import Record
from tests.studies import create


def full_disk() -> None:
    raise OSError(28, "No space left on device")


def broken() -> None:
    raise RuntimeError("broken")


def test_a_full_disk_in_a_job_is_raised_and_is_no_run_that_failed(
    tmp_path: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The retraining would finish without a winner, and no later session would do it again."""
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(temporary))
    made = create(tmp_path, "s")
    with cluster.Ray(None, Node(1, 0), made.logs / "ray.log").running():
        pool = WorkerPool(made, Share(0.0, 1.0, 1), "retraining")

        def get(function: Any) -> Record:
            return pool._get(pool._start(function), lambda why: Record("failed", failure=why))

        with pytest.raises(OSError, match="No space left on device"):
            get(full_disk)
        assert get(broken).failure.startswith("the process was lost: RayTaskError(RuntimeError)")


def wait() -> None:
    threading.Event().wait(60)


def test_a_job_whose_process_is_killed_for_memory_is_tried_in_another_and_else_says_so(
    tmp_path: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ray takes the machine for full from a thousandth on; a given process that it has killed would fail every job."""
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(temporary))
    monkeypatch.setenv("RAY_memory_usage_threshold", "0.001")
    made = create(tmp_path, "s")
    with cluster.Ray(None, Node(1, 0), made.logs / "ray.log").running():
        import ray

        class Process:
            pass

        given = ray.remote(num_cpus=1)(Process).remote()
        pool = WorkerPool(made, Share(0.0, 1.0, 1), "retraining", [given])

        def get() -> Record:
            return pool._get(pool._start(wait), lambda why: Record("failed", failure=why))

        with pytest.raises(ProcessLostError):
            get()
        assert get().failure.startswith("the process was lost (killed for memory by Ray, with ")

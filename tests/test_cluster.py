"""How a machine is shared out among trials."""

import logging
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search import cluster
from search.cluster import Node, share_out
from search.config import StudyConfig

X = {"distribution": "uniform", "low": -5, "high": 5}


def config(**change: Any) -> StudyConfig:
    return StudyConfig.of({"workload": "tests.toy", "metric": "loss", "space": {"x": X}, **change})


@pytest.mark.parametrize(
    ("asked", "cpus", "gpus", "expected"),
    [
        ({}, 2, 0, (0, 1, 2)),
        ({}, 8, 4, (0, 1, 8)),
        ({"cpus_per_trial": 2}, 8, 0, (0, 2, 4)),
        ({"cpus_per_trial": 0.5}, 2, 0, (0, 0.5, 4)),
        ({"gpus_per_trial": 0.25}, 16, 1, (0.25, 4, 4)),
        ({"gpus_per_trial": 0.25}, 2, 1, (0.25, 0.5, 4)),
        ({"gpus_per_trial": 0.25}, 16, 4, (0.25, 1, 16)),
        ({"gpus_per_trial": 1 / 3}, 16, 1, (0.3333, 5, 3)),
        ({"gpus_per_trial": 0.33}, 2, 1, (0.3333, 0.6666, 3)),
        ({"gpus_per_trial": 1}, 16, 4, (1, 4, 4)),
        ({"gpus_per_trial": 2}, 16, 5, (2, 8, 2)),
        ({"gpus_per_trial": 0.25, "cpus_per_trial": 8}, 16, 1, (0.25, 8, 2)),
    ],
)
def test_cores_are_shared_out_so_that_they_do_not_limit(
    asked: dict[str, Any], cpus: int, gpus: int, expected: tuple[float, float, int]
) -> None:
    share = share_out(config(**asked), [Node(cpus, gpus)])
    assert (share.gpus, share.cpus, share.concurrent) == pytest.approx(expected)
    assert share.note == ""


@given(st.integers(1, 128), st.integers(1, 16), st.integers(1, 40))
def test_as_many_trials_as_were_promised_fit_by_rays_own_arithmetic(cpus: int, gpus: int, k: int) -> None:
    share = share_out(config(gpus_per_trial=1 / k), [Node(cpus, gpus)])
    assert share.concurrent == gpus * k
    a_gpu = 10_000 // round(share.gpus * 10_000)  # Ray counts in ten-thousandths
    assert a_gpu == k
    assert share.concurrent * round(share.cpus * 10_000) <= cpus * 10_000


def test_without_a_gpu_the_cpu_is_taken_and_said_so_in_one_line() -> None:
    share = share_out(config(gpus_per_trial=0.25), [Node(2, 0)])
    assert (share.gpus, share.cpus, share.concurrent) == (0, 1, 2)
    assert share.note == "no GPU on this machine: running on the CPU instead, 2 trials at once"


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"gpus_per_trial": 2}, "gpus_per_trial must be at most this machine's 1, but got 2"),
        ({"cpus_per_trial": 3}, "cpus_per_trial must be at most this machine's 2, but got 3"),
    ],
)
def test_more_than_the_machine_has_is_refused(asked: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        share_out(config(**asked), [Node(2, 1)])


def test_gpus_that_cuda_visible_devices_hides_are_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert cluster.count_gpus() == 0


@pytest.mark.parametrize("home", ["/dev/null", "/proc/nowhere"])
def test_a_home_that_cannot_be_written_is_refused_before_ray_starts(home: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", home)
    with pytest.raises(OSError, match="Ray needs a HOME that can be written"):
        cluster.check_home()


def test_a_long_name_of_the_temporary_folder_does_not_break_rays_sockets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "gettempdir", lambda: "/var/" + "folders/" * 9)
    assert cluster._short_folder() == "/tmp"


ROOT = Path(__file__).parent.parent
LIGHT = (
    *("workload", "space", "config", "journal", "writer", "tables", "study", "worker", "cluster", "outcome"),
    *("session", "retrain", "plot", "hindsight", "audit"),
)


@pytest.mark.parametrize("name", LIGHT)
def test_a_finished_study_opens_without_ray(name: str) -> None:
    script = f"import sys, search.{name}; sys.exit('ray' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], cwd=ROOT, timeout=60).returncode == 0


def test_what_is_done_meanwhile_is_done_before_ray_is_ended(
    tmp_path: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(temporary))
    import ray

    happened: list[str] = []
    end, ended = ray.shutdown, threading.Event()

    def shutdown() -> None:
        happened.append("Ray is ended")
        end()

    def help_out() -> None:
        ended.wait()
        happened.append("the helper is done")

    monkeypatch.setattr(ray, "shutdown", shutdown)
    made = cluster.Ray(None, Node(1, 0), tmp_path / "ray.log")
    with made.running():
        made.meanwhile(help_out)
        threading.Timer(0.3, ended.set).start()
    assert happened == ["the helper is done", "Ray is ended"]


def test_the_log_of_an_earlier_ray_is_closed_when_another_takes_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lines that come after the first Ray's end still go to its log, so it cannot be closed there."""
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", [])
    cluster._log_to(tmp_path / "first.log")
    root.warning("a line opens the file")
    (first,) = root.handlers
    assert isinstance(first, logging.FileHandler)
    stream = first.stream
    assert stream is not None
    cluster._log_to(tmp_path / "second.log")
    assert stream.closed

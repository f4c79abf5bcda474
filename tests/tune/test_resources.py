"""How a machine is shared out among trials."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.spec.config import StudyConfig
from search.tune.resources import Node, share_out

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
        ({"cpus_per_trial": 0.28}, 7, 0, (0, 0.28, 25)),  # 7 / 0.28 is a bit less than 25
        ({"gpus_per_trial": 0.25}, 16, 1, (0.25, 4, 4)),
        ({"gpus_per_trial": 0.25}, 2, 1, (0.25, 0.5, 4)),
        ({"gpus_per_trial": 0.25}, 16, 4, (0.25, 1, 16)),
        ({"gpus_per_trial": 1 / 3}, 16, 1, (0.3333, 5, 3)),
        ({"gpus_per_trial": 0.33}, 2, 1, (0.3333, 0.6666, 3)),
        ({"gpus_per_trial": 1}, 16, 4, (1, 4, 4)),
        ({"gpus_per_trial": 2}, 16, 5, (2, 8, 2)),
        ({"gpus_per_trial": 0.1}, 57, 10, (0.1, 0.57, 100)),  # 0.57 * 10,000 is a bit less than 5,700
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

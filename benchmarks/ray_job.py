"""The job in the words of Ray Tune, which its two rivals share."""

from typing import Any

from ray import tune
from ray.tune import ResultGrid
from ray.tune.schedulers import ASHAScheduler

from benchmarks import job


def space() -> dict[str, Any]:
    """Return the space; Tune's integers leave out the upper end."""
    low, high = job.WIDTH
    return {
        "lr": tune.loguniform(*job.LR),
        "momentum": tune.uniform(*job.MOMENTUM),
        "hidden1": tune.lograndint(low, high + 1),
        "hidden2": tune.lograndint(low, high + 1),
    }


def scheduler() -> ASHAScheduler:
    """Return Tune's ASHA."""
    return ASHAScheduler(max_t=job.EPOCHS, grace_period=job.GRACE_PERIOD, reduction_factor=job.REDUCTION_FACTOR)


def epochs(results: ResultGrid) -> int:
    """Return the epochs that all trials trained."""
    return sum((results[at].metrics or {})["training_iteration"] for at in range(len(results)))

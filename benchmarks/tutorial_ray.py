"""A rival: Ray Tune as its PyTorch tutorial writes it, but with tensors in memory and Optuna for the proposals.

https://docs.ray.io/en/latest/tune/examples/tune-pytorch-cifar.html: a function that reports every epoch with a
checkpoint; default loggers; a new process a trial.
"""

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ray
import torch
from ray import tune
from ray.tune import Checkpoint
from ray.tune.search.optuna import OptunaSearch

from benchmarks import job, ray_job
from heart.train import train


def training(values: dict[str, Any], seed: int, engine: str) -> None:
    """Train one network, an epoch a report."""
    for metrics, model in train(job.config(values, seed, engine)):
        with tempfile.TemporaryDirectory() as folder:
            torch.save(model.state_dict(), Path(folder) / "checkpoint.pt")
            tune.report(dict(metrics), checkpoint=Checkpoint.from_directory(folder))


def search(trials: int, seed: int, engine: str) -> tuple[Mapping[str, Any], int]:
    """Return the best values and the epochs that were trained."""
    ray.init(num_cpus=os.cpu_count())
    tuner = tune.Tuner(
        tune.with_resources(tune.with_parameters(training, seed=seed, engine=engine), resources={"cpu": 1}),
        tune_config=tune.TuneConfig(
            metric="val_loss",
            mode="min",
            search_alg=OptunaSearch(seed=seed),
            scheduler=ray_job.scheduler(),
            num_samples=trials,
        ),
        param_space=ray_job.space(),
        run_config=tune.RunConfig(storage_path=tempfile.mkdtemp()),
    )
    results = tuner.fit()
    values = results.get_best_result("val_loss", "min").config or {}
    return values, ray_job.epochs(results)


if __name__ == "__main__":
    job.main(search)

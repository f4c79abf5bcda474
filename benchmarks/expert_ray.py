"""A rival: Ray Tune as an expert sets it up: reused actors, no loggers, no checkpoints, as many trials as cores."""

import os

os.environ |= {"TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1", "RAY_AIR_NEW_OUTPUT": "0", "RAY_USAGE_STATS_ENABLED": "0"}

import logging
import tempfile
from collections.abc import Mapping
from typing import Any

import optuna
import ray
from ray import tune
from ray.tune.search.optuna import OptunaSearch

from benchmarks import job, ray_job
from heart.train import train


class Training(tune.Trainable):
    """An epoch a step, in a process that is used for many trials."""

    def setup(self, config: dict[str, Any]) -> None:
        """Begin a trial."""
        self.reset_config(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Begin the next trial."""
        values = dict(new_config)
        seed, engine = values.pop("seed"), values.pop("engine")
        self._epochs, self._best = train(job.config(values, seed, engine)), float("inf")
        self._count = 0
        return True

    def step(self) -> dict[str, Any]:
        """Train an epoch."""
        metrics, _ = next(self._epochs)
        self._count += 1
        self._best = min(self._best, metrics["val_loss"])
        return {"val_loss": self._best, "done": self._count == job.EPOCHS}


def search(trials: int, seed: int, engine: str) -> tuple[Mapping[str, Any], int]:
    """Return the best values and the epochs that were trained."""
    ray.init(num_cpus=os.cpu_count(), include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    tuner = tune.Tuner(
        tune.with_resources(Training, {"cpu": 1}),
        param_space={**ray_job.space(), "seed": seed, "engine": engine},
        tune_config=tune.TuneConfig(
            metric="val_loss",
            mode="min",
            search_alg=OptunaSearch(seed=seed),
            scheduler=ray_job.scheduler(),
            num_samples=trials,
            max_concurrent_trials=os.cpu_count(),
            reuse_actors=True,
        ),
        run_config=tune.RunConfig(
            storage_path=tempfile.mkdtemp(),
            verbose=0,
            checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
        ),
    )
    results = tuner.fit()
    values = dict(results.get_best_result().config or {})
    del values["seed"], values["engine"]
    return values, ray_job.epochs(results)


if __name__ == "__main__":
    job.main(search)

"""A rival: plain Optuna, one process, storage in memory, its TPE and its successive-halving pruner."""

from collections.abc import Mapping
from typing import Any

import optuna

from benchmarks import job
from heart.train import train


def suggest(trial: optuna.Trial) -> dict[str, Any]:
    """Return a point of the space."""
    return {
        "lr": trial.suggest_float("lr", *job.LR, log=True),
        "momentum": trial.suggest_float("momentum", *job.MOMENTUM),
        "hidden1": trial.suggest_int("hidden1", *job.WIDTH, log=True),
        "hidden2": trial.suggest_int("hidden2", *job.WIDTH, log=True),
    }


def search(trials: int, seed: int, engine: str) -> tuple[Mapping[str, Any], int]:
    """Return the best values and the epochs that were trained."""
    epochs = 0

    def objective(trial: optuna.Trial) -> float:
        nonlocal epochs
        best = float("inf")
        for epoch, (metrics, _) in enumerate(train(job.config(suggest(trial), seed, engine)), 1):
            epochs += 1
            best = min(best, metrics["val_loss"])
            trial.report(best, epoch)
            if trial.should_prune():
                raise optuna.TrialPruned
        return best

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    pruner = optuna.pruners.SuccessiveHalvingPruner(job.GRACE_PERIOD, job.REDUCTION_FACTOR)
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed), pruner=pruner)
    study.optimize(objective, n_trials=trials)
    return study.best_params, epochs


if __name__ == "__main__":
    job.main(search)

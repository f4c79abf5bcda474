"""Trees that XGBoost grows."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import xgboost

from tests.trainers.faults import faulty, misbehave


@dataclass(frozen=True)
class Config:
    lr: float = 0.3
    epochs: int = 4
    seed: int = 0
    fault: str = ""


class Reporter(xgboost.callback.TrainingCallback):
    def __init__(self, report: Callable[..., None], fault: str) -> None:
        self.report = report
        self.fault = fault

    def before_iteration(self, model: xgboost.Booster, epoch: int, evals_log: Any) -> bool:
        misbehave(self.fault, epoch + 1)
        return False

    def after_iteration(self, model: xgboost.Booster, epoch: int, evals_log: Any) -> bool:
        self.report({"loss": evals_log["valid"]["rmse"][-1]}, model)
        return False


def train(config: Config, report: Callable[..., None]) -> None:
    data = np.random.default_rng(config.seed).normal(size=(64, 4))
    matrix = xgboost.DMatrix(data, data.sum(axis=1))
    xgboost.train(
        {"eta": config.lr, "seed": config.seed, "nthread": 2},
        matrix,
        num_boost_round=config.epochs,
        evals=[(matrix, "valid")],
        verbose_eval=False,
        callbacks=[Reporter(faulty(report, config.fault), config.fault)],
    )

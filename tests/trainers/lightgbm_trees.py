"""Trees that LightGBM grows."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import lightgbm
import numpy as np

from tests.trainers.faults import faulty, misbehave


@dataclass(frozen=True)
class Config:
    lr: float = 0.3
    epochs: int = 4
    seed: int = 0
    fault: str = ""


def reporter(report: Callable[..., None]) -> Callable[[Any], None]:
    def after_iteration(env: Any) -> None:
        report({"loss": env.evaluation_result_list[0][2]}, env.model)

    return after_iteration


def trouble(fault: str) -> Callable[[Any], None]:
    def before_iteration(env: Any) -> None:
        misbehave(fault, env.iteration + 1)

    before_iteration.before_iteration = True  # type: ignore[attr-defined]  # how LightGBM is told when to call it
    return before_iteration


def train(config: Config, report: Callable[..., None]) -> None:
    points = np.random.default_rng(config.seed).normal(size=(64, 4))
    data = lightgbm.Dataset(points, points.sum(axis=1))
    lightgbm.train(
        {"learning_rate": config.lr, "seed": config.seed, "num_threads": 2, "verbose": -1, "objective": "l2"},
        data,
        num_boost_round=config.epochs,
        valid_sets=[data],
        callbacks=[trouble(config.fault), reporter(faulty(report, config.fault))],
    )

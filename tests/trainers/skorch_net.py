"""A network that skorch trains."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from skorch import NeuralNetRegressor
from skorch.callbacks import Callback

from tests.trainers.faults import faulty, misbehave


@dataclass(frozen=True)
class Config:
    lr: float = 0.01
    epochs: int = 4
    seed: int = 0
    workers: int = 0
    fault: str = ""


class Reporter(Callback):
    def __init__(self, report: Callable[..., None], fault: str) -> None:
        self.report = report
        self.fault = fault

    def on_batch_begin(self, net: Any, **others: Any) -> None:
        misbehave(self.fault, len(net.history))

    def on_epoch_end(self, net: Any, **others: Any) -> None:
        self.report({"loss": net.history[-1, "valid_loss"]}, net)


def train(config: Config, report: Callable[..., None]) -> None:
    torch.manual_seed(config.seed)
    points = np.random.default_rng(config.seed).normal(size=(64, 4)).astype(np.float32)
    net = NeuralNetRegressor(
        torch.nn.Linear(4, 1),
        max_epochs=config.epochs,
        lr=config.lr,
        verbose=0,
        iterator_train__num_workers=config.workers,
        iterator_train__persistent_workers=config.workers > 0,
        callbacks=[Reporter(faulty(report, config.fault), config.fault)],
    )
    net.fit(points, points.sum(axis=1, keepdims=True))

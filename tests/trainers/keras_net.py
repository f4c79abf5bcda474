"""A network that Keras trains, with torch behind it."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils.data import DataLoader, TensorDataset

os.environ["KERAS_BACKEND"] = "torch"
import keras

from tests.trainers.faults import faulty, misbehave


@dataclass(frozen=True)
class Config:
    lr: float = 0.01
    epochs: int = 4
    seed: int = 0
    workers: int = 0
    fault: str = ""


class Reporter(keras.callbacks.Callback):
    def __init__(self, report: Callable[..., None], fault: str) -> None:
        super().__init__()
        self.report = report
        self.fault = fault
        self.epoch = 0

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.epoch = epoch + 1

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        misbehave(self.fault, self.epoch)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.report(logs, self.model)


def train(config: Config, report: Callable[..., None]) -> None:
    keras.utils.set_random_seed(config.seed)
    points = torch.randn(64, 4)
    loader = DataLoader(TensorDataset(points, points.sum(1, keepdim=True)), batch_size=16, num_workers=config.workers)
    model = keras.Sequential([keras.layers.Dense(1)])
    model.compile(optimizer=keras.optimizers.SGD(config.lr), loss="mse")
    callbacks = [Reporter(faulty(report, config.fault), config.fault)]
    model.fit(loader, epochs=config.epochs, verbose=0, callbacks=callbacks)

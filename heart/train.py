"""Train one network on the heart, an epoch a pull.

python -m heart.train --config best.yaml --lr 0.1 --epochs 50
"""

import importlib.util
import math
import sys
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Protocol

import torch
from torch import Tensor

from heart.config import Config
from heart.data import Split, load
from heart.eager import Eager, evaluate
from heart.model import MLP, save

__all__ = ["Config", "plot", "resolve", "save", "test", "train"]

Metrics = dict[str, float]


def train(config: Config) -> Iterator[tuple[Metrics, MLP]]:
    """Yield (train_loss, val_loss and val_accuracy, the live model) once an epoch.

    A diverged run yields non-finite losses and never raises. On the CPU the same config gives the same numbers
    to the last bit: it computes in one thread, which it sets for the process, with denormals flushed to zero.
    Raises ValueError where the device or the engine is not there.
    """
    config = resolve(config)
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)  # the weights of dead units decay into denormals, which are slow
    data = load(config.points, config.data_seed, config.device)

    torch.manual_seed(config.seed)
    model = MLP(config.hidden1, config.hidden2).to(config.device)
    shuffle = torch.Generator().manual_seed(config.seed)
    engine = _engine(config.engine)(model, data, config.momentum, config.batch_size)

    for epoch in range(config.epochs):
        order = torch.randperm(len(data.train), generator=shuffle)
        train_loss, val_loss, val_accuracy = engine.epoch(order, learning_rate(config, epoch))
        yield {"train_loss": train_loss, "val_loss": val_loss, "val_accuracy": val_accuracy}, model


class Engine(Protocol):
    """What trains a model in place, an epoch a call: heart.eager.Eager says how, two others do the same faster."""

    def epoch(self, order: Tensor, lr: float) -> tuple[float, float, float]:
        """Train on the points in this order [n]; return train_loss, val_loss and val_accuracy."""
        ...


class Maker(Protocol):
    """What an engine is made of."""

    def __call__(self, model: MLP, data: Split, momentum: float, batch_size: int) -> Engine:
        """Return it."""
        ...


def _engine(name: str) -> Maker:
    if name == "fused":
        from heart.fused import Fused  # imports numba, which the other engines do without

        return Fused
    if name == "graph":
        from heart.graph import Captured

        return Captured
    return Eager


def learning_rate(config: Config, epoch: int) -> float:
    """Return the learning rate of an epoch, counted from 0."""
    if config.schedule == "constant":
        return config.lr
    return config.lr * (1 + math.cos(math.pi * epoch / config.epochs)) / 2


def resolve(config: Config) -> Config:
    """Return the config with `auto` replaced by what this machine has. Raises ValueError."""
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if config.device == "auto":
        config = replace(config, device="cuda" if count else "cpu")
    if config.device != "cpu" and int(config.device.partition(":")[2] or 0) >= count:
        raise ValueError(
            f"device must be one that this machine has, but got {config.device!r} and it has {count} CUDA GPUs; "
            f"set device to auto"
        )
    lacking = [name for name in ("numba", "scipy", "threadpoolctl") if not importlib.util.find_spec(name)]
    if config.engine == "auto":
        return replace(config, engine="fused" if config.device == "cpu" and not lacking else "torch")
    needs = {"fused": "cpu", "graph": "cuda"}.get(config.engine, config.device)
    if not config.device.startswith(needs):
        raise ValueError(
            f"engine {config.engine} must have the device {needs}, but got {config.device}; set engine to auto"
        )
    if config.engine == "fused" and lacking:
        raise ValueError(
            f"engine fused needs the package {lacking[0]}, but it is not installed; install it, or set engine to auto"
        )
    return config


def test(model: MLP, config: Config) -> Metrics:
    """Return test_loss and test_accuracy on the part that `train` never looks at."""
    loss, accuracy = evaluate(model, load(config.points, config.data_seed, resolve(config).device).test)
    return {"test_loss": loss.item(), "test_accuracy": accuracy.item()}


def plot(model: MLP, config: Config) -> Any:
    """Return a Figure of the decision boundary over the true curve."""
    from heart import plot as pictures  # matplotlib takes a second to import, and a trial draws nothing

    return pictures.boundary(model, f"{config.hidden1}-{config.hidden2}, lr {config.lr:.3g}, seed {config.seed}")


if __name__ == "__main__":
    from heart.program import main

    sys.exit(main(resolve, train, test))

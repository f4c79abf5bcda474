"""Train one network on the heart, an epoch a pull.

python -m heart.train --config best.yaml --lr 0.1 --epochs 50
"""

import math
import sys
from collections.abc import Iterator
from dataclasses import replace

import torch
from matplotlib.figure import Figure
from torch.nn.functional import binary_cross_entropy_with_logits

from heart.config import Config
from heart.data import PointDataset, load
from heart.model import MLP, save

__all__ = ["Config", "plot", "resolve", "save", "test", "train"]

Metrics = dict[str, float]


def train(config: Config) -> Iterator[tuple[Metrics, MLP]]:
    """Yield (train_loss, val_loss and val_accuracy, the live model) once an epoch.

    A diverged run yields non-finite losses and never raises. On the CPU the same config gives the same numbers
    to the last bit: it computes in one thread, which it sets for the process, with denormals flushed to zero.
    Raises ValueError where the device is not there.
    """
    device = resolve(config).device
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)  # the weights of dead units decay into denormals, which are slow
    data = load(config.points, config.data_seed, device)
    points, labels = data.train.points, data.train.labels

    torch.manual_seed(config.seed)
    model = MLP(config.hidden1, config.hidden2).to(device)
    shuffle = torch.Generator().manual_seed(config.seed)
    optimizer = torch.optim.SGD(model.parameters(), lr=config.lr, momentum=config.momentum)

    for epoch in range(config.epochs):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(config, epoch)
        order = torch.randperm(len(points), generator=shuffle).to(device)
        batches = zip(points[order].split(config.batch_size), labels[order].split(config.batch_size), strict=True)
        total = torch.zeros((), device=device)
        for x, y in batches:
            loss = binary_cross_entropy_with_logits(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.detach() * len(x)
        val_loss, val_accuracy = evaluate(model, data.validation)
        train_loss = total.item() / len(points)
        yield {"train_loss": train_loss, "val_loss": val_loss, "val_accuracy": val_accuracy}, model


def learning_rate(config: Config, epoch: int) -> float:
    """Return the learning rate of an epoch, counted from 0."""
    if config.schedule == "constant":
        return config.lr
    return config.lr * (1 + math.cos(math.pi * epoch / config.epochs)) / 2


@torch.no_grad()
def evaluate(model: MLP, data: PointDataset) -> tuple[float, float]:
    """Return the mean binary cross-entropy (nats) and the share of points on their right side."""
    logits = model(data.points)
    loss = binary_cross_entropy_with_logits(logits, data.labels)
    accuracy = ((logits >= 0) == (data.labels > 0.5)).float().mean()
    return loss.item(), accuracy.item()


def resolve(config: Config) -> Config:
    """Return the config with `device: auto` replaced by what this machine has. Raises ValueError."""
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if config.device == "auto":
        return replace(config, device="cuda" if count else "cpu")
    if config.device != "cpu" and int(config.device.partition(":")[2] or 0) >= count:
        raise ValueError(
            f"device must be one that this machine has, but got {config.device!r} and it has {count} CUDA GPUs; "
            f"set device to auto"
        )
    return config


def test(model: MLP, config: Config) -> Metrics:
    """Return test_loss and test_accuracy on the part that `train` never looks at."""
    loss, accuracy = evaluate(model, load(config.points, config.data_seed, resolve(config).device).test)
    return {"test_loss": loss, "test_accuracy": accuracy}


def plot(model: MLP, config: Config) -> Figure:
    """Return the decision boundary over the true curve."""
    from heart import plot as pictures  # seaborn takes a second to import, and a trial draws nothing

    return pictures.boundary(model, f"{config.hidden1}-{config.hidden2}, lr {config.lr:.3g}, seed {config.seed}")


if __name__ == "__main__":
    from heart.program import main

    sys.exit(main(resolve, train, test))

"""A network with one hidden layer, in NumPy, that reads scikit-learn's digits: 1,797 pictures of 8 by 8 pixels."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits

Floats = NDArray[np.float32]
TRAINED = 1200
"""Pictures that are trained with; the others are for validation."""


def load() -> tuple[Floats, NDArray[np.int64]]:
    """Return pictures [n, 64] in [0, 1] and their digits [n], in an order that mixes the writers."""
    pictures, digits = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(pictures))
    return (pictures[order] / 16).astype(np.float32), digits[order]


def train(
    lr: float = 0.01,
    optimizer: str = "sgd",
    activation: str = "relu",
    batch_size: int = 32,
    hidden: int = 32,
    momentum: float = 0.9,
    weight_decay: float = 1e-4,
    epochs: int = 30,
    seed: int = 0,
) -> Iterator[tuple[dict[str, float], Any]]:
    """Yield the cross entropy on the validation part, and the weights, once an epoch.

    `momentum` is that of SGD, and of Adam the first beta; the learning rate decays to zero as a cosine.
    """
    pictures, digits = load()
    generator = np.random.default_rng(seed)
    wanted = np.eye(10, dtype=np.float32)[digits]
    weights = [
        generator.normal(0, (2 / 64) ** 0.5, (64, hidden)).astype(np.float32),
        np.zeros(hidden, np.float32),
        generator.normal(0, (1 / hidden) ** 0.5, (hidden, 10)).astype(np.float32),
        np.zeros(10, np.float32),
    ]
    first = [np.zeros_like(each) for each in weights]
    second = [np.zeros_like(each) for each in weights]
    steps = 0
    all_steps = epochs * -(-TRAINED // batch_size)
    for _ in range(epochs):
        order = generator.permutation(TRAINED)
        for begin in range(0, TRAINED, batch_size):
            batch = order[begin : begin + batch_size]
            rate = lr * (1 + np.cos(np.pi * steps / all_steps)) / 2
            steps += 1
            gradients = _gradients(weights, pictures[batch], wanted[batch], activation)
            for at, gradient in enumerate(gradients):
                gradient = gradient + weight_decay * weights[at]
                if optimizer == "sgd":
                    first[at] = momentum * first[at] + gradient
                    weights[at] = weights[at] - rate * first[at]
                    continue
                first[at] = momentum * first[at] + (1 - momentum) * gradient
                second[at] = 0.999 * second[at] + 0.001 * gradient**2
                mean = first[at] / (1 - momentum**steps)
                deviation = np.sqrt(second[at] / (1 - 0.999**steps)) + 1e-8
                weights[at] = weights[at] - rate * mean / deviation
        _, logs = _forward(weights, pictures[TRAINED:], activation)
        loss = -float((logs * wanted[TRAINED:]).sum(axis=1).mean())
        yield {"val_loss": loss}, weights


def _forward(weights: list[Floats], pictures: Floats, activation: str) -> tuple[Floats, Floats]:
    """Return what is hidden [n, hidden] and the logarithms of the probabilities [n, 10]."""
    inner = pictures @ weights[0] + weights[1]
    hidden = np.maximum(inner, 0) if activation == "relu" else np.tanh(inner)
    logits = hidden @ weights[2] + weights[3]
    logits = logits - logits.max(axis=1, keepdims=True)
    return hidden, logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))


def _gradients(weights: list[Floats], pictures: Floats, wanted: Floats, activation: str) -> list[Floats]:
    """Return the gradients of the mean cross entropy, in the order of the weights."""
    hidden, logs = _forward(weights, pictures, activation)
    outer = (np.exp(logs) - wanted) / len(pictures)
    slope = (hidden > 0).astype(np.float32) if activation == "relu" else 1 - hidden**2
    inner = outer @ weights[2].T * slope
    return [pictures.T @ inner, inner.sum(axis=0), hidden.T @ outer, outer.sum(axis=0)]

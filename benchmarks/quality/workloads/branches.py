"""Classifiers, in NumPy, of scikit-learn's digits: three models and two optimizers, each with settings of its own.

The models: a network with one hidden layer; a linear one, of the pixels; random Fourier features of a Gaussian kernel,
on which only the last layer is trained (Rahimi and Recht, 2007).
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from benchmarks.quality.workloads.digits import Floats, load

TRAINED = 900
"""Pictures that are trained with; the others are for validation."""
BATCH = 64


def train(
    lr: float = 0.01,
    optimizer: str = "sgd",
    model: str = "network",
    width: int = 64,
    weight_decay: float = 1e-4,
    momentum: float = 0.9,
    nesterov: bool = False,
    beta1: float = 0.9,
    beta2: float = 0.999,
    gain: float = 1.0,
    bandwidth: float = 1.0,
    epochs: int = 12,
    seed: int = 0,
) -> Iterator[tuple[dict[str, float], Any]]:
    """Yield the cross entropy on the validation part, and the weights, once an epoch.

    `momentum` and `nesterov` are of SGD, the betas of Adam; `gain` scales the network's first weights, and `bandwidth`
    is the kernel's. The learning rate decays to zero as a cosine.
    """
    pictures, digits = load()
    generator = np.random.default_rng(seed)
    wanted = np.eye(10, dtype=np.float32)[digits]
    is_network = model == "network"
    if model == "linear":
        width = pictures.shape[1]
    spread = gain * (2 / 64) ** 0.5 if is_network else 1 / bandwidth
    phases = np.zeros(width) if is_network else generator.uniform(0, 2 * np.pi, width)
    weights = [
        generator.normal(0, spread, (64, width)).astype(np.float32),
        phases.astype(np.float32),
        generator.normal(0, (1 / width) ** 0.5, (width, 10)).astype(np.float32) * is_network,
        np.zeros(10, np.float32),
    ]
    first = [np.zeros_like(each) for each in weights]
    second = [np.zeros_like(each) for each in weights]
    steps = 0
    all_steps = epochs * -(-TRAINED // BATCH)
    for _ in range(epochs):
        order = generator.permutation(TRAINED)
        for begin in range(0, TRAINED, BATCH):
            batch = order[begin : begin + BATCH]
            rate = lr * (1 + np.cos(np.pi * steps / all_steps)) / 2
            steps += 1
            # Of the kernel and of the pixels that of the last layer alone.
            gradients = _gradients(weights, pictures[batch], wanted[batch], model=model)
            for at, gradient in gradients.items():
                gradient = gradient + weight_decay * weights[at]
                if optimizer == "sgd":
                    first[at] = momentum * first[at] + gradient
                    step = gradient + momentum * first[at] if nesterov else first[at]
                    weights[at] = weights[at] - rate * step
                    continue
                first[at] = beta1 * first[at] + (1 - beta1) * gradient
                second[at] = beta2 * second[at] + (1 - beta2) * gradient**2
                mean = first[at] / (1 - beta1**steps)
                deviation = np.sqrt(second[at] / (1 - beta2**steps)) + 1e-8
                weights[at] = weights[at] - rate * mean / deviation
        _, logs = _forward(weights, pictures[TRAINED:], model=model)
        loss = -float((logs * wanted[TRAINED:]).sum(axis=1).mean())
        yield {"val_loss": loss}, weights


def _forward(weights: list[Floats], pictures: Floats, *, model: str) -> tuple[Floats, Floats]:
    """Return what is hidden [n, width] and the logarithms of the probabilities [n, 10]."""
    if model == "linear":
        return pictures, _logs(pictures, weights)
    inner = pictures @ weights[0] + weights[1]
    hidden = np.maximum(inner, 0) if model == "network" else np.cos(inner) * (2 / inner.shape[1]) ** 0.5
    return hidden, _logs(hidden, weights)


def _logs(hidden: Floats, weights: list[Floats]) -> Floats:
    logits = hidden @ weights[2] + weights[3]
    logits = logits - logits.max(axis=1, keepdims=True)
    found: Floats = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    return found


def _gradients(weights: list[Floats], pictures: Floats, wanted: Floats, *, model: str) -> dict[int, Floats]:
    """Return the gradients of the mean cross entropy, by position in the weights, of those that are trained."""
    hidden, logs = _forward(weights, pictures, model=model)
    outer = (np.exp(logs) - wanted) / len(pictures)
    gradients = {3: outer.sum(axis=0), 2: hidden.T @ outer}
    if model == "network":
        inner = outer @ weights[2].T * (hidden > 0).astype(np.float32)
        gradients |= {1: inner.sum(axis=0), 0: pictures.T @ inner}
    return gradients

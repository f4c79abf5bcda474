"""Logistic regression by SGD on tabular data: twelve numbers, widened by random Fourier features; in NumPy."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from sklearn.datasets import make_classification

TRAINED = 2000
"""Rows that are trained with; 2,000 others are for validation."""
FEATURES = 128
"""Cosines in place of the twelve numbers (Rahimi and Recht, 2007)."""


def train(
    lr: float = 0.1,
    momentum: float = 0.9,
    batch_size: int = 32,
    penalty: float = 1e-4,
    decay: float = 0.5,
    width: float = 0.1,
    epochs: int = 25,
    seed: int = 0,
) -> Iterator[tuple[dict[str, float], Any]]:
    """Yield the cross entropy on the validation part, and the weights, once an epoch.

    `penalty` is of the squared weights, `lr` falls as epoch**-decay, `width` scales what stands in the cosines.
    """
    rows, labels = make_classification(
        TRAINED + 2000, 12, n_informative=8, n_redundant=0, n_clusters_per_class=4, flip_y=0.05, random_state=0
    )
    generator = np.random.default_rng(seed)
    directions = generator.normal(size=(12, FEATURES))
    shifts = generator.uniform(0, 2 * np.pi, FEATURES)
    waves = np.cos(width * rows @ directions + shifts) / 2
    features = np.hstack([waves, np.ones((len(rows), 1))])
    weights = np.zeros(FEATURES + 1)
    speed = np.zeros_like(weights)
    for epoch in range(1, epochs + 1):
        order = generator.permutation(TRAINED)
        for begin in range(0, TRAINED, batch_size):
            batch = order[begin : begin + batch_size]
            chance = 1 / (1 + np.exp(-np.clip(features[batch] @ weights, -500, 500)))
            gradient = features[batch].T @ (chance - labels[batch]) / len(batch) + penalty * weights
            speed = momentum * speed - lr * epoch**-decay * gradient
            weights = weights + speed
        scores = features[TRAINED:] @ weights
        loss = np.logaddexp(0, scores) - labels[TRAINED:] * scores
        yield {"val_loss": float(loss.mean())}, weights

"""LightGBM by rounds on 2,000 points of Friedman's function, a regression of ten numbers of which five matter."""

from collections.abc import Iterator
from typing import Any

import lightgbm
from sklearn.datasets import make_friedman1


def train(
    learning_rate: float = 0.1,
    num_leaves: int = 31,
    min_child_samples: int = 20,
    bagging_fraction: float = 1.0,
    feature_fraction: float = 1.0,
    reg_lambda: float = 0.0,
    epochs: int = 120,
    seed: int = 0,
) -> Iterator[tuple[dict[str, float], Any]]:
    """Yield the mean squared error on 1,000 other points, and the trees, once a round; the defaults are LightGBM's."""
    points, targets = make_friedman1(3000, noise=1.0, random_state=0)
    options = {
        "objective": "l2",
        "learning_rate": learning_rate,
        "num_leaves": num_leaves,
        "min_child_samples": min_child_samples,
        "bagging_fraction": bagging_fraction,
        "bagging_freq": 1,
        "feature_fraction": feature_fraction,
        "reg_lambda": reg_lambda,
        "num_threads": 1,
        "seed": seed,
        "verbosity": -1,
    }
    data = lightgbm.Dataset(points[:2000], targets[:2000], params=options)
    booster = lightgbm.Booster(options, data)
    booster.add_valid(lightgbm.Dataset(points[2000:], targets[2000:], reference=data), "val")
    for _ in range(epochs):
        booster.update()
        yield {"l2": booster.eval_valid()[0][2]}, booster

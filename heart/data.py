"""The data: points of the plane, each labelled as inside the heart curve or outside."""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

Floats = NDArray[np.float64]


def curve(x: Floats, y: Floats) -> Floats:
    """Return (x² + y² - 1)³ - x² y³, which is negative inside the heart; shapes broadcast."""
    value: Floats = (x**2 + y**2 - 1) ** 3 - x**2 * y**3
    return value


class PointDataset(Dataset[tuple[Tensor, Tensor]]):
    """Points [n, 2] in [-2, 2]² and labels [n, 1], 1. inside and 0. outside, as whole float32 tensors."""

    def __init__(self, points: Tensor, labels: Tensor) -> None:
        self.points = points
        self.labels = labels

    def __len__(self) -> int:
        return len(self.points)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        return self.points[index], self.labels[index]

    def __getitems__(self, indices: list[int]) -> list[tuple[Tensor, Tensor]]:
        """Fetch a batch for a DataLoader in two tensor operations."""
        return list(zip(self.points[indices], self.labels[indices], strict=True))


class Split(NamedTuple):
    """The three parts; nothing but the final score looks at the last."""

    train: PointDataset
    validation: PointDataset
    test: PointDataset


@lru_cache(maxsize=2)
def load(points: int, seed: int, device: str) -> Split:
    """Return 80/10/10 % of the points, split by a seeded permutation; built once a process.

    The points are those of CPython's `random.seed(seed)`: x, then y, each `(random() - 0.5) * 4`.
    RandomState([seed]) is the same Mersenne Twister stream, without a loop.
    """
    stream = np.random.RandomState([seed])
    xy = (stream.random_sample(2 * points).reshape(points, 2) - 0.5) * 4
    order = stream.permutation(points)
    inside = curve(xy[:, :1], xy[:, 1:]) < 0
    parts = np.split(order, [points * 8 // 10, points * 9 // 10])
    tensors = [(torch.from_numpy(values[part]).float().to(device)) for part in parts for values in (xy, inside)]
    return Split(*(PointDataset(*tensors[at : at + 2]) for at in (0, 2, 4)))

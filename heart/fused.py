"""One epoch on a CPU core as one compiled function: gradients by hand, on the module's own memory.

A small network spends most of an eager step between its operations. Here the matrix products are BLAS's (through
numba's `np.dot`, which is scipy's), all else is loops over a batch that LLVM turns into vector instructions. Arrays
are laid out with the batch last, [width, batch], so that these loops are long whatever the widths are.
"""

import math
from collections.abc import Callable
from typing import Any, TypeVar, cast

import numpy as np
import scipy.linalg.cython_blas  # noqa: F401 - loads the BLAS that is to be held to one thread
from numba import njit
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits
from torch import Tensor

from heart.data import PointDataset, Split
from heart.model import MLP

F = TypeVar("F", bound=Callable[..., Any])
Array = NDArray[np.float32]
FASTMATH = {"reassoc", "contract", "arcp", "nsz"}
"""What LLVM may assume. Not that there is no NaN: a diverged run must show."""
ZERO, ONE = np.float32(0), np.float32(1)
BLOCK = 500
"""Points that are validated at a time: their activations stay in the core's cache."""


def compiled(function: F) -> F:
    """Compile at the first call; from then on the code comes from a cache on disk, where there can be one."""
    try:
        return cast(F, njit(fastmath=FASTMATH, error_model="numpy", cache=True)(function))
    except RuntimeError:  # neither the package's folder nor the user's can be written
        return cast(F, njit(fastmath=FASTMATH, error_model="numpy")(function))


class Fused:
    """The engine: what heart.eager.Eager computes, up to the rounding of float32. For a model on the CPU."""

    def __init__(self, model: MLP, data: Split, momentum: float, batch_size: int) -> None:
        threadpool_limits(1, "blas")
        self._train, self._validation = _columns(data.train), _columns(data.validation)
        self._momentum, self._batch_size = np.float32(momentum), min(batch_size, len(data.train))
        self._weights = tuple(parameter.detach().numpy() for parameter in model.parameters())
        self._velocities = tuple(np.zeros_like(weights) for weights in self._weights)

    def epoch(self, order: Tensor, lr: float) -> tuple[float, float, float]:
        """Train on the points in this order [n]; return train_loss, val_loss and val_accuracy."""
        rates = np.float32(lr), self._momentum
        train_loss = train(*self._train, order.numpy(), self._weights, self._velocities, *rates, self._batch_size)
        return train_loss, *self.validate()

    def validate(self) -> tuple[float, float]:
        """Return val_loss and val_accuracy."""
        return validate(*self._validation, self._weights)


def _columns(data: PointDataset) -> tuple[Array, Array]:
    """Return the points as [2, n] and the labels as [n]."""
    return data.points.T.contiguous().numpy(), data.labels.squeeze(1).numpy()


@compiled
def train(
    points: Array,
    labels: Array,
    order: NDArray[np.int64],
    weights: tuple[Array, ...],
    velocities: tuple[Array, ...],
    lr: np.float32,
    momentum: np.float32,
    batch_size: int,
) -> float:
    """Take a step of SGD for each batch of points [2, n] in their order; return the mean loss of the points.

    Weights and velocities are those of the three layers, weight and bias in turn; both are changed in place.
    """
    w1, b1, w2, b2, w3, b3 = weights
    v1, c1, v2, c2, v3, c3 = velocities
    n, h1, h2 = len(order), len(b1), len(b2)
    x, y, g = np.empty((2, batch_size), np.float32), np.empty(batch_size, np.float32), np.empty(batch_size, np.float32)
    a1s, d1s = np.empty(h1 * batch_size, np.float32), np.empty(h1 * batch_size, np.float32)
    a2s = np.empty(h2 * batch_size, np.float32)
    dw2 = np.empty((h2, h1), np.float32)
    total = 0.0
    for begin in range(0, n, batch_size):
        m = min(batch_size, n - begin)
        for i in range(m):
            at = order[begin + i]
            x[0, i], x[1, i], y[i] = points[0, at], points[1, at], labels[at]
        a1, a2, d1 = a1s[: h1 * m].reshape(h1, m), a2s[: h2 * m].reshape(h2, m), d1s[: h1 * m].reshape(h1, m)
        forward(x, weights, a1, a2, g)
        total += differentiate(g, y, m)
        # Backwards: a2 turns into the gradient at the second layer's input, g is that at the logits. A layer's weights
        # are last needed for the gradient below them, so each is updated right after that.
        db = ZERO
        for i in range(m):
            db += g[i]
        step(b3, c3, 0, db, lr, momentum)
        for k in range(h2):
            w, dw, db = w3[0, k], ZERO, ZERO
            for i in range(m):
                a = a2[k, i]
                dw += g[i] * a
                d = ZERO if a <= ZERO else w * g[i]
                a2[k, i] = d
                db += d
            step(w3[0], v3[0], k, dw, lr, momentum)
            step(b2, c2, k, db, lr, momentum)
        np.dot(w2.T, a2, d1)
        np.dot(a2, a1.T, dw2)
        for k in range(h2):
            for j in range(h1):
                step(w2[k], v2[k], j, dw2[k, j], lr, momentum)
        for j in range(h1):
            dx, dy, db = ZERO, ZERO, ZERO
            for i in range(m):
                d = ZERO if a1[j, i] <= ZERO else d1[j, i]
                dx += d * x[0, i]
                dy += d * x[1, i]
                db += d
            step(w1[j], v1[j], 0, dx, lr, momentum)
            step(w1[j], v1[j], 1, dy, lr, momentum)
            step(b1, c1, j, db, lr, momentum)
    return total / n


@compiled
def validate(points: Array, labels: Array, weights: tuple[Array, ...]) -> tuple[float, float]:
    """Return the mean loss of points [2, n], and the share of them on their right side."""
    n, h1, h2 = len(labels), len(weights[1]), len(weights[3])
    a1s, a2s = np.empty(h1 * BLOCK, np.float32), np.empty(h2 * BLOCK, np.float32)
    x, g = np.empty((2, BLOCK), np.float32), np.empty(BLOCK, np.float32)
    total, right = 0.0, 0
    for begin in range(0, n, BLOCK):
        m = min(BLOCK, n - begin)
        y = labels[begin : begin + m]
        x[:, :m] = points[:, begin : begin + m]
        forward(x, weights, a1s[: h1 * m].reshape(h1, m), a2s[: h2 * m].reshape(h2, m), g)
        for i in range(m):
            right += (g[i] >= ZERO) == (y[i] > ZERO)
        total += differentiate(g, y, m)
    return total / n, right / n


@compiled
def forward(x: Array, weights: tuple[Array, ...], a1: Array, a2: Array, z: Array) -> None:
    """Put the activations of both layers, [width, m], and the logits z of points x into their places."""
    w1, b1, w2, b2, w3, b3 = weights
    (h1, m), h2 = a1.shape, len(a2)
    for j in range(h1):
        u, v, b = w1[j, 0], w1[j, 1], b1[j]
        for i in range(m):
            a = u * x[0, i] + v * x[1, i] + b
            a1[j, i] = ZERO if a <= ZERO else a  # a NaN stays one, as in torch
    np.dot(w2, a1, a2)
    z[:m] = b3[0]
    for k in range(h2):
        w, b = w3[0, k], b2[k]
        for i in range(m):
            a = a2[k, i] + b
            a = ZERO if a <= ZERO else a
            a2[k, i] = a
            z[i] += w * a


@compiled
def differentiate(z: Array, y: Array, m: int) -> float:
    """Turn m logits into the gradients of their mean binary cross-entropy; return the sum of it."""
    total, share = 0.0, ONE / np.float32(m)
    for begin in range(0, m, 512):
        product = 1.0  # of 1 + exp(-|z|), each at most 2: one logarithm for all of them
        for i in range(begin, min(begin + 512, m)):
            e = math.exp(-abs(z[i]))
            product *= 1.0 + e
            total += max(z[i], ZERO) - z[i] * y[i]
            z[i] = ((ONE if z[i] >= ZERO else e) / (ONE + e) - y[i]) * share
        total += math.log(product)
    return total


@compiled
def step(
    weights: Array, velocities: Array, at: int, gradient: np.float32, lr: np.float32, momentum: np.float32
) -> None:
    """Take torch.optim.SGD's step of one weight."""
    velocities[at] = momentum * velocities[at] + gradient
    weights[at] -= lr * velocities[at]

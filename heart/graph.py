"""One epoch on a GPU with its step captured as a CUDA graph: the loop there is bound by launches, not by arithmetic.

All that a step needs is on the device, also where it is in the order and the learning rate, so that the same launches
take every step; the host waits once an epoch.
"""

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from heart.data import Split
from heart.eager import evaluate, on_the_host
from heart.model import MLP

WARM_UP = 3
"""Steps before the capture, in which the libraries make what they make once (CUDA forbids it while capturing)."""


class Captured:
    """The engine: what heart.eager.Eager computes, up to the rounding of float32.

    Without `capture` the same step is launched operation by operation, on any device.
    """

    def __init__(self, model: MLP, data: Split, momentum: float, batch_size: int, *, capture: bool = True) -> None:
        self._model, self._data, self._momentum = model, data, momentum
        n, device = len(data.train), data.train.points.device
        self._weights: list[Tensor] = list(model.parameters())
        self._velocities = [torch.zeros_like(weights) for weights in self._weights]
        self._places = torch.arange(min(batch_size, n), device=device)
        self._order = torch.arange(n, device=device)
        self._at, self._lr, self._total = (
            torch.zeros((), dtype=kind, device=device) for kind in (torch.long, torch.float, torch.float)
        )
        self._graph = self._captured() if capture else None

    def epoch(self, order: Tensor, lr: float) -> tuple[float, float, float]:
        """Train on the points in this order [n]; return train_loss, val_loss and val_accuracy."""
        self._order.copy_(order)
        self._lr.fill_(lr)
        self._at.zero_()
        self._total.zero_()
        n, size = len(order), len(self._places)
        for _ in range(n // size):
            self._graph.replay() if self._graph else self._step(size)
        if n % size:
            self._step(n % size)
        return on_the_host(self._total / n, *evaluate(self._model, self._data.validation))

    def _step(self, size: int) -> None:
        """Take a step of SGD with momentum on the next points."""
        batch = self._order[self._at + self._places[:size]]
        logits = self._model(self._data.train.points[batch])
        loss = binary_cross_entropy_with_logits(logits, self._data.train.labels[batch])
        gradients = torch.autograd.grad(loss, self._weights)
        with torch.no_grad():
            torch._foreach_mul_(self._velocities, self._momentum)
            torch._foreach_add_(self._velocities, gradients)
            torch._foreach_sub_(self._weights, torch._foreach_mul(self._velocities, self._lr))
            self._total += loss * size
            self._at += size

    def _captured(self) -> torch.cuda.CUDAGraph:
        """Return the graph of a full step; the warm-up before it leaves the weights as they were."""
        before = [weights.detach().clone() for weights in self._weights]
        aside = torch.cuda.Stream()
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):
            for _ in range(WARM_UP):
                self._at.zero_()
                self._step(len(self._places))
        torch.cuda.current_stream().wait_stream(aside)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            self._step(len(self._places))
        with torch.no_grad():
            torch._foreach_copy_(self._weights, before)
            torch._foreach_zero_(self._velocities)
        return graph

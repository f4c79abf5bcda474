"""One epoch in plain PyTorch: the reference that the faster engines are held to, and what any device can run."""

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from heart.data import PointDataset, Split
from heart.model import MLP


class Eager:
    """SGD with momentum on the mean binary cross-entropy of each batch, by autograd."""

    def __init__(self, model: MLP, data: Split, momentum: float, batch_size: int) -> None:
        self._model, self._data, self._batch_size = model, data, batch_size
        self._optimizer = torch.optim.SGD(model.parameters(), momentum=momentum)

    def epoch(self, order: Tensor, lr: float) -> tuple[float, float, float]:
        """Train on the points in this order [n]; return train_loss, val_loss and val_accuracy."""
        for group in self._optimizer.param_groups:
            group["lr"] = lr
        points, labels = self._data.train.points, self._data.train.labels
        order = order.to(points.device)
        batches = zip(points[order].split(self._batch_size), labels[order].split(self._batch_size), strict=True)
        total = torch.zeros((), device=points.device)
        for x, y in batches:
            loss = binary_cross_entropy_with_logits(self._model(x), y)
            self._optimizer.zero_grad()
            loss.backward()
            self._optimizer.step()
            total += loss.detach() * len(x)
        return on_the_host(total / len(points), *evaluate(self._model, self._data.validation))


@torch.no_grad()
def evaluate(model: MLP, data: PointDataset) -> tuple[Tensor, Tensor]:
    """Return the mean binary cross-entropy (nats) and the share of points on their right side, where the model is."""
    logits = model(data.points)
    loss = binary_cross_entropy_with_logits(logits, data.labels)
    return loss, ((logits >= 0) == (data.labels > 0.5)).float().mean()


def on_the_host(train_loss: Tensor, val_loss: Tensor, val_accuracy: Tensor) -> tuple[float, float, float]:
    """Return them as numbers, for which a GPU is waited for once."""
    first, second, third = torch.stack([train_loss, val_loss, val_accuracy]).tolist()
    return first, second, third

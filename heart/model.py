"""The network, and its file."""

import pickle
import warnings
from dataclasses import asdict
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn

from heart.config import Config


class MLP(nn.Module):
    """Two coordinates in, one logit out: linear, ReLU, linear, ReLU, linear."""

    def __init__(self, hidden1: int = 72, hidden2: int = 36) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(2, hidden1), nn.ReLU(), nn.Linear(hidden1, hidden2), nn.ReLU(), nn.Linear(hidden2, 1)
        )

    def forward(self, points: Tensor) -> Tensor:
        """Return the logits [n, 1] that points [n, 2] lie inside."""
        return cast(Tensor, self.layers(points))

    @torch.no_grad()
    def probability(self, points: Tensor) -> Tensor:
        """Return the probabilities [n] that points [n, 2], on any device, lie inside."""
        device = next(self.parameters()).device
        logits: Tensor = self(points.float().to(device))
        return logits.sigmoid().squeeze(1).cpu()


def save(model: MLP, config: Config, path: Path) -> None:
    """Write weights and config as one file that `torch.load(weights_only=True)` reads."""
    state = {name: value.cpu() for name, value in model.state_dict().items()}
    torch.save({"state_dict": state, "config": asdict(config)}, path)


def load(path: Path) -> tuple[MLP, Config]:
    """Return the network of a file that `save` wrote, on the CPU, and its config.

    Nothing in the file is executed. Raises ValueError where it is another file, FileNotFoundError where none is.
    """
    ours = f"{path} must be a model.pt that heart.train wrote"
    if path.exists() and not path.is_file():
        raise ValueError(f"{ours}, but it is no file")  # a pipe would be waited for
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's doubts about a file that is refused below
            stored = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise FileNotFoundError(f"the model file must exist, but there is no {path}") from None
    except pickle.UnpicklingError:
        raise ValueError(f"{ours}, but it holds more than weights; refused, as loading it could run code") from None
    except Exception as error:  # torch's unpickler raises anything at foreign bytes
        raise ValueError(f"{ours}, but: {error!r:.200}") from None
    try:
        config = Config(**stored["config"])
        if 4 * config.hidden1 * config.hidden2 > path.stat().st_size:
            raise ValueError("the file is too short for the widths in its config")
        model = MLP(config.hidden1, config.hidden2)
        model.load_state_dict(stored["state_dict"])
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, RuntimeError) as error:
        raise ValueError(f"{ours}, but: {error!r:.200}") from None
    return model, config

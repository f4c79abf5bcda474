"""A workload that computes nothing: what a search of it takes is what the framework takes."""

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Config:
    """Four hyperparameters, as many as the heart's."""

    a: float = 0.0
    b: float = 0.0
    c: float = 0.0
    d: float = 0.0
    epochs: int = 10
    seed: int = 0


def train(config: Config) -> Iterator[tuple[dict[str, float], None]]:
    """Yield a loss that falls from epoch to epoch."""
    depth = config.a**2 + config.b**2 + config.c**2 + config.d**2 + 1
    for epoch in range(1, config.epochs + 1):
        yield {"loss": depth * (1 + 1 / epoch)}, None

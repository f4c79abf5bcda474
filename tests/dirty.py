"""A workload that leaves all it can behind in its process, and whose numbers would tell if the next trial found it."""

import os
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

trials = 0
seen: list[float] = []
settings = {"scale": 1.0}
table: dict[str, np.ndarray] = {}
"""Its data, loaded once for the life of the process."""


@dataclass(frozen=True)
class Config:
    x: float = 0.0
    epochs: int = 4
    seed: int = 0


class Hog:
    """80 MB in a cycle, so that only the garbage collector finds it."""

    def __init__(self) -> None:
        self.memory = np.ones(10_000_000)
        self.itself = self


def train(config: Config) -> Iterator[tuple[dict[str, float], None]]:
    global trials
    trials += 1
    seen.append(config.x)
    settings["scale"] *= 2
    settings[str(config.x)] = config.x
    table.setdefault("data", np.arange(3.0))
    os.environ["DIRTY"] = os.environ.get("DIRTY", "") + "x"
    hog = Hog()  # noqa: F841  # lives as long as the generator
    depth = len(Path.cwd().parts)
    os.chdir("/")
    try:
        for epoch in range(1, config.epochs + 1):
            noise = random.random() + np.random.random()
            left = trials + len(seen) + settings["scale"] + len(settings) + len(os.environ["DIRTY"])
            yield {"loss": config.x**2 / epoch, "noise": noise, "left": left, "depth": depth}, None
    finally:
        settings["scale"] = 1000.0

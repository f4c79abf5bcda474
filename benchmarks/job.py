"""The job that all rivals do: one space, one training loop, one data set, the same epochs; the winner retrained once.

The rivals train with `heart.train.train` and plain PyTorch: tensors in memory, one thread, denormals flushed. That is
faster than the loop of any tutorial, so what remains between them and us is how the search is run, and our engine.
"""

import argparse
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from heart.config import Config
from heart.train import test, train

EPOCHS, BATCH_SIZE, GRACE_PERIOD, REDUCTION_FACTOR = 30, 256, 3, 3
LR, MOMENTUM, WIDTH = (1e-3, 1.0), (0.0, 0.99), (8, 128)
"""The space, both ends included, as in search.yaml here: log-uniform but for the momentum, which is uniform."""


def describe() -> str:
    """Return what each of them does, as a line."""
    low, high = WIDTH
    return (
        f"the job: heart.train on {Config().points} points, {EPOCHS} epochs, batches of {BATCH_SIZE}; lr in {LR} and "
        f"widths in [{low}, {high}] by their logarithms, momentum in {MOMENTUM}; halving by {REDUCTION_FACTOR} from "
        f"epoch {GRACE_PERIOD}; the winner retrained once, its loss on held-out points is test_loss"
    )


def config(values: Mapping[str, Any], seed: int, engine: str) -> Config:
    """Return what is trained at a point of the space."""
    fixed: dict[str, Any] = {"epochs": EPOCHS, "batch_size": BATCH_SIZE, "schedule": "cosine", "device": "cpu"}
    return Config(**fixed, **values, seed=seed, engine=engine)


def finish(values: Mapping[str, Any], seed: int, engine: str) -> dict[str, float]:
    """Retrain the winner once with the next seed; return val_loss and test_loss of its last epoch.

    At the end of a cosine schedule the last epoch is as good as the best.
    """
    asked = config(values, seed + 1, engine)
    *_, (metrics, model) = train(asked)
    return {"val_loss": metrics["val_loss"], "test_loss": test(model, asked)["test_loss"]}


def main(search: Callable[[int, int, str], tuple[Mapping[str, Any], int]]) -> None:
    """Search as the command line asks, finish, and write what came of it.

    `search` takes trials, seed and engine, and returns the best values and the epochs that were trained.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("--trials", type=int, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--engine", default="torch")
    parser.add_argument("--output", type=Path, required=True)
    asked = parser.parse_args()
    values, epochs = search(asked.trials, asked.seed, asked.engine)
    found = {"epochs": epochs, **finish(values, asked.seed, asked.engine), "values": dict(values)}
    asked.output.write_text(json.dumps(found), encoding="utf-8")

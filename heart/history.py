"""What one training in full leaves behind: the curve, the best epoch's network, and a run folder."""

import copy
import json
import math
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from ruamel.yaml import YAML

from heart import plot
from heart.config import Config
from heart.data import PointDataset
from heart.model import MLP, save

Metrics = dict[str, float]


class History:
    """The epochs seen so far, with a copy of the best network and of up to eight others on the way."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.rows: list[Metrics] = []
        self.best: MLP | None = None
        self.best_epoch = 0
        self.snapshots: dict[int, MLP] = {}
        self._kept = set(np.geomspace(1, config.epochs, 8).round().astype(int).tolist())

    def add(self, metrics: Metrics, model: MLP) -> bool:
        """Take in one epoch; return whether its val_loss is finite."""
        epoch = len(self.rows) + 1
        self.rows.append({"epoch": epoch, **metrics})
        if not math.isfinite(metrics["val_loss"]):
            return False
        if self.best is None or metrics["val_loss"] < self.rows[self.best_epoch - 1]["val_loss"]:
            self.best, self.best_epoch = copy.deepcopy(model), epoch
        if epoch in self._kept:
            self.snapshots[epoch] = copy.deepcopy(model)
        return True

    def write(self, folder: Path, test: Metrics, data: PointDataset) -> None:
        """Write the run folder: model.pt, config.yaml, metrics.json, curves.csv and the pictures.

        `test` holds test_loss and test_accuracy of the best network; `data` the points to draw.
        """
        assert self.best is not None
        kept = self.rows[self.best_epoch - 1]
        save(self.best, self.config, folder / "model.pt")
        YAML().dump(asdict(self.config), folder / "config.yaml")
        pd.DataFrame(self.rows).to_csv(folder / "curves.csv", index=False)
        metrics = {
            "best_epoch": self.best_epoch,
            "validation": {"loss": kept["val_loss"], "accuracy": kept["val_accuracy"]},
            "test": {"loss": test["test_loss"], "accuracy": test["test_accuracy"]},
            "config": asdict(self.config),
        }
        (folder / "metrics.json").write_text(json.dumps(metrics, indent=2) + "\n", encoding="utf-8")
        for name, picture in self._pictures(data).items():
            picture.savefig(folder / f"{name}.png", dpi=120)

    def _pictures(self, data: PointDataset) -> dict[str, Figure]:
        assert self.best is not None
        return {
            "points": plot.points(data),
            "curves": plot.curves(self.rows, self.best_epoch),
            "boundary": plot.boundary(self.best, f"Epoch {self.best_epoch}, the best by validation loss"),
            "epochs": plot.contact_sheet(self.snapshots),
        }

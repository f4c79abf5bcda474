"""A network that Lightning trains."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import lightning
import torch
from torch.utils.data import DataLoader, TensorDataset

from tests.trainers.faults import faulty, misbehave


@dataclass(frozen=True)
class Config:
    lr: float = 0.01
    epochs: int = 4
    seed: int = 0
    workers: int = 0
    fault: str = ""


class Net(lightning.LightningModule):
    def __init__(self, config: Config) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(4, 1)
        self.config = config

    def training_step(self, batch: Any, index: int) -> torch.Tensor:
        misbehave(self.config.fault, self.current_epoch + 1)
        return torch.nn.functional.mse_loss(self.layer(batch[0]), batch[1])

    def validation_step(self, batch: Any, index: int) -> None:
        self.log("loss", torch.nn.functional.mse_loss(self.layer(batch[0]), batch[1]))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=self.config.lr)


class Reporter(lightning.Callback):
    def __init__(self, report: Callable[..., None]) -> None:
        self.report = report

    def on_train_epoch_end(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        self.report(trainer.callback_metrics, module)


def train(config: Config, report: Callable[..., None]) -> None:
    lightning.seed_everything(config.seed, verbose=False)
    data = torch.randn(64, 4)
    loader = DataLoader(TensorDataset(data, data.sum(1, keepdim=True)), batch_size=16, num_workers=config.workers)
    trainer = lightning.Trainer(
        max_epochs=config.epochs,
        accelerator="cpu",
        callbacks=[Reporter(faulty(report, config.fault))],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(Net(config), loader, loader)

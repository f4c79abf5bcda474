"""The digits with Lightning."""

import lightning as L
import torch
from lightning.pytorch.callbacks import LambdaCallback
from sklearn.datasets import load_digits
from torch import nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, TensorDataset, random_split


class Digits(L.LightningModule):
    def __init__(self, lr, hidden):
        super().__init__()
        self.lr = lr
        self.net = nn.Sequential(nn.Linear(64, hidden), nn.ReLU(), nn.Linear(hidden, 10))

    def training_step(self, batch, index):
        pictures, labels = batch
        return cross_entropy(self.net(pictures), labels)

    def validation_step(self, batch, index):
        pictures, labels = batch
        self.log("val_loss", cross_entropy(self.net(pictures), labels))

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), self.lr)


def loaders():
    pictures, labels = load_digits(return_X_y=True)
    data = TensorDataset(torch.tensor(pictures, dtype=torch.float32) / 16, torch.tensor(labels))
    train, val = random_split(data, [0.8, 0.2], torch.Generator().manual_seed(0))
    return DataLoader(train, 64, shuffle=True), DataLoader(val, 512)


def train(lr=0.001, hidden=64, epochs=8, seed=0, report=print):
    L.seed_everything(seed)
    reporter = LambdaCallback(on_train_epoch_end=lambda trainer, model: report(trainer.callback_metrics, model))
    quiet = {
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
    }
    trainer = L.Trainer(max_epochs=epochs, accelerator="cpu", callbacks=[reporter], **quiet)
    trainer.fit(Digits(lr, hidden), *loaders())
    print(trainer.callback_metrics)


if __name__ == "__main__":
    train()

"""A tiny language model that Hugging Face's Trainer trains."""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from transformers import BertConfig, BertForSequenceClassification, Trainer, TrainerCallback, TrainingArguments

from tests.trainers.faults import faulty, misbehave


@dataclass(frozen=True)
class Config:
    lr: float = 0.01
    epochs: int = 4
    seed: int = 0
    workers: int = 0
    fault: str = ""


class Faulty(TrainerCallback):
    def __init__(self, fault: str) -> None:
        self.fault = fault

    def on_step_begin(self, args: Any, state: Any, control: Any, **others: Any) -> None:
        misbehave(self.fault, int(state.epoch) + 1)


class Reporter(TrainerCallback):
    def __init__(self, report: Callable[..., None]) -> None:
        self.report = report

    def on_evaluate(self, args: Any, state: Any, control: Any, metrics: Any, model: Any, **others: Any) -> None:
        self.report({"loss": metrics["eval_loss"]}, model)


def train(config: Config, report: Callable[..., None]) -> None:
    torch.manual_seed(config.seed)
    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 8}
    model = BertForSequenceClassification(BertConfig(vocab_size=16, max_position_embeddings=8, **sizes))
    tokens = torch.randint(0, 16, (64, 8))
    data = [{"input_ids": row, "labels": row[0] % 2} for row in tokens]
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            output_dir=folder,
            num_train_epochs=config.epochs,
            learning_rate=config.lr,
            per_device_train_batch_size=16,
            per_device_eval_batch_size=64,
            dataloader_num_workers=config.workers,
            dataloader_persistent_workers=config.workers > 0,
            seed=config.seed,
            use_cpu=True,
            report_to="none",
            disable_tqdm=True,
            eval_strategy="epoch",
            save_strategy="no",
            logging_strategy="no",
        )
        callbacks = [Faulty(config.fault), Reporter(faulty(report, config.fault))]
        Trainer(model, arguments, train_dataset=data, eval_dataset=data, callbacks=callbacks).train()

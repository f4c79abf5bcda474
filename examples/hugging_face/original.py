"""Hugging Face's Trainer on a tiny BERT with random weights: does a number stand among the first three?"""

import tempfile

import torch
from transformers import BertConfig, BertForSequenceClassification, Trainer, TrainingArguments


class Rows(torch.utils.data.Dataset):
    def __init__(self, count, seed):
        generator = torch.Generator().manual_seed(seed)
        self.rows = torch.randint(10, (count, 8), generator=generator)
        self.labels = (self.rows[:, :3] == 7).any(dim=1).long()

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, index):
        return {"input_ids": self.rows[index], "labels": self.labels[index]}


def train(learning_rate=0.001, layers=1, dropout=0.1, epochs=5, seed=0):
    torch.manual_seed(seed)
    size = {"vocab_size": 10, "hidden_size": 32, "num_attention_heads": 2, "intermediate_size": 64}
    model = BertForSequenceClassification(BertConfig(num_hidden_layers=layers, hidden_dropout_prob=dropout, **size))
    arguments = TrainingArguments(
        output_dir=tempfile.mkdtemp(),
        learning_rate=learning_rate,
        num_train_epochs=epochs,
        per_device_train_batch_size=32,
        eval_strategy="epoch",
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        use_cpu=True,
        seed=seed,
    )
    trainer = Trainer(model, arguments, train_dataset=Rows(512, 0), eval_dataset=Rows(256, 1))
    trainer.train()


if __name__ == "__main__":
    train()

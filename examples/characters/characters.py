"""A character-level transformer that learns the English of Python's own documentation; it counts steps, not epochs."""

from pydoc_data.topics import topics

import torch
from torch import nn
from torch.nn.functional import cross_entropy

TEXT = "".join(letter for letter in topics["class"] + topics["import"] if letter.isascii())
LETTERS = sorted(set(TEXT))
LENGTH = 32


def encode(text):
    return torch.tensor([LETTERS.index(letter) for letter in text])


def batch(letters, count, generator=None):
    starts = torch.randint(len(letters) - LENGTH - 1, (count,), generator=generator)
    return torch.stack([letters[start : start + LENGTH + 1] for start in starts])


class Transformer(nn.Module):
    def __init__(self, width, heads, layers):
        super().__init__()
        self.letters = nn.Embedding(len(LETTERS), width)
        self.places = nn.Embedding(LENGTH, width)
        layer = nn.TransformerEncoderLayer(width, heads, 4 * width, dropout=0.0, batch_first=True)
        self.layers = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
        self.head = nn.Linear(width, len(LETTERS))

    def forward(self, rows):
        mask = nn.Transformer.generate_square_subsequent_mask(LENGTH)
        inner = self.letters(rows) + self.places(torch.arange(LENGTH))
        return self.head(self.layers(inner, mask=mask, is_causal=True))


def loss_of(model, rows):
    return cross_entropy(model(rows[:, :-1]).flatten(0, 1), rows[:, 1:].flatten())


def train(lr=0.003, width=32, heads=4, layers=1, steps=300, seed=0):
    torch.manual_seed(seed)
    model = Transformer(width, heads, layers)
    optim = torch.optim.AdamW(model.parameters(), lr)
    letters = encode(TEXT)
    train_part, val_part = letters.tensor_split([len(letters) * 9 // 10])
    val_rows = batch(val_part, 64, torch.Generator().manual_seed(0))
    for step in range(1, steps + 1):
        optim.zero_grad()
        loss_of(model, batch(train_part, 16)).backward()
        optim.step()
        if step % 30 == 0:
            with torch.no_grad():
                val_loss = loss_of(model, val_rows).item()
            yield {"val_loss": val_loss}, model


if __name__ == "__main__":
    for metrics, _ in train():
        print(metrics)

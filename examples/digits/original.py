"""A small convolutional network that reads scikit-learn's digits: 1,797 pictures of 8 by 8 pixels."""

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, TensorDataset, random_split


def load(batch_size, seed):
    pictures, labels = load_digits(return_X_y=True)
    pictures = torch.tensor(pictures, dtype=torch.float32).view(-1, 1, 8, 8) / 16
    data = TensorDataset(pictures, torch.tensor(labels))
    train, val = random_split(data, [0.8, 0.2], torch.Generator().manual_seed(0))
    shuffle = torch.Generator().manual_seed(seed)
    return DataLoader(train, batch_size, shuffle=True, num_workers=2, generator=shuffle), DataLoader(val, 512)


def network(channels):
    return nn.Sequential(
        nn.Conv2d(1, channels, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(channels, 2 * channels, 3, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(2 * channels * 16, 10),
    )


def train(lr=0.01, channels=8, optimizer="sgd", momentum=0.9, batch_size=64, epochs=10, seed=0):
    torch.manual_seed(seed)
    train_loader, val_loader = load(batch_size, seed)
    model = network(channels)
    if optimizer == "sgd":
        optim = torch.optim.SGD(model.parameters(), lr, momentum)
    else:
        optim = torch.optim.Adam(model.parameters(), lr)
    for epoch in range(epochs):
        model.train()
        for pictures, labels in train_loader:
            optim.zero_grad()
            loss = cross_entropy(model(pictures), labels)
            loss.backward()
            optim.step()
        model.eval()
        with torch.no_grad():
            pictures, labels = next(iter(val_loader))
            val_loss = cross_entropy(model(pictures), labels).item()
        print(f"epoch {epoch + 1}: val_loss {val_loss:.4f}")


if __name__ == "__main__":
    train()

"""A script with argparse, as its author wrote it: logistic regression on scikit-learn's breast cancer data.

python train.py --lr 0.1
"""

import argparse

import numpy as np
from sklearn.datasets import load_breast_cancer


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--lr", type=float, default=0.1)
    parser.add_argument("--weight-decay", type=float, default=0.0)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--save")
    args = parser.parse_args()

    features, labels = load_breast_cancer(return_X_y=True)
    features = (features - features.mean(0)) / features.std(0)
    part = np.arange(len(labels)) % 4 == 0
    x, y, x_val, y_val = features[~part], labels[~part], features[part], labels[part]
    weights = np.zeros(x.shape[1])
    shuffle = np.random.default_rng(args.seed)
    for epoch in range(args.epochs):
        order = shuffle.permutation(len(x))
        for start in range(0, len(x), args.batch_size):
            batch = order[start : start + args.batch_size]
            error = 1 / (1 + np.exp(-x[batch] @ weights)) - y[batch]
            weights -= args.lr * (x[batch].T @ error / len(batch) + args.weight_decay * weights)
        val_loss = np.mean(np.logaddexp(0, -(2 * y_val - 1) * (x_val @ weights)))
        print(f"epoch {epoch + 1:3} val_loss: {val_loss:.5f}")
    if args.save:
        np.save(args.save, weights)


if __name__ == "__main__":
    main()

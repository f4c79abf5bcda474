"""How fast an epoch is: each engine on one core, and its share of what the core can do.

python -m benchmarks.loop
"""

import time
from collections.abc import Callable

import torch

from heart.config import Config
from heart.data import Split, load
from heart.eager import Eager
from heart.fused import Fused
from heart.model import MLP

WIDTHS = ((16, 16), (72, 36), (128, 128))
BATCH_SIZE = 256


def fastest(function: Callable[[], object], times: int) -> float:
    """Return the seconds of the fastest of so many calls."""
    found = []
    for _ in range(times):
        begin = time.perf_counter()
        function()
        found.append(time.perf_counter() - begin)
    return min(found)


def peak() -> float:
    """Return this core's matrix products in GFLOP/s, in float32."""
    a, b, out = (torch.rand(2048, 2048) for _ in range(3))
    return 2 * 2048**3 / fastest(lambda: torch.mm(a, b, out=out), 5) / 1e9


def operations(n: int, h1: int, h2: int) -> int:
    """Return the floating-point operations of an epoch: forward, and twice that backward but for the first layer."""
    first, second, third = 2 * 2 * h1, 2 * h1 * h2, 2 * h2
    return n * (2 * first + 3 * second + 3 * third)


def row(data: Split, h1: int, h2: int, most: float) -> str:
    """Return what an epoch of a network takes, as text."""
    n, order = len(data.train), torch.randperm(len(data.train))
    eager, fused = Eager(MLP(h1, h2), data, 0.9, BATCH_SIZE), Fused(MLP(h1, h2), data, 0.9, BATCH_SIZE)
    slow = fastest(lambda: eager.epoch(order, 0.01), 4)
    quick = fastest(lambda: fused.epoch(order, 0.01), 12)
    validation = fastest(fused.validate, 12)
    rate = operations(n, h1, h2) / (quick - validation) / 1e9
    cells = f"{slow * 1e3:>10.1f}{quick * 1e3:>10.1f}{slow / quick:>7.1f}{validation / quick:>12.0%}"
    return f"{f'{h1}-{h2}':>9}{cells}{rate:>9.0f}{rate / most:>9.0%}"


def main() -> None:
    """Print a row a pair of widths."""
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    config, most = Config(device="cpu"), peak()
    data = load(config.points, config.data_seed, "cpu")
    print(f"{len(data.train)} points, batches of {BATCH_SIZE}; this core multiplies matrices at {most:.0f} GFLOP/s")
    print(f"{'widths':>9}{'eager ms':>10}{'fused ms':>10}{'ratio':>7}{'validation':>12}{'GFLOP/s':>9}{'of peak':>9}")
    for h1, h2 in WIDTHS:
        print(row(data, h1, h2, most))


if __name__ == "__main__":
    main()

"""The second workload, torch-free: a bowl whose depth shows over the epochs, and every way to misbehave.

python -m search.run --config tests/toy.yaml
"""

import ctypes
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

Metrics = dict[str, object]


@dataclass(frozen=True)
class Config:
    x: float = 0.0
    y: float = 0.0
    epochs: int = 9
    seed: int = 0
    fault: str = ""
    """What goes wrong in a trial with x > limit."""
    limit: float = -1e9
    folder: str = ""
    """Where a trial says that it runs, and then waits until a test says `go`; where one that dies once says so."""

    def __post_init__(self) -> None:
        if not -10 <= self.x <= 10:
            raise ValueError(f"x must be in [-10, 10], but got {self.x}")


def loss(config: Config, epoch: int) -> float:
    """Return the loss after an epoch, counted from 1: it falls towards (x - 1)² + y² + 0.1, by a bit more a seed."""
    depth = (config.x - 1) ** 2 + config.y**2 + 0.1 + 0.001 * config.seed
    return depth * (1 + 1 / epoch)


def train(config: Config) -> Iterator[tuple[Metrics, dict[str, float]]]:
    fault = config.fault if config.x > config.limit else ""
    if fault == "nothing":
        return
    print(f"toy x={config.x} y={config.y}")
    epochs = {"short": 4, "long": config.epochs + 5}.get(fault, config.epochs)
    if config.folder and not config.fault:
        _wait_for_go(Path(config.folder))
    for epoch in range(1, epochs + 1):
        if epoch == 2:
            _misbehave(fault)
        if epoch == 3 and fault == "die once":
            _die_once(Path(config.folder) / f"{config.x}")
        value: object = loss(config, epoch)
        if epoch >= 4 and fault in ("nan", "inf"):
            value = float(fault)
        if fault == "text":
            value = "much"
        name = "los" if fault == "missing" else "loss"
        yield {name: value, "epoch_seen": epoch}, {"x": config.x, "y": config.y, "epoch": epoch}


def _misbehave(fault: str) -> None:
    if fault == "raise":
        raise RuntimeError("the toy broke")
    if fault == "exit":
        sys.exit("the toy left")
    if fault == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if fault == "hang":
        threading.Event().wait()
    if fault == "hang in C":
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM})
        ctypes.PyDLL(None).pause()  # holding the interpreter's lock: no Python runs in this process any more


def _die_once(note: Path) -> None:
    if not note.exists():
        note.touch()
        ctypes.string_at(0)  # a segmentation fault


def _wait_for_go(folder: Path) -> None:
    """Leave a note with the GPUs that this process sees; wait, 60 s at most, for the file go."""
    (folder / f"{os.getpid()}.running").write_text(os.environ.get("CUDA_VISIBLE_DEVICES", "unset"), encoding="utf-8")
    deadline = time.monotonic() + 60
    while not (folder / "go").exists() and time.monotonic() < deadline:
        time.sleep(0.02)


def test(model: dict[str, float], config: Config) -> dict[str, float]:
    return {"test_loss": (model["x"] - 1) ** 2 + model["y"] ** 2}


test.__test__ = False  # type: ignore[attr-defined]  # the interface's name, not pytest's


def save(model: dict[str, float], config: Config, path: Path) -> None:
    path.write_text(repr(model), encoding="utf-8")

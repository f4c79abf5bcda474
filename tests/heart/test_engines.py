"""The engines of heart.train: each computes what the plain PyTorch loop computes."""

import itertools
import math
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from heart.config import Config
from heart.data import load
from heart.eager import Eager
from heart.fused import Fused
from heart.graph import Captured
from heart.model import MLP
from heart.train import Engine, resolve, train
from tests.programs import ROOT

CPU = Config(points=2000, epochs=3, hidden1=12, hidden2=8, device="cpu")
CONFIGS = st.builds(
    Config,
    lr=st.floats(1e-4, 0.3),
    momentum=st.floats(0, 0.9),
    hidden1=st.integers(1, 140),
    hidden2=st.integers(1, 140),
    batch_size=st.integers(16, 3000),
    points=st.integers(200, 4000),
    seed=st.integers(0, 2**63 - 1),
    device=st.just("cpu"),
)
RELATIVE, ABSOLUTE = 5e-5, 2e-6
"""How far the losses of two engines may be apart in each of four epochs in float32."""


def random_configs(count: int) -> Iterator[Config]:
    draw = random.Random(0)
    for _ in range(count):
        yield Config(
            lr=draw.uniform(1e-4, 0.3),
            momentum=draw.uniform(0, 0.9),
            hidden1=draw.randint(1, 140),
            hidden2=draw.randint(1, 140),
            batch_size=draw.choice([16, draw.randint(17, 3000)]),
            epochs=4,
            points=draw.randint(200, 4000),
            seed=draw.randrange(2**63),
            device="cpu",
        )


def made(engine: str, config: Config) -> tuple[Engine, MLP]:
    torch.set_num_threads(1)
    torch.manual_seed(config.seed)
    model, data = MLP(config.hidden1, config.hidden2), load(config.points, config.data_seed, "cpu")
    how = model, data, config.momentum, config.batch_size
    if engine == "graph":
        return Captured(*how, capture=False), model
    return (Fused(*how) if engine == "fused" else Eager(*how)), model


def epochs(engine: str, config: Config) -> list[tuple[float, float, float]]:
    trains, _ = made(engine, config)
    shuffle = torch.Generator().manual_seed(config.seed)
    size = config.points * 8 // 10
    return [trains.epoch(torch.randperm(size, generator=shuffle), config.lr) for _ in range(config.epochs)]


@pytest.mark.parametrize("engine", ["fused", "graph"])
def test_an_engines_curves_are_those_of_plain_torch(engine: str) -> None:
    """Nearly all of them: where a sum rounds to the other side of a ReLU's kink, float32 parts from itself, too."""
    apart = [config for config in random_configs(30) if not are_together(engine, config)]
    assert len(apart) <= 1, apart


def are_together(engine: str, config: Config) -> bool:
    side = 2.01 / (config.points * 9 // 10 - config.points * 8 // 10)  # a point on the boundary may change sides
    return all(
        ours[:2] == pytest.approx(reference[:2], rel=RELATIVE, abs=ABSOLUTE)
        and ours[2] == pytest.approx(reference[2], abs=side)
        for ours, reference in zip(epochs(engine, config), epochs("torch", config), strict=True)
    )


@pytest.mark.parametrize("engine", ["fused", "graph"])
@given(config=CONFIGS)
def test_an_epoch_moves_every_weight_as_plain_torch_does(engine: str, config: Config) -> None:
    config = replace(config, batch_size=max(config.batch_size, config.points // 10))  # 8 steps: rounding stays small
    (ours, ours_model), (reference, reference_model) = made(engine, config), made("torch", config)
    order = torch.randperm(config.points * 8 // 10, generator=torch.Generator().manual_seed(1))
    ours.epoch(order, config.lr)
    reference.epoch(order, config.lr)
    for found, expected in zip(ours_model.parameters(), reference_model.parameters(), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("engine", ["torch", "fused"])
def test_an_engine_gives_the_same_numbers_to_the_last_bit(engine: str) -> None:
    config = replace(CPU, engine=engine)
    first = [metrics for metrics, _ in train(config)]
    torch.set_num_threads(2)
    assert [metrics for metrics, _ in train(config)] == first


@pytest.mark.parametrize("place", range(6))
@pytest.mark.parametrize("engine", ["torch", "fused", "graph"])
def test_a_weight_that_is_no_number_shows_at_once(engine: str, place: int) -> None:
    trains, model = made(engine, CPU)
    weights = list(model.parameters())[place]
    with torch.no_grad():
        weights.view(-1)[0] = math.nan
    train_loss, val_loss, _ = trains.epoch(torch.arange(1600), 0.1)
    assert math.isnan(train_loss)
    assert math.isnan(val_loss)


@pytest.mark.parametrize("engine", ["torch", "fused"])
def test_an_engine_that_diverges_yields_non_finite_losses(engine: str) -> None:
    *_, (last, _) = train(replace(CPU, engine=engine, lr=1e8))
    assert not math.isfinite(last["val_loss"])


def test_the_yielded_model_is_the_one_that_was_trained() -> None:
    """Fused trains on the module's own memory: what the model says is what was validated."""
    data = load(CPU.points, CPU.data_seed, "cpu")
    for metrics, model in train(replace(CPU, engine="fused")):
        loss = torch.nn.functional.binary_cross_entropy_with_logits(
            model(data.validation.points), data.validation.labels
        )
        assert metrics["val_loss"] == pytest.approx(loss.item(), rel=1e-5)


@settings(max_examples=20)
@given(st.lists(st.floats(-1e4, 1e4, width=32), min_size=1, max_size=2000), st.randoms())
def test_the_loss_of_logits_is_their_binary_cross_entropy(logits: list[float], random: object) -> None:
    from heart.fused import differentiate

    z = np.array(logits, np.float32)
    y = (np.arange(len(z)) % 2).astype(np.float32)
    tensor = torch.tensor(z.astype(np.float64), requires_grad=True)
    expected = torch.nn.functional.binary_cross_entropy_with_logits(tensor, torch.tensor(y).double())
    expected.backward()
    assert differentiate(z, y, len(z)) / len(z) == pytest.approx(expected.item(), rel=1e-5, abs=1e-9)
    assert tensor.grad is not None
    np.testing.assert_allclose(z, tensor.grad.numpy(), rtol=1e-5, atol=1e-7 / len(z))


def test_auto_is_fused_on_the_cpu_and_plain_torch_without_numba(monkeypatch: pytest.MonkeyPatch) -> None:
    assert resolve(CPU).engine == "fused"
    monkeypatch.setitem(sys.modules, "numba", None)  # what Python itself does with a module that must not be found
    assert resolve(CPU).engine == "torch"
    assert len(list(train(CPU))) == 3
    with pytest.raises(ValueError, match="engine fused needs the package numba, but it is not installed; install it"):
        resolve(replace(CPU, engine="fused"))


def test_an_engine_on_the_wrong_device_is_an_error() -> None:
    with pytest.raises(ValueError, match="engine graph must have the device cuda, but got cpu; set engine to auto"):
        resolve(replace(CPU, engine="graph"))
    with pytest.raises(ValueError, match="engine must be one of auto, torch, fused, graph, but got 'fast'"):
        replace(CPU, engine="fast")


SCRIPT = """
from heart import fused
from heart.config import Config
from heart.train import train
print([metrics for metrics, _ in train(Config(points=200, epochs=2, device="cpu", engine="fused"))])
print(sum(fused.train.stats.cache_hits.values()) if hasattr(fused.train.stats, "cache_hits") else -1)
"""


def alone(root: Path, **more: str) -> list[str]:
    """Return what a process of its own prints, the package in a folder."""
    environment = {**os.environ, "PYTHONPATH": str(root), **more}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], env=environment, cwd=root, capture_output=True, text=True, check=True
    )
    return done.stdout.splitlines()


@pytest.mark.full
def test_the_compiled_code_is_kept_on_disk_and_gives_the_same_numbers(tmp_path: Path) -> None:
    numbers, hits = alone(ROOT, NUMBA_CACHE_DIR=str(tmp_path))
    assert int(hits) == 0
    assert list(tmp_path.rglob("*.nbc"))
    again, hits = alone(ROOT, NUMBA_CACHE_DIR=str(tmp_path))
    assert int(hits) == 1
    assert again == numbers


@pytest.mark.full
def test_where_nothing_can_be_kept_the_code_is_compiled_anew(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "heart", tmp_path / "heart", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "heart" / "__pycache__").touch()  # no folder can be made in its place, not even by root
    nowhere = str(tmp_path / "heart" / "__pycache__" / "cache")
    numbers, hits = alone(tmp_path, NUMBA_CACHE_DIR=nowhere, HOME=nowhere, XDG_CACHE_HOME=nowhere)
    assert int(hits) <= 0
    assert numbers.startswith("[{")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_captured_steps_go_through_the_epochs_as_plain_torch_does() -> None:
    config = Config(points=2000, epochs=4, batch_size=300, device="cuda")
    for (ours, _), (reference, _) in itertools.zip_longest(
        train(replace(config, engine="graph")), train(replace(config, engine="torch"))
    ):
        assert ours == pytest.approx(reference, rel=1e-3, abs=1e-5)

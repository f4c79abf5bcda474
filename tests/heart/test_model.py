"""The network and its file."""

import pickle
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

from heart.config import Config
from heart.model import MLP, load, save


def test_the_network_is_three_linear_layers_with_relu_between() -> None:
    model = MLP(5, 3)
    points = torch.randn(7, 2)
    first, second, third = (layer for layer in model.layers if isinstance(layer, nn.Linear))
    by_hand = (points @ first.weight.T + first.bias).clamp(min=0)
    by_hand = (by_hand @ second.weight.T + second.bias).clamp(min=0)
    by_hand = by_hand @ third.weight.T + third.bias
    assert torch.allclose(model(points), by_hand)
    assert [tuple(layer.weight.shape) for layer in (first, second, third)] == [(5, 2), (3, 5), (1, 3)]


def test_its_default_widths_are_the_articles() -> None:
    assert sum(weights.numel() for weights in MLP().parameters()) == 2 * 72 + 72 + 72 * 36 + 36 + 36 + 1


def test_the_probability_is_the_sigmoid_of_the_logit() -> None:
    model = MLP(5, 3)
    points = torch.randn(7, 2, dtype=torch.float64)
    expected = 1 / (1 + torch.exp(-model(points.float())))
    assert torch.allclose(model.probability(points), expected[:, 0])


def test_a_saved_network_comes_back_the_same(tmp_path: Path) -> None:
    model, config = MLP(6, 4), Config(hidden1=6, hidden2=4, lr=0.3)
    save(model, config, tmp_path / "model.pt")
    again, its = load(tmp_path / "model.pt")
    points = torch.randn(9, 2)
    assert its == config
    assert torch.equal(again(points), model(points))
    assert set(torch.load(tmp_path / "model.pt", weights_only=True)) == {"state_dict", "config"}


class Bomb:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.mark,)


def test_a_model_file_that_carries_code_is_refused_and_not_run(tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    torch.save({"state_dict": {}, "config": Bomb(mark)}, tmp_path / "zip.pt")
    (tmp_path / "plain.pt").write_bytes(pickle.dumps(Bomb(mark)))
    for name in ("zip.pt", "plain.pt"):
        with pytest.raises(ValueError, match=r"must be a model\.pt that heart.train wrote"):
            load(tmp_path / name)
    assert not mark.exists()


@pytest.mark.parametrize(
    "content", [b"", b"no model", b"PK\x03\x04", bytes(range(256)) * 9, b"\x80\x02.", b"\x80\x02u.", b"\x80\x02\x85."]
)
def test_bytes_that_are_no_model_are_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "model.pt").write_bytes(content)
    with pytest.raises(ValueError, match=r"must be a model\.pt that heart.train wrote"):
        load(tmp_path / "model.pt")


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=40))
def test_any_pickled_bytes_are_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "model.pt").write_bytes(b"\x80\x02" + content)
    with pytest.raises(ValueError, match=r"must be a model\.pt that heart.train wrote"):
        load(tmp_path / "model.pt")


@pytest.mark.parametrize(
    "stored",
    [
        {"a": torch.ones(2)},
        torch.ones(2),
        [1, 2],
        {"state_dict": {}, "config": {"lr": -1.0}},
        {"state_dict": {}, "config": {"name": 1}},
        {"state_dict": {}, "config": {}},
        {"state_dict": 3, "config": {}},
        {"state_dict": MLP(3, 3).state_dict(), "config": {}},
    ],
)
def test_weights_of_another_program_are_refused(tmp_path: Path, stored: object) -> None:
    torch.save(stored, tmp_path / "model.pt")
    with pytest.raises(ValueError, match=r"must be a model\.pt that heart.train wrote"):
        load(tmp_path / "model.pt")


def test_a_model_file_that_is_not_there_is_said_to_be_missing(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="must exist"):
        load(tmp_path / "model.pt")

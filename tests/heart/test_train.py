"""The training loop."""

import itertools
import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits

from heart.config import Config
from heart.data import PointDataset, load
from heart.eager import evaluate
from heart.model import MLP
from heart.train import learning_rate, resolve, train
from heart.train import test as score

SMALL = Config(points=2000, epochs=3, hidden1=12, hidden2=8, device="cpu")


def curve(config: Config) -> list[dict[str, float]]:
    return [metrics for metrics, _ in train(config)]


def test_the_same_config_gives_the_same_numbers_to_the_last_bit() -> None:
    first = curve(SMALL)
    torch.manual_seed(5)
    torch.set_num_threads(2)
    assert curve(SMALL) == first
    assert curve(replace(SMALL, seed=1)) != first


def test_two_trainings_pulled_in_turn_do_not_touch_each_other() -> None:
    alone = curve(SMALL), curve(replace(SMALL, seed=1))
    pairs = list(zip(train(SMALL), train(replace(SMALL, seed=1)), strict=True))
    assert ([one[0] for one, _ in pairs], [other[0] for _, other in pairs]) == alone


def test_an_epoch_is_hand_written_sgd_with_momentum_on_the_batches_of_a_seeded_shuffle() -> None:
    config = replace(SMALL, lr=0.07, momentum=0.8, batch_size=300, epochs=2, schedule="cosine", seed=3)
    data = load(config.points, config.data_seed, "cpu")
    torch.manual_seed(3)
    model = MLP(12, 8)
    shuffle = torch.Generator().manual_seed(3)
    velocity = [torch.zeros_like(weights) for weights in model.parameters()]
    for (metrics, found), rate in zip(train(config), (0.07, 0.035), strict=True):
        order = torch.randperm(1600, generator=shuffle)
        losses = 0.0
        for at in range(0, 1600, 300):
            batch = order[at : at + 300]
            loss = binary_cross_entropy_with_logits(model(data.train.points[batch]), data.train.labels[batch])
            losses += loss.item() * len(batch)
            gradients = torch.autograd.grad(loss, list(model.parameters()))
            with torch.no_grad():
                for weights, speed, gradient in zip(model.parameters(), velocity, gradients, strict=True):
                    speed.mul_(0.8).add_(gradient)
                    weights.sub_(rate * speed)
        for weights, its in zip(model.parameters(), found.parameters(), strict=True):
            assert torch.allclose(weights, its, atol=1e-6)
        assert metrics["train_loss"] == pytest.approx(losses / 1600, rel=1e-5)
        assert metrics["val_loss"] == pytest.approx(evaluate(model, data.validation)[0].item(), rel=1e-5)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 40), st.floats(0.1, 4), st.integers(0, 2**31))
def test_the_loss_on_logits_is_bce_loss_on_the_sigmoid(count: int, scale: float, seed: int) -> None:
    made = torch.Generator().manual_seed(seed)
    logits = (torch.randn(count, 1, generator=made, dtype=torch.float64) * scale).requires_grad_()
    labels = torch.randint(0, 2, (count, 1), generator=made).double()
    ours = binary_cross_entropy_with_logits(logits, labels)
    theirs = nn.BCELoss()(logits.sigmoid(), labels)
    assert torch.allclose(ours, theirs, rtol=1e-7)  # 1 - sigmoid loses digits where the logit is great
    mine, its = (torch.autograd.grad(each, logits, retain_graph=True)[0] for each in (ours, theirs))
    assert torch.allclose(mine, its, rtol=1e-6, atol=1e-12)


def test_a_diverged_run_yields_non_finite_losses_and_never_raises() -> None:
    found = curve(replace(SMALL, lr=1e8))
    assert len(found) == 3
    assert not math.isfinite(found[-1]["val_loss"])


def test_training_learns() -> None:
    *_, last = curve(Config(points=20_000, epochs=8, schedule="cosine", device="cpu"))
    assert last["val_accuracy"] > 0.98  # always saying "outside" gives 0.773


def test_validation_is_by_the_labels_of_the_points() -> None:
    class Oracle(MLP):
        def forward(self, points: torch.Tensor) -> torch.Tensor:
            return torch.where(points[:, :1] > 0, 20.0, -20.0)

    points = torch.tensor([[1.0, 0.0], [-1.0, 0.0], [2.0, 0.0], [-2.0, 0.0]])
    right = PointDataset(points, torch.tensor([[1.0], [0.0], [1.0], [0.0]]))
    half = PointDataset(points, torch.tensor([[1.0], [0.0], [0.0], [1.0]]))
    assert torch.stack(evaluate(Oracle(), right)).tolist() == pytest.approx([0, 1], abs=1e-8)
    assert torch.stack(evaluate(Oracle(), half)).tolist() == pytest.approx([10, 0.5])


def test_the_test_part_is_touched_by_nothing_but_the_final_score() -> None:
    expected = curve(SMALL)
    data = load(SMALL.points, SMALL.data_seed, "cpu")
    points = data.test.points.clone()
    data.test.points.fill_(math.nan)
    try:
        *_, (_, model) = train(SMALL)
        assert curve(SMALL) == expected
        assert math.isnan(score(model, SMALL)["test_loss"])
    finally:
        data.test.points.copy_(points)
    assert score(model, SMALL)["test_loss"] == pytest.approx(evaluate(model, data.test)[0].item())


def test_the_learning_rate_is_constant_or_falls_along_half_a_cosine() -> None:
    constant = Config(lr=0.2, epochs=4)
    assert [learning_rate(constant, epoch) for epoch in range(4)] == [0.2] * 4
    cosine = replace(constant, schedule="cosine")
    expected = [0.2, 0.1 + 0.1 * math.sqrt(0.5), 0.1, 0.1 - 0.1 * math.sqrt(0.5)]
    assert [learning_rate(cosine, epoch) for epoch in range(4)] == pytest.approx(expected)


def test_denormals_are_flushed_where_training_computes() -> None:
    next(train(SMALL))
    assert (torch.tensor([1e-30]) * torch.tensor([1e-10])).item() == 0.0


def test_training_starts_at_the_first_pull_and_not_before() -> None:
    epochs = train(replace(SMALL, epochs=10**6))
    assert len(list(itertools.islice(epochs, 2))) == 2


def test_auto_becomes_a_device_that_is_there() -> None:
    assert resolve(Config()).device == ("cuda" if torch.cuda.is_available() else "cpu")


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a GPU")
def test_a_device_that_is_not_there_is_an_error_before_training() -> None:
    with pytest.raises(ValueError, match="device must be one that this machine has, but got 'cuda:1'"):
        resolve(Config(device="cuda:1"))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_the_gpu_trains_as_the_cpu_does() -> None:
    for ours, theirs in zip(curve(SMALL), curve(replace(SMALL, device="cuda")), strict=True):
        assert ours == pytest.approx(theirs, rel=1e-2)

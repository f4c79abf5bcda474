"""What ends a search, on curves that are made for it."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.algorithms.stopping import Limits, Reason, Stopping

EPOCHS = 30


def end(stopping: Stopping, trial: int, curve: list[float], *, may_win: bool = True) -> None:
    for epoch, loss in enumerate(curve, 1):
        stopping.hear(trial, epoch, loss)
    stopping.end(trial, is_complete=len(curve) == EPOCHS, may_win=may_win)


def noisy(chance: random.Random, level: float, noise: float, epochs: int = EPOCHS) -> list[float]:
    """Return a curve that falls towards a level, with normal noise at each epoch."""
    return [level + 1 / epoch + chance.gauss(0, noise) for epoch in range(1, epochs + 1)]


def ends_after(levels: list[float], noise: float, seed: int, patience: int = 10) -> int | None:
    """Return after how many trials, at these levels, patience ends a search; None where it does not."""
    chance = random.Random(seed)
    stopping = Stopping(Limits(patience=patience), EPOCHS)
    for trial, level in enumerate(levels):
        end(stopping, trial, noisy(chance, level, noise))
        if stopping.reason:
            assert stopping.reason.setting == "patience"
            return trial + 1
    return None


@pytest.mark.parametrize("noise", [1e-6, 0.01, 1.0])
def test_pure_noise_ends_a_search_that_is_patient(noise: float) -> None:
    """Of trials that are all alike the best value still falls now and then, by chance; measured: 11 to 19 trials."""
    found = [ends_after([0.0] * 200, noise, seed) for seed in range(20)]
    assert all(trials is not None and trials <= 40 for trials in found)


@pytest.mark.parametrize("noise", [0.0, 1e-6, 0.01])
def test_steady_improvement_does_not(noise: float) -> None:
    """Each trial is better by a fifth of the noise: within patience they come to more than two deviations of it."""
    step = max(noise, 1e-3) / 5
    for seed in range(5):
        assert ends_after([-step * trial for trial in range(300)], noise, seed, patience=40) is None


def test_one_bad_stretch_after_the_best_ends_it_after_as_many_trials_as_patience() -> None:
    assert ends_after([1.0, 0.5, 0.1, *[0.3] * 30], 0.001, 0) == 3 + 10


@given(st.floats(0.01, 100), st.floats(-50, 50), st.integers(0, 9))
def test_the_noise_is_the_deviation_from_epoch_to_epoch_whatever_the_slope(
    noise: float, slope: float, seed: int
) -> None:
    """Of twenty trials; jumps in every fifth, and what stopped early, do not count."""
    chance = random.Random(seed)
    stopping = Stopping(Limits(), EPOCHS)
    for trial in range(20):
        curve = [slope * epoch + chance.gauss(0, noise) for epoch in range(EPOCHS)]
        if trial % 5 == 0:
            curve[26] += 1e4
        end(stopping, 2 * trial, curve)
        end(stopping, 2 * trial + 1, [1e9 * chance.random() for _ in range(EPOCHS // 3)])
    assert noise / 2 < stopping.noise < 2 * noise


def test_the_noise_is_that_of_the_good_trials() -> None:
    chance = random.Random(0)
    stopping = Stopping(Limits(), EPOCHS)
    for trial in range(20):
        is_good = trial % 2 == 0
        end(stopping, trial, noisy(chance, 0.0 if is_good else 50.0, 0.01 if is_good else 10.0))
    assert stopping.noise < 0.03


@pytest.mark.parametrize("curve", [[1.0], [1.0, 2.0], [math.nan] * EPOCHS, [1.0, math.nan] * 15])
def test_without_a_second_difference_there_is_no_noise_and_any_improvement_is_one(curve: list[float]) -> None:
    stopping = Stopping(Limits(patience=2), EPOCHS)
    for trial in range(9):
        end(stopping, trial, [loss - trial / 1e6 for loss in curve])
        assert stopping.noise == 0.0
    assert (stopping.reason is None) == math.isfinite(curve[0])


def test_trials_that_may_not_win_improve_nothing() -> None:
    stopping = Stopping(Limits(patience=3), EPOCHS)
    end(stopping, 0, [1.0])
    for trial in range(1, 4):
        assert stopping.reason is None
        end(stopping, trial, [-float(trial)], may_win=False)
    assert stopping.reason == Reason("patience", "the noise is 0")


def test_a_target_is_reached_by_a_trial_that_runs() -> None:
    stopping = Stopping(Limits(target=0.5), EPOCHS)
    for epoch, loss in enumerate((0.9, math.nan, 0.51), 1):
        stopping.hear(7, epoch, loss)
    assert stopping.reason is None
    stopping.hear(7, 4, 0.5)
    assert stopping.reason == Reason("target", "in trial 7")


def test_epochs_are_counted_once_though_they_are_trained_again() -> None:
    stopping = Stopping(Limits(epochs=5), EPOCHS)
    for epoch in (1, 2, 3, 1, 2, 3):
        stopping.hear(0, epoch, 1.0)
    assert (stopping.trained, stopping.reason) == (3, None)
    assert (stopping.left(0), stopping.left(1)) == (5, 2)
    stopping.hear(1, 1, 1.0)
    assert (stopping.left(0), stopping.left(2)) == (4, 1)
    stopping.hear(0, 4, 1.0)
    assert stopping.reason == Reason("epoch_budget")


def test_the_first_limit_that_is_reached_is_the_reason() -> None:
    stopping = Stopping(Limits(seconds=10, epochs=2, target=0.0), EPOCHS)
    stopping.hear(0, 1, 1.0)
    stopping.pass_time(9.99)
    assert stopping.reason is None
    stopping.pass_time(10.0)
    stopping.hear(0, 2, 0.0)
    assert stopping.reason == Reason("time_budget")


@given(st.lists(st.lists(st.floats(-1e308, 1e308), max_size=EPOCHS), max_size=12), st.integers(1, 5))
def test_any_finite_values_are_taken(curves: list[list[float]], patience: int) -> None:
    stopping = Stopping(Limits(patience=patience), EPOCHS)
    for trial, curve in enumerate(curves):
        end(stopping, trial, curve)
    assert stopping.noise >= 0

"""Partial dependence: curves that are known, confounded ones, and what is too little to tell."""

import math
import random

import pytest

from search.analysis.dependence import MIN_TRIALS, dependences
from search.journal.trial import Trial
from search.spec.axes import Axis

AXES = {"lr": Axis(1e-3, 1, is_log=True), "width": Axis(1, 64, is_integer=True), "act": Axis(0, 1, choices=("a", "b"))}


def trial(number: int, params: dict[str, object], value: float) -> Trial:
    return Trial(number, "complete", value, 1, params, ({"loss": value},), {}, 0.0, 0.0)


def drawn(count: int, noise: float = 0.0) -> list[Trial]:
    """Return trials of a value that is the sum of a bowl of log lr, a slope of width and a step of act."""
    chance = random.Random(1)
    trials = []
    for number in range(count):
        lr = 10 ** chance.uniform(-3, 0)
        width = chance.randint(1, 64)
        act = chance.choice("ab")
        value = 2 + (math.log10(lr) + 1) ** 2 + width / 64 + (act == "b") + chance.gauss(0, noise)
        trials.append(trial(number, {"lr": lr, "width": width, "act": act}, value))
    return trials


def test_the_curves_of_a_sum_are_found() -> None:
    found = dependences(drawn(300), AXES, 1)
    bowl = [place.mean - min(each.mean for each in found["lr"]) for place in found["lr"]]
    for place, above in zip(found["lr"][2:], bowl[2:], strict=True):  # beyond are the outliers
        assert above == pytest.approx((math.log10(place.position) + 1) ** 2, abs=0.35)
    slope = found["width"][-1].mean - found["width"][0].mean
    assert slope == pytest.approx(1, abs=0.15)
    step = found["act"][1].mean - found["act"][0].mean
    assert step == pytest.approx(1, abs=0.15)
    assert [place.position for place in found["act"]] == [0.0, 1.0]


def test_what_goes_with_another_hyperparameter_is_not_taken_for_its_own() -> None:
    """Width matters, and depth only came along with it."""
    chance = random.Random(2)
    axes = {"width": Axis(0, 1), "depth": Axis(0, 1)}
    trials = []
    for number in range(200):
        width = chance.random()
        depth = min(max(width + chance.gauss(0, 0.15), 0.0), 1.0)
        trials.append(trial(number, {"width": width, "depth": depth}, 3 - width))
    found = dependences(trials, axes, 1)
    assert abs(found["depth"][-1].mean - found["depth"][0].mean) < 0.15
    assert found["width"][0].mean - found["width"][-1].mean > 0.75


def test_the_band_holds_the_curve_and_is_wide_where_there_is_noise() -> None:
    sure = dependences(drawn(100), AXES, 1)["width"]
    unsure = dependences(drawn(100, noise=1.0), AXES, 1)["width"]
    for place in [*sure, *unsure]:
        assert place.low <= place.mean <= place.high
    assert sum(place.high - place.low for place in unsure) > 3 * sum(place.high - place.low for place in sure)


def test_values_over_decades_and_outliers_bend_no_curve_beyond_the_values() -> None:
    trials = [trial(each.number, each.params, 10 ** ((each.value or 0) - 2)) for each in drawn(120)]
    trials[5] = trial(5, trials[5].params, 1e300)
    found = dependences(trials, AXES, 1)
    assert all(0 < place.low <= place.high < 1e9 for places in found.values() for place in places)
    best = min(found["lr"], key=lambda place: place.mean)
    assert 0.03 < best.position < 0.3


def test_a_hyperparameter_that_is_off_in_some_trials_has_the_curve_of_the_others() -> None:
    chance = random.Random(3)
    trials = []
    for number in range(200):
        if number % 2:
            trials.append(trial(number, {"act": "a"}, 5.0))
        else:
            momentum = chance.random()
            trials.append(trial(number, {"act": "b", "momentum": momentum}, 1 + 2 * momentum))
    found = dependences(trials, {"act": AXES["act"], "momentum": Axis(0, 1)}, 1)
    assert found["momentum"][-1].mean - found["momentum"][0].mean == pytest.approx(2, abs=0.3)


def test_few_trials_and_constants_tell_nothing() -> None:
    assert dependences(drawn(MIN_TRIALS - 1), AXES, 1) == {}
    many = {f"x{at}": Axis(0, 1) for at in range(10)}
    assert dependences(drawn(MIN_TRIALS), {**AXES, **many}, 1) == {}
    constant = [trial(number, {"lr": 0.1, "one": "a"}, 2.0) for number in range(60)]
    found = dependences(constant, {"lr": AXES["lr"], "one": Axis(0, 0, choices=("a",))}, 1)
    assert "one" not in found
    assert all(place.mean == pytest.approx(2.0) for place in found["lr"])


@pytest.mark.parametrize("values", [[1e308, -1e308, 1.7e308], [5e-324, 1e300, 1.7e308]])
def test_a_curve_of_values_near_the_largest_number_is_finite(values: list[float]) -> None:
    axes = {"x": Axis(0.0, 1.0)}
    trials = [trial(number, {"x": number / 40}, values[number % 3]) for number in range(40)]
    for place in dependences(trials, axes, 1)["x"]:
        assert all(map(math.isfinite, (place.low, place.mean, place.high)))

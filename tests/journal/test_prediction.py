"""In which order trials are expected to end."""

import math
from pathlib import Path
from random import Random
from statistics import fmean

import pytest

from search.journal import prediction
from search.journal.outcome import finalists
from search.journal.trial import Ending, Trial
from search.spec.objective import Objective
from tests import replay

MIN = Objective("loss")
MAX = Objective("loss", "max")


def trial(number: int, ending: Ending, values: list[float | None], objective: Objective = MIN) -> Trial:
    """Return a trial with these values, an epoch each; None where an epoch lacks the metric."""
    epochs = [{} if value is None else {"loss": value} for value in values]
    finite = [value for value in values if value is not None and math.isfinite(value)]
    best = objective.best_of(finite) if finite else None
    at = values.index(best) + 1 if best is not None else 0
    return Trial(number, ending, best, at, {"x": number}, tuple(epochs), {}, 0.0, 0.0)


def order(trials: list[Trial], objective: Objective = MIN) -> list[int]:
    return [each.number for each in prediction.ranked(trials, objective)]


def test_where_all_trained_to_their_end_the_order_is_that_of_their_values() -> None:
    trials = [trial(number, "complete", [9.0, value]) for number, value in enumerate([3.0, 1.0, 2.0])]
    assert order(trials) == [1, 2, 0]
    assert order([]) == []


def test_a_stopped_trial_that_led_at_its_epoch_comes_before_a_complete_one_that_lags() -> None:
    trials = [
        trial(0, "complete", [8.0, 4.0, 1.0]),
        trial(1, "complete", [9.0, 5.0, 2.0]),
        trial(2, "complete", [9.0, 8.0, 7.0]),
        trial(3, "stopped", [7.5]),
        trial(4, "stopped", [60.0]),
        trial(5, "diverged", [0.1]),
        trial(6, "failed", [0.1]),
    ]
    assert order(trials) == [0, 3, 1, 2, 4]


def test_an_accuracy_is_not_taken_for_one_that_grows_beyond_its_bound() -> None:
    """By a ratio of the values themselves the stopped one would end at 1.02, and win."""
    climbing = [[0.60, 0.97, 0.99], [0.55, 0.96, 0.985], [0.50, 0.95, 0.98]]
    trials = [trial(number, "complete", list(values), MAX) for number, values in enumerate(climbing)]
    trials.append(trial(3, "stopped", [0.57], MAX))
    assert order(trials, MAX) == [0, 3, 1, 2]


@pytest.mark.parametrize(("factor", "shift"), [(1.0, -50.0), (1e-6, 0.0), (4096.0, 1e6), (-1.0, 0.0), (-3.0, 7.0)])
def test_the_order_is_the_same_in_other_units_from_another_zero_and_with_the_sign_turned(
    factor: float, shift: float
) -> None:
    chance = Random(0)
    objective = MAX if factor < 0 else MIN
    for _ in range(20):
        curves = [[chance.random() * depth + 1 / epoch for epoch in range(1, 10)] for depth in (1, 2, 3, 4, 5, 6)]
        endings: list[tuple[Ending, int]] = [("complete", 9), ("complete", 9), ("complete", 9), ("stopped", 3)]
        endings += [("stopped", 3), ("stopped", 1)]
        plain = []
        turned = []
        for number, (values, (ending, epochs)) in enumerate(zip(curves, endings, strict=True)):
            plain.append(trial(number, ending, list(values[:epochs])))
            moved: list[float | None] = [factor * value + shift for value in values[:epochs]]
            turned.append(trial(number, ending, moved, objective))
        assert order(turned, objective) == order(plain)


def test_without_a_complete_trial_those_of_the_most_epochs_stand_for_the_end() -> None:
    trials = [
        trial(0, "stopped", [8.0, 4.0, 2.0]),
        trial(1, "stopped", [9.0, 6.0, 5.0]),
        trial(2, "stopped", [7.0]),
        trial(3, "stopped", [60.0]),
    ]
    assert order(trials) == [0, 2, 1, 3]
    assert order(trials[2:]) == [2, 3]


def test_a_curve_that_ended_by_itself_fell_no_further_and_an_epoch_without_the_metric_tells_nothing() -> None:
    trials = [
        trial(0, "complete", [None, 4.0, None, 1.0]),
        trial(1, "complete", [5.0]),
        trial(2, "complete", [None, None, 6.0, 2.0]),
        trial(3, "stopped", [None, 4.2, None]),
        trial(4, "stopped", [7.0]),
    ]
    assert order(trials) == [0, 3, 2, 4, 1]


def test_one_complete_trial_that_is_the_best_leaves_the_others_in_the_order_of_their_values() -> None:
    trials = [trial(0, "complete", [5.0, 1.0]), trial(1, "stopped", [4.0]), trial(2, "stopped", [3.0])]
    assert order(trials) == [0, 2, 1]


@pytest.mark.parametrize("scale", [5e-324, 1e-310, 1.7e308])
def test_values_at_the_ends_of_what_a_float_holds_are_ranked(scale: float) -> None:
    trials = [trial(0, "complete", [scale, -scale]), trial(1, "complete", [scale, 0.0]), trial(2, "stopped", [scale])]
    assert order(trials)[0] == 0
    assert order([trial(0, "complete", [0.0, 0.0]), trial(1, "stopped", [0.0])]) == [0, 1]


@pytest.mark.full
def test_among_those_predicted_to_end_best_is_a_better_one_than_among_the_complete(tmp_path: Path) -> None:
    """Of recorded curves, in 100 searches of 32 trials by which no number was chosen: by value in full, best of six."""
    best_of_six: dict[bool, list[float]] = {True: [], False: []}
    for seed in range(1000, 1100):
        made = replay.in_memory(replay.create(tmp_path / str(seed), seed, 32))
        full = {event.trial: event.full for event in replay.search(made, replay.recorded())}
        for is_race, bests in best_of_six.items():
            chosen = finalists(made.trials(), 6, made.config.aims, is_race=is_race)
            bests.append(math.log(min(full[trial.number] for trial in chosen)))
    assert fmean(best_of_six[True]) < fmean(best_of_six[False])

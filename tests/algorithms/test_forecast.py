"""The range of the time left: held against recorded searches on a virtual clock, and against searches told by hand."""

import dataclasses
import heapq
import math
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.algorithms.asha import ASHA
from search.algorithms.forecast import LOOK_INTERVAL_S, Forecast
from search.algorithms.survival import Survival
from search.tune.searcher import OptunaSearcher
from tests import replay
from tests.replay import Clock
from tests.studies import judge

Floats = npt.NDArray[np.float64]


def moments(folder: Path, seed: int, trials: int) -> Floats:
    """Return [moments, 3] of a search by two workers: low, high, and the seconds that it really took from there.

    A moment is whenever a trial has ended. A proposal's curve is the mean of the five nearest recorded.
    """
    made, clock = replay.in_memory(replay.create(folder, seed, trials)), Clock()
    searcher = OptunaSearcher(made, 0, clock=clock)
    rule = replay.ours(judge(made.config.scheduler, made.epochs, made.config.mode, made.config.metric))
    table = dataclasses.replace(replay.recorded(), neighbours=5)
    seen = []
    for event in replay.play(searcher, rule, table, clock=clock):
        if event.verdict != "goes on":
            searcher.forecast.look()
            if left := searcher.forecast.left:
                seen.append((*left, clock.now))
    assert searcher.forecast.left is None
    low, high, at = np.array(seen).T
    return np.stack([low, high, clock.now - at], axis=1)


def shares(found: Floats) -> tuple[float, float, float]:
    """Return in which share of the moments the truth lay in the range, below it, above it."""
    low, high, truth = found.T
    below, above = float((truth < low).mean()), float((truth > high).mean())
    return 1 - below - above, below, above


def half_as_wide(found: Floats) -> Floats:
    low, high, truth = found.T
    return np.stack([low + (high - low) / 4, high - (high - low) / 4, truth], axis=1)


def test_the_end_of_a_search_lies_in_the_range_in_about_four_moments_of_five(tmp_path: Path) -> None:
    """Of sixty searches of 32 trials.

    Measured over the seeds 1000 to 1199, where no number of the forecast comes from: in the range in 84 % of the
    moments (deviation from search to search 16 %), below it in 7 % (12 %), above in 10 % (15 %). A mean of sixty drawn
    from those breaks one of the bounds once in 10,000. Ranges half as wide, or 1.5 times too early or too late, break
    one too: the truth lies below them in 24, 1 and 21 %, above in 28, 51 and 0. The last would pass once in 160.
    """
    found = np.concatenate([moments(tmp_path, seed, 32) for seed in range(60)])

    def is_honest(found: Floats) -> bool:
        within, below, above = shares(found)
        return 0.74 <= within <= 0.92 and below <= 0.145 and above <= 0.18

    assert is_honest(found)
    assert not is_honest(found * [1.5, 1.5, 1])
    assert not is_honest(found / [1.5, 1.5, 1])
    assert not is_honest(half_as_wide(found))
    low, high, truth = found.T
    assert np.median((high - low) / truth) <= 1.3


@pytest.mark.full
def test_so_it_does_in_longer_searches(tmp_path: Path) -> None:
    """Of twenty searches of 128 trials.

    Measured over the seeds 1000 to 1039: in the range in 78 % (18 %), below in 2 % (3 %), above in 20 % (18 %).
    """
    found = np.concatenate([moments(tmp_path, seed, 128) for seed in range(20)])
    within, below, above = shares(found)
    assert 0.6 <= within <= 0.93
    assert below <= 0.08
    assert above <= 0.38
    low, high, truth = found.T
    assert np.median((high - low) / truth) <= 1.0


def forecast(clock: Clock, trials: int, epochs: int = 9, halving: ASHA | None = None) -> Forecast:
    rungs = halving.rungs(epochs) if halving else []
    survival = Survival(rungs, epochs, halving.chances(epochs) if halving else [])
    return Forecast(survival, trials, learns=False, clock=clock)


def told(
    trials: int, at_once: int, seconds: float, between: float, epochs: int, setup: float = 0.0, start: float = 0.0
) -> Floats:
    """Return the moments of a search of which every trial is like every other.

    Seconds of an epoch, between two trials, of a trial's setup in its first epoch, and in that of each process's first.
    """
    clock = Clock()
    made, running, seen = forecast(clock, trials, epochs), [(0.0, 0)] * 0, []
    begun = 0
    while begun < trials or running:
        while begun < trials and len(running) < at_once:
            made.begin(begun)
            first = setup + (start if begun < at_once else 0)
            heapq.heappush(running, (clock.now + between + first + seconds * epochs, begun))
            begun += 1
        clock.now, trial = heapq.heappop(running)
        for epoch in range(1, epochs + 1):
            first = setup + (start if trial < at_once else 0)
            made.hear(trial, epoch, first + seconds * epoch)
        made.end(trial)
        made.look()
        if left := made.left:
            seen.append((*left, clock.now))
    low, high, at = np.array(seen).T
    return np.stack([low, high, clock.now - at], axis=1)


@pytest.mark.parametrize("at_once", [1, 2, 7, 50])
@pytest.mark.parametrize(
    ("seconds", "between", "epochs"), [(1.0, 0.0, 9), (1.0, 0.0, 1), (1.0, 20.0, 2), (1e-9, 5.0, 3)]
)
def test_where_every_trial_is_like_every_other_the_range_is_narrow_and_right(
    at_once: int, seconds: float, between: float, epochs: int
) -> None:
    """From the second round on, when it is known what a trial takes in a process that is there."""
    found = told(60, at_once, seconds, between, epochs)
    low, high, truth = found[at_once + 1 :].T if at_once < 50 else found[-5:].T
    later = truth > 0
    slack = seconds * epochs + between
    assert (low[later] <= 1.05 * truth[later]).all()
    assert (truth[later] <= high[later] + slack).all()
    assert (high - low <= 0.45 * truth + slack).all()


@pytest.mark.parametrize("at_once", [1, 2, 7])
@pytest.mark.parametrize(("setup", "start"), [(5.0, 0.0), (0.0, 5.0), (2.0, 3.0)])
def test_the_first_ranges_hold_what_a_setup_takes_be_it_of_each_trial_or_of_each_process(
    at_once: int, setup: float, start: float
) -> None:
    """Epochs of 10 ms: without it the first ranges ended at a hundredth of what was left."""
    low, high, truth = told(30, at_once, 0.01, 0.0, 9, setup, start)[:at_once].T
    assert (low <= 1.2 * truth).all()
    assert (truth <= 1.05 * high).all()


def test_a_process_that_is_starting_is_waited_for_as_long_as_the_first_one_was() -> None:
    """The first of two trials at once is heard of after 20 s, of which 5 are its training; the other begins then."""
    clock = Clock()
    made = forecast(clock, 2)
    made.begin(0)
    clock.now = 20.0
    for epoch in range(1, 10):
        made.hear(0, epoch, 5.0 + 0.01 * epoch)
    made.begin(1)
    made.end(0)
    made.look()
    assert made.left == pytest.approx((20.0, 20.0), abs=0.5)


def test_nothing_is_said_before_a_trial_has_ended_nor_after_the_last() -> None:
    clock = Clock()
    made = forecast(clock, 2)
    made.look()
    assert made.left is None
    for trial in (0, 1):
        made.begin(trial)
    clock.now = 1.0
    made.hear(0, 1, 1.0)
    made.look()
    assert made.left is None
    made.end(0)
    clock.now = 2.0
    made.look()
    assert made.left is not None
    made.hear(1, 9, 2.0)
    made.end(1)
    assert made.left is None


def test_trials_that_all_fail_before_an_epoch_tell_nothing() -> None:
    made = forecast(Clock(), 9, halving=ASHA(1, 3))
    for trial in range(5):
        made.begin(trial)
        made.end(trial)
    made.look()
    assert made.left is None


def test_the_range_counts_down_between_two_looks_and_stops_at_nothing() -> None:
    clock = Clock()
    made = forecast(clock, 9)
    for trial in range(2):
        made.begin(trial)
        clock.now += 9.0
        made.hear(trial, 9, 9.0)
        made.end(trial)
    made.look()
    assert made.left is not None
    low, high = made.left
    clock.now += 10.0
    assert made.left == pytest.approx((low - 10, high - 10))
    clock.now += 1e6
    assert made.left == (0.0, 0.0)
    made.look()
    assert made.left == pytest.approx((low, high))  # no trial runs: all that was left is left


def test_a_study_that_goes_on_takes_over_what_became_of_its_trials_and_not_their_seconds() -> None:
    clock = Clock()
    new, resumed = (forecast(clock, trials, 81, ASHA(1, 3)) for trials in (20, 60))
    for _ in range(40):
        resumed.recall(1)
    for made in (new, resumed):
        made.look()
        assert made.left is None
        for trial in range(2):
            made.begin(trial)
            made.hear(trial, 1, 1.0)
            made.end(trial)
    clock.now += LOOK_INTERVAL_S
    for made in (new, resumed):
        made.look()
    assert new.left is not None
    assert resumed.left is not None
    assert resumed.left[1] < new.left[1] / 2  # forty that were stopped at once: so will the others be


STEPS = st.lists(st.tuples(st.sampled_from(["begin", "hear", "end", "lose"]), st.floats(0, 100)), max_size=60)


@given(STEPS, st.integers(1, 12), st.integers(0, 12), st.sampled_from([None, ASHA(1, 2), ASHA(3, 3)]))
def test_whatever_happens_a_range_is_two_numbers_in_order_and_the_same_again(
    steps: list[tuple[str, float]], trials: int, recalled: int, halving: ASHA | None
) -> None:
    def ranges() -> list[tuple[float, float] | None]:
        clock = Clock()
        made = forecast(clock, trials + recalled, 9, halving)
        for at in range(recalled):
            made.recall(at % 10)
        waiting, running, found = list(range(trials)), dict[int, int](), []
        for what, seconds in steps:
            clock.now += seconds
            trial = min(running, default=-1)
            if what == "begin" and waiting:
                made.begin(waiting[0])
                running[waiting.pop(0)] = 0
            elif what == "hear" and running and running[trial] < 9:
                running[trial] += 1
                made.hear(trial, running[trial], clock.now)
            elif what == "end" and running:
                made.end(trial)
                del running[trial]
            elif what == "lose" and running:
                made.lose(trial)
                waiting.append(trial)
                del running[trial]
            made.look()
            found.append(made.left)
        return found

    found = ranges()
    for low, high in filter(None, found):
        assert 0 <= low <= high
        assert math.isfinite(high)
    assert ranges() == found

"""ASHA's rule, against an oracle that is written another way."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search.algorithms.asha import ASHA
from search.journal.trial import Trial
from search.spec.objective import Objective
from tests.studies import judge

FINITE = st.floats(-1e6, 1e6)


def test_rungs_lie_at_grace_times_powers_of_the_factor_below_the_end() -> None:
    assert ASHA(3, 3).rungs(30) == [3, 9, 27]
    assert ASHA(3, 3).rungs(27) == [3, 9]
    assert ASHA(1, 4).rungs(100) == [1, 4, 16, 64]
    assert ASHA(5, 2).rungs(5) == []


def oracle(seen: list[float], value: float, factor: int, mode: str) -> bool:
    """Promotion of the stopping variant: the value is among the best 1/factor of all at the rung, at least one."""
    everyone = sorted([*seen, value], reverse=mode == "max")
    top = everyone[: max(1, len(everyone) // factor)]
    return value in top


@settings(max_examples=300)
@given(st.lists(FINITE, max_size=40), st.integers(2, 5), st.sampled_from(["min", "max"]))
def test_a_trial_goes_on_where_it_is_among_the_best_at_its_rung(values: list[float], factor: int, mode: str) -> None:
    rungs = judge(ASHA(2, factor), 100, mode)
    for at, value in enumerate(values):
        assert rungs.goes_on(at, 1, value)
        assert rungs.goes_on(at, 2, value) == oracle(values[:at], value, factor, mode)


@given(st.lists(FINITE | st.sampled_from([math.nan, math.inf, -math.inf]), max_size=40))
def test_a_diverged_trial_is_stopped_at_once_and_does_not_move_a_rung(values: list[float]) -> None:
    clean, dirty = (judge(ASHA(1, 3), 9, "min") for _ in range(2))
    for at, value in enumerate(values):
        if math.isfinite(value):
            assert dirty.goes_on(at, 1, value) == clean.goes_on(at, 1, value)
        else:
            assert not dirty.goes_on(at, 1, value)
            assert not dirty.goes_on(at, 2, value)


def test_rungs_do_not_see_each_other() -> None:
    rungs = judge(ASHA(1, 3), 9, "min")
    assert [rungs.goes_on(at, 1, value) for at, value in enumerate((5.0, 4.0, 6.0))] == [True, True, False]
    assert [rungs.goes_on(at, 3, value) for at, value in enumerate((2.0, 3.0))] == [True, False]


@pytest.mark.parametrize("value", [1.0, 1e9])
def test_without_a_scheduler_nothing_finite_is_stopped(value: float) -> None:
    rungs = judge(None, 9, "min")
    assert all(rungs.goes_on(0, epoch, value) for epoch in range(1, 10))
    assert not rungs.goes_on(0, 1, math.nan)


@given(st.lists(st.tuples(st.integers(0, 9), FINITE), max_size=60), st.integers(2, 5), st.sampled_from(["min", "max"]))
def test_a_trial_that_is_trained_again_goes_on_at_its_rung_and_counts_once_there(
    arrivals: list[tuple[int, float]], factor: int, mode: str
) -> None:
    """Its process died beyond the rung, so it went on there; what it has the second time is what counts."""
    rungs, here = judge(ASHA(2, factor), 100, mode), dict[int, float]()
    stopped = set[int]()
    for trial, value in arrivals:
        if trial in stopped:
            continue
        others = [each for number, each in here.items() if number != trial]
        expected = trial in here or oracle(others, value, factor, mode)
        assert rungs.goes_on(trial, 2, value) == expected
        here[trial] = value
        stopped |= set() if expected else {trial}


CURVES = st.lists(st.lists(FINITE | st.just(math.nan) | st.just(math.inf), min_size=1, max_size=9), max_size=12)


@given(CURVES, FINITE, st.sampled_from(["min", "max"]))
def test_rungs_that_recall_a_journal_decide_as_those_that_saw_its_trials(
    curves: list[list[float]], value: float, mode: str
) -> None:
    """Diverged ones, too, which in a search end at their first metric that is not finite."""
    seen, told = (judge(ASHA(1, 3), 9, mode) for _ in range(2))
    for number, curve in enumerate(curves):
        best, trained = None, []
        for epoch, each in enumerate(curve, 1):
            best = each if Objective("loss", mode).is_better(each, best) else best
            trained.append({"loss": each})
            if not seen.goes_on(number, epoch, math.nan if best is None or not math.isfinite(each) else best):
                break
        told.recall([Trial(number, "stopped", best, 1, {}, tuple(trained), {}, 0.0, 0.0)])
    for rung in (1, 3):
        assert told.goes_on(99, rung, value) == seen.goes_on(99, rung, value)


def test_a_trial_that_diverged_at_a_rung_is_not_there_for_those_after_it() -> None:
    for mode, best, worse in (("min", 1.0, 2.0), ("max", 2.0, 1.0)):
        rungs = judge(ASHA(2, 3), 9, mode)
        epochs = ({"loss": best}, {"loss": math.nan})
        rungs.recall([Trial(0, "diverged", best, 1, {}, epochs, {}, 0.0, 0.0)])
        assert rungs.goes_on(1, 2, worse)

"""ASHA's rule, against an oracle that is written another way."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search.algorithms.asha import ASHA
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

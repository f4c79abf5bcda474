"""What every scheduler holds to, and what Hyperband and the median rule are, beside ASHA's own tests."""

import statistics

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.pruners import HyperbandPruner

from search.algorithms import schedulers
from search.algorithms.asha import ASHA
from search.algorithms.hyperband import Hyperband, turns
from search.algorithms.median import MedianStopping
from search.algorithms.schedulers import Scheduler

FINITE = st.floats(-1e6, 1e6)
EPOCHS = 12
SCHEDULERS = [ASHA(2, 2), Hyperband(1, 2), MedianStopping(2, 1, 2), MedianStopping(1, 3, 1)]
CURVES = st.lists(st.lists(FINITE, min_size=1, max_size=EPOCHS), min_size=1, max_size=9)


def test_the_examples_are_of_every_scheduler() -> None:
    assert {type(each) for each in SCHEDULERS} == set(schedulers.SCHEDULERS.values())


@pytest.mark.parametrize("scheduler", SCHEDULERS, ids=str)
@settings(max_examples=30)
@given(curves=CURVES, data=st.data())
def test_a_rule_knows_the_same_in_whatever_order_its_trials_came(
    scheduler: Scheduler, curves: list[list[float]], data: st.DataObject
) -> None:
    """One is told trial by trial, as at a resume; the other side by side, a trial anew where its process has died."""
    resumed = scheduler.rule(EPOCHS)
    for trial, curve in enumerate(curves):
        for epoch, loss in enumerate(curve, 1):
            resumed.goes_on(trial, epoch, loss)
    live = scheduler.rule(EPOCHS)
    left = {trial: list(enumerate(curve, 1)) for trial, curve in enumerate(curves)}
    dies = data.draw(st.sets(st.sampled_from(range(len(curves)))), label="dies")
    while left:
        trial = data.draw(st.sampled_from([*left]), label="next")
        epoch, loss = left[trial].pop(0)
        live.goes_on(trial, epoch, loss)
        if trial in dies:
            dies.remove(trial)
            left[trial] = list(enumerate(curves[trial], 1))
        if not left[trial]:
            del left[trial]
    for newcomer in range(len(curves), len(curves) + 9):  # of each bracket one
        for rung in scheduler.rungs(EPOCHS):
            loss = data.draw(st.sampled_from([*curves[0], 0.0]), label="asked")
            assert live.goes_on(newcomer, rung, loss) == resumed.goes_on(newcomer, rung, loss)


@pytest.mark.parametrize("scheduler", SCHEDULERS, ids=str)
@given(curves=CURVES)
def test_between_rungs_a_rule_takes_nothing_in_and_stops_nothing(
    scheduler: Scheduler, curves: list[list[float]]
) -> None:
    told, asked = scheduler.rule(EPOCHS), scheduler.rule(EPOCHS)
    rungs = scheduler.rungs(EPOCHS)
    for trial, curve in enumerate(curves):
        for epoch, loss in enumerate(curve, 1):
            if epoch in rungs:
                assert told.goes_on(trial, epoch, loss) == asked.goes_on(trial, epoch, loss)
            else:
                assert asked.goes_on(trial, epoch, loss)


@pytest.mark.parametrize("scheduler", SCHEDULERS, ids=str)
@given(curves=CURVES, data=st.data())
def test_a_trial_that_was_at_a_rung_goes_on_there(
    scheduler: Scheduler, curves: list[list[float]], data: st.DataObject
) -> None:
    rule = scheduler.rule(EPOCHS)
    for trial, curve in enumerate(curves):
        for epoch, loss in enumerate(curve, 1):
            rule.goes_on(trial, epoch, loss)
            assert rule.goes_on(trial, epoch, data.draw(FINITE))


@pytest.mark.parametrize("scheduler", SCHEDULERS, ids=str)
@pytest.mark.parametrize("epochs", [1, 2, 3, 12, 81])
def test_rungs_lie_below_the_end_and_each_has_a_chance(scheduler: Scheduler, epochs: int) -> None:
    rungs = scheduler.rungs(epochs)
    assert rungs == sorted(set(rungs))
    assert all(1 <= rung < epochs for rung in rungs)
    chances = scheduler.chances(epochs)
    assert len(chances) == len(rungs)
    assert all(0 < chance < 1 for chance in chances)
    rule = scheduler.rule(epochs)
    assert all(rule.goes_on(0, epoch, 1.0) for epoch in range(1, epochs))  # the first everywhere


@pytest.mark.parametrize(("epochs", "grace", "factor"), [(81, 1, 3), (30, 3, 3), (30, 1, 4), (100, 2, 2), (9, 9, 3)])
def test_hyperbands_brackets_get_their_shares_as_the_paper_and_optuna_have_them(
    epochs: int, grace: int, factor: int
) -> None:
    scheduler = Hyperband(grace, factor)
    shares = scheduler.shares(epochs)
    if (epochs, grace, factor) == (81, 1, 3):
        assert shares == [81, 34, 15, 8, 5]  # table 1 of the paper
        assert scheduler.begins(epochs) == [1, 3, 9, 27, 81]
    pruner = HyperbandPruner(grace, epochs, factor)
    pruner._try_initialization(None)  # type: ignore[arg-type]
    assert shares == pruner._trial_allocation_budgets
    turn = turns(shares)
    assert [turn.count(bracket) for bracket in range(len(shares))] == shares
    # Spread evenly: at no point of the turn is a bracket more than a trial away from its share.
    for length in range(len(turn)):
        for bracket, share in enumerate(shares):
            assert abs(turn[:length].count(bracket) - share * length / len(turn)) <= len(shares) / 2


def test_a_bracket_of_hyperbands_is_an_asha_of_its_own_with_a_grace_period_of_its_own() -> None:
    """27 epochs: rungs at 1, 3 and 9; brackets that begin there, and one that stops nothing."""
    scheduler = Hyperband(1, 3)
    turn = turns(scheduler.shares(27))
    rule = scheduler.rule(27)
    alone = [ASHA(begin, 3).rule(27) for begin in (1, 3, 9, 27)]
    answers: list[list[bool]] = [[], [], [], []]
    for trial in range(3 * len(turn)):
        bracket = turn[trial % len(turn)]
        loss = float(trial * 7919 % 101)
        for rung in (1, 3, 9):
            answer = rule.goes_on(trial, rung, loss)
            assert answer == alone[bracket].goes_on(trial, rung, loss)
            answers[bracket].append(answer)
    assert [set(each) for each in answers] == [{True, False}, {True, False}, {True, False}, {True}]


def test_hyperbands_chances_are_those_of_its_brackets() -> None:
    """9 epochs, factor 3: brackets of 9, 5 and 3 trials from 1, 3 and 9 epochs on."""
    scheduler = Hyperband(1, 3)
    assert scheduler.shares(9) == [9, 5, 3]
    assert scheduler.chances(9) == pytest.approx([(3 + 5 + 3) / 17, (1 + 5 / 3 + 3) / 11])


@settings(max_examples=100)
@given(CURVES, st.integers(1, 4), st.integers(1, 3), st.integers(1, 4))
def test_the_median_rule_stops_who_is_worse_than_the_median_of_the_others_averages(
    curves: list[list[float]], grace: int, interval: int, least: int
) -> None:
    scheduler = MedianStopping(grace, interval, least)
    rule = scheduler.rule(EPOCHS)
    rungs = list(range(grace, EPOCHS, interval))
    came: list[list[float]] = []
    """The losses at the rungs of each trial before, as far as it came."""
    for trial, curve in enumerate(curves):
        own: list[float] = []
        for epoch, loss in enumerate(curve, 1):
            expected = True
            if epoch in rungs:
                own.append(loss)
                averages = [statistics.fmean(other[: len(own)]) for other in came if len(other) >= len(own)]
                expected = len(averages) < least or loss <= statistics.median(averages)
            assert rule.goes_on(trial, epoch, loss) == expected
        came.append(own)

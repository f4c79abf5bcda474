"""Several objectives: the front against its definition, points along it, and the rules that take one of it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.algorithms import pareto
from search.algorithms.pareto import Knee, Weights, Within
from search.errors import UserError

POINTS = st.integers(1, 3).flatmap(
    lambda objectives: st.lists(st.tuples(*[st.integers(-3, 3)] * objectives), min_size=1, max_size=12)
)


def dominates(one: tuple[int, ...], other: tuple[int, ...]) -> bool:
    return all(a <= b for a, b in zip(one, other, strict=True)) and one != other


@given(POINTS)
def test_the_front_is_what_no_other_point_dominates(points: list[tuple[int, ...]]) -> None:
    losses = np.array(points, dtype=float)
    expected = [at for at, point in enumerate(points) if not any(dominates(other, point) for other in points)]
    found = pareto.front(losses)
    assert sorted(found) == expected
    assert [points[at] for at in found] == sorted(points[at] for at in expected)


@given(POINTS, st.integers(1, 14))
def test_points_along_the_front_begin_with_the_first_and_none_is_behind_one_that_is_left_out(
    points: list[tuple[int, ...]], count: int
) -> None:
    losses = np.array(points, dtype=float)
    first = pareto.front(losses)[0]
    chosen = pareto.along(losses, first, count)
    assert chosen[0] == first
    assert len(chosen) == len(set(chosen)) == min(count, len(points))
    ranks = pareto.ranks(losses)
    left = [ranks[at] for at in range(len(points)) if at not in chosen]
    assert not left or max(ranks[at] for at in chosen) <= min(left)


def test_points_along_a_line_are_spread_over_it() -> None:
    losses = np.array([[at / 8, 1 - at / 8] for at in range(9)])
    assert sorted(pareto.along(losses, 4, 5)) == [0, 2, 4, 6, 8]


def test_the_knee_is_where_a_front_bends() -> None:
    front = np.array([[0.0, 10.0], [1.0, 5.0], [2.0, 1.0], [6.0, 0.5], [10.0, 0.0]])
    assert Knee().choose(front) == 2


def test_a_loss_that_spans_decades_is_measured_by_its_logarithm() -> None:
    """Parameters of 10 to 100,000: in proportion, half of the way is 1,000."""
    front = np.array([[0.0, 1e5], [0.2, 1e3], [1.0, 1e1]])
    assert pareto.scaled(front)[:, 1] == pytest.approx([1.0, 0.5, 0.0])
    assert pareto.scaled(front * [1, 1e-4] - [0, 1])[:, 1] == pytest.approx([1.0, 0.0099, 0.0], abs=1e-4)


def test_within_takes_the_best_of_the_others_among_those_that_are_near_the_best_of_the_first() -> None:
    front = np.array([[1.0, 9.0], [1.04, 5.0], [1.05, 4.0], [1.06, 1.0]])
    assert Within(0.05).choose(front) == 2
    assert Within(0.0).choose(front) == 0
    maximized = front * [1, 1] - [3, 0]  # -2.0, -1.96, ...: 5 % of a loss of -2 are 0.1
    assert Within(0.05).choose(maximized) == 3


def test_weights_say_what_an_objective_is_worth() -> None:
    front = np.array([[0.0, 1.0], [0.4, 0.3], [1.0, 0.0]])
    assert Weights({"loss": 1.0, "size": 0.0}).choose(front) == 0
    assert Weights({"loss": 0.0, "size": 1.0}).choose(front) == 2
    assert Weights({"loss": 1.0, "size": 1.0}).choose(front) == 1


@pytest.mark.parametrize("asked", ["knee", {"within": 0.05}, {"weights": {"loss": 2.0, "size": 1.0}}])
def test_a_rule_is_made_again_of_its_options(asked: object) -> None:
    rule = pareto.make(asked, ["loss", "size"])
    assert rule.options() == asked
    assert pareto.make(rule.options(), ["loss", "size"]) == rule


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (
            "elbow",
            "choose must be knee, {within: 0.05} for a share of the first objective, or {weights: {...}}, but got",
        ),
        ({"with": 0.05}, "choose has no rule 'with', did you mean 'within'?"),
        ({"within": "5 %"}, "choose.within must be a share in [0, 1], 0.05 for 5 %, but got '5 %'"),
        ({"within": -0.05}, "choose.within must be a share in [0, 1], 0.05 for 5 %, but got -0.05"),
        ({"within": 5}, "choose.within must be a share in [0, 1], 0.05 for 5 %, but got 5"),
        ({"within": True}, "choose.within must be a share in [0, 1], 0.05 for 5 %, but got True"),
        ({"weights": {"loss": 1}}, "choose.weights must have one of each objective, loss, size, but got {'loss': 1}"),
        ({"weights": {"loss": 1, "size": -1}}, "choose.weights.size must be a number >= 0, but got -1"),
        ({"weights": {"loss": 0, "size": 0}}, "choose.weights must have one that is > 0, but got"),
        ({"within": 0.05, "weights": {}}, "choose must be knee, "),
    ],
)
def test_a_rule_that_is_none_is_refused_with_the_fix(asked: object, message: str) -> None:
    with pytest.raises(UserError) as caught:
        pareto.make(asked, ["loss", "size"])
    assert str(caught.value).startswith(message)

"""Proposals: new ones that the workload takes, each a function of the seed, the trial's number and the history."""

from collections.abc import Mapping, Sequence
from typing import Any

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import BaseSampler

from search.algorithms import samplers
from search.algorithms.proposals import Proposer, ask
from search.algorithms.random_search import SeededRandom
from search.algorithms.space import MOST_POINTS, Space, Takes
from search.algorithms.tpe import TPE, SeededTPE

BOTH = pytest.mark.parametrize("kind", ["tpe", "random"])
WIDTHS = Space({"hidden1": IntDistribution(8, 128, log=True), "hidden2": IntDistribution(8, 128, log=True)})
SMALL = Space({"depth": IntDistribution(1, 2), "act": CategoricalDistribution(["relu", None])})
X = Space({"x": FloatDistribution(0, 1)})
POINTS = [{"depth": depth, "act": act} for depth in (1, 2) for act in ("relu", None)]


def anything(params: Mapping[str, Any]) -> bool:
    return True


def is_narrowing(params: Mapping[str, Any]) -> bool:
    return bool(params["hidden2"] <= params["hidden1"])


def proposer(kind: str, space: Space, takes: Takes, seed: int = 3) -> Proposer:
    return Proposer(samplers.make(kind), seed, space, takes)


def played(kind: str, space: Space, takes: Takes, count: int, seed: int = 3) -> list[dict[str, Any]]:
    """Return the proposals of a search in which each comes from a sampler without a past, as after a kill."""
    study = optuna.create_study()
    for _ in range(count):
        study.sampler = proposer(kind, space, takes, seed)
        trial = ask(study, space)
        study.tell(trial, sum(float(value or 0) for value in trial.params.values() if not isinstance(value, str)))
    return [trial.params for trial in study.trials]


@BOTH
def test_what_the_workload_refuses_is_drawn_again(kind: str) -> None:
    """Half of the space breaks the rule: without the second draws half of what is proposed at random would fail."""
    proposals = played(kind, WIDTHS, is_narrowing, 30)
    assert all(map(is_narrowing, proposals))
    assert len({(each["hidden1"], each["hidden2"]) for each in proposals}) == 30


@BOTH
def test_where_all_is_taken_a_proposal_is_what_the_sampler_alone_would_have_proposed(kind: str) -> None:
    space = Space({"x": FloatDistribution(0, 1), "y": FloatDistribution(1e-4, 1, log=True)})
    study = optuna.create_study(sampler={"tpe": SeededTPE, "random": SeededRandom}[kind](3))
    for _ in range(20):
        trial = study.ask(dict(space))
        study.tell(trial, sum(trial.params.values()))
    assert played(kind, space, anything, 20) == [trial.params for trial in study.trials]


@BOTH
def test_a_session_that_begins_anywhere_draws_again_as_the_one_before_it_would_have(kind: str) -> None:
    """In one session the same proposer proposes all."""
    study = optuna.create_study(sampler=proposer(kind, WIDTHS, is_narrowing))
    for _ in range(25):
        trial = ask(study, WIDTHS)
        study.tell(trial, float(trial.params["hidden1"] + trial.params["hidden2"]))
    assert [trial.params for trial in study.trials] == played(kind, WIDTHS, is_narrowing, 25)


@BOTH
def test_a_small_space_is_gone_through_without_a_repetition(kind: str) -> None:
    proposals = played(kind, SMALL, anything, 4)
    assert sorted(map(str, proposals)) == sorted(map(str, POINTS))


@BOTH
def test_the_one_point_that_is_taken_of_ten_thousand_is_found(kind: str) -> None:
    space = Space({name: IntDistribution(0, 99) for name in "ab"})
    (found,) = played(kind, space, lambda params: params == {"a": 7, "b": 93}, 1)
    assert found == {"a": 7, "b": 93}


@BOTH
def test_a_proposal_is_made_also_where_nothing_is_taken(kind: str) -> None:
    """Its trial then fails, and says why."""
    (found,) = played(kind, X, lambda params: False, 1)
    assert 0 <= found["x"] <= 1


def test_each_further_draw_is_that_of_a_sampler_with_another_seed_and_the_same_in_every_session() -> None:
    def seeds_of_a_session() -> list[int]:
        seeds = []

        class Noting(TPE):
            def make(self, seed: int, trial: int, space: Space) -> BaseSampler:
                seeds.append(seed)
                return super().make(seed, trial, space)

        ask(optuna.create_study(sampler=Proposer(Noting(), 3, X, lambda params: False)), X)
        return seeds

    seeds = seeds_of_a_session()
    assert seeds[0] == 3
    assert len(set(seeds)) == len(seeds) == TPE.draws
    assert seeds_of_a_session() == seeds


def test_what_is_left_of_a_space_is_what_is_not_known_and_is_taken() -> None:
    assert list(SMALL.untried([], anything)) == POINTS
    assert list(SMALL.untried([POINTS[2], POINTS[2]], lambda params: params["act"] is None)) == [POINTS[1], POINTS[3]]
    assert list(SMALL.untried([{"depth": 1}], anything)) == POINTS


def test_a_space_is_small_where_all_its_points_can_be_gone_through() -> None:
    assert SMALL.is_small
    assert Space({"n": IntDistribution(1, MOST_POINTS)}).is_small
    assert not Space({**SMALL, "lr": FloatDistribution(0, 1)}).is_small
    assert not Space({"n": IntDistribution(1, MOST_POINTS + 1)}).is_small
    assert not Space({"n": IntDistribution(-(2**62), 2**62)}).is_small


def test_a_space_has_room_for_what_is_known_and_what_is_left_and_a_proposal_that_was_cut_short_is_left() -> None:
    assert SMALL.room([], anything, 32) == 4
    assert SMALL.room([*POINTS[:2], {"depth": 2}], anything, 32) == 4
    assert SMALL.room([POINTS[0], POINTS[0]], anything, 32) == 5  # of a study of before, which repeated
    assert SMALL.room(POINTS, anything, 2) == 4
    assert X.room([], anything, 32) == 32


def test_no_more_points_are_tried_than_are_asked_for() -> None:
    """A Config may take a while, and nothing is trained meanwhile."""
    asked: list[Any] = []

    def takes(params: Mapping[str, Any]) -> bool:
        asked.append(params)
        return True

    assert Space({"n": IntDistribution(1, 9000)}).room([{"n": 5}], takes, 3) == 3
    assert len(asked) == 2


BOTH_NUMBERS = Space({"x": FloatDistribution(0, 1), "y": FloatDistribution(0, 1)})
START: list[dict[str, Any]] = [{"x": 0.5, "y": 0.25}, {"y": 0.75}, {"x": 0.125, "y": 0.0}]


def begun(kind: str, space: Space, takes: Takes, count: int, start: Sequence[Mapping[str, Any]]) -> list[Any]:
    """Return the proposals of a search that tries `start` first, each from a sampler without a past."""
    study = optuna.create_study()
    for _ in range(count):
        study.sampler = Proposer(samplers.make(kind), 3, space, takes, start)
        trial = ask(study, space)
        study.tell(trial, sum(float(value or 0) for value in trial.params.values() if not isinstance(value, str)))
    return [trial.params for trial in study.trials]


@BOTH
def test_what_is_to_be_tried_first_is_proposed_by_number_and_the_sampler_fills_the_rest(kind: str) -> None:
    """The others are what they would have been; of TPE as long as it draws at random."""
    proposals = begun(kind, BOTH_NUMBERS, anything, 9, START)
    without = begun(kind, BOTH_NUMBERS, anything, 9, ())
    assert proposals == [START[0], {"x": without[1]["x"], "y": 0.75}, START[2], *without[3:]]


@BOTH
def test_a_partial_configuration_is_completed_by_what_the_workload_takes(kind: str) -> None:
    start = [{"hidden2": 60}]
    (found,) = begun(kind, WIDTHS, lambda params: params["hidden1"] > 2 * params["hidden2"], 1, start)
    assert found["hidden2"] == 60
    assert found["hidden1"] > 120


@BOTH
def test_what_is_known_or_refused_by_then_gives_way_to_a_draw(kind: str) -> None:
    """A partial one may have come to the next whole one, and Config may have changed since the start was checked."""
    known = begun(kind, SMALL, anything, 4, [POINTS[2], POINTS[2]])
    assert known[0] == POINTS[2]
    assert sorted(map(str, known)) == sorted(map(str, POINTS))
    refused = begun(kind, BOTH_NUMBERS, lambda params: params["x"] != 0.5, 1, [START[0]])
    assert refused == begun(kind, BOTH_NUMBERS, anything, 1, ())


@BOTH
def test_of_a_small_space_a_partial_configuration_takes_the_one_point_that_is_left(kind: str) -> None:
    given = {"act": POINTS[0]["act"]}
    points = [point for point in POINTS if point["act"] == given["act"]]
    proposals = begun(kind, SMALL, anything, 4, [points[0], given, given])
    assert proposals[1] == points[1]
    assert proposals[2] not in points

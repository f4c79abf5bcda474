"""A prior: how many proposals it guides, around what, and that it is a function of seed and trial."""

import math
import statistics
from typing import Any

import optuna
import pytest
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from search.algorithms import samplers
from search.algorithms.prior import HALF, Expected, guided
from search.algorithms.proposals import Proposer, ask
from search.algorithms.space import Space

LR = FloatDistribution(1e-4, 1, log=True)


def values(distribution: BaseDistribution, value: Any, confidence: float, trial: int, seeds: int = 2000) -> list[Any]:
    """Return the guided values of a trial's number over many seeds."""
    prior = {"x": Expected(value, confidence)}
    found = [guided(prior, "x", distribution, seed, trial) for seed in range(seeds)]
    return [each for is_guided, each in found if is_guided]


@pytest.mark.parametrize(("confidence", "trial"), [(1.0, 0), (0.5, 0), (0.5, HALF), (0.8, 4 * HALF)])
def test_the_share_of_guided_proposals_is_the_confidence_at_first_and_falls(confidence: float, trial: int) -> None:
    share = confidence / (1 + trial / HALF)
    four_errors = 4 * math.sqrt(share * (1 - share) / 2000)
    assert len(values(LR, 0.01, confidence, trial)) / 2000 == pytest.approx(share, abs=four_errors)


@pytest.mark.parametrize(("confidence", "deviation"), [(1.0, 0.02), (0.5, 0.135)])
def test_numbers_lie_around_the_expected_one_on_their_scale_the_closer_the_surer(
    confidence: float, deviation: float
) -> None:
    logs = [math.log10(value) for value in values(LR, 0.01, confidence, 0)]
    assert statistics.mean(logs) == pytest.approx(-2, abs=4 * 4 * deviation / math.sqrt(len(logs)))
    assert statistics.stdev(logs) == pytest.approx(4 * deviation, rel=0.1)  # of a range of four decades


def test_a_value_at_the_end_of_its_range_stays_within_and_a_whole_number_is_one() -> None:
    assert all(LR._contains(value) for value in values(LR, 1.0, 0.5, 0))
    layers = IntDistribution(1, 8)
    found = values(layers, 8, 0.5, 0)
    assert {type(value) for value in found} == {int}
    assert set(found) <= set(range(1, 9))
    steps = FloatDistribution(0.0, 1.0, step=0.25)
    assert set(values(steps, 0.5, 0.2, 0)) <= {0.0, 0.25, 0.5, 0.75, 1.0}


def test_of_a_choice_the_expected_one_is_taken() -> None:
    assert set(values(CategoricalDistribution(["sgd", "adam"]), "sgd", 0.5, 0)) == {"sgd"}


def test_a_search_is_guided_the_same_when_it_is_resumed_and_the_sampler_draws_the_rest() -> None:
    space = Space({"lr": LR, "width": IntDistribution(1, 64)})
    prior = {"lr": Expected(0.01, 1.0)}

    def played(prior: Any, *, is_resumed: bool) -> list[dict[str, Any]]:
        study = optuna.create_study()
        for _ in range(14):
            if is_resumed or study.sampler.__class__ is not Proposer:
                study.sampler = Proposer(samplers.make("tpe"), 3, space, lambda params: True, prior=prior)
            trial = ask(study, space)
            study.tell(trial, trial.params["lr"] + trial.params["width"])
        return [trial.params for trial in study.trials]

    straight = played(prior, is_resumed=False)
    assert straight == played(prior, is_resumed=True)
    without = played({}, is_resumed=False)
    assert straight[0]["width"] == without[0]["width"]
    assert straight[0]["lr"] != without[0]["lr"]
    assert abs(math.log10(straight[0]["lr"]) + 2) < 0.5

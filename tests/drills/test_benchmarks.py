"""The benchmark compares like with like: every rival searches our space, for as long, with the same rule."""

from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.distributions import BaseDistribution
from ray.tune.search.optuna import OptunaSearch

from benchmarks import job, plain_optuna, ray_job
from search.algorithms.asha import ASHA
from search.spec import workload
from search.spec.config import StudyConfig
from search.spec.files import read
from search.spec.space import parse

OURS = StudyConfig.of(read(Path(job.__file__).with_name("search.yaml")))
POINT: dict[str, Any] = {"lr": 0.1, "momentum": 0.5, "hidden1": 8, "hidden2": 9}


def by_optuna() -> dict[str, BaseDistribution]:
    trial = optuna.create_study().ask()
    plain_optuna.suggest(trial)
    return trial.distributions


def by_ray() -> dict[str, BaseDistribution]:
    return dict(OptunaSearch.convert_search_space(ray_job.space()))


@pytest.mark.parametrize("space", [by_optuna, by_ray])
def test_a_rival_searches_the_space_that_we_search(space: Any) -> None:
    assert space() == dict(parse(OURS.space))


def test_a_trial_of_a_rival_is_the_trial_that_we_train_but_for_the_engine() -> None:
    ours = workload.load(OURS.workload).build({**OURS.fixed, **POINT, "seed": 3, "engine": "torch"})
    assert job.config(POINT, 3, "torch") == ours


def test_the_rungs_are_the_same_and_the_winner_is_retrained_once() -> None:
    scheduler = ray_job.scheduler()
    assert isinstance(OURS.scheduler, ASHA)
    assert (OURS.scheduler.grace_period, OURS.scheduler.reduction_factor) == (job.GRACE_PERIOD, job.REDUCTION_FACTOR)
    assert [rung[0] for rung in reversed(scheduler._brackets[0]._rungs)] == OURS.scheduler.rungs(job.EPOCHS)
    assert (OURS.finalists, OURS.seeds) == (1, 1)

"""Proposals: each number a function of the study's seed, the trial's number, the name and the history, of no more."""

import random
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.distributions import BaseDistribution, FloatDistribution
from optuna.trial import TrialState

from search.algorithms.samplers import SAMPLERS

SPACE: dict[str, BaseDistribution] = {name: FloatDistribution(0, 1) for name in ("x", "y", "z")}
BOTH = pytest.mark.parametrize("kind", [*SAMPLERS])


def propose(study: optuna.Study, kind: str, seed: int) -> optuna.Trial:
    """Return what a sampler proposes that has no past: as the first thing that a new session does."""
    study.sampler = SAMPLERS[kind].make(seed)
    return study.ask(SPACE)


def tell(study: optuna.Study, trial: optuna.Trial) -> None:
    study.tell(trial, sum((value - 0.3) ** 2 for value in trial.params.values()))


def played(kind: str, seed: int, count: int) -> list[dict[str, Any]]:
    """Return the proposals of one session."""
    study = optuna.create_study(sampler=SAMPLERS[kind].make(seed))
    for _ in range(count):
        tell(study, study.ask(SPACE))
    return [trial.params for trial in study.trials]


@BOTH
def test_a_session_that_begins_anywhere_proposes_what_the_one_before_it_would_have(kind: str) -> None:
    """Random at the start, and by what was learned from the eleventh on; the process's own generators do not matter."""
    study = optuna.create_study()
    for _ in range(25):
        random.seed(study.trials[-1].number if study.trials else None)
        np.random.seed(random.randrange(2**32))
        tell(study, propose(study, kind, 3))
    assert [trial.params for trial in study.trials] == played(kind, 3, 25)


@BOTH
def test_a_proposal_does_not_depend_on_what_was_asked_for_in_its_session_before(kind: str) -> None:
    """A session proposes some twice: those of which a killed writer had written a part."""
    study = optuna.create_study()
    for _ in range(15):
        tell(study, propose(study, kind, 3))
    expected = dict(propose(study, kind, 3).params)
    other = optuna.create_study()
    other.add_trials(study.get_trials(states=(TrialState.COMPLETE,)))
    other.sampler = SAMPLERS[kind].make(3)
    for name, distribution in SPACE.items():
        frozen = optuna.trial.create_trial(state=TrialState.RUNNING)
        frozen.number = 12
        other.sampler.sample_independent(other, frozen, name, distribution)
    assert other.ask(SPACE).params == expected


@BOTH
def test_no_two_numbers_of_a_study_are_the_same(kind: str) -> None:
    """Of hyperparameters that are searched alike, too: the same numbers for all would search a diagonal."""
    numbers = [value for params in played(kind, 3, 10) for value in params.values()]
    assert len(set(numbers)) == 30
    assert not set(numbers) & {value for params in played(kind, 4, 10) for value in params.values()}


@BOTH
def test_the_random_numbers_of_each_hyperparameter_are_spread_over_its_range_and_follow_no_other(kind: str) -> None:
    """A hundred studies' first proposals: TPE's are random, too."""
    first = np.array([list(played(kind, seed, 1)[0].values()) for seed in range(100)])
    assert (np.histogram(first, bins=4, range=(0, 1))[0] > 40).all()
    between = np.corrcoef(first.T)
    assert np.abs(between[~np.eye(3, dtype=bool)]).max() < 0.3

"""Every sampler in whatever space: generated ones with conditions and ordinals, and such as are hardly one."""

from typing import Any

import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState

from search.algorithms import samplers
from search.algorithms.proposals import Proposer, ask
from search.algorithms.space import Space
from search.errors import UserError
from tests.algorithms.test_samplers import EVERY, OPTIONS, anything, notes, proposals


@EVERY
@pytest.mark.parametrize(
    "space",
    [
        Space({"c": CategoricalDistribution(["a", "b", None])}),
        Space({"n": IntDistribution(1, 3), "one": CategoricalDistribution([True])}),
        Space({"n": IntDistribution(4, 4)}),
    ],
    ids=["choice", "number", "one value"],
)
def test_a_space_that_is_hardly_one_is_searched_to_its_end(kind: str, space: Space) -> None:
    sampler = samplers.make(OPTIONS[kind])
    try:
        sampler.check(space)
    except UserError:
        assert kind == "cmaes"
        return
    study = optuna.create_study(sampler=Proposer(sampler, 3, space, anything))
    for _ in space.points():
        study.tell(ask(study, space), 1.0)
    assert len(space.keys_of(proposals(study))) == len(list(space.points()))


NAMES = ["p", "q", "r", "s"]
KINDS: list[BaseDistribution] = [
    FloatDistribution(-1, 1),
    FloatDistribution(1e-300, 1, log=True),
    FloatDistribution(0, 1, step=0.1),
    IntDistribution(1, 5),
    IntDistribution(8, 128, log=True),
    CategoricalDistribution(["x", None, True]),
    CategoricalDistribution([7]),
]


@st.composite
def spaces(draw: st.DrawFn) -> Space:
    """Spaces with conditions upon a choice, or upon one another, and with ordinals."""
    distributions: dict[str, BaseDistribution] = {"first": CategoricalDistribution(["a", "b", "c"])}
    conditions: dict[str, dict[str, tuple[Any, ...]]] = {}
    for name in NAMES[: draw(st.integers(1, 4))]:
        if draw(st.booleans()):
            parent = draw(st.sampled_from([*distributions]))
            if isinstance(distributions[parent], CategoricalDistribution):
                choices = distributions[parent].choices  # type: ignore[attr-defined]
                conditions[name] = {parent: tuple(draw(st.sets(st.sampled_from(choices), min_size=1)))}
        distributions[name] = draw(st.sampled_from(KINDS))
    ordinals = frozenset({"first"}) if draw(st.booleans()) else frozenset()
    return Space(distributions, conditions, ordinals)


@settings(max_examples=25, deadline=None)
@given(spaces(), st.sampled_from([kind for kind in OPTIONS if kind != "gp"]), st.integers(0, 99))
def test_in_any_space_every_proposal_is_a_new_configuration_and_the_same_after_a_kill(
    space: Space, kind: str, seed: int
) -> None:
    sampler = samplers.make(OPTIONS[kind])
    try:
        sampler.check(space)
    except UserError:
        return
    whole = optuna.create_study(sampler=Proposer(sampler, seed, space, anything))
    again = optuna.create_study()
    for number in range(space.room([], anything, 14)):
        again.sampler = Proposer(sampler, seed, space, anything)
        for study in (whole, again):
            trial = ask(study, space)
            trial.report(number % 5, 1)
            state = TrialState.PRUNED if number % 3 == 1 else TrialState.COMPLETE
            study.tell(trial, number % 5 if state == TrialState.COMPLETE else None, state=state)
    found = proposals(whole)
    assert all(map(space.is_whole, found))
    assert len(space.keys_of(found)) == len(found)
    assert proposals(again) == found
    assert notes(again) == notes(whole)

"""Spaces of any shape: whatever stands in one, a proposal lies in it, and a study of it opens and goes on."""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import optuna
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from search import creation, study
from search.algorithms import samplers
from search.algorithms.proposals import Proposer, ask, suggest
from search.errors import UserError
from search.journal.records import OpenTrial
from search.spec.arguments import Arguments
from search.spec.config import StudyConfig
from search.spec.fields import Field
from search.spec.fit import Fit
from search.spec.workload import Workload
from tests import studies

Entries = dict[str, Any]
FEW = settings(deadline=None, suppress_health_check=list(HealthCheck), max_examples=12)


@st.composite
def entries(draw: st.DrawFn) -> Entries:
    """Draw a space in YAML: entries of every kind, some of them lists, each perhaps with a condition."""
    found: Entries = {}
    for index in range(draw(st.integers(2, 6))):
        name = f"p{index}"
        entry = {**draw(st.sampled_from(KINDS))}
        if draw(st.integers(0, 3)) == 0 and found:
            lengths: list[Any] = [1, 2, 3]
            lengths += [other for other in found if found[other].get("distribution") == "int_uniform"]
            length = draw(st.sampled_from(lengths))
            entry = {"list": {"length": length, "of": entry}}
        parents = [other for other in found if found[other].get("distribution") in PARENTS]
        if draw(st.booleans()) and parents:
            parent = draw(st.sampled_from(parents))
            some = draw(st.lists(st.sampled_from(plain_values(found[parent])), min_size=1, unique_by=repr))
            entry["when"] = {parent: some}
        found[name] = entry
    return found


PARENTS = ("choice", "ordinal", "int_uniform")
"""The kinds of entries of few values, on which others may depend."""
KINDS: list[Entries] = [
    {"distribution": "uniform", "low": -1, "high": 0.5},
    {"distribution": "uniform", "low": 0, "high": 0.3, "step": 0.1},
    {"distribution": "log_uniform", "low": 0.001, "high": 1},
    {"distribution": "int_uniform", "low": 0, "high": 3, "step": 1},
    {"distribution": "int_uniform", "low": 1, "high": 5, "step": 2},
    {"distribution": "int_log_uniform", "low": 1, "high": 64},
    {"distribution": "choice", "values": ["a", None, [1, 2], True]},
    {"distribution": "choice", "values": [True, False]},
    {"distribution": "ordinal", "values": [64, 8, 16]},
]


def plain_values(entry: Mapping[str, Any]) -> list[Any]:
    """Return the values of an entry that has few."""
    if "values" in entry:
        return list(entry["values"])
    return [*range(entry["low"], entry["high"] + 1, entry["step"])]


def lies_in(space: Entries, params: Mapping[str, Any]) -> bool:
    """Return whether a configuration lies in a space of YAML, by its words alone: the oracle."""
    expected = set()
    for name, entry in space.items():
        if not holds(entry.get("when", {}), params):
            continue
        if "list" not in entry:
            expected.add(name)
            if name not in params or not is_value(entry, params[name]):
                return False
            continue
        length = entry["list"]["length"]
        size = length if isinstance(length, int) else params.get(length, 0)
        for index in range(size):
            expected.add(f"{name}.{index}")
            if not is_value(entry["list"]["of"], params.get(f"{name}.{index}", "nothing")):
                return False
    return expected == set(params)


def holds(when: Mapping[str, list[Any]], params: Mapping[str, Any]) -> bool:
    for parent, values in when.items():
        if parent not in params:
            return False
        wanted = ["[1, 2]" if value == [1, 2] else value for value in values]
        if not any(type(value) is type(params[parent]) and value == params[parent] for value in wanted):
            return False
    return True


def is_value(entry: Mapping[str, Any], value: Any) -> bool:
    if "values" in entry:
        texts = ["[1, 2]" if isinstance(each, list) else each for each in entry["values"]]
        return any(type(each) is type(value) and each == value for each in texts)
    is_whole = entry["distribution"].startswith("int")
    if type(value) is not (int if is_whole else float) or not entry["low"] <= value <= entry["high"]:
        return False
    step = entry.get("step")
    return step is None or value in [round(entry["low"] + count * step, 9) for count in range(10)]


def config_of(space: Entries, folder: Path) -> StudyConfig | None:
    """Return the config of a search of a space; None of one that is refused, as a condition on a fraction is."""
    values = {"workload": "any", "metric": "loss", "epochs": 3, "output": str(folder), "name": "s"}
    try:
        return StudyConfig.of({**values, "space": space})
    except UserError:
        return None


def anything(config: StudyConfig) -> Workload:
    """Return a workload whose Config takes each hyperparameter, and has a default for it."""
    fields = tuple(Field(name, default=None) for name in config.space)
    return Workload("any", Arguments("any.Config", SimpleNamespace, fields), lambda config: iter(()))


@pytest.mark.parametrize("kind", ["tpe", "random"])
@FEW
@given(space=entries(), cut=st.lists(st.integers(0, 3), min_size=14, max_size=14))
def test_every_proposal_lies_in_its_space_and_is_the_same_after_a_kill_at_any_point(
    kind: str, space: Entries, cut: list[int]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        config = config_of(space, Path(folder))
    if config is None:
        return
    searched = config.searched
    straight, broken = (optuna.create_study() for _ in range(2))
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    for number in range(14):
        straight.sampler = Proposer(samplers.make(kind), 3, searched, lambda params: True)
        trial = ask(straight, searched)
        assert lies_in(space, trial.params), (space, trial.params)
        # The other is killed after so many values, and its proposal ended by a sampler without a past.
        broken.sampler = Proposer(samplers.make(kind), 3, searched, lambda params: True)
        begun = broken.ask()
        for name in [*trial.params][: cut[number]]:
            begun._suggest(name, searched[name])
        broken.sampler = Proposer(samplers.make(kind), 3, searched, lambda params: True)
        again = optuna.Trial(broken, begun._trial_id)
        suggest(again, searched)
        assert again.params == trial.params
        for each, own in ((straight, trial), (broken, again)):
            each.tell(own, sum(float(value) for value in own.params.values() if isinstance(value, int | float)))


@settings(FEW, max_examples=6)
@given(space=entries())
def test_every_study_opens_and_goes_on(space: Entries) -> None:
    with tempfile.TemporaryDirectory() as name:
        config = config_of(space, Path(name))
        if config is None:
            return
        workload = anything(config)
        fit = Fit(config, workload)
        made = creation.create(fit.config, workload, 3, start=fit.first().configurations)
        made.begin_session(studies.SHARE, {})
        for count in range(3):
            made = study.load(made.folder)
            made.search.sampler = Proposer(samplers.make("tpe"), 0, made.space, fit.takes, made.start)
            for _ in range(3):
                studies.add(made, [float(count)], "complete")
            cut_off = OpenTrial.proposed(made.search, made.space)
            assert all(lies_in(space, trial.params) for trial in made.trials())
            OpenTrial.of(study.load(made.folder).search, cut_off.number, made.space)
        opened = study.load(made.folder)
        opened.write_tables()
        assert opened.snapshot().importances is not None
        best = opened.best_trial()
        assert best is not None
        assert workload.build(opened.config.values(best.params)) is not None
        assert opened.best_config() is not None

"""Stopped trials, as those samplers read them that know of complete ones only."""

from typing import Any

import optuna
import pytest
from optuna.distributions import FloatDistribution
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from search.algorithms.history import Teller
from search.algorithms.space import Space

SPACE = Space({"x": FloatDistribution(0, 1)})


def add(study: optuna.Study, values: list[float], ending: str) -> None:
    """Record a trial with these best values so far, an epoch each."""
    trial = study.ask(dict(SPACE))
    for epoch, value in enumerate(values, 1):
        trial.report(value, epoch)
    if ending == "diverged":
        trial.set_constraint("diverged", 1.0)
    if ending == "complete":
        study.tell(trial, values[-1])
    elif ending != "running":
        study.tell(trial, state=TrialState.PRUNED)


def told(study: optuna.Study, *, reads_stopped: bool = False) -> list[FrozenTrial]:
    """Return what is told for the proposal of the next trial."""
    trial = study._storage.get_trial(study.ask(dict(SPACE))._trial_id)
    return Teller(SPACE, reads_stopped=reads_stopped).tell(study, trial).told


@pytest.mark.parametrize(
    ("direction", "worst"), [(StudyDirection.MINIMIZE, 9.0), (StudyDirection.MAXIMIZE, 1.0)], ids=["min", "max"]
)
def test_a_stopped_trial_is_told_with_its_best_and_one_that_diverged_or_failed_with_the_worst(
    direction: StudyDirection, worst: float
) -> None:
    study = optuna.create_study(direction=direction)
    add(study, [3.0, 1.0], "complete")
    add(study, [9.0], "stopped")
    add(study, [8.0, 2.0], "stopped")
    add(study, [0.5], "diverged")
    add(study, [], "stopped")  # before an epoch with a value
    add(study, [4.0], "running")
    shown = told(study)
    assert [trial.values for trial in shown[:5]] == [[1.0], [9.0], [2.0], [worst], [worst]]
    assert {trial.state for trial in shown[:5]} == {TrialState.COMPLETE}
    assert not any(trial.constraints for trial in shown)
    assert (shown[5].state, shown[5].values) == (TrialState.RUNNING, None)
    # What is in the journal stays, and so it is told to a sampler that reads stopped trials.
    assert [trial.state.name for trial in study.trials[:3]] == ["COMPLETE", "PRUNED", "PRUNED"]
    assert [trial.constraints for trial in told(study, reads_stopped=True)[:4]] == [{}, {}, {}, {"diverged": 1.0}]


def test_as_long_as_nothing_has_a_value_trials_that_failed_are_not_told_with_one() -> None:
    study = optuna.create_study()
    add(study, [], "diverged")
    assert [trial.state for trial in told(study)] == [TrialState.PRUNED]
    add(study, [2.0], "stopped")
    assert told(study)[0].values == [2.0]


def test_of_several_objectives_nothing_is_made_up() -> None:
    study: Any = optuna.create_study(directions=[StudyDirection.MINIMIZE, StudyDirection.MINIMIZE])
    trial = study.ask(dict(SPACE))
    study.tell(trial, [1.0, 2.0])
    study.tell(study.ask(dict(SPACE)), state=TrialState.PRUNED)
    assert [trial.state.name for trial in told(study)] == ["COMPLETE", "PRUNED"]

"""A study whose space or fixed values are changed when it goes on: what stays, what is told, and what may win."""

from pathlib import Path
from typing import Any

import pytest

from search import continuation, study
from search.errors import UserError
from search.journal import limits
from search.journal.earlier import EARLIER, Known
from search.journal.records import OpenTrial
from search.retraining import race
from search.spec.config import StudyConfig
from search.spec.workload import load
from search.study import Study
from search.tune import infeasible
from search.tune.recovery import OUTSIDE, take_up
from search.views import summary
from search.views.page import page
from tests import studies
from tests.programs import X

NARROW = {"distribution": "uniform", "low": -5, "high": 1}
SIDE = {"distribution": "choice", "values": ["left", "right"], "passed": False}
SPACE: dict[str, Any] = {"side": SIDE, "x": X, "y": {**X, "when": {"side": "left"}}}


def created(folder: Path, **settings: Any) -> Study:
    """Return a study of eight trials, the earlier ones the better ones."""
    made = studies.create(folder, "s", **{"num_samples": 8, "space": SPACE, **settings})
    for number in range(8):
        studies.add(made, [number + 2.0, number + 1.0], "complete")
    return made


def changed(made: Study, **settings: Any) -> Study:
    config = StudyConfig.of({**made.config.as_mapping(), **settings})
    continuation.continued(made, config, made.epochs, made.defaults, may_change=True)
    return study.load(made.folder)


def test_without_the_flag_a_changed_space_is_refused_by_the_name_of_the_flag(tmp_path: Path) -> None:
    made = created(tmp_path)
    config = StudyConfig.of({**made.config.as_mapping(), "space": {**SPACE, "x": NARROW}})
    with pytest.raises(UserError) as caught:
        continuation.continued(made, config, made.epochs, made.defaults)
    told = "but space.x.high was 5 and is 1; start a new study, or add --allow-changes"
    assert told in str(caught.value)
    assert study.load(made.folder).config == made.config


@pytest.mark.parametrize("change", [{"seed": 1}, {"metric": "other"}, {"start": [{"x": 1}]}])
def test_with_the_flag_all_else_must_stay(change: dict[str, Any], tmp_path: Path) -> None:
    made = created(tmp_path)
    with pytest.raises(UserError, match=r"must keep .*; start a new study$"):
        changed(made, **change)


def test_in_a_narrower_space_the_trials_that_lie_in_it_may_win_and_the_others_count(tmp_path: Path) -> None:
    made = created(tmp_path)
    now = changed(made, space={**SPACE, "x": NARROW}, num_samples=10)
    inside = [trial for trial in made.trials() if trial.params["x"] <= 1]
    assert 0 < len(inside) < 8
    assert made.trials()[0] not in inside
    assert now.within(now.trials()) == inside
    assert now.best_trial() == inside[0]
    assert (now.ended(), now.wanted) == (8, 10)
    told = continuation.told(made, now)
    assert told[0] == "changed: space.x.high was 5 and is 1"
    assert told[1].startswith(f"of 8 trials so far {len(inside)} lie in the space: they stay as history")
    runners = race.of(now, load("tests.toy"))
    assert runners is not None
    names = {job.notes["candidate"] for job in runners.first()}
    assert names == {f"trial {trial.number}" for trial in inside[:2]} | {"reference"}
    snapshot = now.snapshot()
    assert len(snapshot.outside) == 8 - len(inside)
    assert snapshot.front == inside[0]
    assert snapshot.axes["x"].high == max(1, *(trial.params["x"] for trial in made.trials()))


def test_a_study_is_drawn_and_reported_whatever_its_space_was_before(tmp_path: Path, capsys: Any) -> None:
    made = created(tmp_path)
    whole = {"distribution": "int_uniform", "low": 1, "high": 9}
    side = {**SIDE, "values": ["right", "middle", "left"]}
    now = changed(made, space={"side": side, "x": whole, "limit": {**X, "when": {"side": "left"}}}, num_samples=12)
    now.search.sampler = made.search.sampler
    studies.add(now, [0.5], "complete")
    again = changed(now, space={"y": {"distribution": "choice", "values": ["a", 1.5]}}, fixed={"x": 1.0})
    figures = again.figures()
    assert set(figures) == {"curves", "history", "hyperparameters", "importances"}
    text = page.render(again.snapshot()).decode()
    assert "after 9 trials: fixed.x is new: 1.0" in text
    assert "9 trials do not lie in the space as it was changed" in text
    again.write_tables()
    assert again.best_trial() is None
    summary.show(study_console(), again.snapshot(), False, tmp_path)
    assert "9 trials do not lie in the space" in capsys.readouterr().out


def test_a_winner_of_a_retraining_from_before_is_reported_in_another_space(tmp_path: Path) -> None:
    made = created(tmp_path)
    studies.retrain(made, {"trial 0": [0.1, 0.2], "reference": [3.0, 4.0]}, {}, "loss")
    now = changed(made, space={"limit": X})
    assert b"trial 0" in page.render(now.snapshot())
    assert set(now.figures()) == {"curves", "history", "hyperparameters", "importances"}


def test_what_was_known_before_is_drawn_as_far_as_it_lies_in_the_space(tmp_path: Path) -> None:
    made = created(tmp_path)
    for number, side in enumerate(["gone", "right"]):
        known = Known("old", number, {"side": side, "x": 1.0 + number, "y": 2.0}, (5.0,), 9, True)
        recorded = made.search.user_attrs.get(EARLIER, [])
        made.search.set_user_attr(EARLIER, [*recorded, known.as_recorded()])
    now = changed(made, space={"side": {**SIDE, "values": ["right"]}, "x": X, "z": {**X, "when": {"side": "right"}}})
    drawn = page.render(now.snapshot()).decode()
    assert drawn.count("old, its trial 0: 5") == 1  # beside x
    assert drawn.count("old, its trial 1: 5") == 2  # and beside side
    assert "hyperparameters" in now.figures()


def test_the_front_is_of_the_trials_that_lie_in_the_space(tmp_path: Path) -> None:
    """As is the trial that is handed over."""
    made = created(tmp_path, metric="", mode="", objectives={"loss": "min", "elapsed_s": "min"})
    now = changed(made, space={**SPACE, "x": NARROW}, num_samples=10)
    inside = {trial.number for trial in now.within(now.trials())}
    table = now.trials_dataframe()
    assert 0 not in inside
    assert set(table[table["front"]]["trial"]) <= inside
    assert now.snapshot().front == now.best_trial()
    assert f"front, from trial {min(inside)} " in page.render(now.snapshot()).decode()


def study_console() -> Any:
    from rich.console import Console

    return Console(width=200)


def test_a_choice_may_get_another_value_and_each_trial_keeps_its_own(tmp_path: Path) -> None:
    made = created(tmp_path)
    sides = [trial.params["side"] for trial in made.trials()]
    now = changed(made, space={**SPACE, "side": {**SIDE, "values": ["middle", "right", "left"]}}, num_samples=40)
    now.search.sampler = made.search.sampler
    for _ in range(20):
        studies.add(now, [3.0], "complete")
    read = [trial.params["side"] for trial in study.load(made.folder).trials()]
    assert read[:8] == sides
    assert set(read[8:]) == {"middle", "right", "left"}
    assert len(now.within(now.trials())) == 28


def test_a_trial_has_the_config_under_which_it_was_proposed(tmp_path: Path) -> None:
    made = created(tmp_path, fixed={"limit": 1.0})
    now = changed(made, fixed={"limit": 2.0})
    assert continuation.told(made, now)[-1].startswith(
        "the values of those trials are of the fixed values as they were"
    )
    assert continuation.config_in(continuation.configs_of(now), 7).fixed == {"limit": 1.0}
    assert continuation.config_in(continuation.configs_of(now), 8).fixed == {"limit": 2.0}
    assert len(now.within(now.trials())) == 8


def test_what_was_cut_off_is_trained_again_where_it_lies_in_the_new_space_and_else_makes_room(tmp_path: Path) -> None:
    made = created(tmp_path, num_samples=20)
    open_trials = [OpenTrial.proposed(made.search, made.space) for _ in range(8)]
    now = changed(made, space={**SPACE, "x": NARROW})
    again = {trial.number for trial in take_up(now)}
    inside = {trial.number for trial in open_trials if trial.params["x"] <= 1}
    assert again == inside
    assert 0 < len(inside) < 8
    dropped = [trial for trial in now.trials() if trial.ending == "infeasible"]
    assert {trial.number for trial in dropped} == {trial.number for trial in open_trials} - inside
    assert all(OUTSIDE in str(trial.attributes) for trial in dropped)


def test_a_small_space_has_room_for_its_points_beside_the_trials_from_before(tmp_path: Path) -> None:
    made = created(tmp_path)
    y = {"distribution": "choice", "values": [1, 2], "when": {"side": "left"}}
    now = changed(made, space={"side": SIDE, "y": y}, num_samples=99)
    assert infeasible.possible(now, lambda params: True) == 8 + 3


def test_what_no_longer_lies_in_the_space_reaches_no_target_and_its_epochs_count(tmp_path: Path) -> None:
    made = created(tmp_path)
    now = changed(made, space={**SPACE, "x": NARROW}, num_samples=20, target=1.5, patience=20, epoch_budget=99)
    assert made.trials()[0] not in now.within(now.trials())
    assert now.ended_by is None
    told = limits.stopping(now.search, now.config, now.trials(), now.epochs)
    assert (told.trained, told.without) == (16, len(now.within(now.trials())) - 1)


def test_an_expectation_may_be_lost_with_its_hyperparameter_and_no_other_may_come(tmp_path: Path) -> None:
    made = created(tmp_path, prior={"x": 4.0, "y": {"value": 1.0, "confidence": 0.9}})
    narrow: dict[str, Any] = {"space": {**SPACE, "x": NARROW}}
    for prior in ({"x": 0.5}, {"x": 4.0, "side": "left"}):
        with pytest.raises(UserError, match=r"must keep .*prior\..*|prior.x must be"):
            changed(made, space=SPACE, prior=prior)
    now = changed(made, **narrow, prior={"y": {"value": 1.0, "confidence": 0.9}})
    assert list(now.config.prior) == ["y"]
    assert continuation.config_in(continuation.configs_of(now), 0).space == SPACE


def test_start_loses_what_no_longer_lies_in_the_space(tmp_path: Path) -> None:
    made = studies.create(tmp_path, "s", num_samples=8, start=[{"x": 4}, {"x": -1}], space=SPACE)
    made.search.set_user_attr("start", [{"x": 4.0}, {"x": -1.0}])
    now = changed(made, space={**SPACE, "x": NARROW}, start=[{"x": -1}])
    assert now.start == [{}, {"x": -1.0}]

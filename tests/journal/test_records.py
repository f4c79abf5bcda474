"""A trial in the journal: what is written of it is what is read, also where it was trained more than once."""

import json
import math
import re
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search import study
from search.algorithms.proposals import ask
from search.journal.records import OpenTrial, to_json
from search.journal.trial import WHERE, Ending, Trial
from search.spec.objective import Objective
from search.study import Study
from search.tune.searcher import OptunaSearcher
from search.tune.trainable import TRIAL
from search.tune.tuner import Scheduler
from search.views.page import timeline
from tests import studies

HERE = ("vm", 7, 1.5)

MIN = Objective("loss")


@pytest.fixture
def made(tmp_path: Path) -> Study:
    return studies.create(tmp_path, "s", num_samples=1)


def begin(made: Study) -> OpenTrial:
    return OpenTrial(made.search, ask(made.search, made.space))


def train(trial: OpenTrial, values: list[float]) -> None:
    """Record epochs from the first on, as a process reports them."""
    best = None
    for epoch, value in enumerate(values, 1):
        best = value if MIN.is_better(value, best) else best
        trial.add(epoch, {"loss": value, "elapsed_s": float(epoch)}, best)


def killed(made: Study) -> tuple[Study, OpenTrial]:
    """Return the study as the next session opens it, and its trial."""
    again = study.load(made.folder)
    return again, OpenTrial.of(again.search, 0, again.space)


def losses(made: Study) -> list[float]:
    (trial,) = made.trials()
    return [row["loss"] for row in trial.epochs]


@pytest.mark.parametrize("ending", ["complete", "stopped", "diverged"])
@pytest.mark.parametrize("lose", [True, False], ids=["in another process", "in another session"])
def test_of_a_trial_that_is_trained_again_and_ends_sooner_the_last_training_counts(
    ending: Ending, lose: bool, made: Study
) -> None:
    """No curve is of two trainings."""
    trial = begin(made)
    train(trial, [1.0, 2.0, 3.0, 4.0])
    if lose:
        trial.lose()
    else:
        made, trial = killed(made)
    second = [5.0, math.nan if ending == "diverged" else 6.0]
    train(trial, second)
    trial.end(ending)
    assert losses(made) == pytest.approx(second, nan_ok=True)
    (read,) = made.trials()
    assert (read.ending, read.value, read.best_epoch) == (ending, 5.0, 1)


def test_a_trial_whose_process_died_for_the_last_time_keeps_the_longer_of_its_curves(made: Study) -> None:
    """Nothing of it is used but by who looks for what went wrong."""
    trial = begin(made)
    train(trial, [4.0, 3.0, 2.0])
    trial.lose()
    train(trial, [4.0])
    trial.lose()
    trial.end("failed")
    assert losses(made) == [4.0, 3.0, 2.0]


def test_a_best_of_a_training_that_was_lost_is_not_the_next_ones(made: Study) -> None:
    trial = begin(made)
    train(trial, [1.0])
    trial.lose()
    assert (trial.epoch, trial.best) == (0, None)
    trial.end("failed")
    made, again = killed(made)
    assert again.lost == 1


def test_an_epoch_that_is_reported_twice_is_recorded_once(made: Study) -> None:
    """The last result of a trial comes again with its ending."""
    trial = begin(made)
    train(trial, [2.0, 1.0])
    before = (made.folder / "journal.log").read_bytes()
    trial.add(2, {"loss": 9.0, "elapsed_s": 9.0}, 9.0)
    assert (made.folder / "journal.log").read_bytes() == before
    assert (trial.epoch, trial.best) == (2, 1.0)


def test_where_a_trial_is_trained_is_recorded_once_for_each_process(made: Study) -> None:
    """And not with every report: a record is waited for."""
    trial = begin(made)
    for where in (HERE, HERE, ("vm", 8, 2.5), ("vm", 8, 2.5)):
        trial.place(where)
    lines = (made.folder / "journal.log").read_text(encoding="utf-8").splitlines()
    assert sum(WHERE in json.loads(line).get("user_attr", {}) for line in lines) == 2
    assert made.trials()[0].where == ("vm", 8, 2.5)


def test_a_trial_that_goes_on_where_it_was_to_stop_once_is_not_closed_there(made: Study) -> None:
    """Three sessions: one is killed as it stops the trial, one after it has let it go on, one finds it open."""
    trial = begin(made)
    train(trial, [3.0, 2.0])
    trial.stop(3)  # killed before that epoch is recorded
    second, _ = killed(made)
    searcher = OptunaSearcher(second, 0)
    asked = searcher.suggest("a")
    assert asked[TRIAL].number == 0
    for epoch in (1, 2, 3):
        epochs = [(epoch, {"loss": 4.0 - epoch, "elapsed_s": 1.0}, 4.0 - epoch)]
        searcher.on_trial_result("a", {"epoch": epoch, "epochs": epochs, "where": HERE})
    searcher.check()
    third, _ = killed(made)
    assert third.trials()[0].settled(third.epochs, MIN) is None
    assert not OptunaSearcher(third, 0).is_done
    assert third.trials()[0].ending == "running"


@pytest.mark.parametrize(
    ("values", "note", "ending"),
    [
        ([], {}, None),
        ([3.0, 2.0], {}, None),
        ([1.0] * 9, {}, "complete"),
        ([1.0, math.inf], {}, "diverged"),
        ([math.nan], {"failure": "it broke"}, "failed"),
        ([1.0], {"failure": "it broke"}, "failed"),
        ([3.0, 2.0], {"stopped at": 2}, "stopped"),
        ([3.0, 2.0], {"stopped at": 3}, None),
        ([math.nan, 2.0], {"stopped at": 2}, "stopped"),
    ],
)
def test_a_trial_is_closed_by_the_next_session_where_all_of_it_was_recorded(
    values: list[float], note: dict[str, object], ending: Ending | None, made: Study
) -> None:
    trial = begin(made)
    for name, value in note.items():
        trial.note(name, value)
    train(trial, values)
    again, _ = killed(made)
    assert OptunaSearcher(again, 0).is_done == (ending is not None)
    (read,) = again.trials()
    assert read.ending == (ending or "running")
    assert losses(again) == pytest.approx(values, nan_ok=True)


VALUES = st.lists(st.floats(-100, 100) | st.sampled_from([math.nan, math.inf, -math.inf, 1.0]), max_size=12)


@given(VALUES, st.sampled_from(["min", "max"]))
def test_the_best_so_far_is_the_first_of_the_best_finite_values(values: list[float], mode: str) -> None:
    trial = Trial(0, "complete", None, 0, {}, tuple({"loss": value} for value in values), {}, 0.0, 0.0)
    for at, best in enumerate(trial.running_best(Objective("loss", mode))):
        finite = [value for value in values[: at + 1] if math.isfinite(value)]
        assert best == ((min if mode == "min" else max)(finite) if finite else None)


def test_of_equal_values_the_first_epoch_is_the_best_one(made: Study) -> None:
    """Its model is the one that is kept."""
    trial = begin(made)
    train(trial, [2.0, 1.0, 1.0])
    trial.end("complete")
    assert made.trials()[0].best_epoch == 2
    assert not MIN.is_better(1.0, 1.0)
    assert not Objective("loss", "max").is_better(1.0, 1.0)


@given(st.floats())
def test_every_number_is_written_as_any_reader_of_json_takes_it_and_comes_back(value: float) -> None:
    def refuse(name: str) -> None:
        raise AssertionError(name)

    written = json.dumps(to_json(value), allow_nan=False)
    back = float(json.loads(written, parse_constant=refuse))
    assert back == value or (math.isnan(back) and math.isnan(value))


@given(st.lists(st.sampled_from([None, 3.0, 2.0, 1.0]), min_size=1, max_size=9))
def test_a_resume_tells_the_rule_of_epochs_that_lack_the_metric_what_it_was_told_of_them_live(
    values: list[float | None],
) -> None:
    class Told:
        def __init__(self) -> None:
            self.of: list[tuple[int, int, float]] = []

        def goes_on(self, trial: int, epoch: int, loss: float) -> bool:
            self.of.append((trial, epoch, loss))
            return True

    live = Told()
    best: float | None = None
    epochs: list[dict[str, float]] = []
    for epoch, value in enumerate(values, 1):
        epochs.append({"elapsed_s": epoch} if value is None else {"elapsed_s": epoch, "loss": value})
        if value is not None and MIN.is_better(value, best):
            best = value
        assert Scheduler(live, MIN).goes_on(0, epoch, best)
    trial = Trial(0, "complete", best, 0, {}, tuple(epochs), {}, 0.0, 1.0)
    again = Told()
    Scheduler(again, MIN).recall([trial])
    assert again.of == live.of
    assert trial.settled(epochs=9, objective=MIN) in (None, "complete")
    assert trial.points(MIN) == [(epoch, value) for epoch, value in enumerate(values, 1) if value is not None]


def test_a_clock_that_is_set_back_while_a_trial_runs_gives_it_no_negative_time(made: Study) -> None:
    trial = begin(made)
    trial.place(("vm", 7, time.time()))
    train(trial, [1.0, 0.5])
    trial.end("complete")
    file = made.folder / "journal.log"
    text = file.read_text(encoding="utf-8")
    file.write_text(re.sub(r'"datetime_complete":"\d{4}', '"datetime_complete":"2001', text), encoding="utf-8")
    again = study.load(made.folder)
    assert math.isnan(again.trials()[0].seconds)
    (stretch,) = timeline.stretches(again.snapshot())
    assert [(bar["start"], bar["end"]) for bar in stretch] == [(0, 2.0)]  # as long as it has trained

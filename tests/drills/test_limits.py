"""What ends a search: on recorded curves, killed and resumed, and in real searches."""

import dataclasses
import math
import re
from pathlib import Path
from typing import Any

import pytest

from search import study
from search.algorithms.stopping import Reason
from search.continuation import retry_failed
from search.errors import UserError
from search.journal import limits
from search.journal.outcome import finalists
from search.journal.trial import LIMIT
from search.study import Study
from search.tune.infeasible import possible
from search.tune.searcher import OptunaSearcher
from search.views.limits import ending, how_far
from tests import replay, studies
from tests.drills.test_replay import killed, told
from tests.programs import TOY, Done, resume, search
from tests.replay import Clock
from tests.tune.test_searcher import play, result

LIMITS: dict[str, dict[str, Any]] = {
    "epoch_budget": {"epoch_budget": 130},
    "patience": {"patience": 6},
    "target": {"target": 0.0052},
}


def begin(folder: Path, num_samples: int | None = None, **settings: Any) -> Study:
    return replay.create(folder, 1, num_samples, "random", **settings)


def changed(made: Study, **settings: Any) -> Study:
    """Return the study as a session goes on with it that asks for other limits."""
    return made.reconfigured(dataclasses.replace(made.config, **settings))


@pytest.fixture(scope="module", params=[*LIMITS])
def ended(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Study:
    """Return a search of recorded curves, one trial at a time, to its end by one of the limits."""
    made = begin(tmp_path_factory.mktemp("ended"), **LIMITS[request.param])
    list(replay.search(made, replay.recorded(), workers=1))
    assert made.ended_by is not None
    assert made.ended_by.setting == request.param
    return made


def test_it_ends_where_the_limit_is_reached_and_says_by_which(ended: Study) -> None:
    trials = ended.trials()
    by_limit = [trial.number for trial in trials if LIMIT in trial.attributes]
    assert ended.ended_by is not None
    setting = ended.ended_by.setting
    best = min(trial.value for trial in trials if trial.value is not None)
    if setting == "epoch_budget":
        assert sum(len(trial.epochs) for trial in trials) == 130  # to the epoch, where trials run one at a time
    if setting == "target":
        assert trials[-1].value == best <= 0.0052 < min(trial.value or 1 for trial in trials[:-1])
    if setting != "patience":  # which is reached where a trial has ended by itself
        assert by_limit == [len(trials) - 1]
        assert (trials[-1].ending, trials[-1].attributes[LIMIT]) == ("stopped", setting)
    text = ending(ended.ended_by, ended.config)
    assert text.startswith(f"the search ended by {setting}: ")


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9, 0.97, 0.995])
def test_killed_and_resumed_it_ends_at_the_same_trial(share: float, ended: Study, tmp_path: Path) -> None:
    content = (ended.folder / "journal.log").read_bytes()
    made = killed(ended, int(share * len(content)), tmp_path / "killed")
    list(replay.search(made, replay.recorded(), workers=1))
    assert told(made) == told(ended)
    assert made.ended_by == ended.ended_by


def test_under_the_same_limit_it_is_finished_and_under_a_larger_one_it_goes_on(ended: Study, tmp_path: Path) -> None:
    made = killed(ended, (ended.folder / "journal.log").stat().st_size, tmp_path / "copy")
    before = told(made)
    assert list(replay.search(made, replay.recorded(), workers=1)) == []
    larger = {"epoch_budget": 160, "patience": 9, "target": 0.0045}
    assert ended.ended_by is not None
    setting = ended.ended_by.setting
    made = changed(made, **{setting: larger[setting]})
    assert made.ended_by is None
    list(replay.search(made, replay.recorded(), workers=1))
    assert made.ended_by is not None
    assert made.ended_by.setting == setting
    after = told(made)
    assert len(after) > len(before)
    assert before.items() <= after.items()


def test_with_several_workers_what_runs_is_stopped_and_all_is_closed(tmp_path: Path) -> None:
    made = begin(tmp_path, epoch_budget=130)
    list(replay.search(made, replay.recorded(), workers=4))
    trials = made.trials()
    assert {trial.ending for trial in trials} <= {"complete", "stopped"}
    assert 1 <= sum(LIMIT in trial.attributes for trial in trials) <= 4
    assert 130 <= sum(len(trial.epochs) for trial in trials) <= 130 + 3


def test_the_number_of_trials_may_come_first_and_is_said_where_there_are_other_limits(tmp_path: Path) -> None:
    made = begin(tmp_path, 4, epoch_budget=9999)
    list(replay.search(made, replay.recorded(), workers=2))
    assert made.ended_by == Reason("num_samples")
    assert ending(made.ended_by, made.config) == "the search ended by num_samples: it has its 4 trials"
    assert ending(made.ended_by, dataclasses.replace(made.config, epoch_budget=None)) == ""


def test_a_search_without_a_number_ends_where_its_space_is_exhausted(tmp_path: Path) -> None:
    space = {"x": {"distribution": "choice", "values": [1.0, 2.0]}, "y": {"distribution": "choice", "values": [0.0]}}
    made = studies.create(tmp_path, "s", num_samples=None, patience=9, space=space)
    assert made.wanted is None
    assert possible(made, lambda params: params["x"] < 2) == 1
    assert possible(made, lambda params: True) == 2
    made.search.set_user_attr(limits.POSSIBLE, 2)
    searcher = OptunaSearcher(made, 0)
    for name in "ab":
        assert made.ended_by is None
        play(searcher, name, [result(9, 3.0, 3.0, ended=True)])
    assert searcher.is_over
    text = "the search ended by num_samples: the space has no other configuration"
    assert ending(made.ended_by, made.config) == text


def test_seconds_are_counted_over_sessions_without_the_pause_between_them(tmp_path: Path) -> None:
    """On a virtual clock. A kill loses no more than five seconds, or a hundredth."""
    budget = 40.0
    made = begin(tmp_path, time_budget=budget)
    clock = Clock()
    events = replay.search(made, replay.recorded(), 2, clock)
    for _ in events:
        if clock.now > 20:
            break  # killed
    events.close()  # type: ignore[attr-defined]
    made = study.load(made.folder)
    assert made.ended_by is None
    assert 15 <= made.search.user_attrs[limits.SEARCHED] <= clock.now
    later = Clock()
    later.now = 1e6
    list(replay.search(made, replay.recorded(), 2, later))
    assert made.ended_by == Reason("time_budget")
    spent = later.now - 1e6
    assert 20 <= spent <= 25 + 1  # five seconds lost, and what an epoch takes beyond the end
    assert made.search.user_attrs[limits.SEARCHED] == pytest.approx(budget, abs=1)
    assert changed(made, time_budget=2 * budget).ended_by is None
    assert changed(made, time_budget=budget).ended_by == Reason("time_budget")


def test_what_was_cut_off_when_the_limit_had_been_reached_is_closed_with_its_epochs(tmp_path: Path) -> None:
    made = studies.create(tmp_path, "s", num_samples=9, target=1.0)
    studies.add(made, [3.0, 2.0], "stopped")
    studies.add(made, [3.0, 1.0], None)
    studies.add(made, [], None)
    searcher = OptunaSearcher(made, 0)
    searcher.check()
    assert searcher.is_over
    assert [(trial.ending, len(trial.epochs)) for trial in made.trials()] == [
        ("stopped", 2),
        ("stopped", 2),
        ("stopped", 0),
    ]
    assert made.trials()[1].value == 1.0
    assert searcher.progress.best == 1.0
    assert searcher.progress.running == 0
    assert made.ended_by == Reason("target", "in trial 1")
    assert searcher.progress.events[0][0] == (
        "the search ends by target: loss 1 was reached (in trial 1); what runs is stopped"
    )


def test_the_trial_that_reached_the_target_is_retrained_before_worse_ones_that_are_complete(tmp_path: Path) -> None:
    made = studies.create(tmp_path, "s", num_samples=9, target=1.0)
    studies.add(made, [3.0, 2.5], "stopped")
    for depth in (2.0, 3.0):
        studies.add(made, [depth] * 9, "complete")
    trial = studies.add(made, [1.5, 1.0], None)
    trial.stop(2, "target")
    trial.end("stopped")
    assert [each.number for each in finalists(made.trials(), 2, made.config.aims)] == [3, 1]
    assert made.snapshot().saved == pytest.approx(7 / 36)  # of the one that the scheduler stopped, and of no other


def test_trials_that_failed_are_not_trained_again_beyond_the_limit(tmp_path: Path) -> None:
    made = studies.create(tmp_path, "s", num_samples=9, epoch_budget=9)
    studies.add(made, [3.0] * 8, "failed", "it broke")
    assert retry_failed(made) == 1
    made = studies.create(tmp_path, "t", num_samples=9, epoch_budget=9)
    studies.add(made, [3.0], "failed", "it broke")
    studies.add(made, [3.0] * 8, "stopped")
    with pytest.raises(UserError, match=r"but epoch_budget 9 has ended it; ask for more, by --epoch-budget"):
        retry_failed(made)
    assert made.trials()[0].ending == "failed"


def test_a_study_of_before_counts_the_seconds_in_which_its_trials_were_open(tmp_path: Path) -> None:
    made = begin(tmp_path, 3)
    list(replay.search(made, replay.recorded(), workers=1))
    trials = made.trials()
    found = limits.stopping(made.search, made.config, trials, made.epochs).seconds
    made.search.set_user_attr(limits.SEARCHED, 1234.5)
    assert limits.stopping(made.search, made.config, trials, made.epochs).seconds == 1234.5
    assert 0 < found <= trials[-1].started + trials[-1].seconds - trials[0].started


@pytest.mark.parametrize(
    ("settings", "seconds", "text"),
    [
        ({"time_budget": "10m"}, 200.0, "3 of 10 min"),
        ({"time_budget": "90s"}, 95.0, "90 of 90 s"),
        ({"time_budget": "1d"}, 5400.0, "1.5 of 24 h"),
        ({"epoch_budget": 100}, 0.0, "18 of 100 epochs"),
        ({"patience": 2, "epoch_budget": 100}, 0.0, "1 of 2 trials without an improvement"),
        ({"target": 0.0}, 0.0, ""),
    ],
)
def test_how_far_it_is_is_told_by_the_limit_that_is_nearest(
    settings: dict[str, Any], seconds: float, text: str, tmp_path: Path
) -> None:
    made = studies.create(tmp_path, "s", **{**settings, "num_samples": None})
    for depth in (1.0, 2.0):
        studies.add(made, [depth] * 9, "complete")
    searcher = OptunaSearcher(made, 0)
    searcher.limits.stopping.seconds = seconds
    share, said = how_far(searcher.limits.stopping, 2, made.wanted)
    assert said == text
    assert (share is None) == (not text)


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Done, Done]:
    """Return a real search that its epochs ended, and that went on with another limit until its time was over."""
    cwd = tmp_path_factory.mktemp("real")
    config = {**TOY, "num_samples": None, "epoch_budget": 60, "finalists": 1, "seeds": 1}
    first = search(cwd, config, "--no-best")
    searched_s = study.load(cwd / "results" / "s").search.user_attrs[limits.SEARCHED]
    again = resume(cwd, "--epoch-budget", "null", "--time-budget", f"{searched_s + 2}s", "--no-best")
    return cwd, first, again


def test_a_real_search_ends_by_its_epochs_and_goes_on_until_its_time_is_over(real: tuple[Path, Done, Done]) -> None:
    cwd, first, again = real
    for done, setting in ((first, "epoch_budget"), (again, "time_budget")):
        assert done.returncode == 0, done.stdout + done.stderr
        assert f"the search ends by {setting}: " in done.stdout
        assert f"--resume with another {setting} goes on" in done.stdout
        assert "the winner is trial" in done.stdout
    assert "it ends after 60 epochs in all\n" in first.stdout
    assert re.search(r"going on with tests.toy: \d+ trials have ended", again.stdout)
    assert re.search(r"\[\d+ trials, \d+ of \S+ s", again.stdout)
    made = study.load(cwd / "results" / "s")
    assert made.ended_by == Reason("time_budget")
    assert made.search.user_attrs[limits.SEARCHED] >= (made.config.time_budget or math.inf)
    assert {trial.ending for trial in made.trials()} <= {"complete", "stopped"}
    report = (made.folder / "report.html").read_text(encoding="utf-8")
    assert "the search ended by time_budget: it was searched for" in report
    assert f"{len(made.trials())} trials, retrained and judged." in report

"""The processes of a search, kept at its end and taken back: Tune's part is played by hand."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ray import cloudpickle

from search.study import Study
from search.tune.reuse import ProcessReuse, ReuseOverError, ReusingScheduler, ReusingSearcher
from search.tune.searcher import OptunaSearcher
from search.tune.trainable import HANDLE, TRIAL, TrialOrder, Wait
from search.worker.training import Training
from tests.studies import create, judge


class Tune:
    """What Tune does with a search of the toy of two trials and two processes."""

    def __init__(self, made: Study) -> None:
        self.used: list[list[Any]] = []
        self.search = OptunaSearcher(made, 0)
        self.reuse = ProcessReuse(self.search, 2, self.used.append)
        self.searcher = ReusingSearcher(self.reuse)
        self.scheduler = ReusingScheduler(self.reuse, judge(None, made.epochs))
        self.told: dict[str, Any] = {}

    def begin(self, name: str) -> Any:
        """Ask for a trial and give it a process; return what that is told."""
        self.told[name] = self.searcher.suggest(name)[TRIAL]
        self.searcher.on_trial_start(name)
        return self.told[name]

    def train(self, name: str) -> None:
        """Train a trial to its end."""
        training = Training(self.told[name].order)
        result = training.advance(seconds=60)
        training.close()
        self.searcher.on_trial_complete(name, result)

    def hear(self, name: str) -> str:
        """Let a process that waits say where it is; return what the scheduler decides."""
        trial: Any = SimpleNamespace(trial_id=name)
        result = {HANDLE: cloudpickle.dumps(name), "epoch": 0, "value": 0.0}
        self.searcher.on_trial_result(name, result)
        return self.scheduler.on_trial_result(None, trial, result)


@pytest.fixture
def tune(tmp_path: Path) -> Tune:
    return Tune(create(tmp_path, "s", num_samples=2))


def test_a_process_that_waits_is_taken_back_where_a_trial_has_lost_its_own(tune: Tune) -> None:
    first, second = tune.begin("a"), tune.begin("b")
    assert isinstance(first, TrialOrder)
    tune.train("a")
    assert tune.begin("c") == Wait()
    assert tune.hear("c") == "CONTINUE"
    tune.searcher.on_trial_complete("b", None, error=True)
    again = tune.searcher.suggest("d")[TRIAL]
    assert again == second
    assert tune.hear("c") == "STOP"  # "d" may have no place but its own
    tune.searcher.on_trial_complete("c", {})
    tune.told["d"] = again
    tune.searcher.on_trial_start("d")
    tune.reuse.look()
    assert tune.used == []
    tune.train("d")
    assert [tune.begin(name) for name in "ef"] == [Wait(), Wait()]
    assert [tune.hear(name) for name in "ef"] == ["CONTINUE", "CONTINUE"]
    with pytest.raises(ReuseOverError):
        tune.reuse.look()
    assert tune.used == [["e", "f"]]
    assert (first.number, second.number) == (0, 1)


def test_no_more_processes_wait_than_there_are_and_one_that_dies_is_not_replaced(tune: Tune) -> None:
    for name in "ab":
        tune.begin(name)
        tune.train(name)
    assert [tune.begin(name) for name in "cd"] == [Wait(), Wait()]
    assert tune.searcher.suggest("e") is None  # not FINISHED: Tune would end before the processes are used
    tune.searcher.on_trial_complete("c", None, error=True)
    assert tune.searcher.suggest("f") is None
    assert [trial.ending for trial in tune.search._study.trials()] == ["complete", "complete"]


def test_what_using_them_raises_is_kept_and_ends_tunes_loop_all_the_same(tmp_path: Path) -> None:
    """Tune would make another error of it, and a Ctrl-C would be lost."""

    def interrupted(handles: list[Any]) -> None:
        raise KeyboardInterrupt

    tune = Tune(create(tmp_path, "s", num_samples=1))
    tune.reuse = ProcessReuse(tune.search, 1, interrupted)
    tune.searcher = ReusingSearcher(tune.reuse)
    tune.scheduler = ReusingScheduler(tune.reuse, judge(None, 9))
    tune.begin("a")
    tune.train("a")
    tune.begin("b")
    tune.hear("b")
    with pytest.raises(ReuseOverError):
        tune.reuse.look()
    assert isinstance(tune.reuse.error, KeyboardInterrupt)

"""What the searcher tells Optuna, and what the journal then holds. Tune's part is played by hand."""

import math
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState

from search import study
from search.analysis import tables
from search.errors import UserError
from search.journal import records
from search.spec.objective import Objective
from search.study import Study
from search.tune.searcher import OptunaSearcher
from search.tune.trainable import TRIAL
from search.worker.training import Order
from tests.studies import new

X = {"distribution": "uniform", "low": -5, "high": 5}


@pytest.fixture
def made(tmp_path: Path) -> Study:
    return create(tmp_path, "s")


def create(folder: Path, name: str, **change: Any) -> Study:
    values = {
        "workload": "tests.toy",
        "metric": "loss",
        "space": {"x": X, "y": X},
        "output": str(folder),
        "num_samples": 99,
    }
    return new({**values, "output": str(folder), "name": name, **change})


HERE = ("vm", 7, 1.5)
"""Where a result says that it comes from."""


def result(epoch: int, raw: float, best: float | None, **more: Any) -> dict[str, Any]:
    value = best if math.isfinite(raw) else math.nan
    epochs = [(epoch, {"loss": raw, "acc": 0.5, "elapsed_s": epoch}, best)]
    return {"epoch": epoch, "epochs": epochs, "best": best, "value": value, "ended": False, "where": HERE, **more}


def play(searcher: OptunaSearcher, name: str, results: list[dict[str, Any]], error: bool = False) -> None:
    """Report as Tune does: the last result comes with on_trial_complete only."""
    assert searcher.suggest(name) is not None
    for each in results[:-1]:
        searcher.on_trial_result(name, each)
    searcher.on_trial_complete(name, results[-1] if results and not error else None, error)
    assert searcher.error is None


def test_each_ending_reaches_optuna_as_the_table_says(made: Study) -> None:
    searcher = OptunaSearcher(made, 0)
    play(searcher, "a", [result(1, 3.0, 3.0), result(2, 5.0, 3.0), result(3, 2.0, 2.0, ended=True)])
    play(searcher, "b", [result(1, 3.0, 3.0), result(2, 5.0, 3.0)])
    play(searcher, "c", [result(1, 3.0, 3.0), result(2, math.nan, 3.0, ended=True)])
    play(searcher, "d", [result(1, 3.0, 3.0), result(1, 3.0, 3.0, value=math.nan, failure="broke", traceback="Trace")])
    for name in "efg":
        play(searcher, name, [result(1, 3.0, 3.0), result(2, 3.0, 3.0)], error=True)
    states = [trial.state for trial in made.search.trials]
    assert states == [TrialState.COMPLETE, *[TrialState.PRUNED] * 4]
    violated = [name for trial in made.search.trials for name in trial.constraints]
    assert violated == ["diverged", "failed", "failed"]
    trials = made.trials()
    assert [trial.ending for trial in trials] == ["complete", "stopped", "diverged", "failed", "failed"]
    assert [len(trial.epochs) for trial in trials] == [3, 2, 2, 1, 1]
    assert [trial.value for trial in trials] == [2.0, 3.0, 3.0, 3.0, 3.0]
    assert [trial.best_epoch for trial in trials] == [3, 1, 1, 1, 1]
    assert dict(searcher.progress.endings) == {"complete": 1, "stopped": 1, "diverged": 1, "failed": 2}
    assert (searcher.progress.best, searcher.progress.best_trial, searcher.progress.running) == (2.0, 0, 0)
    assert made.log_of(3).read_text(encoding="utf-8") == "Trace\n"
    assert trials[4].attributes["failure"] == "the process that trained it died, 3 times in all"


def test_a_steps_value_is_the_best_so_far_and_the_raw_metrics_are_kept(made: Study) -> None:
    play(OptunaSearcher(made, 0), "a", [result(1, 3.0, 3.0), result(2, 5.0, 3.0), result(3, math.inf, 3.0)])
    (frozen,) = made.search.trials
    assert frozen.intermediate_values == {1: 3.0, 2: 3.0, 3: 3.0}
    (trial,) = made.trials()
    assert [row["loss"] for row in trial.epochs] == [3.0, 5.0, math.inf]
    assert trial.epochs[1] == {"loss": 5.0, "acc": 0.5, "elapsed_s": 2.0}
    assert "NaN" not in (made.folder / "journal.log").read_text(encoding="utf-8")
    assert "Infinity" not in (made.folder / "journal.log").read_text(encoding="utf-8")


def test_the_result_that_only_says_that_a_workload_ended_is_no_epoch(made: Study) -> None:
    play(OptunaSearcher(made, 0), "a", [result(1, 3.0, 3.0), result(2, 2.0, 2.0), result(2, 2.0, 2.0, ended=True)])
    (trial,) = made.trials()
    assert (trial.ending, trial.value, len(trial.epochs)) == ("complete", 2.0, 2)


def visits_beyond_the_cliff(made: Study, **ending: Any) -> int:
    """Return how many of 40 proposals, after 20 to learn from, go where trials end so; the loss falls towards it."""
    searcher = OptunaSearcher(made, 0)
    visits = 0
    for at in range(60):
        values = searcher.suggest(str(at))
        assert values is not None
        x = values[TRIAL].order.values["x"]
        last = result(1, math.nan, None, ended=True, **ending) if x > 1 else result(1, 1 - x, 1 - x, ended=True)
        searcher.on_trial_complete(str(at), last)
        visits += x > 1 and at >= 20
    return visits


@pytest.mark.parametrize("ending", [{}, {"failure": "CUDA out of memory"}])
def test_a_trial_that_diverges_or_raises_teaches_tpe_to_stay_away(ending: dict[str, Any], tmp_path: Path) -> None:
    """Over the seeds 0 to 19: 11 to 22 visits of 40; in Optuna's state FAIL, which teaches nothing, 36 to 40."""
    assert visits_beyond_the_cliff(create(tmp_path, "told"), **ending) <= 22


def test_what_the_workload_refuses_is_never_given_to_a_process(made: Study) -> None:
    searcher = OptunaSearcher(made, 0, lambda params: params["y"] <= params["x"])
    for at in range(20):
        values = searcher.suggest(str(at))[TRIAL].order.values
        assert values["y"] <= values["x"]
        searcher.on_trial_complete(str(at), result(1, values["x"] ** 2, values["x"] ** 2, ended=True))


def proposals(folder: Path, name: str, seed: int, count: int = 15) -> list[dict[str, Any]]:
    searcher = OptunaSearcher(create(folder, name, seed=seed), 0)
    found = []
    for at in range(count):
        values = searcher.suggest(str(at))
        assert values is not None
        found.append(values[TRIAL].order.values)
        loss = values[TRIAL].order.values["x"] ** 2
        searcher.on_trial_complete(str(at), result(1, loss, loss, ended=True))
    return found


def test_the_same_seed_and_history_give_the_same_proposals(tmp_path: Path) -> None:
    first = proposals(tmp_path, "a", 1)
    assert proposals(tmp_path, "b", 1) == first
    other = proposals(tmp_path, "c", 2)
    assert all(one["x"] != two["x"] for one, two in zip(first, other, strict=True))
    assert len({values["x"] for values in first}) == 15


def test_a_proposal_is_the_full_config_with_the_studys_seed(tmp_path: Path) -> None:
    searcher = OptunaSearcher(create(tmp_path, "s", seed=5, fixed={"epochs": 4}), 0.25)
    proposal = searcher.suggest("a")
    assert proposal is not None
    told = proposal[TRIAL]
    assert set(told.order.values) == {"x", "y", "epochs", "seed"}
    assert (told.order.values["seed"], told.order.values["epochs"]) == (5, 4)
    assert told.order == Order("tests.toy", 0.25, Objective("loss"), told.order.values, timeout=None)
    assert told.log == tmp_path / "s" / "logs" / "trial-0000.log"


def test_in_mode_max_the_greatest_value_is_the_best(tmp_path: Path) -> None:
    made = create(tmp_path, "s", mode="max")
    searcher = OptunaSearcher(made, 0)
    play(searcher, "a", [result(1, 1.0, 1.0), result(2, 4.0, 4.0), result(3, 2.0, 4.0, ended=True)])
    assert made.trials()[0].value == 4.0
    assert made.search.best_value == 4.0


def test_an_error_of_the_journal_is_kept_for_the_end_and_asks_for_no_more(
    made: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    searcher = OptunaSearcher(made, 0)
    searcher.suggest("a")
    monkeypatch.setattr(records.OpenTrial, "add", full)
    searcher.on_trial_result("a", result(1, 1.0, 1.0))
    assert isinstance(searcher.error, OSError)
    assert searcher.suggest("b") is None


def test_two_studies_never_share_a_name(tmp_path: Path) -> None:
    create(tmp_path, "s")
    with pytest.raises(UserError, match="a study's name must be new"):
        create(tmp_path, "s")


def test_a_study_opens_again_as_it_was(made: Study) -> None:
    searcher = OptunaSearcher(made, 0)
    play(searcher, "a", [result(1, 3.0, 3.0), result(2, 2.0, 2.0, ended=True)])
    again = study.load(made.folder)
    assert again.config == made.config
    assert again.epochs == 9
    assert again.trials() == made.trials()
    assert optuna.get_all_study_names(again.storage) == ["s"]


def test_the_tables_are_the_journals(made: Study) -> None:
    searcher = OptunaSearcher(made, 0)
    play(searcher, "a", [result(1, 3.0, 3.0), result(2, 2.0, 2.0, ended=True)])
    play(searcher, "b", [result(1, math.nan, None, ended=True)])
    searcher.suggest("c")
    frame = tables.trials(made.trials())
    assert list(frame["state"]) == ["complete", "diverged", "running"]
    assert list(frame["epochs"]) == [2, 1, 0]
    assert frame["value"].isna().tolist() == [False, True, True]
    curves = tables.curves(made.trials())
    assert list(zip(curves["trial"], curves["epoch"], strict=True)) == [(0, 1), (0, 2), (1, 1)]
    made.write_tables()
    assert (made.folder / "trials.csv").read_text(encoding="utf-8").count("\n") == 4


def test_a_study_without_trials_has_empty_tables(made: Study) -> None:
    made.write_tables()
    assert len(tables.trials(made.trials())) == len(tables.curves(made.trials())) == 0


def test_a_folder_that_is_no_study_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"a study is a folder with a journal\.log"):
        study.load(tmp_path)
    (tmp_path / "journal.log").write_text("{}\n", encoding="utf-8")
    with pytest.raises(ValueError, match="must be the journal of a search"):
        study.load(tmp_path)


def test_every_trial_trains_with_the_studys_seed(tmp_path: Path) -> None:
    """Two trials differ in what was sampled, and in nothing else."""
    assert [values["seed"] for values in proposals(tmp_path, "s", 5, count=4)] == [5] * 4


def full(*_: object) -> None:
    raise OSError(28, "No space left on device")


def broken(*_: object) -> None:
    raise OSError(5, "Input/output error")


def test_after_an_error_of_the_journal_nothing_is_written_and_the_first_is_told(
    made: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What would be written behind a gap, when there is room again, would be no history."""
    searcher = OptunaSearcher(made, 0)
    for name in "ab":
        searcher.suggest(name)
    with monkeypatch.context() as patch:
        patch.setattr(records.OpenTrial, "add", full)
        searcher.on_trial_result("a", result(1, 1.0, 1.0))
        patch.setattr(records.OpenTrial, "add", broken)
        searcher.on_trial_result("a", result(2, 1.0, 1.0))
    before = (made.folder / "journal.log").read_bytes()
    searcher.on_trial_result("a", result(3, 1.0, 1.0))
    searcher.on_trial_complete("a", result(9, 1.0, 1.0, ended=True))
    searcher.on_trial_complete("b", None, error=True)
    assert searcher.suggest("c") is None
    assert (made.folder / "journal.log").read_bytes() == before
    with pytest.raises(OSError, match="No space left"):
        searcher.check()


def test_of_two_errors_in_one_write_the_first_is_told(made: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second is what the first has left behind: all that waited is to be written."""
    searcher = OptunaSearcher(made, 0)
    searcher.suggest("a")
    searcher.error = OSError(28, "No space left on device")
    with searcher._writing():
        broken()
    with pytest.raises(OSError, match="No space left"):
        searcher.check()


def test_a_trial_that_tune_drops_without_a_result_stays_open_for_a_later_session(made: Study) -> None:
    searcher = OptunaSearcher(made, 0)
    for name, last in (("a", None), ("b", {"trial_id": "b"})):
        searcher.suggest(name)
        searcher.on_trial_result(name, result(1, 3.0, 3.0))
        searcher.on_trial_complete(name, last)
    searcher.check()
    assert [(trial.ending, len(trial.epochs)) for trial in made.trials()] == [("running", 1)] * 2
    again = OptunaSearcher(study.load(made.folder), 0)
    assert [again.suggest(name)[TRIAL].number for name in "abc"] == [0, 1, 2]


def test_silence_is_counted_from_the_last_report_and_begins_when_the_process_is_there(tmp_path: Path) -> None:
    """A process that dies is a lost one; it is ended for its silence where it had said nothing for epoch_timeout."""
    now = [1000.0]
    made = create(tmp_path, "s", epoch_timeout=10.0, max_failures=9)
    searcher = OptunaSearcher(made, 0, clock=lambda: now[0])

    def died(name: str, *moments: float) -> str:
        """Return what becomes of a trial whose process starts, and then reports, at these, and dies at the last."""
        searcher.suggest(name)
        for at, now[0] in enumerate(moments[:-1]):
            if at == 0:
                searcher.on_trial_start(name)
            else:
                searcher.on_trial_result(name, result(at, 3.0, 3.0))
        now[0] = moments[-1]
        searcher.on_trial_complete(name, None, error=True)
        searcher.check()
        return made.trials()[0].ending

    assert died("never started", 2000.0) == "running"
    assert died("soon", 3000.0, 3009.0) == "running"
    assert died("reports", 4000.0, 4009.0, 4018.0, 4027.0) == "running"
    assert died("silent", 5000.0, 5009.0, 5019.0) == "failed"
    (trial,) = made.trials()
    assert trial.attributes["failure"] == "reported nothing for longer than epoch_timeout (10 s); its process was ended"
    assert trial.attributes["lost"] == 3


def test_a_trial_that_fails_as_its_process_dies_keeps_the_epochs_that_it_had_and_says_how_many(tmp_path: Path) -> None:
    made = create(tmp_path, "s", max_failures=1, num_samples=1)
    searcher = OptunaSearcher(made, 0)
    said = []
    for name in "ab":
        searcher.suggest(name)
        searcher.on_trial_result(name, result(1, 3.0, 3.0))
        searcher.on_trial_result(name, result(2, 2.0, 2.0))
        searcher.on_trial_complete(name, None, error=True)
        said.append(searcher.progress.events[-1][0])
        assert searcher.progress.running == 0
    assert said[0] == "trial 0 lost its process after epoch 2; it will be trained again"
    assert said[1].startswith("trial 0 failed at epoch 2: the process that trained it died, 2 times in all, see ")
    (trial,) = made.trials()
    assert (trial.ending, len(trial.epochs), trial.attributes["lost"]) == ("failed", 2, 2)


def test_a_study_that_goes_on_expects_of_its_trials_what_became_of_those_before(tmp_path: Path) -> None:
    """Forty were stopped at the first rung: so will the other twenty be, though of this session one is known."""
    halving = {"grace_period": 1, "reduction_factor": 3}
    made = create(tmp_path, "s", scheduler=halving, num_samples=60)
    searcher = OptunaSearcher(made, 0)
    for at in range(40):
        searcher.suggest(str(at))
        searcher.on_trial_complete(str(at), result(1, 3.0, 3.0))
    searcher.suggest("open")  # left open, so it has not ended
    searcher.check()
    highs = []
    for each in (made, create(tmp_path, "new", scheduler=halving, num_samples=20)):
        searcher = OptunaSearcher(study.load(each.folder), 0, clock=lambda: 0.0)
        for at in range(2):
            searcher.suggest(str(at))
            searcher.on_trial_complete(str(at), result(1, 3.0, 3.0))
        searcher.forecast.look()
        assert searcher.forecast.left is not None
        highs.append(searcher.forecast.left[1])
    assert highs[0] < highs[1] / 2
    assert highs[0] > 18  # of eighteen that are left, a second each


def test_a_trial_that_lost_its_process_is_expected_to_need_all_its_epochs_again(tmp_path: Path) -> None:
    searcher = OptunaSearcher(create(tmp_path, "s", scheduler=None, num_samples=2), 0, clock=lambda: 0.0)
    play(searcher, "a", [result(epoch, 3.0, 3.0, ended=epoch == 9) for epoch in range(1, 10)])
    searcher.suggest("b")
    for epoch in range(1, 9):
        searcher.on_trial_result("b", result(epoch, 3.0, 3.0))
    searcher.on_trial_complete("b", None, error=True)
    searcher.forecast.look()
    assert searcher.forecast.left is not None
    low, high = searcher.forecast.left
    assert low < 9 < high

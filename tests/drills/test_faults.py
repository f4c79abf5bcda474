"""What goes wrong in a trial costs that trial and nothing else. Real searches on a real Ray."""

import math
import re
from pathlib import Path
from typing import Any

import psutil
import pytest

from search import study
from search.journal.trial import Trial
from search.spec.objective import Objective
from search.study import Study
from search.worker.training import Order, Training
from tests.programs import TOY, X, search
from tests.shared import FAULTS, Finished


@pytest.fixture(scope="module")
def faulty(faulty_search: Finished) -> Study:
    made = study.load(faulty_search.folder)
    assert {trial.params["fault"] for trial in made.trials()} == set(FAULTS)
    return made


def of(made: Study, fault: str) -> list[Trial]:
    return [trial for trial in made.trials() if trial.params["fault"] == fault]


def test_every_fault_costs_its_trial_and_nothing_else(faulty: Study, faulty_search: Finished) -> None:
    done = faulty_search.done
    assert done.stderr == ""
    assert "Traceback" not in done.stdout
    assert "raylet" not in done.stdout
    assert not (faulty_search.cwd / "best.yaml").exists()
    trials = faulty.trials()
    assert len(trials) == 18
    diverge, go_through = ("nan", "inf"), ("", "short", "long", "die once")
    for trial in trials:
        fault = trial.params["fault"]
        if fault in diverge:
            assert trial.ending == "diverged"
            assert [math.isfinite(row["loss"]) for row in trial.epochs] == [True, True, True, False]
            assert trial.value is not None
            assert not trial.may_win
        elif fault in go_through:
            assert trial.ending in ("complete", "stopped"), fault
        else:
            assert trial.ending == "failed", fault
            log = faulty.log_of(trial.number)
            assert f"see {log.relative_to(faulty_search.cwd)}" in done.stdout
            assert trial.attributes["failure"].splitlines()[0] in log.read_text(encoding="utf-8")
    assert {(trial.ending, len(trial.epochs)) for trial in of(faulty, "short")} == {("complete", 4)}
    assert ("complete", 9) in {(trial.ending, len(trial.epochs)) for trial in of(faulty, "long")}


def test_a_process_that_dies_once_costs_one_retry_under_the_trials_own_number(
    faulty: Study, faulty_search: Finished
) -> None:
    assert [trial.number for trial in faulty.trials()] == list(range(18))
    for trial in of(faulty, "die once"):
        assert trial.attributes["lost"] == 1
        assert len(trial.epochs) in (5, 9)
        told = (
            rf"trial {trial.number} lost its process after epoch [012] \(Segmentation fault\); it will be trained again"
        )
        assert re.search(told, faulty_search.done.stdout)  # after as many as it had said
        log = faulty.log_of(trial.number).read_text(encoding="utf-8")
        assert "--- the process that trained this trial died (Segmentation fault); it is trained again\n" in log


def test_a_trial_whose_process_dies_each_time_fails_after_max_failures_retries(faulty: Study) -> None:
    assert {(trial.ending, trial.attributes["failure"]) for trial in of(faulty, "die")} == {
        ("failed", "the process that trained it died, 2 times in all")
    }
    lost = [trial for trial in faulty.trials() if "lost" in trial.attributes]
    assert {trial.params["fault"] for trial in lost} == {"die once", "die"}


def test_a_trial_that_is_silent_for_too_long_fails_also_where_it_hangs_in_c(tmp_path: Path) -> None:
    faults = {"distribution": "choice", "values": ["", "hang", "hang in C"]}
    config = {**TOY, "space": {"x": X, "fault": faults}, "scheduler": None, "epoch_timeout": 1.5}
    done = search(tmp_path, {**config, "sampler": "random", "num_samples": 3}, "--seed", 3)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    made = study.load(tmp_path / "results" / "s")
    trials = made.trials()
    assert {trial.params["fault"] for trial in trials} == {"", "hang", "hang in C"}
    for trial in trials:
        fault, failure = trial.params["fault"], trial.attributes.get("failure", "")
        # A process that hangs in C is ended without a word of the epochs since its last report.
        epochs = {"": 9, "hang": 1, "hang in C": 0}[fault]
        assert (trial.ending, len(trial.epochs)) == ("failed" if fault else "complete", epochs)
        assert ("reported nothing for longer than epoch_timeout (1.5 s)" in failure) == bool(fault)
        if fault:  # the traceback says where it hung
            assert "_misbehave" in made.log_of(trial.number).read_text(encoding="utf-8")


def test_a_search_in_which_every_trial_fails_shows_the_first_traceback_and_exits_1(tmp_path: Path) -> None:
    done = search(tmp_path, {**TOY, "fixed": {"fault": "raise"}, "num_samples": 3, "scheduler": None})
    assert done.returncode == 1
    assert (
        "no winner: a winner must train with a finite loss, but of 3 trials 3 failed; mend what failed" in done.stdout
    )
    assert "retraining the best" not in done.stdout
    assert "trial 0 failed: RuntimeError: the toy broke" in done.stdout
    assert "results/s/logs/trial-0000.log" in done.stdout
    assert re.search(r"Traceback \(most recent call last\):\n(.*\n)+.*RuntimeError: the toy broke", done.stdout)
    assert done.stderr == ""


@pytest.mark.full
def test_a_reference_that_dies_costs_its_column_only(tmp_path: Path) -> None:
    """The defaults have x = 0, beyond the limit; with this seed some of the trials lie below it."""
    config = {**TOY, "fixed": {"fault": "die", "limit": -1.0}, "scheduler": None, "finalists": 1, "max_failures": 0}
    done = search(tmp_path, {**config, "num_samples": 3}, "--seed", 1)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    assert re.search(r"^loss +\S+ ± \S+ +- *$", done.stdout, re.MULTILINE)


DIRTY = {"workload": "tests.dirty", "metric": "loss", "space": {"x": X}, "finalists": 1, "seeds": 1}


def train(x: float) -> list[dict[str, Any]]:
    """Return what each pull of a trial of the dirty workload gives."""
    training = Training(Order("tests.dirty", 0, Objective("loss", "min"), {"x": x, "seed": 7}))
    results = [training.pull() for _ in range(4)]
    training.close()
    return [result["metrics"] for result in results]


def test_a_process_carries_nothing_from_one_trial_into_the_next_but_the_workloads_data() -> None:
    from tests import dirty

    first = train(2.0)
    data = dirty.table["data"]
    memory = psutil.Process().memory_info().rss
    assert [train(2.0) for _ in range(5)] == [first] * 5
    assert psutil.Process().memory_info().rss - memory < 80_000_000  # five trials' cycles would be 400 MB
    assert (dirty.trials, dirty.seen, dirty.settings) == (0, [], {"scale": 1.0})
    assert dirty.table["data"] is data


def test_trials_in_reused_processes_give_what_each_gives_alone(tmp_path: Path) -> None:
    """Stopped trials, too, whose generators are left open."""
    done = search(tmp_path, {**DIRTY, "num_samples": 8, "scheduler": {"grace_period": 2, "reduction_factor": 2}})
    assert done.returncode == 0, done.stdout + done.stderr
    trials = study.load(tmp_path / "results" / "s").trials()
    assert {trial.ending for trial in trials} == {"complete", "stopped"}
    assert {row["left"] for trial in trials for row in trial.epochs} == {1 + 1 + 2 + 2 + 1}
    assert {row["depth"] for trial in trials for row in trial.epochs} == {len(tmp_path.parts)}
    assert len({tuple(row["noise"] for row in trial.epochs[:2]) for trial in trials}) == 1


@pytest.mark.parametrize("fault", ["nan", pytest.param("inf", marks=pytest.mark.full)])
def test_a_trial_that_diverges_late_keeps_its_best_epoch_but_not_the_win(fault: str, tmp_path: Path) -> None:
    """All with x > -3 diverge after three epochs that are better than any other's nine."""
    config = {**TOY, "fixed": {"fault": fault, "limit": -3.0}, "scheduler": None, "num_samples": 10, "finalists": 9}
    done = search(tmp_path, config, "--seed", 2)
    made = study.load(tmp_path / "results" / "s")
    trials = made.trials()
    diverged = [trial for trial in trials if trial.params["x"] > -3]
    others = [trial for trial in trials if trial.params["x"] <= -3]
    assert others
    assert {trial.ending for trial in diverged} == {"diverged"}
    assert min(trial.value or 0 for trial in diverged) < min(trial.value or 0 for trial in others)
    assert {trial.best_epoch for trial in diverged} == {3}
    assert f"the winner is trial {min(others, key=lambda trial: trial.value or 0).number} of s" in done.stdout

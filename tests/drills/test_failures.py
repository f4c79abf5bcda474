"""What a user meets whose workload fails: in a process that has trained others, or everywhere. Real searches."""

from pathlib import Path
from typing import Any

from search import study
from tests import programs
from tests.programs import X, resume, search

ONCE = (
    programs.CONFIG
    + """
import os, sys

def train(config):
    if hasattr(sys, "accelerator") and sys.accelerator != config.x:
        raise ValueError("the accelerator has been set up already, for another configuration")
    sys.accelerator = config.x
    for epoch in range(config.epochs):
        yield {"loss": config.x**2, "pid": os.getpid()}, config.x
"""
)
"""A workload with a state that no isolation knows, as some libraries have it: one configuration a process."""
SETTINGS: dict[str, Any] = {"workload": "once", "metric": "loss", "space": {"x": X}, "num_samples": 4, "finalists": 1}
SETTINGS |= {"seeds": 1, "scheduler": None}


def test_a_workload_that_refuses_a_second_configuration_costs_a_retry_and_then_has_a_process_a_trial(
    tmp_path: Path,
) -> None:
    """Retraining included: with seeds its trials and runs are of other configurations."""
    (tmp_path / "once.py").write_text(ONCE, encoding="utf-8")
    done = search(tmp_path, SETTINGS)
    assert (done.returncode, done.stderr) == (0, "")
    told = "failed at epoch 0 in a process that had trained others: ValueError: the accelerator has been set up already"
    assert told in done.stdout
    assert "does not fail in a fresh process: each trial has its own now (fresh_process: true " in done.stdout
    check(tmp_path)


def test_with_fresh_process_each_trial_and_each_run_of_the_retraining_has_a_process_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "once.py").write_text(ONCE, encoding="utf-8")
    done = search(tmp_path, {**SETTINGS, "num_samples": 3, "fresh_process": True})
    assert (done.returncode, done.stderr) == (0, "")
    assert "fail in" not in done.stdout
    assert "failed at" not in done.stdout
    assert len(check(tmp_path)) == 3 + 2


def check(folder: Path) -> set[float]:
    """Hold that all went well; return the processes that trained."""
    made = study.load(folder / "results" / "s")
    outcome = made.outcome()
    assert outcome is not None
    runs = [run for candidate in outcome.candidates for run in candidate.all_runs]
    trained = [*made.trials(), *runs]
    assert {trial.ending for trial in trained} == {"complete"}
    return {trial.epochs[0]["pid"] for trial in trained}


RIGHT = (
    programs.CONFIG
    + """
def train(config):
    for epoch in range(config.epochs):
        yield {"loss": config.x**2}, None
"""
)
WRONG = RIGHT.replace("config.x", "confg.x")


def test_a_typo_ends_the_search_after_three_trials_and_with_it_mended_those_are_trained_again(tmp_path: Path) -> None:
    file = tmp_path / "typo.py"
    file.write_text(WRONG, encoding="utf-8")
    done = search(tmp_path, {**SETTINGS, "workload": "typo", "num_samples": 12})
    assert (done.returncode, done.stderr) == (1, "")
    told = "no winner: a winner must train with a finite loss, but 3 trials failed in the same way before any went well"
    again = "python -m search.run --resume results/s --allow-changes --retry-failed"
    assert f"{told} (max_same_failures); mend that, and go on with {again}\n" in done.stdout
    assert done.stdout.count("Traceback") == 1
    assert "\nNameError: name 'confg' is not defined" in done.stdout
    failed = study.load(tmp_path / "results" / "s").trials()
    assert len(failed) <= 4  # another may have been trained at the same time
    params = {trial.number: trial.params for trial in failed}
    # Mended, it goes on.
    file.write_text(RIGHT, encoding="utf-8")
    done = resume(tmp_path, "--allow-changes", "--retry-failed")
    assert (done.returncode, done.stderr) == (0, "")
    assert "to be trained again: 3 trials that failed\n" in done.stdout
    trials = study.load(tmp_path / "results" / "s").trials()
    assert [trial.number for trial in trials] == list(range(12))
    assert {trial.ending for trial in trials} == {"complete"}
    assert {number: trials[number].params for number in params} == params

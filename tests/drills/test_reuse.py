"""The processes of a search are used again for its retraining. Real searches on a real Ray."""

from pathlib import Path
from typing import Any

import pytest

from search import study
from search.tune.cluster import count_cpus
from tests import programs
from tests.programs import X, search

WORKLOAD = (
    programs.CONFIG
    + """
    dies: str = ""

import os, signal
from pathlib import Path

def train(config):
    print("process", os.getpid())
    note = Path("died")
    is_first = config.seed == 1 and not note.exists()
    if (config.dies == "always" and config.seed in (1, 2)) or (config.dies == "once" and is_first):
        note.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    for epoch in range(config.epochs):
        yield {"loss": config.x**2 + config.seed + 1 / (epoch + 1)}, config.x

def test(model, config):
    print("process", os.getpid())
    return {"test_loss": model**2}
"""
)
CONFIG: dict[str, Any] = {"workload": "lends", "metric": "loss", "space": {"x": X}, "num_samples": 6, "finalists": 2}


def processes(paths: list[Path]) -> set[str]:
    """Return the ids that a workload printed."""
    lines = [line for path in paths for line in path.read_text(encoding="utf-8").splitlines()]
    return {line for line in lines if line.startswith("process")}


def test_the_best_are_retrained_in_the_processes_of_the_search_and_a_run_that_lost_its_own_gets_a_second_try(
    tmp_path: Path,
) -> None:
    """In the same retraining: a second one would train all runs again, in new processes."""
    (tmp_path / "lends.py").write_text(WORKLOAD, encoding="utf-8")
    done = search(tmp_path, {**CONFIG, "cpus_per_trial": count_cpus() / 3, "fixed": {"dies": "once"}})
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "died").exists()
    made = study.load(tmp_path / "results" / "s")
    (retraining,) = made.others("retraining")
    assert {trial.state.name for trial in retraining.trials} == {"COMPLETE"}
    assert len(retraining.trials) == 2 + 3 + 3
    searched, retrained = processes(list(made.logs.glob("trial-*.log"))), processes([made.logs / "retraining.log"])
    assert searched & retrained
    assert len(searched | retrained) <= 3  # one may have come too late for a trial, but none is new


STALE = (
    programs.CONFIG
    + """
    from_seed: int = 0

import threading

def train(config):
    if config.seed >= config.from_seed:
        threading.Thread(target=threading.Event().wait, name="poller", daemon=True).start()
    pollers = sum(thread.name == "poller" for thread in threading.enumerate())
    for epoch in range(config.epochs):
        yield {"loss": config.x**2, "pollers": pollers}, None
"""
)


@pytest.mark.parametrize("from_seed", [0, 1])
def test_a_process_in_which_a_trial_left_a_thread_trains_no_other_trial_and_that_is_said_once(
    from_seed: int, tmp_path: Path
) -> None:
    """Nor a run of the retraining, which has other seeds: with seed 1 it is the first that leaves one."""
    (tmp_path / "stale.py").write_text(STALE, encoding="utf-8")
    x = {"distribution": "uniform", "low": -1, "high": 1}
    settings = {"workload": "stale", "metric": "loss", "space": {"x": x}, "num_samples": 3, "finalists": 1, "seeds": 2}
    done = search(tmp_path, {**settings, "fixed": {"epochs": 2, "from_seed": from_seed}})
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("a trial left the running thread 'poller' behind in its process") == 1
    made = study.load(tmp_path / "results" / "s")
    outcome = made.outcome()
    assert outcome is not None
    runs = [run for candidate in outcome.candidates for run in candidate.all_runs]
    assert len(runs) == 4
    for trial in [*made.trials(), *runs]:
        assert trial.ending == "complete"
        seed = trial.attributes.get("config", {}).get("seed", 0)
        assert [metrics["pollers"] for metrics in trial.epochs] == [int(seed >= from_seed)] * 2
    if from_seed == 0:
        assert "it left the running thread 'poller' behind" in made.log_of(0).read_text(encoding="utf-8")


@pytest.mark.full
def test_where_all_processes_die_in_the_retraining_new_ones_are_started(tmp_path: Path) -> None:
    (tmp_path / "lends.py").write_text(WORKLOAD, encoding="utf-8")
    done = search(tmp_path, {**CONFIG, "fixed": {"dies": "always"}})
    assert (done.returncode, done.stderr) == (1, "")
    assert "no winner" in done.stdout
    first, second = study.load(tmp_path / "results" / "s").others("retraining")
    assert "finished" not in first.user_attrs
    assert "finished" in second.user_attrs
    assert [trial.state.name for trial in second.trials] == ["PRUNED", "PRUNED", "PRUNED", "COMPLETE", "COMPLETE"]

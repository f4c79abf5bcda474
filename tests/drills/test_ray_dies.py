"""Ray's own processes die under a search: that is said, and the search goes on later. Real processes, killed."""

import re
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from search import study
from tests.programs import ENVIRONMENT, TOY, begin, processes_of, resume, until_gone, until_line, write

SLOW = """
import time
from tests import toy
from tests.toy import Config, test

def train(config):
    for pulled in toy.train(config):
        time.sleep(0.02)
        yield pulled
"""
ENDED = "which ended by itself, as it does where an agent of its own dies (logs/ray.log may say more)"
AGAIN = "what was finished is in results/s; to go on: python -m search.run --resume results/s"
DEATHS = [
    ("raylet/raylet", "raylet, killed by SIGKILL"),
    pytest.param("gcs/gcs_server", "gcs_server, killed by SIGKILL", marks=pytest.mark.full),
    pytest.param("DashboardAgent", f"raylet, {ENDED}", marks=pytest.mark.full),
    pytest.param("RuntimeEnvAgent", f"raylet, {ENDED}", marks=pytest.mark.full),
]


def kill(pid: int, word: str) -> None:
    """Kill the process of Ray's below one whose program, or title, has a word in it."""
    for process in psutil.Process(pid).children(recursive=True):
        if word in process.cmdline()[0]:
            process.kill()
            return
    raise AssertionError(word)


@pytest.mark.parametrize(("word", "told"), DEATHS)
def test_a_search_whose_ray_dies_says_so_in_a_line_ends_and_goes_on_with_no_trial_to_blame(
    word: str, told: str, tmp_path: Path, temporary: Path
) -> None:
    """With max_failures 0 a trial that is taken for lost with its process would have failed."""
    (tmp_path / "slow.py").write_text(SLOW, encoding="utf-8")
    config = {**TOY, "workload": "slow", "num_samples": 10_000, "max_failures": 0}
    with begin(tmp_path, "--config", write(tmp_path, config), "--name", "s", TMPDIR=str(temporary)) as process:
        until_line(process, "  [4/")
        kill(process.pid, word)
        output, errors = process.communicate(timeout=30)
    assert process.returncode == 1, output
    assert errors == f"error: Ray has lost its process {told}; without it nothing is trained; {AGAIN}\n"
    assert list(temporary.iterdir()) == []
    until_gone(temporary)
    folder = tmp_path / "results" / "s"
    made = study.load(folder)
    text = (folder / "best.yaml").read_text(encoding="utf-8")
    assert re.search(r"\(trial \d+(, stopped at epoch \d+)?\); not retrained\n", text)
    assert (folder / "trials.csv").exists()
    trials = made.trials()
    assert {trial.ending for trial in trials} <= {"complete", "stopped", "running"}
    if word.startswith("raylet"):
        done = resume(tmp_path, "--num-samples", len(trials))
        assert (done.returncode, done.stderr) == (0, "")
        trials = study.load(folder).trials()
        assert {trial.ending for trial in trials} <= {"complete", "stopped"}
        assert not any("lost" in trial.attributes for trial in trials)


@pytest.mark.full
@pytest.mark.parametrize("word", ["raylet/raylet", "DashboardAgent"])
def test_a_retraining_whose_ray_dies_has_no_failed_run_and_is_done_again(word: str, tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text(SLOW, encoding="utf-8")
    config = {**TOY, "workload": "slow", "num_samples": 4, "finalists": 1}
    with begin(tmp_path, "--config", write(tmp_path, {**config, "seeds": 300}), "--name", "s") as process:
        until_line(process, ", seed 3: complete")
        kill(process.pid, word)
        output, errors = process.communicate(timeout=30)
    assert process.returncode == 1, output
    assert "again" not in output
    assert errors.startswith("error: Ray has lost its process raylet, ")
    assert errors.endswith(f"; {AGAIN}\n")
    (cut_off,) = study.load(tmp_path / "results" / "s").others("retraining")
    assert {run.state.name for run in cut_off.get_trials()} == {"COMPLETE", "RUNNING"}
    write(tmp_path, {**config, "seeds": 2})
    done = resume(tmp_path, "--config", "search.yaml")
    assert (done.returncode, done.stderr) == (0, "")
    assert "retraining the best and the defaults again, as that was cut off, " in done.stdout


CALLER = """
import os, sys
from pathlib import Path
from threading import Thread
import search
from tests.drills.test_ray_dies import kill
from tests.programs import TOY, until

def strike():
    until(lambda: len(list(Path("results/s/logs").glob("trial-*.log"))) > 3)
    kill(os.getpid(), sys.argv[1])

Thread(target=strike, daemon=True).start()
try:
    search.run({**TOY, "workload": "slow", "num_samples": 10_000, "name": "s"})
except OSError as error:
    print(error)
print(search.run({**TOY, "num_samples": 2, "name": "t"}).name)
"""


@pytest.mark.full
def test_a_caller_whose_raylet_dies_has_an_error_and_searches_again(tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text(SLOW, encoding="utf-8")
    command = [sys.executable, "-c", CALLER, "raylet/raylet"]
    done = subprocess.run(command, cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[0].startswith("Ray has lost its process raylet, killed by SIGKILL; ")
    assert done.stdout.splitlines()[1:] == ["t"]
    assert processes_of(tmp_path) == []

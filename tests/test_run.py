"""The search as a function: from a script with its workload beside it, quiet, and with errors instead of exits."""

import errno
import fcntl
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import ray

import search
from search.algorithms.random_search import Random
from search.algorithms.samplers import SAMPLERS
from search.study import Study
from search.tune import cluster
from tests import programs, studies
from tests.programs import ENVIRONMENT, LEAST

WORKLOAD = (
    programs.CONFIG
    + """
    wait: str = ""

import time
from pathlib import Path

def train(config):
    for epoch in range(config.epochs):
        yield {"loss": config.x**2 + 1 / (epoch + 1)}, config.x
        if config.wait:
            Path(config.wait).touch()
            time.sleep(60)
"""
)
CONFIG = """
CONFIG = {
    "workload": "bowl",
    "metric": "loss",
    "space": {"x": {"distribution": "uniform", "low": -1, "high": 1}},
    "num_samples": 4,
    "finalists": 1,
    "seeds": 1,
    "name": "s",
}
"""
SCRIPT = """
import logging
import sys
import threading
import search

logging.basicConfig(filename="mine.log", filemode="w", level=logging.INFO)
made = []
thread = threading.Thread(target=lambda: made.append(search.run(CONFIG)))
thread.start()
thread.join()
(study,) = made
assert [trial.ending for trial in study.trials()].count("complete") >= 1
assert len(study.trials_dataframe()) == 4
logging.info("a line of the caller's")
again = search.run({**CONFIG, "num_samples": 6}, resume="results/s")
assert len(again.trials()) == 6
assert search.load("results/s").best_config() == again.best_config()
import search.run
assert search.run(resume="results/s").name == "s"
logging.info("another")
assert not {"mlflow", "wandb", "tensorboard", "tensorboardX"} & set(sys.modules)
"""
INTERRUPTED = """
import os
import search

try:
    search.run({**CONFIG, "fixed": {"wait": os.path.abspath("there")}, "output": "her {} 'results'"})
except KeyboardInterrupt as error:
    print(error)
print("the caller goes on")
"""


def start(folder: Path, script: str) -> "subprocess.Popen[str]":
    """Start a script that lies beside its workload, from another folder, its output no terminal."""
    beside = folder / "program"
    beside.mkdir()
    (beside / "bowl.py").write_text(WORKLOAD, encoding="utf-8")
    (beside / "script.py").write_text(CONFIG + script, encoding="utf-8")
    return subprocess.Popen(
        [sys.executable, str(beside / "script.py")],
        cwd=folder,
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_script_searches_goes_on_and_reads_what_came_of_it_and_nothing_is_printed(tmp_path: Path) -> None:
    """From a thread and from the main one; no tracker is imported, as Tune would to count what it is used with."""
    with start(tmp_path, SCRIPT) as process:
        output, errors = process.communicate(timeout=120)
    assert (process.returncode, output, errors) == (0, "", "")
    assert (tmp_path / "results" / "s" / "report.html").is_file()
    mine = (tmp_path / "mine.log").read_text(encoding="utf-8")
    assert mine.splitlines() == ["INFO:root:a line of the caller's", "INFO:root:another"]


def test_an_interrupted_search_raises_and_leaves_its_caller_alive(tmp_path: Path) -> None:
    with start(tmp_path, INTERRUPTED) as process:
        while not (tmp_path / "there").exists():
            assert process.poll() is None, process.communicate()
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (0, "")
    first, second = output.splitlines()
    told = "interrupted; what was finished is in her {} 'results'/s"
    assert first == f"""{told}; to go on: search.run(resume="her {{}} 'results'/s")"""
    assert second == "the caller goes on"


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (None, "run must be given a config, or with resume the folder of a study, but got neither"),
        ({**LEAST, "num_samples": 0}, "num_samples must be >= 1, but got 0"),
        ({**LEAST, "sampler": "grit"}, "unknown sampler 'grit', did you mean 'grid'"),
        ({**LEAST, "sampler": "grid"}, "grid must have a finite number of values for each hyperparameter, but x is"),
        ("nowhere.yaml", "the config file must exist, but there is no file nowhere.yaml"),
        ({**LEAST, "workload": "nowhere"}, "workload 'nowhere' must be an importable module"),
    ],
)
def test_a_mistake_is_raised_and_nothing_is_started(config: object, message: str, tmp_path: Path) -> None:
    given = {**config, "output": str(tmp_path)} if isinstance(config, dict) else config
    with pytest.raises(search.UserError, match=message.replace("(", r"\(")):
        search.run(given)  # type: ignore[arg-type]  # a user may give anything
    assert list(tmp_path.iterdir()) == []


def test_a_sampler_whose_package_is_missing_is_refused_before_anything_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Lacking(Random):
        packages = ("no_such_package",)

    monkeypatch.setitem(SAMPLERS, "lacking", Lacking)
    said = "sampler lacking must have the package no_such_package, but it is not installed: pip install no_such_package"
    with pytest.raises(search.UserError, match=said):
        search.run({**LEAST, "sampler": "lacking", "output": str(tmp_path)})
    assert list(tmp_path.iterdir()) == []


def test_whichever_is_imported_first_search_run_is_the_function_and_the_commands_module() -> None:
    for first in ("import search.run", "from search import run", "from search.run import main", "import search"):
        script = (
            f"{first}\nimport search, search.run, sys\nassert callable(search.run)\nprint(search.run.main.__module__)"
        )
        done = subprocess.run(
            [sys.executable, "-c", script], env=ENVIRONMENT, capture_output=True, text=True, timeout=60
        )
        assert (done.stdout, done.stderr) == ("search.run\n", "")


def refuse_locks(file: object, operation: int) -> None:
    """Stand in for flock on a file system without it."""
    raise OSError(errno.ENOLCK, "No locks available")


def refuse_to_begin(made: Study, share: object, sources: object) -> None:
    """Stand in for what cannot be written when a session begins."""
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize(
    ("target", "name", "stand_in", "message"),
    [
        (fcntl, "flock", refuse_locks, "must take writing and locks, but: .*No locks available"),
        (Study, "begin_session", refuse_to_begin, "No space left"),
        (ray, "is_initialized", lambda: True, "needs a process without a Ray, but this one has one; call ray.shutdown"),
    ],
)
def test_a_start_that_is_refused_leaves_nothing_and_its_name_is_free(
    target: object, name: str, stand_in: object, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched, pytest.raises((search.UserError, OSError), match=message):
        patched.setattr(target, name, stand_in)
        search.run({**LEAST, "name": "s", "output": str(tmp_path)})
    assert list(tmp_path.iterdir()) == []
    studies.create(tmp_path, "s")


def test_a_second_search_in_a_process_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    """Of its Ray, which is one a process, the first to end would be the end of both."""
    message = "a process runs one search at a time, but another of its threads does"
    with cluster.claimed(), pytest.raises(search.UserError, match=message):
        search.run({**LEAST, "name": "s", "output": str(tmp_path)})
    assert list(tmp_path.iterdir()) == []
    with cluster.claimed():
        pass

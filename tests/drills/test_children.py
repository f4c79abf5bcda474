"""A workload that starts processes of its own: it may, in each of Python's ways, and nothing of them is left."""

import os
import signal
from pathlib import Path
from typing import Any

from search import study
from tests import programs
from tests.programs import begin, search, until, write

WORKLOAD = (
    programs.CONFIG.replace("x: float = 0.0", 'kind: str = "Pool"')
    + """
    hold: bool = False

import multiprocessing, os, signal, subprocess, sys, time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

NUMBERS = range(4)
WAIT = "import time; print(14, flush=True); time.sleep(600)"

def square(x):
    return x * x, os.getpid()

class Squares:
    def __len__(self):
        return len(NUMBERS)
    def __getitem__(self, index):
        return square(index)

def sleep(number):
    note(os.getpid())
    time.sleep(600)

def note(pid):
    (Path("notes") / str(pid)).touch()

def work(kind):
    while True:
        if kind.startswith("Pool"):
            with multiprocessing.Pool(2) as pool:
                if kind == "Pool, killed":
                    pool.map_async(sleep, NUMBERS)
                yield pool.map(square, NUMBERS) if kind == "Pool" else [(14, os.getpid())]
        elif kind == "ProcessPoolExecutor":
            with ProcessPoolExecutor(2) as executor:
                yield list(executor.map(square, NUMBERS))
        elif kind.startswith("subprocess"):
            child = subprocess.Popen([sys.executable, "-c", WAIT], stdout=subprocess.PIPE)
            try:
                yield [(int(child.stdout.readline()), child.pid)]
            finally:
                child.terminate()
                child.wait()
        else:
            from torch.utils.data import DataLoader
            loader = DataLoader(Squares(), num_workers=1, batch_size=None, multiprocessing_context=kind)
            yield [(int(value), int(pid)) for value, pid in loader]

def train(config):
    for _, rows in zip(range(config.epochs), work(config.kind)):
        for value, pid in rows:
            note(pid)
        if config.kind.endswith("killed"):
            while len(list(Path("notes").iterdir())) < 2:
                time.sleep(0.02)
            os.kill(os.getpid(), signal.SIGKILL)
        yield {"loss": sum(value for value, pid in rows)}, None
        while config.hold:
            time.sleep(0.1)
"""
)
KINDS = [
    "Pool",
    "ProcessPoolExecutor",
    "fork",
    "spawn",
    "forkserver",
    "subprocess",
    "Pool, killed",
    "subprocess, killed",
]
CONFIG: dict[str, Any] = {"workload": "starts", "metric": "loss", "scheduler": None, "max_failures": 0, "seeds": 1}


def alive(notes: Path) -> list[int]:
    """Return the processes, of those that the workload has noted, that there are."""
    return [int(path.name) for path in notes.iterdir() if Path(f"/proc/{path.name}").exists()]


def prepared(folder: Path) -> Path:
    (folder / "starts.py").write_text(WORKLOAD, encoding="utf-8")
    (folder / "notes").mkdir()
    return folder / "notes"


def test_a_trial_may_start_processes_in_each_of_pythons_ways_and_they_end_with_its_own_however_that_does(
    tmp_path: Path,
) -> None:
    """In the retraining, too. A child that held Ray's sockets would keep Ray from noticing that its parent died."""
    notes = prepared(tmp_path)
    space = {"kind": {"distribution": "choice", "values": KINDS}}
    settings = {**CONFIG, "space": space, "num_samples": len(KINDS), "finalists": 1, "fixed": {"epochs": 2}}
    done = search(tmp_path, settings)
    assert (done.returncode, done.stderr) == (0, "")
    made = study.load(tmp_path / "results" / "s")
    trials = {trial.params["kind"]: trial for trial in made.trials()}
    assert set(trials) == set(KINDS)
    for kind, trial in trials.items():
        if kind.endswith("killed"):
            assert trial.attributes["failure"] == "the process that trained it died"
        else:
            assert [metrics["loss"] for metrics in trial.epochs] == [14.0, 14.0], kind
    outcome = made.outcome()
    assert outcome is not None
    assert all(candidate.is_sound for candidate in outcome.candidates)
    assert len(list(notes.iterdir())) > len(KINDS)
    until(lambda: not alive(notes), 10)


def test_a_search_that_is_stopped_in_the_middle_leaves_no_process_that_a_trial_has_started(tmp_path: Path) -> None:
    notes = prepared(tmp_path)
    space = {"kind": {"distribution": "choice", "values": ["Pool", "subprocess"]}}
    config = write(tmp_path, {**CONFIG, "space": space, "num_samples": 2, "fixed": {"hold": True}})
    with begin(tmp_path, "--config", config, "--name", "s") as process:
        until(lambda: len(alive(notes)) >= 2)
        os.kill(process.pid, signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    until(lambda: not alive(notes), 10)

"""What happens in a worker process: one epoch a pull, and every way in which a workload can break its contract."""

import math
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from search.spec.objective import Objective
from search.worker import metrics, process
from search.worker.training import Order, Training, ending
from tests import toy
from tests.programs import ENVIRONMENT


def pull_all(metric: str = "loss", **values: Any) -> list[dict[str, Any]]:
    training = Training(Order("tests.toy", 0, Objective(metric, "min"), {"x": 3.0, **values}))
    results = [training.pull()]
    while not results[-1]["ended"]:
        results.append(training.pull())
    training.close()
    return results


def test_a_trial_is_trained_to_its_epochs_one_a_pull() -> None:
    results = pull_all(epochs=5)
    assert [each["epoch"] for each in results] == [1, 2, 3, 4, 5]
    assert [each["metrics"]["loss"] for each in results] == [
        toy.loss(toy.Config(x=3.0), epoch) for epoch in range(1, 6)
    ]
    assert ending(results[-1]) == "complete"
    assert [each["elapsed_s"] for each in results] == sorted(each["elapsed_s"] for each in results)


@pytest.mark.parametrize(
    ("fault", "outcome", "epochs", "message"),
    [
        ("short", "complete", 4, None),
        ("long", "complete", 9, None),
        ("nan", "diverged", 4, None),
        ("inf", "diverged", 4, None),
        ("nothing", "failed", 0, "train ended without an epoch; it must yield metrics"),
        ("missing", "failed", 9, "train yields no 'loss', did you mean 'los'?"),
        ("text", "failed", 0, "loss must be a number, but got 'much'"),
        ("raise", "failed", 1, "RuntimeError: the toy broke"),
        ("exit", "failed", 1, "SystemExit: the toy left"),
    ],
)
def test_each_fault_has_its_ending_and_its_message(fault: str, outcome: str, epochs: int, message: str | None) -> None:
    last = pull_all(fault=fault)[-1]
    assert (ending(last), last["epoch"]) == (outcome, epochs)
    assert message is None or message in last["failure"]


def test_a_failure_keeps_its_traceback() -> None:
    assert 'raise RuntimeError("the toy broke")' in pull_all(fault="raise")[-1]["traceback"]


def test_a_config_that_refuses_its_values_is_a_failed_trial() -> None:
    assert "x must be in [-10, 10], but got 99" in pull_all(x=99)[-1]["failure"]


def test_a_diverged_trial_keeps_its_best_finite_value() -> None:
    last = pull_all(fault="nan")[-1]
    assert math.isnan(last["value"])
    assert last["best"] == toy.loss(toy.Config(x=3.0), 3)


def test_a_process_reports_at_rungs_at_the_end_and_once_in_a_while() -> None:
    training = Training(Order("tests.toy", 0, Objective("loss", "min"), {"x": 3.0}))
    steps = [training.advance([1, 3], seconds=60) for _ in range(3)]
    assert [step["epoch"] for step in steps] == [1, 3, 9]
    alone = pull_all(x=3.0)
    epochs = [each for step in steps for each in step["epochs"]]
    assert [(at, metrics["loss"], best) for at, metrics, best in epochs] == [
        (pull["epoch"], pull["metrics"]["loss"], pull["best"]) for pull in alone
    ]
    often = Training(Order("tests.toy", 0, Objective("loss", "min"), {"x": 3.0}))
    assert [len(often.advance(seconds=0)["epochs"]) for _ in range(9)] == [1] * 9


def test_a_process_reports_a_failure_with_the_epochs_before_it() -> None:
    step = Training(Order("tests.toy", 0, Objective("loss", "min"), {"x": 3.0, "fault": "raise"})).advance(seconds=60)
    assert (step["epoch"], len(step["epochs"]), step["failure"]) == (1, 1, "RuntimeError: the toy broke")


def write_workload(folder: Path, name: str, body: str) -> None:
    head = (
        "from dataclasses import dataclass\n@dataclass(frozen=True)\nclass Config:\n  epochs: int = 3; seed: int = 0\n"
    )
    (folder / f"{name}.py").write_text(head + body, encoding="utf-8")


def test_the_value_is_the_best_so_far_not_the_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    write_workload(tmp_path, "jumpy", "def train(c):\n  for loss in (3.0, 1.0, 2.0): yield {'loss': loss}, None\n")
    for mode, expected in (("min", [3.0, 1.0, 1.0]), ("max", [3.0, 3.0, 3.0])):
        training = Training(Order("jumpy", 0, Objective("loss", mode), {}))
        assert [training.pull()["value"] for _ in range(3)] == expected


def test_a_workload_that_cannot_be_imported_in_the_worker_is_a_failure_that_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    write_workload(tmp_path, "breaks_here", "raise RuntimeError('only in the worker')\n")
    result = Training(Order("breaks_here", 0, Objective("loss", "min"), {})).pull()
    assert ending(result) == "failed"
    assert "it raises RuntimeError: only in the worker" in result["failure"]


def test_numbers_of_numpy_and_torch_are_numbers_and_the_rest_is_left_out() -> None:
    import numpy as np
    import torch

    given = {"a": np.float32(0.5), "b": torch.tensor(2.0), "c": 3, "d": "4", "e": None, "f": [1], "g": b"1"}
    assert metrics.read(given, "")[0] == {"a": 0.5, "b": 2.0, "c": 3.0}


def test_closing_ends_the_generator_even_where_it_objects(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(tmp_path)
    body = "def train(c):\n  try: yield {'loss': 1.0}, None\n  finally: open('end', 'w').close(); raise RuntimeError\n"
    write_workload(tmp_path, "stubborn", body)
    training = Training(Order("stubborn", 0, Objective("loss", "min"), {}))
    training.pull()
    training.close()
    assert (tmp_path / "end").exists()


SCRIPT = """
import os, sys
from pathlib import Path
from search.worker import process
for name in ("one", "two", "three"):
    path = Path(sys.argv[1]) / name
    process.redirect_output(path)
    if name != "two":
        print("from python", name)
        os.system(f"echo from a child {name}; echo on the error stream >&2")
    process.remove_if_empty(path)
    if name == "two":  # as a careless workload does
        os.close(1)
        os.close(2)
"""


def test_what_a_trial_prints_goes_to_its_own_file_from_c_too(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", SCRIPT, str(tmp_path)], check=True, timeout=60)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one", "three"]
    lines = (tmp_path / "three").read_text(encoding="utf-8").splitlines()
    assert sorted(lines) == ["from a child three", "from python three", "on the error stream"]


WRITER = """
import sys
from pathlib import Path
from ray._private.utils import open_log
from search.worker import process
sys.stdout, sys.stderr = (open_log(number, unbuffered=True, closefd=False) for number in (1, 2))  # as Ray's workers do
process.redirect_output(Path(sys.argv[1]))
for number in range(5000):
    print("a line of", "several", "pieces", file=sys.stdout if number % 2 else sys.stderr)
"""


def test_processes_that_print_to_one_file_write_whole_lines(tmp_path: Path) -> None:
    log = tmp_path / "retraining.log"
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, str(log)]) for _ in range(3)]
    assert [writer.wait(timeout=60) for writer in writers] == [0, 0, 0]
    lines = log.read_text(encoding="utf-8").splitlines()
    assert len(lines) == 15_000
    assert set(lines) == {"a line of several pieces"}


class FakeCuda:
    """Stands for torch.cuda on a machine with a GPU, which the tests' machine has not."""

    fraction = 1.0

    def is_available(self) -> bool:
        return True

    def set_per_process_memory_fraction(self, fraction: float) -> None:
        self.fraction = fraction


@pytest.mark.parametrize(
    ("gpus", "fraction", "visible"), [(0.25, 0.25, "0"), (1, 1.0, "0"), (2, 1.0, "0"), (0, 1.0, "")]
)
def test_a_trials_tensors_are_held_to_its_share_of_the_gpu(
    gpus: float, fraction: float, visible: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    cuda = FakeCuda()
    monkeypatch.setattr(torch, "cuda", cuda)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    process.prepare.cache_clear()
    Training(Order("tests.toy", gpus, Objective("loss", "min"), {})).pull()
    assert cuda.fraction == fraction
    assert os.environ["CUDA_VISIBLE_DEVICES"] == visible


LOOKS = """
import gc, sys
from search.worker import isolation
before = gc.get_freeze_count()
with isolation.importing():
    import wave
    inside, made = gc.isenabled(), [[] for _ in range(1000)]
first = gc.get_freeze_count()
with isolation.importing():
    import wave
    more = [[] for _ in range(1000)]
print(inside, gc.isenabled(), first - before >= 1000, gc.get_freeze_count() <= first)
"""


def test_no_garbage_is_looked_for_while_a_workload_is_imported_and_what_that_made_is_kept() -> None:
    """Once: where a program's main is called again in its process, garbage would be kept, too, with every call."""
    done = subprocess.run([sys.executable, "-c", LOOKS], env=ENVIRONMENT, capture_output=True, text=True, timeout=60)
    assert (done.stdout.splitlines()[-1], done.stderr) == ("False True True True", "")


def test_a_failure_has_no_value_also_after_epochs_that_had_one() -> None:
    """It is told to the scheduler, at whose rungs it must not be."""
    *_, last = pull_all(fault="raise")
    assert (last["epoch"], math.isnan(last["value"]), last["best"]) == (1, True, toy.loss(toy.Config(x=3.0), 1))


def test_what_depends_on_the_machine_is_settled_before_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    body = (
        "import dataclasses\ndef resolve(c): return dataclasses.replace(c, epochs=2)\n"
        "def train(c):\n  for _ in range(9): yield {'loss': c.epochs}, None\n"
    )
    write_workload(tmp_path, "settles", body)
    training = Training(Order("settles", 0, Objective("loss"), {}))
    assert training.advance(seconds=60)["epochs"][-1][0] == 2
    assert training.config.epochs == 2


def test_a_trial_that_has_ended_holds_neither_model_nor_generator() -> None:
    """They may be gigabytes, and the process goes on to the next trial."""
    training = Training(Order("tests.toy", 0, Objective("loss"), {"x": 3.0}))
    training.pull()
    assert training.model is not None
    training.close()
    assert (training.model, training._yields) == (None, None)


def test_a_time_limit_that_was_kept_leaves_nothing_behind() -> None:
    heard: list[int] = []
    before = signal.signal(signal.SIGALRM, lambda number, frame: heard.append(number))
    try:
        for _ in range(2):
            with process.time_limit(1000.0):
                assert signal.getitimer(signal.ITIMER_REAL)[0] > 900
            assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
        signal.raise_signal(signal.SIGALRM)
        assert heard == [signal.SIGALRM]
    finally:
        signal.signal(signal.SIGALRM, before)


LIMITED = """
import select
from search.worker import process
for seconds in (0.3, None):
    with process.time_limit(seconds):
        pass
select.select([], [], [], 1.8)
print("alive")
"""


def test_a_process_is_not_ended_for_a_limit_that_was_kept() -> None:
    """A second after the limit it would be."""
    done = subprocess.run([sys.executable, "-c", LIMITED], env=ENVIRONMENT, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "alive\n", "")


ELSEWHERE = """
import sys
from pathlib import Path
from search.worker import process
print("before")
process.redirect_output(Path(sys.argv[1]) / "a folder of another machine" / "trial.log")
print("after")
"""


def test_where_a_machine_does_not_have_the_folder_what_is_printed_goes_where_it_went(tmp_path: Path) -> None:
    command = [sys.executable, "-c", ELSEWHERE, str(tmp_path)]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "before\nafter\n", "")


TAKEN_BACK = """
import os, signal, sys
from search.worker import process
signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(1))  # as a worker of Ray's does
process.prepare("tests.toy", 0)
os.kill(os.getpid(), signal.SIGTERM)
"""


def test_a_process_that_is_told_to_end_dies_and_its_workload_raises_nothing() -> None:
    """So that its trial is trained again, as that of any process that is lost."""
    done = subprocess.run([sys.executable, "-c", TAKEN_BACK], env=ENVIRONMENT, check=False)
    assert done.returncode == -signal.SIGTERM


def test_a_process_that_cannot_be_restored_says_so_and_raises_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else it would be the next trial's failure."""
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    training = Training(Order("tests.toy", 0, Objective("loss"), {"x": 0.5}))
    training.pull()
    gone.rmdir()
    assert training.close().startswith("what could not be restored: FileNotFoundError")

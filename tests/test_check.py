"""The check before a search: one screen, the same as JSON, a line a problem with its fix, and nothing left behind.

Most of it runs without Ray: the pool is a stand-in that runs the same jobs in this process.
"""

import dataclasses
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import pytest

from search import check
from search.analysis import measures, problems
from search.analysis.checkup import Checkup, Machine, Problem, Times
from search.analysis.tried import Tried, differences, place_in
from search.spec.config import StudyConfig
from search.tune import cluster
from search.tune.pool import WorkerPool
from search.views import check as view
from search.worker import jobs, process, trial_run
from search.worker.jobs import Drawn, Files, Scores, Shot
from search.worker.training import SILENT, Order
from tests.programs import ENVIRONMENT, LEAST, ROOT, TOY, X, processes_of, short_folder, start, until, write

BOWL = """
from dataclasses import dataclass

@dataclass(frozen=True)
class Config:
    x: float = 0.0
    epochs: int = 3
    seed: int = 0

"""
TRAIN = (
    BOWL
    + "def train(config):\n    for epoch in range(config.epochs):\n        yield {'loss': config.x**2}, [config.x]\n"
)
Run = Callable[..., tuple[int, str]]


class InProcess(WorkerPool):
    """A pool that has this process do all jobs, one after the other."""

    def __init__(self, opened: check.Rehearsal, name: str) -> None:
        config = opened.study.config
        self.log = opened.study.logs / f"{name}.log"
        self.order = Order(config.workload, 0, config.objective, {}, config.epoch_timeout)

    @contextmanager
    def logged(self) -> Iterator[None]:
        with self.log.open("a", encoding="utf-8") as file, redirect_stderr(file), redirect_stdout(file):
            yield

    def ordered(self, values: dict[str, Any]) -> tuple[Order, str]:
        return dataclasses.replace(self.order, values=values), str(self.log)

    def try_out(self, values: list[dict[str, Any]], folder: Path) -> Iterator[tuple[int, Tried, Any]]:
        for index, config in enumerate(values):
            with self.logged():
                tried, model = trial_run.train(*self.ordered(config))
            yield index, tried, model

    def test(self, work: list[tuple[Any, dict[str, Any]]]) -> list[Scores]:
        with self.logged():
            return [jobs.test(*self.ordered(values), model) for model, values in work]

    def package(self, model: Any, values: dict[str, Any]) -> Callable[[], Files]:
        with self.logged():
            files = jobs.package(*self.ordered(values), model)
        return lambda: files

    def draw(self, shots: Sequence[Shot]) -> Callable[[], list[Drawn]]:
        with self.logged():
            drawn = jobs.draw_all(*self.ordered({}), [dataclasses.replace(shots[0], model=0)], shots[0].model)
        return lambda: drawn


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the working folder of a check that needs no Ray."""

    def working(opened: check.Rehearsal) -> AbstractContextManager[Path]:
        return nullcontext(Path())

    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(check.Rehearsal, "working", working)
    monkeypatch.setattr(check.Rehearsal, "pool", lambda opened, name: InProcess(opened, name))
    monkeypatch.setattr(process, "redirect_output", lambda path: None)
    process.prepare.cache_clear()
    monkeypatch.delitem(sys.modules, "bowl", raising=False)
    return tmp_path


@pytest.fixture
def run(here: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Return what checks a workload, given by its source, and returns the exit code and what was printed."""

    def checked(source: str, *flags: str, **settings: Any) -> tuple[int, str]:
        (here / "bowl.py").write_text(source, encoding="utf-8")
        file = write(here / "configs", {**LEAST, "workload": "bowl", **settings})
        code = check.main([str(file), *flags])
        captured = capsys.readouterr()
        return code, captured.out + captured.err

    return checked


def test_the_toy_is_told_of_on_one_screen_which_the_json_holds_too(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[Checkup] = []
    lines = view.lines

    def seen(checkup: Checkup) -> list[str]:
        found.append(checkup)
        return lines(checkup)

    monkeypatch.setattr(view, "lines", seen)
    file = str(write(here / "configs", TOY))
    assert check.main([file]) == 0
    screen = capsys.readouterr().out
    assert len(screen.splitlines()) <= 24
    assert max(map(len, screen.splitlines())) < 80
    # The screen can be made of the JSON, and the program's JSON has the same keys.
    mapping = json.loads(json.dumps(found[0].as_mapping()))
    assert "\n".join(lines(_of_json(mapping))) == screen.rstrip()
    assert check.main(["--config", file, "--json"]) == 0
    assert json.loads(capsys.readouterr().out).keys() == mapping.keys()
    # What it says is so.
    text = " ".join(screen.split())
    for fact in (
        "the module tests.toy: train(config), a generator; takes x, y, fault, limit, folder; uses its test",
        "loss decides, less is better; recorded beside it: epoch_seen",
        "the defaults, twice in one process, 9 epochs: the same to the last bit",
        "test gives test_loss (not shown before the end); save writes model.pt, 32 bytes",
        "12 trials of up to 9 epochs: ",
        "the best 2 once, then the best of them and the defaults with 2 seeds: ",
        "best.yaml",
        "nothing keeps this from being searched",
    ):
        assert fact in text, text
    # Nothing is left.
    assert [path.name for path in here.iterdir()] == ["configs"]


def _of_json(mapping: dict[str, Any]) -> Checkup:
    """Return the Checkup of which a mapping was made."""
    values = {}
    for field in dataclasses.fields(Checkup):
        value = mapping[field.name]
        if field.name == "problems":
            value = [Problem(**problem) for problem in value]
        elif isinstance(value, dict):
            kind = field.type if isinstance(field.type, type) else field.type.__args__[0]  # type: ignore[union-attr]
            value = kind(**value)
        values[field.name] = value
    return Checkup(**values)


LOOP = "def train(config):\n    for epoch in range(config.epochs):\n        "
ERRORS: dict[str, tuple[str, dict[str, Any], str]] = {
    "raises": (
        BOWL + "def train(config):\n    yield {}['q']\n",
        {},
        r"error: every trial that was tried failed: KeyError: 'q' \(bowl\.py, line 11\)",
    ),
    "another metric": (
        TRAIN.replace("'loss'", "'val_loss'"),
        {"metric": "val_los", "mode": "min"},
        "error: every .* failed: train yields no 'val_los', did you mean 'val_loss'",
    ),
    "no epoch": (BOWL + "def train(config):\n    return iter(())\n", {}, "error: .*: train ended without an epoch"),
    "no number": (BOWL + LOOP + "yield {'loss': 'much'}\n", {}, "error: .* failed: loss must be a number, but got 'mu"),
    "diverges": (
        BOWL + LOOP + "yield {'loss': float('nan')}\n",
        {},
        "error: every trial that was tried diverged: loss",
    ),
    "test raises": (
        TRAIN + "def test(model, config):\n    return {'a': model.x}\n",
        {},
        r"error: test raised AttributeError: 'list' object has no attribute 'x' \(bowl\.py, line 14\)",
    ),
    "test gives text": (
        TRAIN + "def test(model, config):\n    return 'good'\n",
        {},
        "error: test raised TypeError: what test returns must be a mapping of numbers by name, but got 'good'",
    ),
    "no model to test": (
        BOWL + LOOP + "yield {'loss': config.x**2}\ndef test(model, config):\n    return {'a': model[0]}\n",
        {},
        "error: test raised TypeError: .*; train yields no model beside its metrics",
    ),
    "save raises": (TRAIN + "def save(model, config, path):\n    1 / 0\n", {}, "error: save raised ZeroDivisionError"),
    "save does nothing": (
        TRAIN + "def save(model, config, path):\n    pass\n",
        {},
        "error: save must write to the pat",
    ),
    "no pickle": (
        BOWL + "import threading\n" + LOOP + "yield {'loss': 1}, threading.Lock()\n"
        "def test(model, config):\n    return {'a': 1}\n",
        {},
        "error: the model must be one that can be pickled, but: TypeError: cannot pickle '_thread.lock' object;",
    ),
}


@pytest.mark.parametrize("name", ERRORS)
def test_what_would_keep_the_search_from_working_is_a_line_and_exit_code_2(name: str, run: Run) -> None:
    source, settings, line = ERRORS[name]
    code, printed = run(source, **settings)
    assert re.search(f"^{line}", printed, re.MULTILINE), printed
    assert (code, "Traceback" in printed) == (2, False)


NOTES: dict[str, tuple[str, dict[str, Any], str]] = {
    "another number each time": (
        BOWL + "import os\n" + LOOP + "yield {'loss': 1 + os.urandom(1)[0]}\n",
        {},
        "the defaults came to another loss the second time.*, with the same seed: seed all that is random",
    ),
    "plot raises": (TRAIN + "def plot(model, config):\n    1 / 0\n", {}, "plot raised ZeroDivisionError.*line 14"),
    "a text beside": (
        BOWL + LOOP + "yield {'loss': 1, 'name': 'a'}\n",
        {},
        "the metric 'name' must be a number to be recorded, but got 'a'",
    ),
    "a test of which one is a text": (
        TRAIN + "def test(model, config):\n    return {'a': 1, 'b': 'x'}\n",
        {},
        "test: b must be a number; left out",
    ),
    "a thread": (
        BOWL + "import threading\ndef train(config):\n"
        "    threading.Thread(target=threading.Event().wait, args=(9,), daemon=True, name='mine').start()\n"
        "    yield {'loss': 1}\n",
        {},
        "a trial leaves the running thread 'mine' behind, so each trial gets a new process.*: end it in train",
    ),
    "some raise": (
        BOWL + LOOP + "yield {'loss': 1 / (config.x == 0)}\n",
        {},
        r"proposal 1, proposal 2 failed, the first with x .*: ZeroDivisionError: .* \(bowl\.py, line 12\)$",
    ),
    "some are infeasible": (
        BOWL + "def train(config):\n    if config.x: raise ValueError('x must be 0')\n    yield {'loss': 1.0}\n",
        {},
        r"proposal 1, proposal 2 infeasible, so a search would propose others, the first with x .*: x must be 0",
    ),
    "the second in a process raises": (
        BOWL + "def train(config):\n    assert not hasattr(Config, 'seen'), 'again'\n    Config.seen = True\n"
        "    yield {'loss': 1}\n",
        {},
        ".* failed, .*AssertionError: again .*; that was in a process that had trained another .*fresh_process: true",
    ),
    "the defaults diverge": (
        BOWL + LOOP + "yield {'loss': config.x or float('inf')}\n",
        {},
        "the defaults diverge: their loss is not finite",
    ),
    "no defaults": (TRAIN.replace("x: float = 0.0", "x: float"), {}, "the winner has no defaults beside it to .*'x'"),
    "a small space": (
        TRAIN,
        {"space": {"x": {"distribution": "choice", "values": [0.5, 1.0]}}},
        "the space has 2 configurations, fewer than the 3 trials asked for",
    ),
    "no rung": (TRAIN, {}, "no trial would be stopped early: .* before the last of 3 epochs; lower its grace_period"),
    "another test": (
        TRAIN + "def test(device, loader, epoch, count):\n    pass\n",
        {},
        r"bowl.test is test\(device, loader, epoch, count\), so it is not used as the workload's test\(model, config\)",
    ),
    "a file in the working folder": (
        TRAIN.replace("    for", "    open('out.pt', 'w').close()\n    for"),
        {},
        "out.pt was written meanwhile: trials that write there overwrite each other's files; let train take a folder",
    ),
    "no GPU": (TRAIN, {"gpus_per_trial": 0.5}, "no GPU on this machine: running on the CPU instead"),
}


@pytest.mark.parametrize("name", NOTES)
def test_what_one_should_know_is_a_line_and_exit_code_0(name: str, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "count_gpus", lambda: 0)
    source, settings, line = NOTES[name]
    code, printed = run(source, **settings)
    assert re.search(f"^note: {line}", printed, re.MULTILINE), printed
    assert code == 0


def test_a_further_objective_that_train_does_not_yield_is_an_error_and_one_that_it_does_is_shown(run: Run) -> None:
    code, printed = run(TRAIN, metric="", mode="", objectives={"loss": "min", "los": "max"}, scheduler="none")
    assert "loss (min) and los (max) decide" in printed
    assert "error: objectives must be metrics that train yields, but no 'los' came" in printed
    assert code == 2


def test_a_metric_that_does_not_come_in_time_is_an_error_though_the_trial_goes_on(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trial_run, "MOST_WITHOUT_S", 0.0)
    code, printed = run(TRAIN, metric="los", mode="min")
    assert (
        "error: metric must be one that train yields, but no 'los' came in the first epoch; did you mean 'lo" in printed
    )
    assert code == 2


def test_trials_that_may_need_more_memory_than_there_is_are_told_of(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "count_memory_bytes", lambda: 10**6)
    code, printed = run(TRAIN)
    assert re.search("note: . trials at once may take . GB of the 0 GB of this machine; train fewer at once", printed)
    assert code == 0


def test_the_best_yaml_that_would_be_replaced_is_named_and_a_folder_of_that_name_is_an_error(
    run: Run, here: Path
) -> None:
    best = here / "best.yaml"
    best.touch()
    code, printed = run(TRAIN)
    assert "best.yaml, which replaces the one that is there" in " ".join(printed.split())
    assert code == 0
    best.unlink()
    best.mkdir()
    code, printed = run(TRAIN)
    assert "error: best.yaml must be a file, or be free, but is a folder; move it away" in printed
    assert code == 2


def test_a_place_that_cannot_be_written_is_an_error(run: Run, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: path != here)  # root may write anywhere
    code, printed = run(TRAIN)
    assert f"error: output must be a folder that can be written, but {here} can not; give another with" in printed
    assert code == 2


def test_scores_of_the_test_part_are_nowhere_to_be_seen(run: Run) -> None:
    source = TRAIN + "def test(model, config):\n    return {'score': 0.123456}\n"
    for flags in ([], ["--json"]):
        code, printed = run(source, *flags)
        assert ("score" in printed, "12345" in printed, code) == (True, False, 0)


@pytest.mark.parametrize(
    ("settings", "flags", "message"),
    [
        ({"metric": 3}, [], "metric must be of type str, but got 3"),
        (
            {"workload": "nowhere"},
            [],
            "workload 'nowhere' must be an importable module, but: No module named 'nowhere'",
        ),
        ({}, ["--name", "configs", "--output", "."], "a study's name must be new, but configs exists"),
        ({"space": {"y": X}}, [], "unknown hyperparameter 'y' of bowl.Config, there are: x, epochs, seed"),
        ({}, ["--num-samples", "0"], "num_samples must be >= 1, but got 0"),
    ],
)
def test_what_a_search_would_refuse_the_check_refuses_also_in_json(
    settings: dict[str, Any], flags: list[str], message: str, run: Run
) -> None:
    code, printed = run(TRAIN, *flags, **settings)
    assert printed.startswith(f"error: {message}")
    assert (code, printed.count("\n")) == (2, 1)
    code, printed = run(TRAIN, *flags, "--json", **settings)
    found = json.loads(printed.splitlines()[0])
    assert (code, found["ok"], found["problems"][0]["is_error"]) == (2, False, True)
    assert found["problems"][0]["text"].startswith(message)


def test_what_a_workload_prints_when_it_is_imported_stands_beside_the_json(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    code, printed = run("print('loading')\n" + TRAIN, "--json")
    first, *others = printed.splitlines()
    assert json.loads(first)["ok"]
    assert (code, others) == (0, ["loading"])


def test_an_epoch_that_is_longer_than_its_time_limit_is_an_error_with_its_fix() -> None:
    """Not of a workload in this process: on a busy machine its time limit would end that."""
    run = Tried(failure=SILENT.format(5))
    assert problems.of_failures({"the defaults": run, "proposal 1": run}) == [
        Problem(
            "every trial that was tried failed: reported nothing for longer than epoch_timeout (5 s); "
            "raise epoch_timeout, or make an epoch shorter",
            is_error=True,
        )
    ]


def test_an_epoch_that_takes_most_of_its_time_limit_is_told_of() -> None:
    run = Tried(elapsed_s=(6.0,), import_s=1.0)
    config: Any = dataclasses.make_dataclass("Config", ["epoch_timeout"])(10.0)
    machine: Any = dataclasses.make_dataclass("Machine", ["address"])("auto")
    (problem,) = problems.of_process([run], None, machine, config, 1)  # type: ignore[arg-type]
    assert problem.text == "the first epoch of a process took 7.0 s of the 10 of epoch_timeout; raise that"


CONFIG = StudyConfig.of({**TOY, "num_samples": 8, "seeds": 3, "scheduler": None})


def times(*runs: Tried, scheduler: Any = None) -> Times:
    """Return the times of 8 trials of 10 epochs, two at once, and of 3 finalists and a reference, after 3 s."""
    config = dataclasses.replace(CONFIG, scheduler=scheduler)
    return measures.times(config, runs, trials=8, epochs=10, at_once=2, candidates=4, chosen_from=3, start_s=3.0)


def test_the_times_are_those_of_the_epochs_that_were_seen() -> None:
    """Where nothing is stopped early they can be reckoned by hand: 4 rounds, and 5 of the retraining's 9 runs."""
    run = Tried(elapsed_s=(6.0, 7.0, 8.0), import_s=2.0, began=1.0, process=("here", 1))
    later = Tried(elapsed_s=(1.0, 2.0), began=9.0, process=("here", 1))
    found = times(run, later)
    assert found.search_s is not None
    low, high = found.search_s
    by_hand_s = 3 + 2 + 5 + 4 * 10
    assert by_hand_s * 0.8 < low < by_hand_s < high < by_hand_s * 1.3
    assert found.retraining_s == pytest.approx((50.0, 50.0), rel=0.01)
    stopped = times(run, later, scheduler="asha").search_s
    assert stopped is not None
    assert stopped[1] < high
    # A process that compiled for a minute, and so came to one epoch only, says nothing of the others.
    compiled = Tried(elapsed_s=(70.0,), began=1.0, process=("here", 2))
    assert times(run, later, compiled).search_s == found.search_s
    # A process a trial costs its start and imports each time.
    left = times(run, dataclasses.replace(later, left="a thread")).search_s
    assert left is not None
    assert left[0] > low + 4 * 7
    assert times(Tried(failure="no")).search_s is None


@pytest.mark.parametrize(
    ("machine", "text"),
    [
        (
            Machine(2, 1.0, 0.0, 2, 2, None, 0, 1e3, None),
            "2 trials: 1 core each, of the 2 cores that this process may use",
        ),
        (
            Machine(4, 2.0, 0.25, 8, 16, 8.0, 1, 1e3, None),
            "4 trials: 0.25 GPU and 2 cores each, of the 1 GPU and the 8 cores that this process may use "
            "(a quota of 8 of 16)",
        ),
        (
            Machine(3, 0.5, 0.0, 2, 4, None, 0, 1e3, None),
            "3 trials: 0.5 cores each, of the 2 cores that this process may use (of 4)",
        ),
        (Machine(1, 1.0, 1.0, 2, 2, None, 1, 1e3, "auto"), "1 trial on the cluster auto, 1 GPU and 1 core each"),
    ],
)
def test_how_many_run_at_once_is_said_with_the_reason(machine: Machine, text: str) -> None:
    assert view._machine(machine) == text


def test_two_runs_differ_by_the_largest_relative_difference_of_an_epoch_that_both_have() -> None:
    nan, inf = float("nan"), float("inf")
    first = Tried(metrics=({"a": 1.0, "b": nan, "c": 0.0, "d": 2.0}, {"a": 2.0, "b": 1.0}, {"a": 9.0}))
    second = Tried(metrics=({"a": 1.0, "b": nan, "c": 0.0}, {"a": 1.5, "b": inf}))
    assert differences(first, second) == {"a": 0.25, "b": inf, "c": 0.0, "d": inf}


def test_the_place_of_a_traceback_is_the_last_file_of_the_users(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ours = Path(problems.__file__)
    text = "\n".join(
        f'  File "{file}", line {line}, in f'
        for line, file in enumerate([ours, tmp_path / "a.py", "/elsewhere/b.py", json.__file__, ours], 1)
    )
    assert place_in(f"Traceback (most recent call last):\n{text}\nValueError") == "/elsewhere/b.py, line 3"
    assert place_in('Traceback (most recent call last):\n  File "a.py", line 3, in f\nValueError') == "a.py, line 3"
    assert place_in("nothing") == ""


def test_the_heart_is_checked_in_processes_of_a_ray_and_nothing_is_left(tmp_path: Path) -> None:
    with short_folder() as temporary:
        done = start("search.check", ROOT / "configs" / "search.yaml", cwd=tmp_path, TMPDIR=str(temporary))
        left = [*temporary.iterdir(), *processes_of(temporary), *tmp_path.iterdir()]
    assert (done.returncode, done.stderr, left) == (0, "", [])
    lines = done.stdout.splitlines()
    assert len(lines) <= 24
    assert max(map(len, lines)) < 80
    assert "the same to the last bit" in " ".join(done.stdout.split())
    assert "plot draws it" in " ".join(done.stdout.split())
    assert lines[-1].endswith("nothing keeps this from being searched")


WAITING = (
    BOWL
    + """
import time
from pathlib import Path

def train(config):
    Path("there").touch()
    time.sleep(60)
    yield {"loss": 1}
"""
)


def test_an_interrupted_check_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "bowl.py").write_text(WAITING, encoding="utf-8")
    file = write(tmp_path, {**LEAST, "workload": "bowl"})
    with short_folder() as temporary:
        command = [sys.executable, "-m", "search.check", str(file), "--json"]
        pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        environment = {**ENVIRONMENT, "TMPDIR": str(temporary)}
        with subprocess.Popen(command, cwd=tmp_path, env=environment, **pipes) as process:
            until((tmp_path / "there").exists)
            process.send_signal(signal.SIGINT)
            output, errors = process.communicate(timeout=60)
        left = [*temporary.iterdir(), *processes_of(temporary)]
    assert (process.returncode, output, errors) == (130, "", "interrupted; nothing was written\n")
    assert left == []
    assert not (tmp_path / "results").exists()

"""Real searches on a real Ray, as a user starts them."""

import json
import math
import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from ruamel.yaml import YAML

from search import cluster, outcome, study
from search.cluster import Share
from search.config import StudyConfig
from search.retrain import finalists
from search.run import main
from search.workload import load
from tests import toy

ROOT = Path(__file__).parent.parent
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "RAY_ADDRESS": "127.0.0.1:1"}  # nobody is there: not to be joined
X = {"distribution": "uniform", "low": -5, "high": 5}
TOY = {
    "workload": "tests.toy",
    "metric": "loss",
    "num_samples": 12,
    "space": {"x": X, "y": X},
    "scheduler": {"grace_period": 1, "reduction_factor": 3},
    "finalists": 2,
    "seeds": 2,
}


Finished = tuple[Path, subprocess.CompletedProcess[str]]


def write(folder: Path, config: dict[str, Any]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    YAML().dump(config, folder / "search.yaml")
    return folder / "search.yaml"


def start(module: str, *arguments: object, cwd: Path, **more: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", module, *map(str, arguments)]
    environment = {**ENVIRONMENT, **more}
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=300)


def search(folder: Path, config: dict[str, Any], *arguments: object, **more: str) -> subprocess.CompletedProcess[str]:
    return start("search.run", "--config", write(folder, config), "--name", "s", *arguments, cwd=folder, **more)


def _wait_until_gone(folder: str) -> None:
    """Ray's own agents and workers notice within a minute that what ran them is dead."""
    deadline = time.monotonic() + 90
    while processes_of(folder) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert processes_of(folder) == []


@pytest.fixture(scope="module")
def temporary() -> Iterator[Path]:
    """Return a folder for temporary files of our own, short enough for Ray's sockets."""
    folder = Path(tempfile.mkdtemp(prefix="t", dir="/tmp"))
    yield folder
    shutil.rmtree(folder)


def processes_of(folder: str) -> list[str]:
    """Return the command lines that name a folder: Ray's own all name their session's."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = entry.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if folder in line:
            found.append(line)
    return found


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, temporary: Path) -> Finished:
    """Return the working folder of one real search of the toy, and what it printed."""
    cwd = tmp_path_factory.mktemp("finished")
    done = search(cwd, TOY, "--num-samples", 14, "--seed", 3, TMPDIR=str(temporary))
    assert done.returncode == 0, done.stdout + done.stderr
    return cwd, done


def test_rays_temporary_folder_is_gone_after_a_clean_end(finished: Finished, temporary: Path) -> None:
    assert list(temporary.iterdir()) == []
    assert processes_of(str(temporary)) == []


def test_a_search_leaves_the_complete_run_folder(finished: Finished) -> None:
    folder = finished[0] / "results" / "s"
    names = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    printed = {name for name in names if re.fullmatch(r"logs/trial-\d{4}\.log", name)}
    assert len(printed) == 14
    pictures = {f"plots/{name}.png" for name in ("curves", "history", "hyperparameters", "importances")}
    best = {f"best/{name}" for name in ("model.pt", "metrics.json", "curves.csv")}
    tables = {"study.yaml", "journal.log", "writer.lock", "trials.csv", "curves.csv", "best.yaml"}
    assert names - printed == pictures | best | tables | {"logs/ray.log", "logs/retraining.log"}
    assert "toy x=" in (folder / "logs" / "trial-0003.log").read_text(encoding="utf-8")


def test_the_terminal_gets_the_story_and_nothing_else(finished: Finished) -> None:
    done = finished[1]
    assert done.stderr == ""
    assert "toy x=" not in done.stdout
    first, *lines = done.stdout.splitlines()
    assert first == f"searching tests.toy: 14 trials of up to 9 epochs, {cluster.count_cpus()} at once, into results/s"
    ended = [line for line in lines if re.match(r"trial \d+ (complete|stopped) at epoch \d: best loss ", line)]
    assert len(ended) == 14
    assert "[14/14]" in ended[-1]
    assert "the winner is trial" in done.stdout
    assert "14 trials: " in done.stdout


def test_every_trial_is_recorded_with_every_epoch_and_the_value_it_really_had(finished: Finished) -> None:
    made = study.load(finished[0] / "results" / "s")
    trials = made.trials()
    assert [trial.number for trial in trials] == list(range(14))
    assert made.config.num_samples == 14
    for trial in trials:
        config = toy.Config(**trial.params, seed=3)
        assert [row["loss"] for row in trial.epochs] == [toy.loss(config, at + 1) for at in range(len(trial.epochs))]
        assert trial.ending == ("complete" if len(trial.epochs) == 9 else "stopped")
        assert len(trial.epochs) in (1, 3, 9)
    assert {trial.ending for trial in trials} == {"complete", "stopped"}
    table = pd.read_csv(made.folder / "trials.csv")
    assert list(table["value"]) == pytest.approx([trial.value for trial in trials])


def test_the_winner_is_the_finalist_with_the_best_mean_and_only_it_and_the_reference_are_tested(
    finished: Finished,
) -> None:
    made = study.load(finished[0] / "results" / "s")
    found = outcome.newest(made)
    assert found is not None
    assert found.winner is not None
    assert found.reference is not None
    names = [f"trial {trial.number}" for trial in finalists(made.trials(), 2, "min")]
    assert [candidate.name for candidate in found.candidates] == [*names, "reference"]
    assert found.winner.name == names[0]
    for candidate in found.candidates:
        assert [run.attributes["config"]["seed"] for run in candidate.runs] == [4, 5]
        tested = candidate in (found.winner, found.reference)
        assert len(candidate.tests.get("test_loss", [])) == (2 if tested else 0)
    x, y = (found.winner.config[name] for name in ("x", "y"))
    assert found.winner.tests["test_loss"] == pytest.approx([(x - 1) ** 2 + y**2] * 2)
    assert found.reference.config == {**vars(toy.Config()), "seed": 4}


def test_best_yaml_is_the_winners_config_under_a_comment_that_says_whose(finished: Finished) -> None:
    cwd, _ = finished
    text = (cwd / "best.yaml").read_text(encoding="utf-8")
    assert text == (cwd / "results" / "s" / "best.yaml").read_text(encoding="utf-8")
    assert re.match(r"# tests\.toy, study s: loss \d+\.\d+ \(trial \d+\); over 2 seeds ", text)
    found = outcome.newest(study.load(cwd / "results" / "s"))
    assert found is not None
    assert found.winner is not None
    values = YAML(typ="safe").load(text)
    assert values == found.winner.best_run("min").attributes["config"]
    kept = (cwd / "results" / "s" / "best" / "model.pt").read_text(encoding="utf-8")
    assert kept == repr({"x": values["x"], "y": values["y"], "epoch": 9})


def test_the_study_says_how_it_was_made(finished: Finished) -> None:
    text = YAML(typ="safe").load(finished[0] / "results" / "s" / "study.yaml")
    assert set(text) == {"config", "sessions"}
    (session,) = text["sessions"]
    assert set(session) == {"share", "time", "versions", "machine", "git"}
    assert (text["config"]["name"], session["share"]["cpus"]) == ("s", 1.0)
    assert StudyConfig.of(text["config"]) == study.load(finished[0] / "results" / "s").config
    assert session["versions"]["ray"]


def test_retraining_and_drawing_can_be_done_again(finished: Finished, tmp_path: Path) -> None:
    shutil.copytree(finished[0] / "results" / "s", tmp_path / "s")
    shutil.rmtree(tmp_path / "s" / "plots")
    shutil.rmtree(tmp_path / "s" / "best")
    drawn = start("search.plot", "s", cwd=tmp_path)
    assert drawn.returncode == 0, drawn.stderr
    assert len(drawn.stdout.splitlines()) == len(list((tmp_path / "s" / "plots").iterdir())) == 4
    done = start("search.retrain", "s", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "the test part has been looked at before" in done.stdout
    assert (tmp_path / "s" / "best" / "model.pt").exists()
    assert len(study.load(tmp_path / "s").others("retraining")) == 2
    assert not (tmp_path / "best.yaml").exists()


def test_every_fault_costs_its_trial_and_nothing_else(tmp_path: Path) -> None:
    faults = ["", "short", "long", "nothing", "nan", "inf", "missing", "text", "raise", "exit"]
    config = {**TOY, "space": {"x": X, "fault": {"distribution": "choice", "values": faults}}, "scheduler": None}
    done = search(tmp_path, config, "--num-samples", 30, "--no-best")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    assert not (tmp_path / "best.yaml").exists()
    made = study.load(tmp_path / "results" / "s")
    expected = {"nan": "diverged", "inf": "diverged", "": "complete", "short": "complete", "long": "complete"}
    trials = made.trials()
    assert len(trials) == 30
    assert {trial.ending for trial in trials} == {"complete", "diverged", "failed"}
    for trial in trials:
        fault = trial.params["fault"]
        assert trial.ending == expected.get(fault, "failed"), fault
        if trial.ending == "failed":
            assert f"see {made.log_of(trial.number).relative_to(tmp_path)}" in done.stdout
            assert trial.attributes["failure"].splitlines()[0] in made.log_of(trial.number).read_text(encoding="utf-8")
        if trial.ending == "diverged":
            assert [math.isfinite(row["loss"]) for row in trial.epochs] == [True, True, True, False]
    assert "Traceback" not in done.stdout


def test_a_worker_that_is_killed_costs_its_trial_and_nothing_else(tmp_path: Path) -> None:
    done = search(tmp_path, {**TOY, "fixed": {"fault": "die", "limit": 0.0}, "scheduler": None})
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    assert "raylet" not in done.stdout
    trials = study.load(tmp_path / "results" / "s").trials()
    dead = [trial for trial in trials if trial.params["x"] > 0]
    assert dead
    assert {(trial.ending, trial.attributes["failure"]) for trial in dead} == {
        ("failed", "the process that trained it died, 3 times in all")
    }
    assert all(trial.ending in ("complete", "stopped") for trial in trials if trial not in dead)


def test_a_search_in_which_every_trial_fails_says_so_and_exits_1(tmp_path: Path) -> None:
    done = search(tmp_path, {**TOY, "fixed": {"fault": "raise"}, "num_samples": 3})
    assert done.returncode == 1
    assert "no winner" in done.stdout
    assert "trial 0 failed: RuntimeError: the toy broke" in done.stdout
    assert "results/s/logs/trial-0000.log" in done.stdout
    assert done.stderr == ""


def test_four_quarter_gpu_trials_run_at_once_and_a_fifth_waits_for_its_gpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a logical GPU, which Ray keeps the books of as of a real one."""
    import ray

    from search import tuning
    from search.sampler import OptunaSearcher

    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    notes = tmp_path / "notes"
    notes.mkdir()
    values = {**TOY, "num_samples": 5, "fixed": {"folder": str(notes)}, "scheduler": None, "name": "s"}
    made = study.create(StudyConfig.of({**values, "output": str(tmp_path)}), load("tests.toy"))
    searcher = OptunaSearcher(made, 0.25)
    seen: list[tuple[int, float]] = []

    def look() -> None:
        running = list(notes.glob("*.running"))
        if searcher.tally.running == 5 and len(running) >= 4 and not seen:
            seen.append((len(running), ray.available_resources().get("GPU", 0.0)))
            (notes / "go").touch()

    node = cluster.Node(cluster.count_cpus(), 1)
    with cluster.Ray(None, node, made.logs / "ray.log").running() as folder:
        tuning.run(made, Share(0.25, 0.25, 5), searcher, folder, look)
    assert seen == [(4, 0.0)]
    assert {note.read_text(encoding="utf-8") for note in notes.glob("*.running")} == {"0"}
    assert [trial.ending for trial in made.trials()] == ["complete"] * 5


HEART = {
    "workload": "heart.train",
    "metric": "val_loss",
    "num_samples": 4,
    "space": {
        "lr": {"distribution": "log_uniform", "low": 0.01, "high": 0.5},
        "hidden1": {"distribution": "int_log_uniform", "low": 4, "high": 16},
    },
    "fixed": {"points": 2000, "epochs": 6, "schedule": "cosine"},
    "finalists": 1,
    "seeds": 2,
}


def test_the_heart_is_searched_and_its_winner_trained_again_to_the_same_curve(tmp_path: Path) -> None:
    done = search(tmp_path, HEART, "--gpus-per-trial", "0.25")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    assert "python -m heart.train --config best.yaml" in done.stdout
    best = tmp_path / "results" / "s" / "best"
    assert {"model.pt", "plot.png"} <= {path.name for path in best.iterdir()}
    again = start("heart.train", "--config", "best.yaml", "--output", "again", cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    (folder,) = (tmp_path / "again").iterdir()
    searched, alone = pd.read_csv(best / "curves.csv"), pd.read_csv(folder / "curves.csv")
    device = YAML(typ="safe").load(tmp_path / "best.yaml")["device"]
    columns = ["epoch", "train_loss", "val_loss", "val_accuracy"]
    assert device in ("cpu", "cuda")
    assert device == "cuda" or searched[columns].equals(alone[columns])
    one, two = (json.loads((at / "metrics.json").read_text(encoding="utf-8")) for at in (best, folder))
    assert one["best_epoch"] == two["best_epoch"]
    assert two["test"]["loss"] in one["over_seeds"]["test_loss"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupted_search_keeps_what_is_finished_and_leaves_nothing_running(
    number: signal.Signals, tmp_path: Path, temporary: Path
) -> None:
    config = write(tmp_path, {**TOY, "num_samples": 10_000})
    command = [sys.executable, "-m", "search.run", "--config", str(config), "--name", "s"]
    environment = {**ENVIRONMENT, "TMPDIR": str(temporary)}
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, cwd=tmp_path, env=environment, **pipes) as process:
        for line in process.stdout or ():
            if line.startswith("trial 3 "):
                break
        assert processes_of(str(temporary)) != []
        process.send_signal(number)
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 128 + number
    again = "to go on: python -m search.run --resume results/s"
    assert errors == f"interrupted; what was finished is in results/s; {again}\n"
    assert list(temporary.iterdir()) == []
    _wait_until_gone(str(temporary))
    trials = study.load(tmp_path / "results" / "s").trials()
    assert sum(trial.ending != "running" for trial in trials) >= 4
    assert len(pd.read_csv(tmp_path / "results" / "s" / "trials.csv")) == len(trials)
    assert not (tmp_path / "best.yaml").exists()


def test_an_interrupted_retraining_says_how_to_do_it_again(tmp_path: Path) -> None:
    config = write(tmp_path, {**TOY, "seeds": 2000})
    command = [sys.executable, "-m", "search.run", "--config", str(config), "--name", "s"]
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, cwd=tmp_path, env=ENVIRONMENT, **pipes) as process:
        for line in process.stdout or ():
            if ", seed 3: complete" in line:
                break
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 128 + signal.SIGTERM
    again = "to go on: python -m search.run --resume results/s"
    assert errors == f"interrupted; what was finished is in results/s; {again}\n"
    made = study.load(tmp_path / "results" / "s")
    assert len(made.others("retraining")) == 1
    assert outcome.newest(made) is None


def test_a_journal_that_was_cut_is_mended_before_a_retraining_writes_to_it(finished: Finished, tmp_path: Path) -> None:
    shutil.copytree(finished[0] / "results" / "s", tmp_path / "s")
    path = tmp_path / "s" / "journal.log"
    path.write_bytes(path.read_bytes()[:-20])
    done = start("search.retrain", "s", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert len(study.load(tmp_path / "s").trials()) == 14


def test_the_greatest_value_wins_in_mode_max_and_best_yaml_is_left_alone_where_asked(tmp_path: Path) -> None:
    done = search(tmp_path, {**TOY, "mode": "max", "scheduler": None, "num_samples": 6, "best": False, "finalists": 9})
    assert done.returncode == 0, done.stdout + done.stderr
    made = study.load(tmp_path / "results" / "s")
    values = {trial.number: trial.value or 0.0 for trial in made.trials()}
    found = outcome.newest(made)
    assert found is not None
    assert found.winner is not None
    assert found.winner.name == f"trial {max(values, key=lambda number: values[number])}"
    assert len(found.candidates) == 7
    assert not (tmp_path / "best.yaml").exists()


def test_a_reference_that_dies_costs_its_column_only(tmp_path: Path) -> None:
    """The defaults have x = 0, beyond the limit; with this seed some of the trials lie below it."""
    config = {**TOY, "fixed": {"fault": "die", "limit": -1.0}, "scheduler": None, "finalists": 1}
    done = search(tmp_path, config, "--seed", 1)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    assert re.search(r"^loss +\S+ ± \S+ +- *$", done.stdout, re.MULTILINE)


def test_on_a_terminal_there_is_one_live_display(tmp_path: Path) -> None:
    """A pseudo-terminal of 60 columns: the display is drawn over itself, and only the story is left behind."""
    config = write(tmp_path, TOY)
    command = [sys.executable, "-m", "search.run", "--config", str(config), "--name", "s"]
    ours, theirs = pty.openpty()
    environment = {**ENVIRONMENT, "COLUMNS": "60", "LINES": "20", "TERM": "xterm"}
    with subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        shown = b""
        while True:
            try:
                part = os.read(ours, 4096)
            except OSError:
                break
            if not part:
                break
            shown += part
        assert process.wait(60) == 0
    os.close(ours)
    text = shown.decode()
    assert "/12 trials" in text
    assert "running · " in text
    assert "stopped early" in text
    assert re.search(r"best loss .*trial \d+: x", text)
    assert not re.search(r"trial \d+ (complete|stopped) at epoch", text)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--config", "none.yaml"], "there is no file none.yaml"),
        (["--num-samples", "0"], "num_samples must be >= 1, but got 0"),
        (["--gpus-per-trial", "-1"], "gpus_per_trial must be 0, 1/k for a whole k, or a whole number, but got -1.0"),
        (["--gpus-per-trial", "nan"], "gpus_per_trial must be finite"),
        (["--cpus-per-trial", "1000"], "cpus_per_trial must be at most this machine's"),
        (["--name", "taken"], "a study's name must be new, but results/taken exists"),
        (["--name", "../up"], "name must be letters"),
        (["--output", "search.yaml"], "output must be a folder, but search.yaml is a file"),
        (["--output", "search.yaml/below"], "output must be a folder"),
        (["--output", "/proc/none"], "output must be a folder that can be written"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2_before_ray_starts(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write(tmp_path, TOY)
    (tmp_path / "results" / "taken").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    assert main(["--config", "search.yaml", *arguments]) == 2
    printed = capsys.readouterr()
    assert printed.err.startswith("error: ")
    assert message in printed.err
    assert printed.err.count("\n") == 1
    assert printed.out == ""
    assert sorted(tmp_path.rglob("*")) == before


def test_without_a_home_for_rays_token_nothing_is_started(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, TOY)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/dev/null")
    assert main(["--config", "search.yaml"]) == 2
    assert "Ray needs a HOME that can be written" in capsys.readouterr().err
    assert not (tmp_path / "results").exists()


def test_a_flag_that_is_no_flag_is_refused_and_none_may_be_shortened() -> None:
    for arguments in (["--num", "3"], ["--num-samples", "x"], ["--lr", "1"]):
        with pytest.raises(SystemExit, match="2"):
            main(arguments)


def test_the_versions_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert re.match(r"search \d+\.\d+\.\d+ \(ray \d+\.", capsys.readouterr().out)

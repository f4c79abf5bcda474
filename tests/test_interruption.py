"""Signals: what was finished is kept and said, nothing is left running, and the study goes on. Real processes."""

import os
import re
import signal
from pathlib import Path

import pandas as pd
import pytest
from ruamel.yaml import YAML

from search import study
from tests.programs import TOY, begin, processes_of, resume, until, until_gone, until_line, write

MANY = {**TOY, "num_samples": 10_000}
AGAIN = "to go on: python -m search.run --resume results/s"


def check_what_is_left(folder: Path) -> None:
    """Tables, pictures aside, and best.yaml are the journal's; the working folder's best.yaml is not touched."""
    made = study.load(folder / "results" / "s")
    trials = made.trials()
    assert sum(trial.ending != "running" for trial in trials) >= 4
    frame = pd.read_csv(made.folder / "trials.csv")
    assert set(frame[frame["state"] != "running"]["trial"]) <= {trial.number for trial in trials}
    text = (made.folder / "best.yaml").read_text(encoding="utf-8")
    assert re.match(r"# tests\.toy, study s: loss \S+ \(trial \d+\); not retrained\n", text)
    assert set(YAML(typ="safe").load(text)) == {"x", "y", "epochs", "seed", "fault", "limit", "folder"}
    assert not (folder / "best.yaml").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupted_search_keeps_what_is_finished_and_leaves_nothing_running(
    number: signal.Signals, tmp_path: Path, temporary: Path
) -> None:
    with begin(tmp_path, "--config", write(tmp_path, MANY), "--name", "s", TMPDIR=str(temporary)) as process:
        until_line(process, "  [4/")
        assert processes_of(temporary) != []
        process.send_signal(number)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert errors == f"interrupted; what was finished is in results/s; {AGAIN}\n"
    assert list(temporary.iterdir()) == []
    until_gone(temporary)
    check_what_is_left(tmp_path)
    made = len(study.load(tmp_path / "results" / "s").trials())
    done = resume(tmp_path, "--num-samples", made)
    assert done.returncode == 0, done.stdout + done.stderr
    trials = study.load(tmp_path / "results" / "s").trials()
    assert len(trials) == made
    assert {trial.ending for trial in trials} == {"complete", "stopped"}


def test_a_sigterm_to_the_whole_group_which_ends_ray_too_loses_nothing(tmp_path: Path, temporary: Path) -> None:
    with begin(tmp_path, "--config", write(tmp_path, MANY), "--name", "s", TMPDIR=str(temporary)) as process:
        until_line(process, "  [4/")
        os.killpg(process.pid, signal.SIGTERM)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGTERM
    assert errors == f"interrupted; what was finished is in results/s; {AGAIN}\n"
    assert list(temporary.iterdir()) == []
    until_gone(temporary)
    check_what_is_left(tmp_path)


def test_a_second_ctrl_c_leaves_at_once_and_the_journal_opens(tmp_path: Path, temporary: Path) -> None:
    """The first is not answered: the process is stopped in the middle of it, so that the second finds it there."""
    with begin(tmp_path, "--config", write(tmp_path, MANY), "--name", "s", TMPDIR=str(temporary)) as process:
        until_line(process, "  [4/")
        process.send_signal(signal.SIGINT)
        while process.poll() is None:
            process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGINT
    assert AGAIN in errors
    until_gone(temporary)
    assert len(study.load(tmp_path / "results" / "s").trials()) >= 4


def test_an_interrupted_retraining_is_done_by_the_resumed_search(tmp_path: Path) -> None:
    with begin(tmp_path, "--config", write(tmp_path, {**TOY, "seeds": 2000}), "--name", "s") as process:
        until_line(process, ", seed 3: complete")
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGTERM
    assert errors == f"interrupted; what was finished is in results/s; {AGAIN}\n"
    made = study.load(tmp_path / "results" / "s")
    assert len(made.others("retraining")) == 1
    assert made.outcome() is None
    assert "not retrained" in (made.folder / "best.yaml").read_text(encoding="utf-8")
    write(tmp_path, TOY)
    done = resume(tmp_path, "--config", "search.yaml")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "the winner is trial" in done.stdout
    assert "trial 11 " not in done.stdout  # nothing is searched again
    assert "looked at before" not in done.stdout
    assert study.load(made.folder).outcome() is not None


SLOW_TO_SAVE = """
import time
from pathlib import Path
from tests.toy import Config, test, train

def save(model, config, path):
    Path("saving").touch()
    while not Path("go").exists():
        time.sleep(0.02)
    path.write_text(repr(model))
"""


def test_a_retraining_that_has_judged_is_not_done_again_after_a_ctrl_c(tmp_path: Path) -> None:
    """The winner's files are being made, and the pictures drawn."""
    (tmp_path / "slow_to_save.py").write_text(SLOW_TO_SAVE, encoding="utf-8")
    config = write(tmp_path, {**TOY, "workload": "slow_to_save"})
    with begin(tmp_path, "--config", config, "--name", "s") as process:
        until((tmp_path / "saving").exists)
        process.send_signal(signal.SIGINT)
        (tmp_path / "go").touch()
        _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (130, f"interrupted; what was finished is in results/s; {AGAIN}\n")
    folder = tmp_path / "results" / "s"
    assert (folder / "best" / "model.pt").exists()
    assert "over 2 seeds" in (folder / "best.yaml").read_text(encoding="utf-8")
    done = resume(tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(study.load(folder).others("retraining")) == 1
    assert (tmp_path / "best.yaml").exists()

"""Signals: what was finished is kept and said, nothing is left running, and the study goes on. Real processes."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from ruamel.yaml import YAML

from search import study
from tests.programs import ENVIRONMENT, TOY, begin, in_shell, processes_of, resume, until, until_gone, until_line, write

MANY = {**TOY, "num_samples": 10_000}
AGAIN = "to go on: python -m search.run --resume results/s"


def check_what_is_left(folder: Path, results: str = "results") -> None:
    """Tables, pictures aside, and best.yaml are the journal's; the working folder's best.yaml is not touched."""
    made = study.load(folder / results / "s")
    trials = made.trials()
    assert sum(trial.ending != "running" for trial in trials) >= 4
    frame = pd.read_csv(made.folder / "trials.csv")
    assert set(frame[frame["state"] != "running"]["trial"]) <= {trial.number for trial in trials}
    text = (made.folder / "best.yaml").read_text(encoding="utf-8")
    whose = r"\(trial \d+(, the defaults)?(, stopped at epoch \d+)?\)"
    assert re.match(rf"# tests\.toy, study s: loss \S+ {whose}; not retrained\n", text)
    assert set(YAML(typ="safe").load(text)) == {"x", "y", "epochs", "seed", "fault", "limit", "folder"}
    assert not (folder / "best.yaml").exists()


OTHERS = [pytest.param(number, marks=pytest.mark.full) for number in (signal.SIGTERM, signal.SIGHUP)]
"""That each is heard as Ctrl-C is, a process that does nothing but listen shows below."""


@pytest.mark.parametrize("number", [signal.SIGINT, *OTHERS])
def test_an_interrupted_search_keeps_what_is_finished_and_leaves_nothing_running(
    number: signal.Signals, tmp_path: Path, temporary: Path
) -> None:
    """What it prints goes on with it in a shell, in whatever folder the study is."""
    results = "the heart's {} results"
    config = write(tmp_path, {**MANY, "output": results})
    with begin(tmp_path, "--config", config, "--name", "s", TMPDIR=str(temporary)) as process:
        until_line(process, "  [4/")
        assert processes_of(temporary) != []
        process.send_signal(number)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    told, _, again = errors.partition("; to go on: ")
    assert told == f"interrupted; what was finished is in {results}/s"
    assert list(temporary.iterdir()) == []
    until_gone(temporary)
    check_what_is_left(tmp_path, results)
    made = len(study.load(tmp_path / results / "s").trials())
    done = in_shell(f"{again.strip()} --num-samples {made}", tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    trials = study.load(tmp_path / results / "s").trials()
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


def test_a_sigterm_while_ray_is_starting_is_answered_as_later(tmp_path: Path, temporary: Path) -> None:
    """Ray's own handler ended the process with exit code 15, or its C++ with SIGABRT."""
    with begin(tmp_path, "--config", write(tmp_path, MANY), "--name", "s", TMPDIR=str(temporary)) as process:
        until((tmp_path / "results" / "s" / "logs" / "ray.log").exists)
        process.send_signal(signal.SIGTERM)
        output, errors = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGTERM, output
    assert errors == "interrupted; no trial had begun, so results/s is not kept\n"
    assert not (tmp_path / "results" / "s").exists()
    assert list(temporary.iterdir()) == []
    until_gone(temporary)


SWALLOWS = """
import time
from pathlib import Path
try:
    Path("importing").touch()
    time.sleep(60)
except BaseException:
    raise ImportError("a library that makes of any exception its own")
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_before_anything_is_made_is_an_interruption_whatever_an_import_makes_of_it(
    number: signal.Signals, tmp_path: Path
) -> None:
    (tmp_path / "swallows.py").write_text(SWALLOWS, encoding="utf-8")
    with begin(tmp_path, "--config", write(tmp_path, {**TOY, "workload": "swallows"})) as process:
        until((tmp_path / "importing").exists)
        process.send_signal(number)
        output, errors = process.communicate(timeout=60)
    assert (process.returncode, output, errors) == (128 + number, "", "interrupted\n")
    assert not (tmp_path / "results").exists()


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
    assert "going on with tests.toy: 12 of 12 trials have ended; " in done.stdout
    assert "retraining the best 2 again, as that was cut off, with another seed" in done.stdout
    assert study.load(made.folder).outcome() is not None


@pytest.mark.full
def test_what_a_killed_search_leaves_in_the_temporary_folder_is_removed_by_the_next(
    tmp_path: Path, temporary: Path
) -> None:
    with begin(tmp_path, "--config", write(tmp_path, MANY), "--name", "s", TMPDIR=str(temporary)) as process:
        until_line(process, "  [4/")
        process.kill()
        process.wait()
        until_gone(temporary)
    (left,) = temporary.iterdir()
    assert left.name.startswith("search-")
    made = len(study.load(tmp_path / "results" / "s").trials())
    done = resume(tmp_path, "--num-samples", made, TMPDIR=str(temporary))
    assert (done.returncode, done.stderr) == (0, "")
    assert list(temporary.iterdir()) == []


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


@pytest.mark.full
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


# From here on a process that does nothing but listen.

HEAD = """
import os, signal, threading
from search import signals
from search.signals import Interrupted, Shutdown
from tests.programs import until

def say(*what):
    print(*what, flush=True)

secured = threading.Event()
made = Shutdown(secured.set, lambda: say("left"))
"""


def run(script: str) -> tuple[int, list[str]]:
    """Return the exit code of a process that runs a script, and what it said."""
    command = [sys.executable, "-c", HEAD + script]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, timeout=60)
    assert done.stderr == ""
    return done.returncode, done.stdout.splitlines()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_wish_is_raised_at_once_and_what_there_is_is_secured_meanwhile(number: signal.Signals) -> None:
    script = f"""
with made.listening():
    try:
        signal.raise_signal({number:d})
        say("went on")
    except Interrupted:
        secured.wait()
        say("interrupted", made.exit_code)
"""
    assert run(script) == (0, [f"interrupted {128 + number}"])


HELD = """
with made.listening():
    with made.held():
        made.check()
        signal.raise_signal(signal.SIGTERM)
        secured.wait()
        say("went on")
        try:
            made.check()
        except Interrupted:
            say("interrupted")
again = Shutdown(lambda: None, lambda: None)
with again.listening():
    with again.held():
        pass
    try:
        signal.raise_signal(signal.SIGTERM)
    except Interrupted:
        say("at once")
"""


def test_a_wish_that_is_held_waits_for_the_next_check_and_no_longer_than_it_is_held() -> None:
    assert run(HELD) == (0, ["went on", "interrupted", "at once"])


TWO = """
signals.ONE_WISH_S = 60
with made.listening():
    try:
        signal.raise_signal(signal.SIGINT)
    except Interrupted:
        say("interrupted")
    signal.raise_signal(signal.SIGTERM)
    secured.wait()
    say("went on", made.exit_code)
"""


def test_two_signals_in_a_moment_are_one_wish_and_the_first_gives_the_exit_code() -> None:
    """`timeout` sends two."""
    assert run(TWO) == (0, ["interrupted", "went on 130"])


SECOND = """
signals.ONE_WISH_S = -1
signals.PATIENCE_S = 60
endless = threading.Event()
made = Shutdown(lambda: (say("securing"), secured.set(), endless.wait()), lambda: say("left"))
with made.listening(), made.held():
    signal.raise_signal(signal.SIGTERM)
    secured.wait()
    signal.raise_signal(signal.SIGINT)
    endless.wait()
"""


def test_a_second_wish_ends_the_process_at_once_whatever_it_is_doing() -> None:
    """The main thread sits somewhere, and what is there cannot be secured."""
    assert run(SECOND) == (128 + signal.SIGTERM, ["securing", "left"])


PATIENCE = """
signals.PATIENCE_S = 0.05
with made.listening(), made.held():
    signal.raise_signal(signal.SIGTERM)
    threading.Event().wait()
"""


def test_a_process_whose_main_thread_does_not_leave_is_ended_when_all_is_secured() -> None:
    assert run(PATIENCE) == (128 + signal.SIGTERM, ["left"])


FAILED = """
signals.PATIENCE_S = 0.05
with made.listening(), made.held():
    threading.Thread(target=made.fail).start()
    threading.Event().wait()
"""


def test_a_process_whose_main_thread_waits_for_what_is_dead_is_ended_with_exit_code_1_when_all_is_secured() -> None:
    assert run(FAILED) == (1, ["left"])


FAILED_TOO = """
signals.PATIENCE_S = 60
with made.listening():
    with made.held():
        signal.raise_signal(signal.SIGTERM)
        made.fail()
        secured.wait()
    try:
        made.check()
    except Interrupted:
        say("interrupted", made.exit_code)
"""


def test_a_signal_that_ends_what_the_process_waits_for_as_well_is_one_wish() -> None:
    """SIGTERM to the whole group ends Ray, too."""
    assert run(FAILED_TOO) == (0, ["interrupted 143"])


BACK = """
heard, told = os.pipe()
os.set_blocking(told, False)
signal.set_wakeup_fd(told)
before = [signal.getsignal(number) for number in signals.SIGNALS]

def secure():
    try:
        until(lambda: signal.getsignal(signal.SIGINT) is before[0], seconds=0.3)
    except AssertionError:
        secured.set()  # it is not given back while this goes on

made = Shutdown(secure, None)
with made.listening():
    try:
        signal.raise_signal(signal.SIGINT)
    except Interrupted:
        pass
say(secured.is_set(), [signal.getsignal(number) for number in signals.SIGNALS] == before)
say(signal.set_wakeup_fd(-1) == told)
"""


def test_the_signals_are_given_back_when_all_is_secured() -> None:
    assert run(BACK) == (0, ["True True", "True"])


ENDING = """
with made.listening():
    try:
        signal.raise_signal(signal.SIGINT)
    except Interrupted:
        pass
signal.raise_signal(signal.SIGINT)
signal.raise_signal(signal.SIGTERM)
say("last words")
"""


def test_a_program_that_a_signal_is_ending_says_its_last_words_whatever_comes_then() -> None:
    assert run(ENDING) == (0, ["last words"])


NOHUP = """
signal.signal(signal.SIGHUP, signal.SIG_IGN)
with made.listening():
    signal.raise_signal(signal.SIGHUP)
    made.check()
    say("went on")
"""


def test_a_hangup_that_nohup_has_the_process_ignore_is_ignored() -> None:
    assert run(NOHUP) == (0, ["went on"])


OTHER = """
signal.signal(signal.SIGUSR1, lambda number, frame: say("heard"))
with made.listening():
    signal.raise_signal(signal.SIGUSR1)
say(secured.is_set())
"""


def test_a_signal_that_is_no_wish_is_not_taken_for_one() -> None:
    assert run(OTHER) == (0, ["heard", "False"])

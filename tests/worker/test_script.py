"""A script that is trained: real processes, what they print, and every way in which they end or are ended."""

import json
import math
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from search.spec.command import Command
from search.spec.objective import Objective
from search.spec.template import GIVEN
from search.worker import keeper, script
from search.worker.training import Order, Training, ending
from tests.programs import ENVIRONMENT, in_shell, search, until

HALF = '{"loss": 0.5}'
REPORT = r"loss[=: ]+(?P<loss>\S+)|acc (?P<acc>\S+)"


def command_of(code: str, report: str | None = None, **values: Any) -> Command:
    """Return a command that runs code of a shell, whose $1, $2, ... are the values."""
    line = f"sh -c {shlex.quote(code.replace('{', '{{').replace('}', '}}'))} sh"
    words = [line, *(f"{{{name}}}" for name in values)]
    names = [name for name in values if name not in GIVEN]
    return Command(" ".join(words), (*names, "epochs", "seed"), report=report, metric="loss")


def training_of(code: str, epochs: int = 3, timeout: float | None = None, **more: Any) -> Training:
    values = {"seed": 0, "epochs": epochs}
    return Training(Order(command_of(code, **more), 0, Objective("loss", "min"), values, timeout))


def pull_all(code: str, epochs: int = 3, **more: Any) -> list[dict[str, Any]]:
    """Train to the end; return the result of each pull."""
    training = training_of(code, epochs, **more)
    results = [training.pull()]
    while not results[-1]["ended"]:
        results.append(training.pull())
    training.settle(results[-1])
    assert training.close() == ""
    return results


def printing(*lines: str) -> str:
    return "\n".join(f"printf '%b\\n' {shlex.quote(line)}" for line in lines)


def losses(results: list[dict[str, Any]]) -> list[float]:
    return [result["metrics"]["loss"] for result in results]


def is_gone(number: int) -> bool:
    try:
        return psutil.Process(number).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def numbers_in(path: Path) -> list[int]:
    """Return the process numbers that a script has written, when it has written all."""
    until(lambda: path.exists() and path.read_text(encoding="ascii").endswith("end\n"))
    return list(map(int, path.read_text(encoding="ascii").split()[:-1]))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    for process in psutil.process_iter(["cmdline"]):  # what a test that fails would leave
        if str(tmp_path) in (process.info["cmdline"] or []):
            process.kill()


def test_a_list_that_has_its_default_is_given_to_a_script_as_any_other() -> None:
    code = "echo $1 | tr -d '[]' | sed 's/.*/{\"loss\": &}/'"
    line = command_of(code, hidden=None)
    source = Command(line.line, line.names, (("hidden", (8,)), ("seed", 0), ("epochs", 1)), metric="loss")
    for hidden in ([8], [9]):
        values = {"hidden": hidden, "seed": 0, "epochs": 1}
        training = Training(Order(source, 0, Objective("loss", "min"), values, None))
        assert training.pull()["metrics"]["loss"] == hidden[0]
        assert training.close() == ""


def test_each_line_that_is_a_json_object_with_a_number_is_an_epoch() -> None:
    lines = ("hello", '{"event": "begin"}', "[1]", "{}", ' {"loss": 3, "deep": {"acc": 0.5}} ', "{broken}", '{"x": 1}')
    results = pull_all(printing(*lines, '{"loss": 2}', '{"loss": 1}'), epochs=9)
    assert [result["metrics"] for result in results] == [
        {"loss": 3.0, "deep/acc": 0.5},
        {"x": 1.0},
        {"loss": 2.0},
        {"loss": 1.0},
        {"loss": 1.0},
    ]
    assert (ending(results[-1]), results[-1]["best"], results[-1]["epoch"]) == ("complete", 1.0, 4)


@pytest.mark.parametrize(
    ("line", "outcome", "failure"),
    [
        ('{"loss": NaN}', "diverged", None),
        ('{"loss": -Infinity}', "diverged", None),
        ('{"loss": 1e999}', "diverged", None),
        ('{"loss": "0.5"}', "failed", "loss must be a number, but got '0.5'"),
        ('{"loss": true}', "failed", "loss must be a number, but got True"),
        ('{"loss": null, "x": 1}', "complete", None),
        ('{"los": 1}', "complete", None),
    ],
)
def test_what_is_no_finite_number_ends_a_script_as_it_ends_a_generator(
    line: str, outcome: str, failure: str | None
) -> None:
    last = pull_all(printing(HALF, line))[-1]
    assert (ending(last), last.get("failure"), last["best"]) == (outcome, failure, 0.5)


def test_a_script_that_fails_before_its_last_epoch_is_told_with_the_end_of_its_output(
    capfd: pytest.CaptureFixture[str],
) -> None:
    lines = [f"line {number}" for number in range(30)]
    last = pull_all(printing(HALF, *lines) + "\necho 'ValueError: too wide' >&2\nexit 3")[-1]
    assert (ending(last), last["epoch"]) == ("failed", 1)
    assert last["failure"] == "sh ended with exit code 3: ValueError: too wide"
    told = last["traceback"].splitlines()
    assert told[:2] == [last["failure"], "the end of its output:"]
    assert told[2:] == [*lines[-19:], "ValueError: too wide"]
    assert capfd.readouterr().out.splitlines() == [HALF, *lines, "ValueError: too wide"]


@pytest.mark.parametrize(
    ("code", "failure"),
    [
        ("kill -9 $$", "sh ended with exit code 137 (SIGKILL)"),
        ("exit 2", "sh ended with exit code 2"),
        ("", "sh ended without an epoch; it must print a JSON object on a line once an epoch"),
        ("echo no; exit 0", "sh ended without an epoch"),
    ],
)
def test_a_script_that_ends_without_an_epoch_has_failed(code: str, failure: str) -> None:
    last = pull_all(code)[-1]
    assert ending(last) == "failed"
    assert last["failure"].startswith(failure)


def test_a_report_finds_metrics_and_the_one_that_decides_ends_an_epoch() -> None:
    lines = ("acc 0.1", r"loss: 3, acc 0.2", "nothing", r"\033[32mloss=2\033[0m;", "acc 0.3", "loss  nan")
    results = pull_all(printing(*lines), report=REPORT)
    assert [result["metrics"] for result in results[:2]] == [{"acc": 0.2, "loss": 3.0}, {"loss": 2.0}]
    assert results[2]["metrics"]["acc"] == 0.3
    assert ending(results[2]) == "diverged"
    assert (
        "report must find loss in what it prints" in pull_all(printing(HALF), report="los=(?P<loss>.)")[-1]["failure"]
    )
    assert pull_all(printing("loss=much"), report=REPORT)[-1]["failure"] == "loss must be a number, but got 'much'"


def test_whatever_bytes_a_script_prints_its_metrics_are_found_and_its_log_has_them_all(
    capfdbinary: pytest.CaptureFixture[bytes],
) -> None:
    code = (
        "import sys; out = sys.stdout.buffer\n"
        "out.write(bytes(range(256)) * 9 + b'\\n' + b'x' * 10_000_000 + b'{\"loss\": 9}\\n')\n"
        "out.write(b'{\"loss\": 3}\\n 50%\\r 100%\\r{\"loss\": 2}\\r\\n{\"a\": ' + b'[' * 100_000 + b'}\\n')\n"
        "out.write(b'{\"loss\": 1}')\n"
    )
    line = f"{sys.executable} -c {shlex.quote(code.replace('{', '{{').replace('}', '}}'))}"
    order = Order(Command(line, ("epochs",), metric="loss"), 0, Objective("loss", "min"), {"epochs": 9})
    training = Training(order)
    results = [training.pull() for _ in range(4)]
    assert losses(results) == [3.0, 2.0, 1.0, 1.0]
    assert (results[-1]["ended"], training.close()) == (True, "")
    printed = capfdbinary.readouterr().out
    assert printed.startswith(bytes(range(256)) * 9)
    assert printed.endswith(b'{"loss": 1}\n')
    assert printed.count(b"x") > 10_000_000


def test_a_script_gets_no_input_and_runs_where_the_user_is_with_a_folder_of_its_own(
    folder: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONBREAKPOINT", "ray.util.rpdb.set_trace")
    variables = "$SEARCH_TRIAL_DIR|$PYTHONUNBUFFERED|$CUDA_VISIBLE_DEVICES|$PYTHONBREAKPOINT"
    code = f"""cat; pwd; echo "{variables}"; touch "$1/made"; echo '{HALF}'"""
    own = folder / "its own"
    values = {"epochs": 1, "seed": 0}
    training = Training(Order(command_of(code, folder=own), 0, Objective("loss", "min"), values, folder=own))
    assert ending(training.pull()) == "complete"
    training.close()
    assert capfd.readouterr().out.splitlines() == [str(folder), f"{own}|1||", HALF]
    assert list(own.iterdir()) == [own / "made"]


def test_a_config_file_holds_all_values_for_a_program_that_reads_one(folder: Path) -> None:
    line = f"{sys.executable} -c 'import json, sys; print(json.dumps(json.load(open(sys.argv[1]))))' {{config}}"
    command = Command(line, ("loss", "kind", "epochs", "seed"), metric="loss")
    values = {"loss": 0.25, "kind": "é \"'\n", "epochs": 1, "seed": 7}
    training = Training(Order(command, 0, Objective("loss", "min"), values, folder=folder / "own"))
    assert training.pull()["metrics"] == {"loss": 0.25, "epochs": 1.0, "seed": 7.0}
    training.close()
    assert json.loads((folder / "own" / "config.json").read_text(encoding="utf-8")) == values


def test_a_script_may_save_its_model_after_its_last_epoch(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    code = f"mkfifo wait; echo '{HALF}'; (echo go > wait) & read x < wait; echo model > model.pt; exit 4"
    results = pull_all(code, epochs=1)
    assert (folder / "model.pt").read_text(encoding="ascii") == "model\n"
    assert (ending(results[-1]), len(results)) == ("complete", 1)
    assert "sh ended with exit code 4 after its last epoch" in capfd.readouterr().out


def test_a_script_that_goes_on_beyond_its_epochs_is_ended(folder: Path) -> None:
    results = pull_all(f"echo $$ end > numbers; while echo '{HALF}'; do :; done", epochs=3)
    assert (len(results), ending(results[-1])) == (3, "complete")
    assert all(map(is_gone, numbers_in(folder / "numbers")))


def test_a_script_that_does_not_end_after_its_last_epoch_is_ended(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(script, "END_S", 0.2)
    for code in ("exec sleep 1000", "while echo x; do :; done"):
        assert ending(pull_all(f"echo $$ end > numbers; echo '{HALF}'; {code}", epochs=1)[-1]) == "complete"
        assert all(map(is_gone, numbers_in(folder / "numbers")))
        (folder / "numbers").unlink()


def test_a_trial_that_is_stopped_ends_all_that_came_of_its_script(folder: Path) -> None:
    code = (
        "trap 'echo ended > note; exit 0' TERM; sleep 1000 & one=$!; setsid sleep 1000 & "
        f"echo $$ $one $! end > numbers; echo '{HALF}'; while :; do wait; done"
    )
    training = training_of(code)
    assert not training.pull()["ended"]
    numbers = numbers_in(folder / "numbers")
    assert not any(map(is_gone, numbers))
    assert training.close() == ""
    assert all(map(is_gone, numbers))
    assert (folder / "note").read_text(encoding="ascii") == "ended\n"


def test_what_ignores_a_wish_to_end_is_killed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper, "GRACE_S", 0.2)
    training = training_of(
        f"trap '' TERM; sleep 1000 & echo $$ $! end > numbers; echo '{HALF}'; while :; do wait; done"
    )
    training.pull()
    assert training.close() == ""
    assert all(map(is_gone, numbers_in(folder / "numbers")))


def test_a_script_that_ends_leaves_no_process_behind_even_one_that_holds_its_output(folder: Path) -> None:
    code = f"setsid sleep 1000 & echo $$ $! end > numbers; echo '{HALF}'"
    results = pull_all(code)
    assert ending(results[-1]) == "complete"
    assert all(map(is_gone, numbers_in(folder / "numbers")))


def test_a_script_that_closes_its_output_is_waited_for() -> None:
    last = pull_all(f"echo '{HALF}'; exec >&- 2>&-; exit 5")[-1]
    assert last["failure"] == f"sh ended with exit code 5: {HALF}"


def test_a_silent_script_is_ended_by_the_time_limit_of_an_epoch(folder: Path) -> None:
    training = training_of(f"echo $$ end > numbers; echo '{HALF}'; exec sleep 1000", timeout=0.5)
    assert losses([training.pull()]) == [0.5]
    result = training.pull()
    assert "reported nothing for longer than epoch_timeout (0.5 s)" in result["failure"]
    training.close()
    assert all(map(is_gone, numbers_in(folder / "numbers")))


def test_a_program_that_is_gone_or_too_long_is_a_failure_that_says_so() -> None:
    program = script.Script(command_of("", loss=1), {"loss": "x" * 10, "epochs": 1}, None)
    assert program.close() == ""
    with pytest.raises(OSError, match="Argument list too long"):
        script.Script(command_of("", loss=1), {"loss": "x" * 10_000_000, "epochs": 1}, None)


WORKER = """
import sys
from search.worker.script import Script
from search.spec.command import Command
script = Script(Command(sys.argv[1], metric="loss"), {}, None)
next(script)
sys.stdin.read()
"""


@pytest.mark.parametrize("is_keeper_killed", [False, True])
def test_a_killed_worker_leaves_no_script_running(folder: Path, is_keeper_killed: bool) -> None:
    """Ray kills a worker's children, too, of which the keeper's first process is one."""
    code = f"sleep 1000 & one=$!; setsid sleep 1000 & echo $$ $one $! end > numbers; echo '{HALF}'; wait"
    worker = [sys.executable, "-c", WORKER, command_of(code).line]
    with subprocess.Popen(worker, env=ENVIRONMENT, stdin=subprocess.PIPE) as process:
        numbers = numbers_in(folder / "numbers")
        assert not any(map(is_gone, numbers))
        children = psutil.Process(process.pid).children()
        os.kill(process.pid, signal.SIGSTOP)
        if is_keeper_killed:
            for child in children:
                child.kill()
        process.kill()
    until(lambda: all(map(is_gone, numbers)), 30)


def test_a_script_whose_keeper_is_killed_ends_and_has_failed(folder: Path) -> None:
    training = training_of(f"echo $$ end > numbers; echo '{HALF}'; exec sleep 1000")
    training.pull()
    number = numbers_in(folder / "numbers")[0]
    parent = psutil.Process(number).parent()
    assert parent is not None
    parent.kill()
    result = training.pull()
    assert result["failure"].startswith("sh ended with exit code 137 (SIGKILL)")
    training.close()
    until(lambda: is_gone(number))


ARGPARSE = """
import argparse
import json
import pathlib

parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, default=0.5)
parser.add_argument("--kind", default="plain")
parser.add_argument("--epochs", type=int, default=100)
parser.add_argument("--seed", type=int, default=0)
parser.add_argument("--amp", action="store_true")
parser.add_argument("--out", type=pathlib.Path, default=".")
args = parser.parse_args()

for epoch in range(args.epochs):
    loss = (args.lr - 0.3) ** 2 + 1 / (epoch + 1) + 0.001 * args.seed
    print(f"epoch {epoch}: val_loss={loss:.6f}, amp {args.amp}, kind {args.kind!r}")
(args.out / "model.json").write_text(json.dumps(vars(args), default=str))
"""


def test_an_argparse_script_is_searched_unchanged_and_its_winner_trained_again_with_the_line_that_is_told(
    folder: Path,
) -> None:
    (folder / "train.py").write_text(ARGPARSE, encoding="utf-8")
    settings = {
        "command": f"{sys.executable} train.py --lr {{lr}} --kind={{kind}} --epochs {{epochs}} --seed {{seed}} "
        "{amp:flag} --out {folder}",
        "report": r"val_loss=(?P<val_loss>\S+)",
        "metric": "val_loss",
        "epochs": 3,
        "space": {
            "lr": {"distribution": "uniform", "low": 0, "high": 1},
            "kind": {"distribution": "choice", "values": ["--lr 7", "a 'b"]},
        },
        "fixed": {"amp": True},
        "defaults": {"lr": 0.5, "kind": "plain", "amp": False},
        "num_samples": 4,
        "finalists": 1,
        "seeds": 1,
    }
    done = search(folder, settings)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "searching train.py: 4 trials of up to 3 epochs" in done.stdout
    assert "0 failed" in done.stdout
    log = (folder / "results" / "s" / "logs" / "trial-0000.log").read_text(encoding="utf-8")
    assert "amp True" in log
    best = (folder / "best.yaml").read_text(encoding="utf-8")
    assert best.startswith("# train.py, study s: val_loss")
    # The line that is told trains the same again.
    _, _, told = done.stdout.partition("train the winner again with\n")
    again = in_shell(told.splitlines()[0].strip(), folder)
    assert again.returncode == 0, again.stderr
    written = json.loads((folder / "winner" / "model.json").read_text(encoding="utf-8"))
    assert written["epochs"] == 3
    assert f"lr: {written['lr']}" in best
    value = float(best.partition("val_loss ")[2].split()[0])
    printed = [line for line in again.stdout.splitlines() if "val_loss" in line][-1]
    assert math.isclose(float(printed.partition("=")[2].partition(",")[0]), value, abs_tol=1e-5)


def test_a_script_that_saves_for_longer_than_the_time_limit_of_an_epoch_is_complete() -> None:
    results = pull_all(printing(HALF, HALF) + "\nsleep 1.2", epochs=2, timeout=0.6)
    assert (len(results), ending(results[-1])) == (2, "complete")


@pytest.mark.full
def test_a_script_that_ignores_its_end_is_gone_when_it_is_closed_whatever_the_time_limit(folder: Path) -> None:
    training = training_of(f"trap '' TERM; echo $$ > {folder}/pid\n{printing(HALF)}\nexec sleep 60", timeout=1.0)
    training.pull()
    number = int((folder / "pid").read_text(encoding="utf-8"))
    assert training.close() == ""
    assert is_gone(number)

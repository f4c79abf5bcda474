"""search.watch as a user starts it: the dashboard shows what the journal holds, and cannot change it."""

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import optuna
import pytest

from search import study
from search.algorithms import proposals
from search.journal.records import OpenTrial
from search.journal.storage import Reader
from search.study import Study
from search.watch import REFUSED, main
from tests.programs import ENVIRONMENT, LEAST, TOY, begin, until, write
from tests.studies import new


def create(folder: Path) -> Study:
    return new({**LEAST, "name": "s", "output": str(folder)})


def grow(made: Study, *values: float) -> None:
    """Add trials of two epochs that are complete."""
    for value in values:
        trial = OpenTrial(made.search, proposals.ask(made.search, made.space))
        trial.add(1, {"loss": 2 * value, "elapsed_s": 0.1}, 2 * value)
        trial.add(2, {"loss": value, "elapsed_s": 0.2}, value)
        trial.end("complete")


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "search.watch", *map(str, arguments)]


@contextmanager
def watching(folder: Path, *arguments: object) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Run search.watch; yield the address that it prints, and the process, which is ended by Ctrl-C."""
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command(folder, *arguments), env=ENVIRONMENT, **pipes) as process:
        try:
            line = process.stdout.readline()  # type: ignore[union-attr]  # it is a pipe
            assert " is at http://127.0.0.1:" in line, process.communicate()
            yield line.split(" is at ")[1].split("/dashboard")[0], process
        finally:
            process.send_signal(signal.SIGINT)
            try:
                printed = process.communicate(timeout=60)
            finally:
                process.kill()
            assert (process.returncode, *printed) == (0, "", "")


def ask(url: str, method: str = "GET", body: Any = None) -> tuple[int, Any]:
    """Return the status and the answer."""
    data = None if body is None else json.dumps(body).encode()
    request = Request(url, data=data, method=method, headers={"Content-Type": "application/json"})
    try:
        with urlopen(request, timeout=30) as answer:
            return answer.status, json.loads(answer.read())
    except HTTPError as error:
        with error:
            return error.code, json.loads(error.read())


def trials(address: str) -> list[dict[str, Any]]:
    _, answer = ask(f"{address}/api/studies/0?after=0")
    found: list[dict[str, Any]] = answer["trials"]
    return found


def agree(shown: list[dict[str, Any]], made: Study) -> bool:
    """Return whether the dashboard tells of the same trials as the journal: values, curves, configurations."""
    told = [
        (each["number"], each.get("values"), [step["value"] for step in each["intermediate_values"]]) for each in shown
    ]
    params = [{each["name"]: float(each["param_external_value"]) for each in trial["params"]} for trial in shown]
    real = [
        (
            trial.number,
            [trial.value] if trial.may_win else None,
            [value for value in trial.running_best(made.objective) if value is not None],
        )
        for trial in made.trials()
    ]
    return told == real and params == [trial.params for trial in made.trials()]


WRITES: list[tuple[str, str, Any]] = [
    ("DELETE", "/api/studies/0", {}),
    ("DELETE", "/api/studies/0", None),
    ("PUT", "/api/studies/0/note", {"version": 1, "body": "mine"}),
    ("PUT", "/api/studies/0/0/note", {"version": 1, "body": "mine"}),
    ("POST", "/api/studies/0/rename", {"study_name": "mine"}),
    ("POST", "/api/studies", {"study_name": "mine", "directions": ["minimize"]}),
    ("POST", "/api/trials/0/tell", {"state": "Fail"}),
    ("POST", "/api/trials/0/user-attrs", {"user_attrs": {"mine": 1}}),
    ("POST", "/api/studies/0/preference", {"mode": "ChooseWorst", "candidates": [0, 1], "clicked": 0}),
]


def test_the_dashboard_shows_the_journal_and_refuses_to_change_it(tmp_path: Path) -> None:
    made = create(tmp_path)
    grow(made, 3.0, 1.0, 2.0)
    proposals.ask(made.search, made.space)  # runs
    before = {path: path.read_bytes() for path in made.folder.rglob("*") if path.is_file()}
    with watching(made.folder) as (address, _):
        _, studies = ask(f"{address}/api/studies")
        assert [each["study_name"] for each in studies["study_summaries"]] == ["s"]
        assert agree(trials(address)[:3], study.load(made.folder)) is False  # the fourth is missing
        assert agree(trials(address), study.load(made.folder))
        assert [each["state"] for each in trials(address)] == ["Complete"] * 3 + ["Running"]
        assert ask(f"{address}/api/studies/0")[1]["best_trials"][0]["number"] == 1
        assert ask(f"{address}/api/studies/0/param_importances")[0] == 200
        for method, path, body in WRITES:
            assert ask(address + path, method, body) == (403, {"reason": REFUSED})
        assert agree(trials(address), study.load(made.folder))
    assert {path: path.read_bytes() for path in made.folder.rglob("*") if path.is_file()} == before


def test_a_page_of_a_name_that_leads_to_this_machine_is_told_nothing(tmp_path: Path) -> None:
    made = create(tmp_path)
    with watching(made.folder) as (address, _):
        for host, status in (("evil.example", 403), (address.removeprefix("http://"), 200)):
            request = Request(f"{address}/api/studies", headers={"Host": host})
            try:
                with urlopen(request, timeout=30) as answer:
                    assert answer.status == status
            except HTTPError as error:
                with error:
                    assert error.code == status
        with socket.create_connection(("127.0.0.1", int(address.rpartition(":")[2]))) as raw:
            raw.sendall(b"POST / HTTP/1.0\r\nHost: 127.0.0.1:1\r\nContent-Length: -1\r\n\r\n")
            assert b"403" in raw.makefile("rb").readline()


def test_a_storage_that_only_reads_refuses_to_write_whoever_asks(tmp_path: Path) -> None:
    made = create(tmp_path)
    grow(made, 1.0)
    before = (made.folder / "journal.log").read_bytes()
    read = optuna.load_study(study_name="s", storage=Reader(made.folder / "journal.log"))
    for write_it in (
        lambda: read.set_user_attr("mine", 1),
        lambda: read.ask(),
        lambda: optuna.delete_study(study_name="s", storage=Reader(made.folder / "journal.log")),
        lambda: optuna.create_study(storage=Reader(made.folder / "journal.log")),
    ):
        with pytest.raises(PermissionError, match="only read"):
            write_it()
    assert (made.folder / "journal.log").read_bytes() == before
    assert [trial.value for trial in read.trials] == [1.0]


def test_what_is_recorded_appears_also_behind_a_line_of_which_a_part_was_there(tmp_path: Path) -> None:
    made = create(tmp_path)
    grow(made, 3.0)
    journal = made.folder / "journal.log"
    content = journal.read_bytes()
    grow(made, 1.0)
    rest = journal.read_bytes()[len(content) :]
    journal.write_bytes(content + rest[:20])
    with watching(made.folder) as (address, _):
        assert len(trials(address)) == 1
        with journal.open("ab") as file:
            file.write(rest[20:])
        until(lambda: len(trials(address)) == 2)
        grow(study.load(made.folder), 0.5)
        until(lambda: len(trials(address)) == 3)
        assert agree(trials(address), study.load(made.folder))


def test_a_search_is_watched_while_it_runs_and_ends_as_though_nobody_had(tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    notes.mkdir()
    values = {**TOY, "fixed": {"folder": str(notes)}}
    with begin(tmp_path, "--config", write(tmp_path, values), "--name", "s") as search:
        folder = tmp_path / "results" / "s"
        until(lambda: list(notes.glob("*.running")))
        with watching(folder) as (address, _):
            until(lambda: [each["state"] for each in trials(address)].count("Running") >= 1)
            assert ask(f"{address}/api/studies/0", "DELETE", {})[0] == 403
            (notes / "go").touch()
            assert search.wait(120) == 0, search.communicate()
            until(lambda: len(trials(address)) == 12 and agree(trials(address), study.load(folder)))
    assert [trial.ending for trial in study.load(folder).trials()].count("failed") == 0


def test_without_a_port_a_free_one_is_taken_and_a_taken_one_is_a_mistake(tmp_path: Path) -> None:
    made = create(tmp_path)
    with watching(made.folder) as (first, _), watching(made.folder) as (second, _):
        assert first != second
        port = second.rpartition(":")[2]
        done = subprocess.run(
            command(made.folder, "--port", port), env=ENVIRONMENT, capture_output=True, text=True, timeout=60
        )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"error: port must be free, but at {port}: ")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        chosen = free.getsockname()[1]
    with watching(made.folder, "--port", chosen) as (address, _):
        assert address == f"http://127.0.0.1:{chosen}"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none"], "a study is a folder with a journal.log, but none has none"),
        (["s", "--port", "0"], "port must be in [1, 65535], but got 0"),
        (["s", "--port", "65536"], "port must be in [1, 65535], but got 65536"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    create(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    assert capsys.readouterr().err == f"error: {message}\n"


def test_where_the_dashboard_is_not_installed_it_is_said_how_to_get_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    create(tmp_path)
    monkeypatch.setitem(sys.modules, "optuna_dashboard", None)
    assert main([str(tmp_path / "s")]) == 2
    assert capsys.readouterr().err.endswith("it is not installed; pip install optuna-dashboard\n")

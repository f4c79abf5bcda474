"""Nothing that comes from a file is ever executed, and no file makes a program wait or fill the memory.

A bait is a file that makes a canary, another file, when it is executed. What a workload's name imports is the user's
own code on the user's own path, and is run; a module that came with a study is not.
"""

import ast
import csv
import importlib
import io
import json
import os
import pickle
import resource
import signal
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

from heart import predict, train
from heart import program as heart_program
from heart.config import Config
from heart.model import MLP, save
from search import creation, plot, retrain, study, table
from search.algorithms.proposals import ask
from search.journal import records
from search.run import main as run_main
from search.session import Session
from search.spec import space
from search.spec.workload import load
from tests.programs import LEAST, ROOT, X, unpack
from tests.studies import new

Main = Callable[[list[str]], int]


class Hung(BaseException):
    """A program waited for what never comes."""


class Started(BaseException):
    """A program would have started a Ray now."""


@pytest.fixture(autouse=True)
def bounded() -> Iterator[None]:
    """End a test that hangs."""

    def hung(*_: object) -> None:
        raise Hung

    before = signal.signal(signal.SIGALRM, hung)
    signal.alarm(60)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the working folder of the programs, which start no Ray."""

    def started(self: Session) -> None:
        raise Started

    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", [*sys.path, str(ROOT)])
    monkeypatch.setattr(Session, "working", started)
    monkeypatch.setattr(creation, "remove_if_unused", lambda folder: None)  # for the tests to look at
    importlib.invalidate_caches()
    return folder


@pytest.fixture
def canary(tmp_path: Path) -> Iterator[Path]:
    """Return a path at which there must be nothing when the test is over."""
    path = tmp_path / "canary"
    yield path
    assert not path.exists(), "what came from a file was executed"


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]) -> Callable[[int], str]:
    """Return a function that holds an exit code and what was printed against the rule for a user's mistake."""

    def check(code: int) -> str:
        printed = capsys.readouterr()
        assert code == 2, printed.err
        assert printed.err.startswith("error: ")
        assert printed.err.count("\n") == 1
        return printed.err

    return check


Refused = Callable[[int], str]


NOT_FLAT = "a.yaml must be a mapping of names to plain values, but "
"""What heart.train, whose config holds no lists and no mappings, says of each, before it looks at what is in it."""


def train_main(arguments: list[str]) -> int:
    return heart_program.main(train.resolve, train.train, train.test, arguments)


class Bait:
    """Makes the canary when it is unpickled."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.canary}",)


# YAML

BAITS = {
    "apply": "!!python/object/apply:os.system ['touch CANARY']",
    "new": "!!python/object/new:os.system ['touch CANARY']",
    "object": "!!python/object:pathlib.PosixPath {a: CANARY}",
    "name": "!!python/name:os.system ''",
    "module": "!!python/module:antigravity ''",
    "tuple": "!!python/tuple [1, 2]",
    "custom": "!Bait {path: CANARY}",
    "verbatim": "!<tag:yaml.org,2002:python/object/apply:os.system> ['touch CANARY']",
}
PLACES = ["{}", "fixed: {{lr: {}}}", "space: {{x: {{low: {}}}}}", "lr: {}", "? {}\n: 1", "a: [{{b: [{}]}}]"]


@pytest.mark.parametrize("bait", BAITS.values(), ids=BAITS)
@pytest.mark.parametrize("main", [run_main, train_main], ids=["search.run", "heart.train"])
@pytest.mark.parametrize("place", PLACES)
def test_a_tag_in_yaml_is_refused_wherever_it_stands(
    place: str, main: Main, bait: str, canary: Path, here: Path, refused: Refused
) -> None:
    text = place.format(bait.replace("CANARY", str(canary)))
    (here / "a.yaml").write_text(text, encoding="utf-8")
    printed = refused(main(["--config", "a.yaml"]))
    assert "could not determine a constructor for the tag" in printed or (main is train_main and NOT_FLAT in printed)
    assert [path.name for path in here.iterdir()] == ["a.yaml"]


def test_a_tag_that_is_given_a_short_name_is_refused(canary: Path, here: Path, refused: Refused) -> None:
    text = f"%TAG ! tag:yaml.org,2002:python/object/apply:\n---\nlr: !os.system 'touch {canary}'\n"
    (here / "a.yaml").write_text(text, encoding="utf-8")
    assert "could not determine a constructor" in refused(train_main(["--config", "a.yaml"]))


@pytest.mark.parametrize("main", [run_main, table.main, train_main], ids=["search.run", "search.table", "heart.train"])
@pytest.mark.parametrize("tag", ["!!bool much", "!!int much", "!!float ''", "!!timestamp much", "!!binary a"])
def test_a_tag_that_does_not_fit_its_value_is_one_line(tag: str, main: Main, here: Path, refused: Refused) -> None:
    (here / "a.yaml").write_text(f"a: {tag}\n", encoding="utf-8")
    arguments = ["a.parquet"] if main is table.main else []
    assert "a.yaml must be YAML text, but" in refused(main([*arguments, "--config", "a.yaml"]))


def laughs(line: str) -> str:
    """Return ten lines that each hold the one before ten times, the first of them a pair."""
    lines = [line.format(n=n, ten=", ".join([f"*a{n - 1}"] * 10)) for n in range(1, 11)]
    return "\n".join(lines) + "\n"


LAUGHS = "a0: &a0 [ha, ha]\n" + laughs("a{n}: &a{n} [{ten}]")
BOMBS = {
    "laughs": LAUGHS,
    "laughs as one value": LAUGHS + "lr: *a10\nspace: *a10\nfixed: {x: *a10}\n",
    "laughs twice under a name": LAUGHS + "lr: *a10\nlr: *a10\n",
    "laughs as the whole": "- &a0 [ha, ha]\n" + laughs("- &a{n} [{ten}]"),
    "merged mappings": "a0: &a0 {x: 1}\n" + laughs("a{n}: &a{n} {{<<: [{ten}]}}"),
    "a list of itself": "lr: &a [*a]\n",
    "a mapping of itself": "&a {lr: *a, space: *a}\n",
    "merged with itself": "&a {<<: *a}\n",
    "many values": "a: [" + "1, " * 10_001 + "]\n",
}


@pytest.mark.parametrize("module", ["heart.train", "search.run"])
def test_aliases_that_unfold_to_billions_are_refused_in_a_small_memory(module: str, here: Path) -> None:
    """In a process of its own, which a mistake of ours would fill."""
    (here / "a.yaml").write_text(BOMBS["laughs as one value"], encoding="utf-8")

    def hold() -> None:
        resource.setrlimit(resource.RLIMIT_DATA, (3 << 30, 3 << 30))

    command = [sys.executable, "-m", module, "--config", "a.yaml"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=50, preexec_fn=hold)
    assert done.returncode == 2, done.stderr
    too_many = "it has more than 10000 values, an alias (*name) counted as what it stands for"
    expected = {
        "search.run": f"error: a.yaml must be YAML text, but: {too_many}\n",
        "heart.train": f"error: {NOT_FLAT}line 1 holds a sequence; write a line `name: value` each\n",
    }
    assert done.stderr == expected[module]


@pytest.mark.parametrize("main", [run_main, train_main], ids=["search.run", "heart.train"])
@pytest.mark.parametrize("bomb", BOMBS.values(), ids=BOMBS)
def test_a_config_holds_as_many_values_as_one_can_need(bomb: str, main: Main, here: Path, refused: Refused) -> None:
    (here / "a.yaml").write_text(bomb, encoding="utf-8")
    rule = NOT_FLAT if main is train_main else "has more than 10000 values"
    assert rule in refused(main(["--config", "a.yaml"]))


def test_an_alias_is_welcome(here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    text = "workload: tests.toy\nmetric: loss\nspace:\n  x: &x {distribution: uniform, low: -5, high: 5}\n  y: *x\n"
    (here / "a.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(Started):
        run_main(["--config", "a.yaml", "--name", "s"])
    assert dict(study.load(here / "results" / "s").space) == dict.fromkeys("xy", space.parse({"x": X})["x"])


@pytest.mark.parametrize("main", [run_main, train_main], ids=["search.run", "heart.train"])
@pytest.mark.parametrize("text", ["a: " + "[" * 9000, "{a: " * 900 + "1" + "}" * 900, "? " * 900, "- " * 5000])
def test_values_in_values_in_values_are_refused(text: str, main: Main, here: Path, refused: Refused) -> None:
    (here / "a.yaml").write_text(text, encoding="utf-8")
    assert "a.yaml must be YAML text, but" in refused(main(["--config", "a.yaml"]))


def test_a_mistake_in_yaml_that_quotes_many_lines_is_one_line(here: Path, refused: Refused) -> None:
    (here / "a.yaml").write_text('lr: 1\nlr: "one\\ntwo\\rthree"\n', encoding="utf-8")
    for main in (run_main, train_main):
        assert "duplicate key" in refused(main(["--config", "a.yaml"]))


def test_text_that_no_file_can_hold_is_refused_before_a_folder_is_made(here: Path, refused: Refused) -> None:
    (here / "a.yaml").write_text(json.dumps({**LEAST, "metric": "\ud800"}), encoding="utf-8")
    assert "metric must be text that can be written" in refused(run_main(["--config", "a.yaml"]))
    assert [path.name for path in here.iterdir()] == ["a.yaml"]


@pytest.mark.parametrize(
    ("name", "value", "rule"),
    [
        ("gpus_per_trial", 5e-324, "gpus_per_trial must be 0, 1/k"),
        ("gpus_per_trial", 1e-5, "gpus_per_trial must be 0, 1/k"),
        ("epoch_timeout", 1e300, "epoch_timeout must be in"),
        ("epoch_timeout", 1e-300, "epoch_timeout must be in"),
    ],
)
def test_a_number_that_ray_or_the_clock_cannot_count_is_refused(
    name: str, value: float, rule: str, here: Path, refused: Refused
) -> None:
    (here / "a.yaml").write_text(json.dumps({**LEAST, name: value}), encoding="utf-8")
    assert rule in refused(run_main(["--config", "a.yaml"]))


# model.pt


def zipped(files: dict[str, bytes]) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return made.getvalue()


def torch_saved(value: object) -> bytes:
    made = io.BytesIO()
    torch.save(value, made)
    return made.getvalue()


def good_model() -> bytes:
    return torch_saved({"state_dict": MLP(4, 3).state_dict(), "config": vars(Config(hidden1=4, hidden2=3))})


MODELS: dict[str, Callable[[Bait], bytes]] = {
    "pickle": pickle.dumps,
    "old pickle": lambda bait: pickle.dumps(bait, protocol=0),
    "saved object": torch_saved,
    "saved object for weights": lambda bait: torch_saved({"state_dict": bait, "config": {}}),
    "saved object for a config": lambda bait: torch_saved({"state_dict": MLP(4, 3).state_dict(), "config": bait}),
    "archive": lambda bait: zipped({"a/data.pkl": pickle.dumps(bait), "a/version": b"3\n", "a/byteorder": b"little"}),
    "archive with paths": lambda bait: zipped({"../../data.pkl": pickle.dumps(bait), "/data.pkl": b""}),
    "archive of garbage": lambda bait: zipped({"a/data.pkl": b"\x80\x02garbage", "a/version": b"3\n"}),
    "archive of nothing": lambda bait: zipped({}),
    "empty": lambda bait: b"",
    "cut": lambda bait: good_model()[:-1],
    "cut in the middle": lambda bait: good_model()[: len(good_model()) // 2],
    "text": lambda bait: b"import os; os.system('touch canary')",
    "zeros": lambda bait: bytes(100_000),
    "no dict": lambda bait: torch_saved([1]),
    "no weights": lambda bait: torch_saved({"state_dict": {}, "config": {}}),
    "other weights": lambda bait: torch_saved({"state_dict": MLP(9, 9).state_dict(), "config": {"hidden1": 4}}),
    "numbers for weights": lambda bait: torch_saved({"state_dict": dict.fromkeys(MLP().state_dict(), 1), "config": {}}),
}


@pytest.mark.parametrize("make", MODELS.values(), ids=MODELS)
def test_a_model_file_that_is_not_ours_is_refused_and_never_executed(
    make: Callable[[Bait], bytes], canary: Path, here: Path, refused: Refused
) -> None:
    (here / "model.pt").write_bytes(make(Bait(canary)))
    (here / "points.csv").write_text("x,y\n1,2\n", encoding="utf-8")
    given = ["--model", "model.pt", "--points", "points.csv", "--output", "out.csv"]
    assert "model.pt must be a model.pt that heart.train wrote" in refused(predict.main(given))
    assert not (here / "out.csv").exists()


def test_the_baits_are_live(tmp_path: Path) -> None:
    """With a reader that executes what it reads each of them makes its canary: the tests above can fail."""
    for name in ("pickle", "old pickle"):
        pickle.loads(MODELS[name](Bait(tmp_path / name.replace(" ", "-"))))
    torch.load(io.BytesIO(MODELS["saved object"](Bait(tmp_path / "saved-object"))), weights_only=False)
    torch.load(io.BytesIO(MODELS["archive"](Bait(tmp_path / "archive"))), weights_only=False)
    made = {path.name for path in tmp_path.iterdir()} - {"here"}
    assert made == {"pickle", "old-pickle", "saved-object", "archive"}


def test_a_small_file_that_claims_wide_layers_gets_no_memory(here: Path, refused: Refused) -> None:
    with torch.device("meta"):
        wide = MLP(65536, 65536).state_dict()
    state = {name: torch.zeros(1).expand(value.shape) for name, value in wide.items()}
    torch.save({"state_dict": state, "config": {"hidden1": 65536, "hidden2": 65536}}, here / "model.pt")
    assert (here / "model.pt").stat().st_size < 10_000
    (here / "points.csv").write_text("x,y\n1,2\n", encoding="utf-8")
    message = refused(predict.main(["--model", "model.pt", "--points", "points.csv"]))
    assert "too short for the widths in its config" in message


# CSV

FORMULAS = ["=1+1", "=cmd|'/C calc'!A0", "@SUM(A1:A9)", "+1+1", "-1+1", "=HYPERLINK(1)", "\t=1+1", "DDE(a;b;c)"]


@pytest.fixture
def model(here: Path) -> str:
    torch.manual_seed(0)
    save(MLP(4, 3), Config(hidden1=4, hidden2=3), here / "model.pt")
    return "model.pt"


@pytest.mark.parametrize("formula", FORMULAS)
def test_a_formula_for_a_point_is_refused_and_its_row_is_named(
    formula: str, model: str, here: Path, refused: Refused
) -> None:
    pd.DataFrame({"x": ["1", formula], "y": ["2", "3"]}).to_csv(here / "points.csv", index=False)
    message = refused(predict.main(["--model", model, "--points", "points.csv"]))
    assert f"x and y must be finite numbers, but row 2 has x={formula!r}, y='3'" in message


def test_a_formula_beside_the_points_does_not_travel_to_the_output(
    model: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pd.DataFrame({"x": ["1"], "y": ["2"], "=1+1": [FORMULAS[1]]}).to_csv(here / "points.csv", index=False)
    assert predict.main(["--model", model, "--points", "points.csv"]) == 0
    header, row = capsys.readouterr().out.splitlines()
    assert header == "x,y,probability,label"
    assert [float(value) for value in row.split(",")][:2] == [1, 2]


def test_a_csv_that_pandas_refuses_is_one_line(model: str, here: Path, refused: Refused) -> None:
    (here / "points.csv").write_text("x,y\n1,2\n1,2,3,4\n", encoding="utf-8")
    assert "must be a CSV" in refused(predict.main(["--model", model, "--points", "points.csv"]))


def test_our_tables_hold_a_choice_as_it_was_written(here: Path) -> None:
    """Data is not altered, also where a spreadsheet would take it for a formula: there one imports it as text."""
    fault = {"distribution": "choice", "values": FORMULAS}
    made = new({**LEAST, "space": {"fault": fault}, "name": "s"})
    for formula in FORMULAS:
        made.search.enqueue_trial({"fault": formula})
        records.OpenTrial(made.search, ask(made.search, made.space)).end("failed")
    made.write_tables()
    with (made.folder / "trials.csv").open(newline="", encoding="utf-8") as file:
        assert [row["fault"] for row in csv.DictReader(file)] == FORMULAS


# names

NAMES = [
    "../up",
    "..",
    ".",
    "",
    "-x",
    "/abs",
    "a/b",
    "a\\b",
    "a\0b",
    "a b",
    "a\nb",
    "ａ",
    "..evil",
    "a" * 300,
    "~",
    "$HOME",
]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_with_a_path_in_it_is_refused_in_a_flag_and_in_a_file(name: str, here: Path, refused: Refused) -> None:
    (here / "flag.yaml").write_text(json.dumps(LEAST), encoding="utf-8")
    (here / "file.yaml").write_text(json.dumps({**LEAST, "name": name}), encoding="utf-8")
    before = sorted(here.parent.rglob("*"))
    for arguments in (["--config", "flag.yaml", f"--name={name}"], ["--config", "file.yaml"]):
        assert "name must be letters, digits, '.', '_' and '-', at most 100, no path" in refused(run_main(arguments))
    assert sorted(here.parent.rglob("*")) == before


@pytest.mark.parametrize("name", ["CON", "a..b", "a.", "NUL.txt", "_", "9", "a" * 100, None])
def test_whatever_a_study_is_called_its_files_lie_in_its_folder(name: str | None, here: Path) -> None:
    (here / "a.yaml").write_text(json.dumps({**LEAST, "name": name}), encoding="utf-8")
    with pytest.raises(Started):
        run_main(["--config", "a.yaml"])
    assert sorted(path.name for path in here.iterdir()) == ["a.yaml", "results"]
    (folder,) = (here / "results").iterdir()
    assert name is None or folder.name == name
    assert all(study.load(folder).log_of(number).parent == folder / "logs" for number in (0, 12345, 10**9))


WORKLOADS = [
    *("../../evil", "../evil", "evil/../x", "/tmp/evil", "./evil", "evil;import os", "os;import x", "..evil", ".evil"),
    *(
        "evil..x",
        "evil.",
        "",
        " ",
        "evil\0",
        "evil\n",
        "evil x",
        "evil()",
        "evil-x",
        "evil:main",
        "~/evil",
        "file://evil",
    ),
    *("ｅvil", "еvil", "evi𝗅", "evil\u200b", "\ud800", "e" * 5000, "a." * 5000 + "a", "os.path", "json", "builtins"),
]


@pytest.mark.parametrize("name", WORKLOADS, ids=lambda name: ascii(name)[1:20])
def test_a_workload_that_is_a_path_or_a_look_alike_is_refused_and_not_imported(
    name: str, canary: Path, here: Path, tmp_path: Path, refused: Refused
) -> None:
    """Only the name evil itself, which is not among them, would import evil.py."""
    for folder in (here, tmp_path):
        (folder / "evil.py").write_text(f"import pathlib\npathlib.Path({str(canary)!r}).touch()\n", encoding="utf-8")
    (here / "a.yaml").write_text(json.dumps({**LEAST, "workload": name}), encoding="utf-8")
    message = refused(run_main(["--config", "a.yaml"]))
    assert "workload" in message
    assert not (here / "results").exists()


def test_an_end_of_line_in_the_name_of_a_file_does_not_make_the_mistake_two_lines(here: Path, refused: Refused) -> None:
    for main in (run_main, train_main):
        assert "there is no file a\\nb.yaml" in refused(main(["--config", "a\nb.yaml"]))


def test_a_study_is_called_after_its_workload_in_letters_that_any_system_has(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(here))
    (here / "größe_überall.py").write_text("from tests.toy import *\n", encoding="utf-8")
    assert new({**LEAST, "workload": "größe_überall"}).name.startswith("gr__e__berall-2")


def test_a_workload_whose_name_is_longer_than_a_files_is_one_line(here: Path, refused: Refused) -> None:
    (here / "a.yaml").write_text(json.dumps({**LEAST, "workload": "e" * 300 + ".x"}), encoding="utf-8")
    assert "must be an importable module" in refused(run_main(["--config", "a.yaml"]))


# the folder of a study


def with_attribute(records: list[dict[str, Any]], name: str, *value: object) -> list[dict[str, Any]]:
    """Return the journal with another value of an attribute of the study; without it where none is given."""
    found = []
    for each in records:
        if "study_id" in each and name in each.get("user_attr", {}):
            found += [{**each, "user_attr": {name: new}} for new in value]
        else:
            found.append(each)
    return found


def and_attribute(records: list[dict[str, Any]], name: str, value: object) -> list[dict[str, Any]]:
    """Return the journal with another attribute of the study."""
    return [*records, {**records[1], "user_attr": {name: value}}]


def with_config(records: list[dict[str, Any]], **changes: object) -> list[dict[str, Any]]:
    return with_attribute(records, "config", {**records[1]["user_attr"]["config"], **changes})


def with_record(records: list[dict[str, Any]], kind: int, **changes: object) -> list[dict[str, Any]]:
    """Return the journal with changes in the first record of a kind."""
    at = next(index for index, each in enumerate(records) if each["op_code"] == kind)
    return [*records[:at], {**records[at], **changes}, *records[at + 1 :]]


PROGRAMS: dict[str, Main] = {
    "search.plot": lambda given: plot.main(given),
    "search.retrain": lambda given: retrain.main(given),
    "search.run --resume": lambda given: run_main(["--resume", *given]),
    "search.table --resume": lambda given: table.main(["a.parquet", "--resume", *given]),
}
each_program = pytest.mark.parametrize("main", PROGRAMS.values(), ids=PROGRAMS)
NO_JOURNALS: dict[str, bytes] = {
    "nothing": b"",
    "binary": bytes(range(256)) * 50,
    "no line": b"\x80\x04garbage",
    "no text": b"\xff\xfe\n",
    "list": b"[1]\n",
    "text": b'"x"\n',
    "null": b"null\n",
    "number": b"1e999\n",
    "NaN": b"NaN\n",
    "empty record": b"{}\n",
    "no directions": b'{"op_code": 0, "worker_id": "x", "study_name": "s"}\n',
    "foreign directions": b'{"op_code": 0, "worker_id": "x", "study_name": "s", "directions": [7]}\n',
    "study called a path": b'{"op_code": 0, "worker_id": "x", "study_name": "../../x", "directions": [1]}\n',
    "study called 3": b'{"op_code": 0, "worker_id": "x", "study_name": 3, "directions": [1]}\n',
    "study without config": b'{"op_code": 0, "worker_id": "x", "study_name": "s", "directions": [1]}\n',
    "pickle": pickle.dumps(Bait(Path("canary"))) + b"\n",
}


@each_program
@pytest.mark.parametrize("content", NO_JOURNALS.values(), ids=NO_JOURNALS)
def test_a_file_that_is_no_journal_is_one_line(content: bytes, main: Main, here: Path, refused: Refused) -> None:
    unpack(here / "s", content)
    assert "s/journal.log must be the journal of a search, but" in refused(main(["s"]))
    assert not (here / "canary").exists()


@each_program
def test_what_is_no_file_is_no_journal_and_is_not_waited_for(main: Main, here: Path, refused: Refused) -> None:
    for name in ("folder", "pipe", "loop", "dangling", "none"):
        (here / name).mkdir()
    (here / "folder" / "journal.log").mkdir()
    os.mkfifo(here / "pipe" / "journal.log")
    (here / "loop" / "journal.log").symlink_to("journal.log")
    (here / "dangling" / "journal.log").symlink_to(here / "not there")
    (here / "file").touch()
    (here / "circle").symlink_to("circle")
    for name in ("folder", "pipe", "loop", "dangling", "none", "file", "circle", "not there", "\0", "/dev/null", ""):
        assert "a study is a folder with a journal.log, but" in refused(main([name]))
    assert not (here / "not there").exists()


def test_a_pipe_or_a_folder_for_a_file_is_refused_and_not_waited_for(model: str, here: Path, refused: Refused) -> None:
    os.mkfifo(here / "pipe")
    (here / "folder").mkdir()
    (here / "loop").symlink_to("loop")
    (here / "points.csv").write_text("x,y\n1,2\n", encoding="utf-8")
    for name in ("pipe", "folder", "loop", "/dev/zero", "\0", "n" * 300):
        refused(run_main(["--config", name]))
        refused(train_main(["--config", name]))
        refused(predict.main(["--model", name, "--points", "points.csv"]))
        refused(predict.main(["--model", model, "--points", name]))
    for name in ("folder", "loop"):
        refused(predict.main(["--model", model, "--points", "points.csv", "--output", name]))


CONFIGS: dict[str, dict[str, object]] = {
    "workload is a path": {"workload": "../evil"},
    "workload is code": {"workload": "os;import evil"},
    "workload is none": {"workload": "os"},
    "workload is not there": {"workload": "not_to_be_found"},
    "workload is null": {"workload": None},
    "workload is a number": {"workload": 3},
    "space is null": {"space": None},
    "space is foreign": {"space": {"distribution": {"x": "os.system"}}},
    "name is a path": {"name": "../up"},
    "metric is a list": {"metric": []},
    "seed is NaN": {"seed": float("nan")},
    "seed is huge": {"seed": 10**400},
    "fixed is foreign": {"fixed": {"x": {"a": 1}}},
    "a name is unknown": {"os.system": 1},
}


@pytest.mark.parametrize("main", list(PROGRAMS.values())[1:], ids=list(PROGRAMS)[1:])
@pytest.mark.parametrize("changes", CONFIGS.values(), ids=CONFIGS)
def test_a_foreign_config_in_a_journal_is_one_line(
    changes: dict[str, object], main: Main, records: list[dict[str, Any]], here: Path, refused: Refused
) -> None:
    unpack(here / "s", with_config(records, **changes))
    refused(main(["s"]))
    assert sorted(path.name for path in here.iterdir()) == ["s"]


@each_program
@pytest.mark.parametrize("value", [None, 3, "x", [], {}, float("nan")], ids=repr)
def test_a_config_that_is_none_is_one_line(
    value: object, main: Main, records: list[dict[str, Any]], here: Path, refused: Refused
) -> None:
    unpack(here / "s", with_attribute(records, "config", value))
    assert "must be the journal of a search" in refused(main(["s"]))


KNOWN = {"source": "s", "number": 0, "params": {"x": 1.0}, "values": [1.0], "epoch": 1, "is_complete": True}
ATTRIBUTES: dict[str, Callable[[list[dict[str, Any]]], Any]] = {
    "deep nesting": lambda records: b"[" * 100_000 + b"\n",
    "unknown operation": lambda records: with_record(records, 0, op_code=99),
    "NaN for an operation": lambda records: with_record(records, 0, op_code=float("nan")),
    "no direction": lambda records: with_record(records, 0, directions=[]),
    "two directions": lambda records: with_record(records, 0, directions=[1, 2]),
    "the other direction": lambda records: with_record(records, 0, directions=[2]),
    "a list for a name": lambda records: with_record(records, 0, study_name=[]),
    "no epochs": lambda records: with_attribute(records, "epochs"),
    "epochs null": lambda records: with_attribute(records, "epochs", None),
    "epochs NaN": lambda records: with_attribute(records, "epochs", float("nan")),
    "epochs 0": lambda records: with_attribute(records, "epochs", 0),
    "epochs huge": lambda records: with_attribute(records, "epochs", 10**400),
    "no defaults": lambda records: with_attribute(records, "defaults"),
    "defaults a number": lambda records: with_attribute(records, "defaults", 3),
    "ended by a list": lambda records: and_attribute(records, "reached", [1]),
    "ended by no limit": lambda records: and_attribute(records, "reached", {"setting": "seed", "limit": 0, "note": ""}),
    "searched for a text": lambda records: and_attribute(records, "searched", "x"),
    "told of a number": lambda records: and_attribute(records, "earlier", [3]),
    "told of no value": lambda records: and_attribute(records, "earlier", [KNOWN | {"values": []}]),
    "told of two values": lambda records: and_attribute(records, "earlier", [KNOWN | {"values": [1.0, 2.0]}]),
    "told of no hyperparameters": lambda records: and_attribute(records, "earlier", [KNOWN | {"params": [1]}]),
    "told of a NaN": lambda records: and_attribute(records, "earlier", [KNOWN | {"params": {"x": float("nan")}}]),
    "told of a list": lambda records: and_attribute(records, "earlier", [KNOWN | {"params": {"x": [1]}}]),
    "a date beyond the calendar": lambda records: with_record(records, 6, datetime_complete="9999-12-31T23:59-23:59"),
    "a parameter beyond the space": lambda records: with_record(records, 5, param_name="zz"),
    "text for a parameter": lambda records: with_record(records, 5, param_value_internal="x"),
    "a huge parameter": lambda records: with_record(records, 5, param_value_internal=10**400),
    "no attribute": lambda records: with_record(records, 8, user_attr={}),
    "two attributes": lambda records: with_record(records, 8, user_attr={"a": 1, "b": 2}),
    "null for an epoch": lambda records: with_record(records, 8, user_attr={"epoch 1": None}),
    "text for a metric": lambda records: with_record(records, 8, user_attr={"epoch 1": {"loss": "x"}}),
    "a huge metric": lambda records: with_record(records, 8, user_attr={"epoch 1": {"loss": 10**400}}),
    "an epoch that is no number": lambda records: with_record(records, 8, user_attr={"epoch x": {"loss": 1}}),
    "an epoch without a time": lambda records: with_record(records, 8, user_attr={"epoch 10": {"loss": 1}}),
    "text for a length": lambda records: with_record(records, 8, user_attr={"length": "x"}),
    "a retraining without its jobs": lambda records: [
        *records,
        {**records[0], "study_name": "s/retraining 1"},
        {**records[2], "study_id": 1, "user_attr": {"finished": True}},
        {**records[4], "study_id": 1},
    ],
}


@each_program
@pytest.mark.parametrize("change", ATTRIBUTES.values(), ids=ATTRIBUTES)
def test_a_journal_that_no_search_of_ours_wrote_is_one_line(
    change: Callable[[list[dict[str, Any]]], Any],
    main: Main,
    records: list[dict[str, Any]],
    here: Path,
    refused: Refused,
) -> None:
    unpack(here / "s", change(records))
    assert "must be the journal of a search" in refused(main(["s"]))


@pytest.mark.parametrize("main", list(PROGRAMS.values())[1:], ids=list(PROGRAMS)[1:])
@pytest.mark.parametrize("module", ["evil", "plots.evil"])
def test_a_module_that_came_with_a_study_is_not_a_workload(
    module: str, main: Main, records: list[dict[str, Any]], canary: Path, here: Path, refused: Refused
) -> None:
    """Unpacked into results/theirs it could be imported as results.theirs.evil, from the folder where one works."""
    folder = unpack(here / "results" / "theirs", with_config(records, workload=f"results.theirs.{module}"))
    file = folder.joinpath(*module.split(".")).with_suffix(".py")
    file.parent.mkdir(exist_ok=True)
    for path in (file, folder / "__init__.py"):
        path.write_text(f"import pathlib\npathlib.Path({str(canary)!r}).touch()\n", encoding="utf-8")
    assert "a study: what comes with results is never run" in refused(main(["results/theirs"]))


def test_a_workload_of_ones_own_may_lie_in_a_folder_without_init(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (here / "experiments" / "own").mkdir(parents=True)
    (here / "experiments" / "own" / "wave.py").write_text("from tests.toy import *\n", encoding="utf-8")
    monkeypatch.syspath_prepend(str(here))
    assert load("experiments.own.wave").names() == load("tests.toy").names()


@each_program
def test_a_pickle_in_the_folder_of_a_study_is_never_opened(
    main: Main, records: list[dict[str, Any]], canary: Path, here: Path
) -> None:
    folder = unpack(here / "s", records)
    (folder / "best").mkdir()
    for name in ("journal.log.snapshot", "study.pkl", "tuner.pkl", "searcher-state.pkl", "best/model.pt", "best.yaml"):
        (folder / name).write_bytes(pickle.dumps(Bait(canary)))
    with suppress(Started):  # as far as it goes without a Ray
        assert main(["s"]) == 0


@pytest.mark.parametrize("main", list(PROGRAMS.values())[1:], ids=list(PROGRAMS)[1:])
def test_a_file_that_is_no_journal_is_left_as_it_was(main: Main, here: Path, refused: Refused) -> None:
    unpack(here / "s", b"somebody's\nlast line, without an end")
    refused(main(["s"]))
    assert (here / "s" / "journal.log").read_bytes() == b"somebody's\nlast line, without an end"


@pytest.mark.parametrize("main", list(PROGRAMS.values())[1:], ids=list(PROGRAMS)[1:])
def test_a_link_for_a_lock_does_not_cost_the_file_that_it_leads_to(
    main: Main, records: list[dict[str, Any]], here: Path
) -> None:
    (here / "letters.txt").write_text("dear", encoding="utf-8")
    folder = unpack(here / "s", records)
    (folder / "writer.lock").symlink_to(here / "letters.txt")
    with suppress(Started):
        main(["s"])
    assert (here / "letters.txt").read_text(encoding="utf-8") == "dear"


# the source

NEVER = {
    *("eval", "exec", "compile", "__import__", "os.system", "os.popen", "subprocess.getoutput", "pd.read_pickle"),
    *("pickle.load", "pickle.loads", "pickle.Unpickler", "marshal.load", "marshal.loads", "shelve.open", "joblib.load"),
    *("cloudpickle.load", "yaml.load", "yaml.unsafe_load", "yaml.full_load", "runpy.run_path", "runpy.run_module"),
}


def executed(source: str) -> list[str]:
    """Return what in a source could execute what comes from a file."""
    found = []
    tree = ast.parse(source)
    dumped = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Attribute) and node.attr == "dump"}
    for node in ast.walk(tree):
        name = ast.unparse(node) if isinstance(node, ast.Name | ast.Attribute) else ""
        if name in NEVER:
            found.append(name)
        if isinstance(node, ast.ImportFrom):
            found += [f"{node.module}.{each.name}" for each in node.names if f"{node.module}.{each.name}" in NEVER]
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func)
        given = {each.arg: ast.unparse(each.value) for each in node.keywords}
        if called == "torch.load" and given.get("weights_only") != "True":
            found.append("torch.load without weights_only=True")
        if called == "YAML" and given.get("typ") != "'safe'" and id(node) not in dumped:
            found.append("YAML that is not safe")
        if given.get("shell", "False") != "False" or given.get("allow_pickle", "False") != "False":
            found.append(ast.unparse(node))
        if called in ("cloudpickle.loads", "importlib.import_module"):
            found.append(called)
    return found


ALLOWED = {
    "search/worker/jobs.py": ["cloudpickle.loads"] * 3,  # a model between two processes of ours: it is never in a file
    "search/tune/reuse.py": ["cloudpickle.loads"],  # a handle that a process of ours has sent
    "search/__init__.py": ["importlib.import_module"] * 2,  # of names that stand there
    "search/scripts.py": ["importlib.import_module"],  # of a command of ours, by the name of its script
    "search/spec/modules.py": ["importlib.import_module"],  # the one place where a name becomes a module
    "search/algorithms/gp.py": ["importlib.import_module"],  # of two packages that stand there
    "search/spec/fields.py": ["eval"],  # of an annotation of the workload's own, as Python's typing does
}


def test_no_source_of_ours_can_execute_what_comes_from_a_file() -> None:
    """And none is allowed what it no longer does."""
    paths = [path for package in ("search", "heart") for path in (ROOT / package).rglob("*.py")]
    assert len(paths) > 50
    found = {str(path.relative_to(ROOT)): executed(path.read_text(encoding="utf-8")) for path in paths}
    assert {name: each for name, each in found.items() if each} == ALLOWED


@pytest.mark.parametrize(
    "source",
    [
        *("eval('1')", "map(exec, lines)", "os.system('ls')", "pickle.load(file)", "from pickle import loads"),
        *("torch.load(path)", "torch.load(path, weights_only=False)", "YAML().load(text)", "YAML(typ='unsafe')"),
        *("subprocess.run(command, shell=True)", "np.load(path, allow_pickle=True)", "yaml.load(text)"),
    ],
)
def test_what_could_execute_a_file_would_be_seen(source: str) -> None:
    assert executed(source) != []

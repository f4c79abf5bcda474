"""Whatever is given to a program, it does it or says in one line why not; pytest --full tries more of it."""

import io
import json
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import chdir, contextmanager, redirect_stderr, redirect_stdout
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import ray
import torch
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure

from heart import config as heart_config
from heart import predict, train
from heart import program as heart_program
from heart.config import Config
from heart.model import MLP, load, save
from search import audit, creation, plot, report, retrain, study, table
from search.run import main as run_main
from search.session import Session
from search.spec import files
from search.spec.config import StudyConfig
from tests.programs import LEAST, X, unpack

Main = Callable[[list[str]], int]


class Started(BaseException):
    """A program would have trained now."""


class Hung(BaseException):
    """A program waited for what never comes."""


@pytest.fixture(scope="module", autouse=True)
def nothing_is_trained() -> Iterator[None]:
    """Stop every program where it would start a Ray, join one or train, and pictures before they are rendered."""

    def started(*_: object, **__: object) -> None:
        raise Started

    def nobody(*_: object, **__: object) -> None:
        raise ConnectionError("nobody is there")

    def hung(*_: object) -> None:
        raise Hung

    kept = {each: signal.getsignal(each) for each in (signal.SIGALRM, signal.SIGTERM, signal.SIGHUP)}
    signal.signal(signal.SIGALRM, hung)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Session, "working", started)
        patch.setattr(creation, "remove_if_unused", lambda folder: None)  # for the tests to look at
        patch.setattr(ray, "init", nobody)
        patch.setattr(Figure, "savefig", lambda *_, **__: None)
        patch.setattr(sys, "path", [*sys.path])
        yield
    for number, handler in kept.items():
        signal.signal(number, handler)


def train_main(arguments: list[str]) -> int:
    def start(config: Config) -> Any:
        raise Started
        yield

    return heart_program.main(train.resolve, start, train.test, arguments)


@contextmanager
def folder() -> Iterator[Path]:
    """Work in a new folder, two below a temporary one."""
    with tempfile.TemporaryDirectory() as name:
        made = Path(name, "above", "here")
        made.mkdir(parents=True)
        with chdir(made):
            yield made


def does_it_or_says_why_not(main: Main, arguments: list[str]) -> bool:
    """Return whether a program does what it is asked to; assert that it else says one line and exits with 2."""
    said, errors = io.StringIO(), io.StringIO()
    signal.alarm(60)
    try:
        with redirect_stdout(said), redirect_stderr(errors):
            code = main(arguments)
    except Started:
        return True
    except SystemExit as left:
        assert left.code in (0, 2)
        assert ("usage: " in errors.getvalue()) == (left.code == 2)  # argparse says it in its way
        return left.code == 0
    finally:
        signal.alarm(0)
    if code:
        assert code == 2
        assert errors.getvalue().startswith("error: ")
        assert errors.getvalue().splitlines(keepends=True)[1:] == []
        assert errors.getvalue().endswith("\n")
    return code == 0


# what is given

CHARACTERS = st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp"), exclude_characters="/")
"""Without a slash, which would lead out of the folder for the examples; control characters come below."""
WORDS = st.sampled_from(
    ["", ".", "..", "a/b", "x", "y", "s", "file", "file/below", "loop", "\0", "n" * 300, "-", "--", "=1"]
)
TEXT = WORDS | st.text(CHARACTERS, max_size=8)
NUMBERS = st.sampled_from([0, 1, -1, 2**31, 2**63, 10**400, 0.5, 0.25, 1e-5, 5e-324, 1e308, float("inf"), float("nan")])
LEAVES = (
    st.none() | st.booleans() | st.integers() | st.floats() | NUMBERS | TEXT | st.just("\ud800") | st.just("a\nb\x85c")
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
YAMLISH = st.text(st.sampled_from("abxy:,-[]{}&*!?|>'\"#%@~<= \n\t01.e+_\\u\0\ufeff\x85é"), max_size=40)
TAGGED = st.tuples(
    st.sampled_from(["!!int", "!!float", "!!bool", "!!null", "!!str", "!!binary", "!!timestamp", "!!set", "!!omap"])
    | st.sampled_from(
        ["!!pairs", "!!map", "!!seq", "!!merge", "!!value", "!", "!x", "!!python/name:os.system", "&a", "*a"]
    ),
    st.sampled_from(
        ["", "''", "x", "1", "[]", "[1]", "{}", "{a: 1}", "2020-99-99", "=", "[[a, b]]", "[{a: b}]", "|", "*a"]
    ),
).map(lambda pair: f"lr: {pair[0]} {pair[1]}\nfixed: {{x: 1}}\n")
DOCUMENTS = st.text(max_size=60) | YAMLISH | TAGGED | st.lists(TAGGED | YAMLISH, max_size=3).map("\n".join)


def mutated(valid: dict[str, Any], names: list[str]) -> st.SearchStrategy[Any]:
    """Return mappings that differ from a valid one in a few places, at any depth."""

    def at(value: Any) -> st.SearchStrategy[Any]:
        if isinstance(value, dict) and value:
            inner = st.sampled_from(sorted(value)).flatmap(
                lambda key: at(value[key]).map(lambda new: {**value, key: new})
            )
            gone = st.sampled_from(sorted(value)).map(
                lambda key: {name: each for name, each in value.items() if name != key}
            )
            new = st.tuples(st.sampled_from(names) | TEXT, VALUES).map(lambda pair: {**value, pair[0]: pair[1]})
            return inner | inner | gone | new | VALUES
        return VALUES

    return at(valid).flatmap(lambda once: st.just(once) | at(once))


STUDY = {
    **LEAST,
    "space": {
        "x": X,
        "y": {"distribution": "int_log_uniform", "low": 1, "high": 8},
        "fault": {"distribution": "choice", "values": ["", "nan"]},
    },
    "scheduler": {"grace_period": 1, "reduction_factor": 3},
    "fixed": {"epochs": 4, "limit": 0.5},
    "gpus_per_trial": 0.25,
    "name": "s",
}
STUDIES = mutated(STUDY, [item.name for item in fields(StudyConfig)])
HEART = {"lr": 0.1, "momentum": 0.9, "hidden1": 7, "epochs": 3, "device": "cpu", "schedule": "cosine"}
HEARTS = mutated(HEART, [item.name for item in fields(Config)])


# YAML


@given(DOCUMENTS.map(lambda text: text.encode(errors="surrogatepass")) | st.binary(max_size=60))
def test_any_document_is_a_mapping_or_one_line(content: bytes) -> None:
    with folder() as here:
        (here / "a.yaml").write_bytes(content)
        for read in (files.read, heart_config.read):
            try:
                assert isinstance(read(Path("a.yaml")), dict)
            except ValueError as error:
                assert str(error).startswith("a.yaml must be ")
                assert len(str(error).splitlines()) == 1


@given(STUDIES)
def test_any_config_of_a_search_is_searched_or_one_line(values: Any) -> None:
    with folder() as here:
        (here / "file").touch()
        (here / "a.yaml").write_text(json.dumps(values), encoding="utf-8")
        if does_it_or_says_why_not(run_main, ["--config", "a.yaml"]):
            (journal_file,) = here.rglob("journal.log")
            assert study.load(journal_file.parent).config.workload == "tests.toy"
        else:
            assert sorted(path.name for path in here.rglob("*")) == ["a.yaml", "file"]


@given(HEARTS)
def test_any_config_of_a_training_is_trained_or_one_line(values: Any) -> None:
    with folder() as here:
        (here / "a.yaml").write_text(json.dumps(values), encoding="utf-8")
        done = does_it_or_says_why_not(train_main, ["--config", "a.yaml"])
        assert (here / "results").exists() == done


# CSV and models


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("model") / "model.pt"
    save(MLP(4, 3), Config(hidden1=4, hidden2=3), path)
    return str(path)


CELLS = st.floats(-3, 3).map(str) | st.sampled_from(
    [
        "",
        " ",
        "1",
        "-0",
        "+1",
        "1e38",
        "3e38",
        "1e400",
        "nan",
        "inf",
        "1_0",
        "0x1",
        "=1+1",
        "'",
        '"',
        '"1"',
        "1;2",
        "９",
        "1\0",
    ]
)
HEADERS = st.sampled_from(
    ["x,y", "y,x", "x,y,z", "x,x,y", "x", "", " x,y", '"x","y"', "x;y", "\ufeffx,y", "x,y,x.1", "X,Y"]
)
LINES = st.lists(st.lists(CELLS | TEXT, min_size=1, max_size=4).map(",".join), max_size=6)
TABLES = st.tuples(HEADERS, LINES, st.sampled_from(["\n", "\r\n", "\r", "\n\n"])).map(
    lambda parts: parts[2].join([parts[0], *parts[1]])
)


@given(content=TABLES.map(str.encode) | st.text().map(lambda text: text.encode("utf-8", "surrogatepass")) | st.binary())
def test_any_points_are_labelled_or_one_line(content: bytes, model: str) -> None:
    with folder() as here:
        (here / "points.csv").write_bytes(content)
        given = ["--model", model, "--points", "points.csv", "--output", "out.csv", "--plot", "out.png"]
        if does_it_or_says_why_not(predict.main, given):
            points, labelled = predict.read_points(here / "points.csv"), pd.read_csv(here / "out.csv")
            assert len(labelled) == len(points)
            assert labelled["probability"].between(0, 1).all()
            assert (labelled["label"] == (labelled["probability"] >= 0.5)).all()
        else:
            assert not (here / "out.csv").exists()


@given(data=st.data())
def test_any_bytes_are_a_model_or_one_line(data: st.DataObject, model: str) -> None:
    content = bytearray(Path(model).read_bytes())
    for at, value in data.draw(st.lists(st.tuples(st.integers(0, len(content) - 1), st.integers(0, 255)), max_size=4)):
        content[at] = value
    cut = data.draw(st.just(len(content)) | st.integers(0, len(content)))
    with folder() as here:
        (here / "model.pt").write_bytes(content[:cut])
        try:
            assert load(Path("model.pt"))[0].layers
        except ValueError as error:
            assert str(error).startswith("model.pt must be a model.pt that heart.train wrote, but")


# flags

PATHS = (
    st.sampled_from(["a.yaml", "s", "t.parquet", "s.parquet", "points.csv", "file", "none", ".", "", "loop", "out.png"])
    | TEXT
)
GIVEN: dict[str, st.SearchStrategy[str]] = {
    **dict.fromkeys(["--config", "--resume", "--model", "--points", "--output", "--plot"], PATHS),
    **dict.fromkeys(["--num-samples", "--seed", "--epochs", "--points", "--hidden1"], NUMBERS.map(str) | TEXT),
    **dict.fromkeys(["--gpus-per-trial", "--cpus-per-trial", "--lr", "--momentum"], NUMBERS.map(str) | TEXT),
    **dict.fromkeys(["--ray-address", "--name", "--device", "--schedule"], TEXT),
    "--hidden1": st.sampled_from(["1", "65536", "0", "x"]),
}
BARE = ["--no-best", "--version", "--help", "-h", "--", "--num", "--unknown", "s", "t.parquet", "@file"]
BARE += ["--repair", "--allow-changes"]
SEARCH = ["--config", "--resume", "--num-samples", "--gpus-per-trial", "--cpus-per-trial", "--seed", "--ray-address"]
TRAIN = ["--config", "--output", "--lr", "--momentum", "--hidden1", "--epochs", "--seed", "--device", "--schedule"]
PROGRAMS: dict[str, tuple[Main, list[str]]] = {
    "search.run": (run_main, [*SEARCH, "--name", "--output"]),
    "search.table": (table.main, [*SEARCH, "--name", "--output"]),
    "search.retrain": (retrain.main, []),
    "search.plot": (plot.main, []),
    "search.report": (report.main, []),
    "search.audit": (audit.main, []),
    "heart.train": (train_main, TRAIN),
    "heart.predict": (predict.main, ["--model", "--points", "--output", "--plot"]),
}


def _apart(name: str, value: str) -> list[str]:
    return [name, value]


def _joined(name: str, value: str) -> list[str]:
    return [f"{name}={value}"]


def flags(names: list[str]) -> st.SearchStrategy[list[str]]:
    """Return command lines of these flags and of foreign ones, with and without '='."""
    one = st.sampled_from(BARE).map(lambda word: [word]) | PATHS.map(lambda word: [word])
    for name in names:
        value = GIVEN[name]
        one = one | value.map(partial(_apart, name)) | value.map(partial(_joined, name))
    return st.lists(one, max_size=4).map(lambda parts: [word for part in parts for word in part])


@given(data=st.data())
@pytest.mark.parametrize("name", PROGRAMS)
def test_any_command_line_is_done_or_one_line(
    name: str, data: st.DataObject, model: str, records: list[dict[str, Any]]
) -> None:
    main, names = PROGRAMS[name]
    arguments = data.draw(flags(names))
    with folder() as here:
        unpack(here / "s", records)
        (here / "a.yaml").write_text(json.dumps({**LEAST, "name": "taken"}), encoding="utf-8")
        (here / "points.csv").write_text("x,y\n1,2\n", encoding="utf-8")
        (here / "model.pt").write_bytes(Path(model).read_bytes())
        (here / "file").touch()
        (here / "s.parquet").mkdir()
        (here / "loop").symlink_to("loop")
        if name == "heart.predict" and data.draw(st.booleans()):
            arguments = ["--model", "model.pt", "--points", "points.csv", *arguments]
        does_it_or_says_why_not(main, arguments)


# journals


@given(data=st.data())
@pytest.mark.parametrize(
    "main",
    [plot.main, report.main, retrain.main, audit.main, lambda given: run_main(["--resume", *given])],
    ids=["search.plot", "search.report", "search.retrain", "search.audit", "search.run"],
)
def test_any_journal_is_a_study_or_one_line(main: Main, data: st.DataObject, records: list[dict[str, Any]]) -> None:
    lines: list[Any] = list(records)
    for at in data.draw(st.lists(st.integers(0, len(lines) - 1), min_size=1, max_size=3)):
        names = sorted({name for each in records for name in each})
        lines[at] = data.draw(st.one_of(mutated(records[at], names), VALUES))
    with folder() as here:
        unpack(here / "s", lines)
        does_it_or_says_why_not(main, ["s"])

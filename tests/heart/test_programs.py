"""python -m heart.train and python -m heart.predict, as a user runs them."""

import csv
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from heart import predict
from heart.config import Config, build, find, read
from heart.model import MLP, load, save
from heart.program import Terminal
from tests.programs import ROOT, on_terminal


def run(module: str, *arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", module, *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=300)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """Return the folder of one real run, and what it printed."""
    cwd = tmp_path_factory.mktemp("trained")
    (cwd / "configs").mkdir()
    (cwd / "configs" / "small.yaml").write_text("points: 3000\nepochs: 12\nlr: 0.05\nhidden1: 9\n", encoding="utf-8")
    done = run("heart.train", "--lr", "0.2", "--config", "small.yaml", "--hidden2", "7", "--seed", "4", cwd=cwd)
    assert done.returncode == 0, done.stderr
    (folder,) = (cwd / "results").iterdir()
    return folder, done


def test_a_run_leaves_the_complete_folder(trained: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    folder, done = trained
    pictures = {"points.png", "curves.png", "boundary.png", "epochs.png"}
    files = {"model.pt", "config.yaml", "metrics.json", "curves.csv"} | pictures
    assert {path.name for path in folder.iterdir()} == files
    for name in pictures:
        assert (folder / name).read_bytes().startswith(b"\x89PNG")
    assert "config read from configs/small.yaml" in done.stdout
    assert done.stdout.count("val_accuracy") == 12
    assert done.stderr == ""


def test_on_a_terminal_that_cannot_redraw_there_are_the_lines_alone(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "heart.train", "--points", "200", "--epochs", "2", "--hidden1", "2"]
    code, text = on_terminal(command, tmp_path, "dumb")
    assert code == 0, text
    first, *_ = lines = text.splitlines()
    assert first.startswith("epoch    1  train_loss")
    assert "" not in lines
    assert "\x1b" not in text


def test_a_terminal_of_no_columns_is_written_to(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "0")
    Terminal().print("a line")
    assert capsys.readouterr().out == "a line\n"


def test_flags_win_over_the_file_wherever_they_stand(trained: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    _, config = load(trained[0] / "model.pt")
    assert config == Config(
        lr=0.2, hidden1=9, hidden2=7, points=3000, epochs=12, seed=4, device=config.device, engine=config.engine
    )
    assert build(read(trained[0] / "config.yaml")) == config


def test_the_kept_epoch_is_the_best_and_its_scores_are_the_models(
    trained: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    from heart.train import test as score

    folder, _ = trained
    metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    curves = pd.read_csv(folder / "curves.csv")
    assert list(curves["epoch"]) == list(range(1, 13))
    best = curves.iloc[int(curves["val_loss"].argmin())]
    assert metrics["best_epoch"] == best["epoch"]
    assert metrics["validation"] == {"loss": best["val_loss"], "accuracy": best["val_accuracy"]}
    model, config = load(folder / "model.pt")
    assert metrics["test"] == {name[5:]: pytest.approx(value) for name, value in score(model, config).items()}


def test_the_same_command_gives_the_same_curve(
    trained: tuple[Path, subprocess.CompletedProcess[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also in another process, one that has trained other configs before."""
    assert train_in(tmp_path, ["--config", str(trained[0] / "config.yaml")], monkeypatch) == 0
    (again,) = (tmp_path / "results").iterdir()
    assert (again / "curves.csv").read_bytes() == (trained[0] / "curves.csv").read_bytes()


def test_a_diverged_run_says_so_and_keeps_what_was_good(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert train_in(tmp_path, ["--lr", "1e9", "--points", "1000", "--epochs", "5"], monkeypatch) == 1
    printed = capsys.readouterr()
    assert "diverged" in printed.out
    assert "Traceback" not in printed.err
    assert list((tmp_path / "results").iterdir()) == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "must be a mapping"),
        ("- 1", "must be a mapping"),
        ("lr: [1", "must be YAML text"),
        ("lr: 1\nlr: 2", "duplicate key"),
        (
            "!!python/object/apply:os.system ['touch ran']",
            "must be a mapping of names to plain values, but it is a seq",
        ),
        ("lr: 1\nseed: [1]", "must be a mapping of names to plain values, but line 2 holds a sequence; write a line"),
        ("1: 2", "must be a mapping of names to plain values, but got {1: 2}"),
        ("!!set {lr, seed}", "must be a mapping of names to plain values, but got"),
        ("momentun: 0.9", "unknown name 'momentun', did you mean 'momentum'?"),
        ("momentum: 1.5", "momentum must be in [0, 1), but got 1.5"),
        ("lr: much", "lr must be of type float, but got 'much'"),
        ("lr: .nan", "lr must be > 0 and finite, but got nan"),
        ("lr: .inf", "lr must be > 0 and finite, but got inf"),
        ("epochs: 2.5", "epochs must be of type int, but got 2.5"),
        ("epochs: true", "epochs must be of type int, but got True"),
        ("schedule: linear", "schedule must be one of constant, cosine, but got 'linear'"),
        ("device: tpu", "device must be cpu, cuda, cuda:N or auto, but got 'tpu'"),
        ("points: 9", "points must be in [10, 10**9], but got 9"),
    ],
)
def test_a_bad_config_is_one_line_and_exit_code_2(
    text: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bad.yaml").write_text(text, encoding="utf-8")
    assert train_in(tmp_path, ["--config", "bad.yaml"], monkeypatch) == 2
    assert message in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["bad.yaml"]


def train_in(folder: Path, arguments: Sequence[str], monkeypatch: pytest.MonkeyPatch) -> int:
    from heart import train
    from heart.program import main

    monkeypatch.chdir(folder)
    return main(train.resolve, train.train, train.test, list(arguments))


def test_other_mistakes_are_exit_code_2_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bytes.yaml").write_bytes(b"lr: \xff\xfe")
    (tmp_path / "file").touch()
    for arguments, message in [
        (["--config", "none.yaml"], "there is no file none.yaml and no file configs/none.yaml"),
        (["--config", "bytes.yaml"], "must be YAML text"),
        (["--output", "file"], "output must be a folder that can be written"),
        (["--output", "file/below"], "output must be a folder that can be written"),
        (["--momentum", "-1"], "momentum must be in [0, 1), but got -1.0"),
    ]:
        assert train_in(tmp_path, arguments, monkeypatch) == 2
        assert message in capsys.readouterr().err
    for arguments in (["--mom", "0.5"], ["--lr", "x"], ["--epochs", "1.5"]):
        with pytest.raises(SystemExit, match="2"):
            train_in(tmp_path, arguments, monkeypatch)


def test_the_config_file_as_given_wins_over_configs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "best.yaml").touch()
    assert find("best.yaml") == Path("configs/best.yaml")
    (tmp_path / "best.yaml").touch()
    assert find("best.yaml") == Path("best.yaml")


def test_the_committed_configs_are_what_they_say() -> None:
    assert build(read(ROOT / "configs" / "heart.yaml")) == Config()
    best = (ROOT / "configs" / "best.yaml").read_text(encoding="utf-8")
    assert best.startswith("# heart.train, study ")
    assert "test_loss" in best.splitlines()[0]
    assert build(read(ROOT / "configs" / "best.yaml")).device == "cpu"


@settings(max_examples=200)
@given(st.dictionaries(st.text(max_size=9), st.none() | st.booleans() | st.integers() | st.floats() | st.text()))
def test_any_mapping_is_a_config_or_the_users_mistake(values: dict[str, object]) -> None:
    try:
        assert isinstance(build(values), Config)
    except (ValueError, TypeError) as error:
        assert str(error)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    save(MLP(4, 3), Config(hidden1=4, hidden2=3), tmp_path / "model.pt")
    return tmp_path / "model.pt"


def test_predict_labels_every_row_to_a_file_or_to_standard_output(model: Path, tmp_path: Path) -> None:
    points = tmp_path / "points.csv"
    points.write_text("name,y,x\na,0.5,0\nb,-1,1.9\nc,1e-3,-2\n", encoding="utf-8")
    shown = run("heart.predict", "--model", model, "--points", points, cwd=tmp_path)
    assert shown.returncode == 0, shown.stderr
    more = ("--output", tmp_path / "out.csv", "--plot", tmp_path / "out.png")
    assert predict.main([str(each) for each in ("--model", model, "--points", points, *more)]) == 0
    assert (tmp_path / "out.csv").read_text(encoding="utf-8") == shown.stdout
    assert (tmp_path / "out.png").read_bytes().startswith(b"\x89PNG")
    rows = list(csv.DictReader(shown.stdout.splitlines()))
    assert [(float(row["x"]), float(row["y"])) for row in rows] == [(0, 0.5), (1.9, -1), (-2, 1e-3)]
    network, _ = load(model)
    expected = network.probability(torch.tensor([[0, 0.5], [1.9, -1], [-2, 1e-3]])).tolist()
    assert [float(row["probability"]) for row in rows] == pytest.approx(expected)
    assert [row["label"] for row in rows] == [str(int(value >= 0.5)) for value in expected]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x,z\n1,2\n", "must have one column x and one y in its first line, but it has 'x', 'z'"),
        ("", "must be a CSV"),
        ("x,y\n1,2\n3,four\n", "row 2 has x='3', y='four'"),
        ("x,y\n1,2\n\n3,4\n", "row 2 has x='', y=''"),
        ("x,y\n1,5,2,3\n", "must be a CSV"),
        ("x,x,y\n1,5,2\n", "must have one column x and one y"),
        ("x,y\n,2\n", "row 1 has x='', y='2'"),
        ("x,y\nnan,2\n", "row 1 has x='nan', y='2'"),
        ("x,y\n1,inf\n", "row 1 has x='1', y='inf'"),
        ("x,y\n=1+1,2\n", "row 1 has x='=1+1', y='2'"),
    ],
)
def test_a_bad_csv_is_one_line_that_names_the_row(
    text: str, message: str, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    points = tmp_path / "points.csv"
    points.write_text(text, encoding="utf-8")
    assert predict.main(["--model", str(model), "--points", str(points)]) == 2
    assert message in capsys.readouterr().err


def test_a_blank_line_at_the_end_of_a_csv_is_nobodys_mistake(tmp_path: Path) -> None:
    (tmp_path / "points.csv").write_text("x,y\n1,2\n\n\n", encoding="utf-8")
    assert predict.read_points(tmp_path / "points.csv").to_numpy().tolist() == [[1, 2]]


@pytest.mark.parametrize("module", ["heart.train", "heart.predict", "search.run", "search.retrain", "search.plot"])
def test_every_program_tells_how_it_is_used(module: str, tmp_path: Path) -> None:
    done = run(module, "--help", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert f"usage: python -m {module}" in done.stdout


def test_a_point_that_gets_no_probability_is_an_error_and_not_outside(model: Path) -> None:
    network, _ = load(model)
    with torch.no_grad():
        next(network.parameters()).fill_(float("nan"))
    with pytest.raises(ValueError, match=r"gives none to row 1: x=1\.0, y=2\.0"):
        predict.predict(network, pd.DataFrame({"x": [1.0], "y": [2.0]}))


def test_predict_replaces_nothing_that_it_reads_and_writes_nothing_where_it_cannot_draw(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    points = tmp_path / "points.csv"
    points.write_text("x,y\n1,2\n", encoding="utf-8")
    before = model.read_bytes(), points.read_bytes()
    given = ["--model", str(model), "--points", str(points)]
    for more in (["--output", str(model)], ["--output", str(points)], ["--plot", str(model)]):
        assert predict.main([*given, *more]) == 2
        assert "must not replace what is read" in capsys.readouterr().err
    for picture in (tmp_path / "a.xyz", tmp_path / "none" / "a.png"):
        assert predict.main([*given, "--output", str(tmp_path / "out.csv"), "--plot", str(picture)]) == 2
    assert not (tmp_path / "out.csv").exists()
    assert (model.read_bytes(), points.read_bytes()) == before


def test_a_csv_without_rows_gives_no_rows(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    points = tmp_path / "points.csv"
    points.write_text("x,y\n", encoding="utf-8")
    assert predict.main(["--model", str(model), "--points", str(points)]) == 0
    assert capsys.readouterr().out == "x,y,probability,label\n"


def test_missing_and_foreign_files_are_exit_code_2(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "latin.csv").write_bytes(b"x,y\n\xff,2\n")
    for arguments, message in [
        (["--model", "none.pt", "--points", "none.csv"], "the model file must exist"),
        (["--model", str(model), "--points", "none.csv"], "the points file must exist"),
        (["--model", str(model), "--points", str(model)], "must be a CSV"),
        (["--model", str(model), "--points", str(tmp_path / "latin.csv")], "must be a CSV"),
        (["--model", str(tmp_path / "latin.csv"), "--points", str(model)], "must be a model.pt"),
    ]:
        assert predict.main(arguments) == 2
        assert message in capsys.readouterr().err


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text() | st.lists(st.text(max_size=5)).map(lambda rows: "x,y\n" + "\n".join(rows)))
def test_any_csv_is_a_table_of_finite_points_or_the_users_mistake(text: str, tmp_path: Path) -> None:
    path = tmp_path / "any.csv"
    path.write_text(text, encoding="utf-8", errors="surrogatepass")
    try:
        table = predict.read_points(path)
        assert table.dtypes.tolist() == [float, float]
        assert table.abs().lt(float("inf")).all(axis=None)
    except ValueError as error:
        assert str(error).startswith(str(path))

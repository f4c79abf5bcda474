"""Real searches on a real Ray, as a user starts them."""

import json
import re
import shutil
import sys
from pathlib import Path

import pandas as pd
import pytest
from ruamel.yaml import YAML

from search import study
from search.journal.outcome import finalists
from search.run import main
from search.spec.config import StudyConfig
from search.spec.objective import Objective
from search.tune import cluster
from search.tune.resources import Node, Share
from tests import shared, toy
from tests.programs import HEART, TOY, on_terminal, resume, search, start, write
from tests.shared import Finished
from tests.studies import new


def test_rays_temporary_folder_and_its_processes_are_gone_after_a_clean_end(toy_search: Finished) -> None:
    assert toy_search.left == []


def test_a_search_leaves_the_complete_run_folder(toy_search: Finished) -> None:
    folder = toy_search.folder
    names = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    printed = {name for name in names if re.fullmatch(r"logs/trial-\d{4}\.log", name)}
    assert len(printed) == 14
    pictures = {f"plots/{name}.png" for name in ("curves", "history", "hyperparameters", "importances")}
    best = {f"best/{name}" for name in ("model.pt", "metrics.json", "curves.csv")}
    tables = {"study.yaml", "journal.log", "writer.lock", "trials.csv", "curves.csv", "best.yaml", "report.html"}
    assert names - printed == pictures | best | tables | {"logs/ray.log", "logs/retraining.log"}
    assert "toy x=" in (folder / "logs" / "trial-0003.log").read_text(encoding="utf-8")


def test_every_file_of_a_run_folder_has_the_mode_that_a_plain_one_gets(
    toy_search: Finished, faulty_search: Finished
) -> None:
    """None can be run, and its group may go on with the study where the umask lets it.

    MLflow's database is left out: SQLite makes its files for their owner alone.
    """
    modes: dict[str, dict[str, str]] = {}
    for folder in (toy_search.cwd, faulty_search.cwd):
        for path in set(folder.rglob("*")) - {*folder.rglob("mlflow.db")}:
            kind = "folder" if path.is_dir() else "file"
            modes.setdefault(kind, {})[f"{path.stat().st_mode & 0o7777:o}"] = str(path)
    assert {kind: list(found) for kind, found in modes.items()} == {"folder": ["775"], "file": ["664"]}, modes


def test_the_terminal_gets_the_story_and_nothing_else(toy_search: Finished) -> None:
    done = toy_search.done
    assert done.stderr == ""
    assert "toy x=" not in done.stdout
    ignored, first, *lines = done.stdout.splitlines()
    assert ignored == "RAY_ADDRESS is ignored: a search uses the Ray at 127.0.0.1:1 only with --ray-address"
    assert first == f"searching tests.toy: 14 trials of up to 9 epochs, {cluster.count_cpus()} at once, into results/s"
    ended = [line for line in lines if re.match(r"trial \d+ (complete|stopped) at epoch \d: best loss ", line)]
    assert len(ended) == 14
    assert "[14/14]" in ended[-1]
    assert "the winner is trial" in done.stdout
    assert "14 trials: " in done.stdout


def test_every_trial_is_recorded_with_every_epoch_and_the_value_it_really_had(toy_search: Finished) -> None:
    made = study.load(toy_search.folder)
    trials = made.trials()
    assert [trial.number for trial in trials] == list(range(14))
    assert made.config.num_samples == 14
    for trial in trials:
        config = toy.Config(**trial.params, seed=shared.TOY_SEED)
        assert [row["loss"] for row in trial.epochs] == [toy.loss(config, at + 1) for at in range(len(trial.epochs))]
        assert trial.ending == ("complete" if len(trial.epochs) == 9 else "stopped")
        assert len(trial.epochs) in (1, 3, 9)
    assert {trial.ending for trial in trials} == {"complete", "stopped"}
    table = pd.read_csv(made.folder / "trials.csv")
    assert list(table["value"]) == pytest.approx([trial.value for trial in trials])


def test_the_winner_is_the_finalist_that_a_seed_chose_and_only_it_and_the_reference_are_judged_and_tested(
    toy_search: Finished,
) -> None:
    made = study.load(toy_search.folder)
    found = made.outcome()
    assert found is not None
    assert found.winner is not None
    assert found.reference is not None
    names = [f"trial {trial.number}" for trial in finalists(made.trials(), 2, made.config.aims)]
    assert [candidate.name for candidate in found.candidates] == [*names, "reference"]
    assert found.winner.name == names[0]
    for candidate in found.candidates:
        seeds = [run.attributes["config"]["seed"] - shared.TOY_SEED for run in candidate.all_runs]
        chosen = [] if candidate is found.reference else [1]
        is_judged = candidate in (found.winner, found.reference)
        assert seeds == [*chosen, *([2, 3] if is_judged else [])]
        assert candidate.is_judged == is_judged
        assert len(candidate.tests.get("test_loss", [])) == (2 if is_judged else 0)
    x, y = (found.winner.config[name] for name in ("x", "y"))
    assert found.winner.tests["test_loss"] == pytest.approx([(x - 1) ** 2 + y**2] * 2)
    assert found.reference.config == {**vars(toy.Config()), "seed": shared.TOY_SEED + 2}


def test_best_yaml_is_the_winners_config_under_a_comment_that_says_whose(toy_search: Finished) -> None:
    cwd = toy_search.cwd
    text = (cwd / "best.yaml").read_text(encoding="utf-8")
    assert text == (toy_search.folder / "best.yaml").read_text(encoding="utf-8")
    assert re.match(
        r"# tests\.toy, study s: loss \S+ ± \S+ over 2 seeds, test_loss .*\(trial \d+, chosen among 2 ", text
    )
    found = study.load(toy_search.folder).outcome()
    assert found is not None
    assert found.winner is not None
    values = YAML(typ="safe").load(text)
    assert values == found.winner.best_run(Objective("loss")).attributes["config"]
    kept = (toy_search.folder / "best" / "model.pt").read_text(encoding="utf-8")
    assert kept == repr({"x": values["x"], "y": values["y"], "epoch": 9})


def test_the_study_says_how_it_was_made(toy_search: Finished) -> None:
    text = YAML(typ="safe").load(toy_search.folder / "study.yaml")
    assert set(text) == {"config", "sessions"}
    (session,) = text["sessions"]
    assert set(session) == {"share", "sources", "command", "time", "versions", "machine", "git"}
    assert set(session["sources"]) == {"tests/__init__.py", "tests/toy.py"}
    assert session["command"].startswith("python -m search.run --config ")
    assert (text["config"]["name"], session["share"]["cpus"]) == ("s", 1.0)
    assert StudyConfig.of(text["config"]) == study.load(toy_search.folder).config
    assert session["versions"]["ray"]


@pytest.mark.full
def test_retraining_and_drawing_can_be_done_again(toy_search: Finished, tmp_path: Path) -> None:
    shutil.copytree(toy_search.folder, tmp_path / "s")
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


def test_four_quarter_gpu_trials_run_at_once_and_a_fifth_waits_for_its_gpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a logical GPU, which Ray keeps the books of as of a real one."""
    import ray

    from search.tune import tuner
    from search.tune.searcher import OptunaSearcher

    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    notes = tmp_path / "notes"
    notes.mkdir()
    values = {**TOY, "num_samples": 5, "fixed": {"folder": str(notes)}, "scheduler": None, "name": "s"}
    made = new({**values, "output": str(tmp_path)})
    searcher = OptunaSearcher(made, 0.25)
    seen: list[tuple[int, float]] = []

    def look() -> None:
        running = list(notes.glob("*.running"))
        if searcher.progress.running == 5 and len(running) >= 4 and not seen:
            seen.append((len(running), ray.available_resources().get("GPU", 0.0)))
            (notes / "go").touch()

    node = Node(cluster.count_cpus(), 1)
    with cluster.Ray(None, node, made.logs / "ray.log").running() as folder:
        tuner.run(made, Share(0.25, 0.25, 5), folder, searcher, look)
    assert seen == [(4, 0.0)]
    assert {note.read_text(encoding="utf-8") for note in notes.glob("*.running")} == {"0"}
    assert [trial.ending for trial in made.trials()] == ["complete"] * 5


FEW = """
from dataclasses import dataclass

@dataclass(frozen=True)
class Config:
    act: str = "relu"
    width: int = 1
    epochs: int = 4
    seed: int = 0

    def __post_init__(self):
        if self.act == "tanh" and self.width > 1:
            raise ValueError("tanh is for width 1")

def train(config):
    for epoch in range(config.epochs):
        yield {"loss": config.width + config.seed / 10}, None
"""


def test_a_space_of_three_configurations_is_trained_once_each_and_so_are_its_finalists(tmp_path: Path) -> None:
    """The defaults are one of them: trial 0, and in the retraining a candidate once."""
    (tmp_path / "few.py").write_text(FEW, encoding="utf-8")
    choice = {"distribution": "choice", "values": ["relu", "tanh"]}
    space = {"act": choice, "width": {"distribution": "int_uniform", "low": 1, "high": 2}}
    settings = {"workload": "few", "metric": "loss", "num_samples": 32, "scheduler": None, "space": space, "seeds": 2}
    done = search(tmp_path, settings)
    assert (done.returncode, done.stderr) == (0, "")
    assert "few.Config refuses " in done.stdout
    assert "tanh is for width 1 (with act 'tanh', width 2)" in done.stdout
    assert "the space has no configuration beside these, of 32 that were asked for" in done.stdout
    made = study.load(tmp_path / "results" / "s")
    tried = [tuple(trial.params.values()) for trial in made.trials()]
    assert sorted(tried) == [("relu", 1), ("relu", 2), ("tanh", 1)]
    outcome = made.outcome()
    assert outcome is not None
    assert tried[0] == ("relu", 1)
    assert sorted(len(candidate.values) for candidate in outcome.candidates) == [1, 2, 2]
    assert len({candidate.config["act"] + str(candidate.config["width"]) for candidate in outcome.candidates}) == 3
    runs = [run.where for candidate in outcome.candidates for run in candidate.all_runs]
    assert len(runs) == len(set(runs)) == 6
    journal = (made.folder / "journal.log").read_bytes()
    more = resume(tmp_path, "--num-samples", "64")
    assert (more.returncode, more.stderr) == (0, "")
    assert "of 64 that were asked for" in more.stdout
    assert len(study.load(made.folder).trials()) == 3
    assert (made.folder / "journal.log").read_bytes().startswith(journal)


def test_the_heart_is_searched_and_its_winner_trained_again_to_the_same_curve(tmp_path: Path) -> None:
    done = search(tmp_path, HEART, "--gpus-per-trial", "0.25")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    assert "python -m heart.train --config best.yaml" in done.stdout
    best = tmp_path / "results" / "s" / "best"
    assert {"model.pt", "plot.png", "epochs.gif"} <= {path.name for path in best.iterdir()}
    assert (best.parent / "plots" / "finalists.png").exists()
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


@pytest.mark.full
def test_the_greatest_value_wins_in_mode_max_and_best_yaml_is_left_alone_where_asked(tmp_path: Path) -> None:
    done = search(tmp_path, {**TOY, "mode": "max", "scheduler": None, "num_samples": 6, "best": False, "finalists": 9})
    assert done.returncode == 0, done.stdout + done.stderr
    made = study.load(tmp_path / "results" / "s")
    values = {trial.number: trial.value or 0.0 for trial in made.trials()}
    found = made.outcome()
    assert found is not None
    assert found.winner is not None
    assert found.winner.name == f"trial {max(values, key=lambda number: values[number])}"
    assert len(found.candidates) == 7
    assert not (tmp_path / "best.yaml").exists()


def test_on_a_terminal_there_is_one_live_display(tmp_path: Path) -> None:
    """A pseudo-terminal of 60 columns: the display is drawn over itself, and only the story is left behind."""
    config = write(tmp_path, TOY)
    command = [sys.executable, "-m", "search.run", "--config", str(config), "--name", "s"]
    code, text = on_terminal(command, tmp_path, "xterm")
    assert code == 0
    assert "/12 trials" in text
    assert "running · " in text
    assert "stopped early" in text
    assert re.search(r"best loss .*trial \d+: x", text)
    assert re.search(r"▁ \S+ █ \S+ (log )?", text)
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

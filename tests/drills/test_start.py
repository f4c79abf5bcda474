"""What real searches try first, and what they hand over where nothing is better than the workload's defaults."""

import json
import os
import re
import signal
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from search import request, study
from search.journal import records
from search.request import Asked
from search.run import run
from search.study import Study
from search.tune.searcher import OptunaSearcher
from search.tune.trainable import TRIAL
from tests import studies
from tests.pictures import frames_of
from tests.programs import TOY, Done, X, begin, resume, search, start, until, write
from tests.record import ONE
from tests.retraining.test_gallery import shown

BOTH = {"x": X, "y": X}
GOOD = """
import dataclasses
from matplotlib.figure import Figure
from tests import toy
from tests.toy import save, test, train

@dataclasses.dataclass(frozen=True)
class Config(toy.Config):
    x: float = 1.0

def plot(model, config):
    figure = Figure(figsize=(3, 2))
    figure.patch.set_facecolor((model["epoch"] / 10, (config.x + 10) / 20, 0.5))
    return figure

if __name__ == "__main__":
    pass
"""
"""The toy, whose defaults are the bottom of its bowl."""


@pytest.fixture(scope="module")
def won(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Done]:
    """Return the working folder of a search that the defaults won, and what it said."""
    cwd = tmp_path_factory.mktemp("good")
    (cwd / "good.py").write_text(GOOD, encoding="utf-8")
    done = search(cwd, {**TOY, "workload": "good", "try_defaults": True})
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    return cwd, done


def of(won: tuple[Path, Done]) -> Study:
    return study.load(won[0] / "results" / "s")


def test_the_defaults_are_trial_0_where_they_lie_in_the_space(won: tuple[Path, Done]) -> None:
    trials = of(won).trials()
    assert trials[0].params == {"x": 1.0, "y": 0.0}
    assert trials[0].ending == "complete"
    assert len(trials) == 12
    assert "trial 0 is the workload's defaults" in won[1].stdout.splitlines()


def test_a_reference_with_the_best_mean_wins_and_best_yaml_holds_the_defaults(won: tuple[Path, Done]) -> None:
    cwd, done = won
    made = of(won)
    found = made.outcome()
    assert found is not None
    assert found.winner is not None
    assert found.defaults_win
    assert len(found.finalists) == 2
    assert "trial 0" not in [candidate.name for candidate in found.candidates]
    best = (cwd / "best.yaml").read_text(encoding="utf-8")
    assert best == (made.folder / "best.yaml").read_text(encoding="utf-8")
    line = best.splitlines()[0]
    assert ": loss 0.1" in line
    assert "over 2 seeds, test_loss 0 ± 0 (the defaults: no trial was better, judged on seeds 2 and 3)" in line
    values = YAML(typ="safe").load(best)
    assert values == {**made.defaults, "seed": values["seed"]} == made.best_config()
    assert re.search(r"\nthe defaults win in s: trial \d+, the best of 2 by seed \d+, was not better on", done.stdout)
    assert "the winner in best/, pictures in plots/" in done.stdout
    page = (made.folder / "report.html").read_text(encoding="utf-8")
    for text in ('<p class="lead">the defaults</p>', "The defaults, which win, beside the best trial", "1. defaults"):
        assert text in page


def test_a_winning_reference_has_its_model_its_film_and_the_first_place_on_the_sheet(won: tuple[Path, Done]) -> None:
    made = of(won)
    best = made.folder / "best"
    assert (best / "model.pt").read_text(encoding="utf-8") == repr({"x": 1.0, "y": 0.0, "epoch": 9})
    metrics = json.loads((best / "metrics.json").read_text(encoding="utf-8"))
    assert metrics["configuration"] == "defaults"
    assert metrics["over_seeds"]["test_loss"] == [0.0, 0.0]
    frames = frames_of((best / "epochs.gif").read_bytes())
    assert [shown(frame.getpixel((240, 200)))[0] for frame in frames] == list(range(1, 10))
    (sheet,) = frames_of((made.folder / "plots" / "finalists.png").read_bytes())
    epoch, x = shown(sheet.getpixel((200, 200)))
    assert epoch == 9
    assert x == pytest.approx(1.0, abs=0.1)


def test_a_search_that_the_defaults_won_is_resumed_audited_and_retrained(won: tuple[Path, Done]) -> None:
    cwd, done = won
    again = resume(cwd)
    assert (again.returncode, again.stderr) == (0, "")
    summary = done.stdout[done.stdout.index("\nthe defaults win") :]
    assert again.stdout == summary
    assert len(of(won).finished()) == 1
    best = (cwd / "best.yaml").read_bytes()
    for module in ("search.audit", "search.retrain"):
        done = start(module, "results/s", cwd=cwd)
        assert (done.returncode, done.stderr) == (0, ""), module
    assert "the defaults win in s: trial " in done.stdout
    assert len(of(won).finished()) == 2
    assert (of(won).folder / "best.yaml").read_bytes() == best


HELD = """
import threading
from pathlib import Path
from tests import toy
from tests.toy import Config, save, test

def train(config):
    for epoch, pulled in enumerate(toy.train(config), 1):
        if epoch == 3 and config.x == 2.0 and Path("hold").exists():
            Path("hold").rename("held")
            threading.Event().wait()
        yield pulled
"""
ENTRIES = [{"x": 4, "y": 1}, {"x": 2}, {"y": 3, "x": 3}]


def test_a_search_that_is_killed_goes_on_with_what_it_was_to_try_first_and_needs_no_retraining(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed in trial 2, the second of `start`. With finalists: 0 it ends with its best trial, and no model."""
    (tmp_path / "held_start.py").write_text(HELD, encoding="utf-8")
    (tmp_path / "hold").touch()
    settings = {"workload": "held_start", "metric": "loss", "space": BOTH, "start": ENTRIES, "finalists": 0}
    config = write(tmp_path, {**settings, "num_samples": 6, "scheduler": None})
    with begin(tmp_path, "--config", config, "--name", "s", *ONE) as process:
        until((tmp_path / "held").exists)
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    done = resume(tmp_path, *ONE)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    made = study.load(tmp_path / "results" / "s")
    trials = made.trials()
    assert [trial.ending for trial in trials] == ["complete"] * 6
    alone = studies.new({**settings, "workload": "tests.toy", "num_samples": 6, "output": str(tmp_path / "alone")})
    tried = [{"x": 0.0, "y": 0.0}, {"x": 4.0, "y": 1.0}, {"x": 2.0}, {"x": 3.0, "y": 3.0}]
    alone.search.set_user_attr(records.START, tried)
    assert [trial.params for trial in trials] == proposed(alone, 6)
    assert trials[1].params == tried[1]
    assert trials[2].params["x"] == 2.0
    # What it ends with.
    assert made.others("retraining") == []
    assert not (made.folder / "best").exists()
    assert "the best is trial 0, the defaults, of s; with finalists: 0 it is not retrained" in done.stdout
    assert "best/" not in done.stdout
    best = (tmp_path / "best.yaml").read_text(encoding="utf-8")
    assert "(trial 0, the defaults); not retrained\n" in best
    assert "not retrained: finalists is 0" in (made.folder / "report.html").read_text(encoding="utf-8")
    # From Python the same, where all is done.
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    assert run(resume=made.folder).best_config() == YAML(typ="safe").load(best)
    refused = start("search.retrain", "results/s", cwd=tmp_path)
    assert refused.returncode == 2
    assert refused.stderr.startswith("error: finalists must be >= 1 to retrain, but the study has 0; set it")


def proposed(made: Study, count: int) -> list[dict[str, Any]]:
    """Return the hyperparameters of a study's trials when so many have been proposed, and have ended."""
    searcher = OptunaSearcher(made, 0)
    for name in map(str, range(count)):
        told = searcher.suggest(name)
        if not isinstance(told, dict):
            break
        loss = told[TRIAL].order.values["x"] ** 2
        epochs = [(1, {"loss": loss, "elapsed_s": 0.1}, loss)]
        last = {"epoch": 1, "epochs": epochs, "best": loss, "value": loss, "ended": True, "where": ("vm", 7, 1.5)}
        searcher.on_trial_complete(name, last)
        searcher.check()
    return [trial.params for trial in made.trials()]


def test_wherever_a_journal_ends_what_is_to_be_tried_first_is_proposed_in_the_same_order(tmp_path: Path) -> None:
    made = studies.new({**TOY, "num_samples": 4, "output": str(tmp_path), "name": "whole"})
    made.search.set_user_attr(records.START, [{"x": 0.0, "y": 0.0}, {"x": 1.0}, {"x": 2.0, "y": 2.0}])
    made.begin_session(studies.SHARE, {})
    begins = (made.folder / "journal.log").read_bytes().count(b"\n")
    expected = proposed(made, 4)
    lines = (made.folder / "journal.log").read_bytes().splitlines(keepends=True)
    assert len(lines) > begins + 4 * 4
    for cut in range(begins, len(lines)):
        folder = tmp_path / f"cut-{cut}"
        (folder / "logs").mkdir(parents=True)
        (folder / "journal.log").write_bytes(b"".join(lines[:cut]))
        assert proposed(study.load(folder), 4) == expected, cut


def test_a_file_that_says_nothing_of_the_defaults_goes_on_with_a_study_of_either_kind(tmp_path: Path) -> None:
    """Those of before had none, and their files lack the setting."""
    for kept in (True, False):
        made = studies.create(tmp_path, f"s-{kept}", try_defaults=kept)
        settings = {name: value for name, value in TOY.items() if name != "try_defaults"}
        assert request.config_of(Asked(settings, resume=made.folder), made).try_defaults is kept

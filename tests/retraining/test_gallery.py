"""What real searches draw with a workload's own `plot`, and what its faults cost them."""

import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from search import study
from search.journal.trial import Trial
from search.retraining import gallery
from search.retraining.gallery import Pictures
from search.views import images
from search.worker.jobs import UNPICKLED, Drawn
from tests import studies
from tests.pictures import frames_of
from tests.programs import TOY, begin, resume, search, start, until, write

DRAWN = """
from matplotlib.figure import Figure
from tests.toy import Config, save, test, train

def plot(model, config):
    figure = Figure(figsize=(3, 2))
    figure.patch.set_facecolor((model["epoch"] / 10, (config.x + 10) / 20, 0.5))
    return figure
"""


def drawn_search(folder: Path, plot: str, **change: Any) -> subprocess.CompletedProcess[str]:
    folder.mkdir(exist_ok=True)
    (folder / "drawn.py").write_text(plot, encoding="utf-8")
    return search(folder, {**TOY, "workload": "drawn", **change})


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> study.Study:
    """Return a study whose pictures say in their colour of which epoch and config they are."""
    cwd = tmp_path_factory.mktemp("drawn")
    done = drawn_search(cwd, DRAWN, finalists=3)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert "left out" not in done.stdout
    return study.load(cwd / "results" / "s")


def shown(colour: Any) -> tuple[int, float]:
    """Return the epoch and the x that a colour says."""
    return round(colour[0] / 25.5), colour[1] / 255 * 20 - 10


def test_the_film_is_the_winners_epochs_and_ends_with_the_model_that_is_kept(finished: study.Study) -> None:
    best = finished.folder / "best"
    found = finished.outcome()
    assert found is not None
    assert found.winner is not None
    frames = frames_of((best / "epochs.gif").read_bytes())
    epochs = [shown(frame.getpixel((240, 200))) for frame in frames]
    assert [epoch for epoch, _ in epochs] == list(range(1, 10))
    assert [x for _, x in epochs] == pytest.approx([found.winner.config["x"]] * 9, abs=0.5)
    (whole,) = frames_of((best / "plot.png").read_bytes())
    assert shown(whole.getpixel((100, 100)))[0] == 9
    assert whole.size == (360, 240)


def test_the_sheet_shows_the_finalists_by_rank_and_then_the_reference(finished: study.Study) -> None:
    found = finished.outcome()
    assert found is not None
    (made,) = frames_of((finished.folder / "plots" / "finalists.png").read_bytes())
    width, height = 480 + images.GAP_PX, 320 + images.STRIP_PX + images.GAP_PX
    assert made.size == (2 * width + images.GAP_PX, 2 * height + images.GAP_PX)
    places = [(at % 2 * width + 200, at // 2 * height + 200) for at in range(4)]
    by_mean = sorted(found.candidates[:3], key=lambda each: each.mean)
    expected = [each.config["x"] for each in (*by_mean, found.candidates[3])]
    assert [shown(made.getpixel(place))[1] for place in places] == pytest.approx(expected, abs=0.1)
    assert {shown(made.getpixel(place))[0] for place in places} == {9}


def test_retraining_again_draws_again_and_without_a_plot_leaves_no_picture_of_an_earlier_one(
    finished: study.Study,
) -> None:
    cwd, folder = finished.folder.parents[1], finished.folder
    (folder / "plots" / "finalists.png").unlink()
    assert start("search.retrain", "results/s", cwd=cwd).returncode == 0
    assert (folder / "plots" / "finalists.png").exists()
    assert (folder / "best" / "epochs.gif").exists()
    (cwd / "drawn.py").write_text("from tests.toy import Config, save, test, train\n", encoding="utf-8")
    assert start("search.retrain", "results/s", cwd=cwd).returncode == 0
    assert not (folder / "plots" / "finalists.png").exists()
    assert {path.name for path in (folder / "best").iterdir()} == {"model.pt", "metrics.json", "curves.csv"}


RAISES = DRAWN.replace("    return figure", "    raise RuntimeError('no ink')")
DIES = "import os, signal\n" + DRAWN.replace("    return figure", "    os.kill(os.getpid(), signal.SIGKILL)")


@pytest.mark.parametrize(
    ("plot", "problem"),
    [
        pytest.param(RAISES, "plot raised RuntimeError: no ink", id="raises"),
        pytest.param(DIES, "plot: the process was lost", id="dies", marks=pytest.mark.full),
    ],
)
def test_a_plot_that_fails_costs_the_pictures_and_one_line(plot: str, problem: str, tmp_path: Path) -> None:
    done = drawn_search(tmp_path, plot)
    assert (done.returncode, done.stderr) == (0, "")
    folder = tmp_path / "results" / "s"
    line = f"  plots/finalists.png, best/plot.png, best/epochs.gif: {problem}, see results/s/logs/retraining.log"
    assert next(each for each in done.stdout.splitlines() if "plot" in each) == line
    assert done.stdout.count(problem) == 1
    assert {path.name for path in (folder / "best").iterdir()} == {"model.pt", "metrics.json", "curves.csv"}
    assert not (folder / "plots" / "finalists.png").exists()
    assert len(study.load(folder).others("retraining")) == 1


SAVE_DIES = """
import os, signal
from tests.toy import Config, test, train
from drawn_before import plot

def save(model, config, path):
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_process_that_dies_as_it_saves_costs_the_model_and_in_the_second_retraining_no_picture(
    tmp_path: Path,
) -> None:
    """The first was in the processes of the search, of which one, where pictures were to be drawn too, is gone."""
    (tmp_path / "drawn_before.py").write_text(DRAWN, encoding="utf-8")
    done = drawn_search(tmp_path, SAVE_DIES)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("save: the process was lost") == 1
    folder = tmp_path / "results" / "s"
    assert len(study.load(folder).others("retraining")) == 2
    assert {"epochs.gif", "plot.png"} <= {path.name for path in (folder / "best").iterdir()}
    assert (folder / "plots" / "finalists.png").exists()


HANGS = "import threading\nfrom pathlib import Path\n" + DRAWN.replace(
    "    return figure", "    Path('drawing').touch()\n    threading.Event().wait()"
)


@pytest.mark.full
def test_a_ctrl_c_while_the_winner_is_drawn_keeps_it_without_pictures_which_the_resumed_search_draws(
    tmp_path: Path,
) -> None:
    (tmp_path / "drawn.py").write_text(HANGS, encoding="utf-8")
    with begin(tmp_path, "--config", write(tmp_path, {**TOY, "workload": "drawn"}), "--name", "s") as process:
        until((tmp_path / "drawing").exists)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    folder = tmp_path / "results" / "s"
    assert (folder / "best" / "model.pt").exists()
    assert not (folder / "best" / "epochs.gif").exists()
    assert "over 2 seeds" in (folder / "best.yaml").read_text(encoding="utf-8")
    kept = (folder / "best" / "model.pt").read_bytes()
    (tmp_path / "drawn.py").write_text(DRAWN, encoding="utf-8")
    done = resume(tmp_path, "--allow-changes")
    assert (done.returncode, done.stderr) == (0, "")
    assert "drawing the winner, as that was cut off\n" in done.stdout
    assert len(study.load(folder).others("retraining")) == 1
    assert (folder / "best" / "model.pt").read_bytes() == kept
    for name in ("best/plot.png", "best/epochs.gif", "plots/finalists.png"):
        assert (folder / name).is_file(), name
    again = resume(tmp_path)
    assert (again.returncode, again.stderr) == (0, "")
    assert "drawing" not in again.stdout


def test_what_went_wrong_is_a_line_however_many_pictures_it_cost_and_none_where_it_was_said_before() -> None:
    """That a model cannot be pickled is said where it is to be kept."""
    problems = {gallery.SHEET: "plot raised", gallery.PLOT: UNPICKLED, gallery.FILM: "plot raised", "best/x": "no ink"}
    assert Pictures({}, problems).lines() == [f"{gallery.SHEET}, {gallery.FILM}: plot raised", "best/x: no ink"]


def test_the_winners_pictures_lie_in_its_folder_and_the_sheet_does_not() -> None:
    files = {gallery.SHEET: b"1", gallery.PLOT: b"2", gallery.FILM: b"3"}
    assert Pictures(files).of_winner() == {"plot.png": b"2", "epochs.gif": b"3"}


def test_a_sheet_is_hung_where_the_folder_of_pictures_is_gone_and_an_earlier_one_taken_away(tmp_path: Path) -> None:
    made = studies.create(tmp_path, "s")
    (made.folder / "plots").rmdir()
    gallery.hang(made, Pictures())
    assert not (made.folder / "plots").exists()
    gallery.hang(made, Pictures({gallery.SHEET: b"image"}))
    assert (made.folder / gallery.SHEET).read_bytes() == b"image"
    gallery.hang(made, Pictures({gallery.PLOT: b"image"}))
    assert list((made.folder / "plots").iterdir()) == []


def test_an_epoch_of_a_film_that_lacks_the_metric_is_told_as_not_measured() -> None:
    epochs = ({"elapsed_s": 1.0}, {"loss": 0.5, "elapsed_s": 2.0})
    run = Trial(0, "complete", 0.5, 2, {}, epochs, {}, 0.0, 2.0)
    image = Image.new("RGB", (4, 4))
    told = gallery.frames(run, "loss", {1: Drawn(image), 2: Drawn(image)})
    assert [caption.after for _, caption, _ in told] == [" not measured", " 0.5, kept"]

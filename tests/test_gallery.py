"""What is drawn with a workload's own `plot`: order, captions, frames, sizes, and what its faults cost."""

import io
import itertools
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from search import checkpoints, drawing, film, gallery, images, retrain, sheet, study
from search.checkpoints import MOST, Checkpoints
from search.drawing import Drawn, Shot
from search.errands import Copies
from search.images import Caption
from search.journal import Ending, Trial
from search.outcome import Candidate, Outcome
from search.tasks import Kept
from search.worker import Order, Training
from search.workload import Workload
from tests.programs import ENVIRONMENT, TOY, begin, resume, search, start, until, write
from tests.toy import Config, train

RED, GREEN, BLUE = (200, 30, 30), (30, 160, 30), (30, 30, 200)


def noise(number: int, size: tuple[int, int] = (480, 480)) -> Image.Image:
    """Return an image that nothing can compress."""
    dots = np.random.default_rng(number).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    return Image.fromarray(dots)


def frames_of(content: bytes) -> list[Image.Image]:
    with Image.open(io.BytesIO(content)) as opened:
        found = []
        for at in range(getattr(opened, "n_frames", 1)):
            opened.seek(at)
            found.append(opened.convert("RGB"))
        return found


# The epochs that are kept.


@pytest.mark.parametrize("epochs", [1, 2, 3, 19, 20, 21, 30, 100, 10_000, 10**7])
def test_checkpoints_are_of_the_first_and_the_last_epoch_and_denser_at_the_start(epochs: int) -> None:
    chosen = checkpoints.spread(epochs, 20)
    assert (chosen[0], chosen[-1]) == (1, epochs)
    assert min(epochs, 15) <= len(chosen) <= 20
    gaps = np.diff(chosen)
    half = len(gaps) // 2
    assert sum(gaps[:half]) <= sum(gaps[len(gaps) - half :])


@pytest.mark.parametrize("count", [*range(9), 20])
def test_any_first_few_of_a_film_are_spread_over_all_of_it(count: int) -> None:
    order = checkpoints.evenly(range(count))
    assert sorted(order) == list(range(count))
    assert set(order[:2]) == {*range(count)} & {count - 1, 0}
    for few in range(2, count):
        assert max(np.diff(sorted(order[:few]))) <= 2 * (count - 1) / (few - 1) + 1


@pytest.mark.parametrize(("size", "kept"), [(5_000, MOST), (4_000_000, 8), (12_000_000, 0), (40_000_000, 0)])
def test_checkpoints_of_a_run_fit_into_their_memory_or_are_fewer_or_none(size: int, kept: int) -> None:
    made = Checkpoints()
    for epoch in range(1, 101):
        if made.want(epoch, 100):
            made.add(epoch, bytes(size))
    assert len(made.models) == kept
    assert sum(map(len, made.models.values())) <= checkpoints.LIMIT
    assert kept == 0 or (next(iter(made.models)) == 1 and [*made.models][-1] == 100)


def test_checkpoints_of_a_model_that_grows_end_where_their_memory_does() -> None:
    made = Checkpoints()
    for epoch in range(1, 101):
        if made.want(epoch, 100):
            made.add(epoch, bytes(epoch * 500_000))
    assert 3 <= len(made.models) < MOST
    assert sum(map(len, made.models.values())) <= checkpoints.LIMIT


def test_after_a_model_that_cannot_be_pickled_no_other_is_wanted() -> None:
    made = Checkpoints()
    assert made.want(1, 30)
    made.add(1, bytes(10))
    later = next(epoch for epoch in range(2, 31) if made.want(epoch, 30))
    made.add(later, None)
    assert not any(made.want(epoch, 30) for epoch in range(2, 31))
    assert list(made.models) == [1]


def copies_of(workload: str, **values: Any) -> tuple[Copies, list[float]]:
    """Return the copies of a run, and its metric at every epoch."""
    metric = "val_loss" if workload == "heart.train" else "loss"
    order = Order(workload, 0, metric, "min", values)
    training, copies, seen = Training(order), Copies(order), []
    while True:
        result = training.advance(seconds=0)
        copies.take(training, result)
        seen += [metrics[metric] for _, metrics, _ in result["epochs"]]
        if result["ended"]:
            training.close()
            return copies, seen


def test_the_last_checkpoint_is_the_kept_model_where_the_last_epoch_is_the_best() -> None:
    copies, losses = copies_of("heart.train", points=2000, epochs=6, hidden1=8, hidden2=8, engine="torch")
    assert min(losses) == losses[-1]
    assert list(copies.checkpoints.models) == [1, 2, 3, 4, 5, 6]
    assert copies.checkpoints.models[6] == copies.best
    assert len(set(copies.checkpoints.models.values())) == 6  # each as it was, not as it is now


def test_where_nothing_can_be_drawn_no_checkpoint_is_kept() -> None:
    copies, _ = copies_of("tests.toy")
    assert copies.best is not None
    assert copies.checkpoints.models == {}


TRAINS = """
import sys
from pathlib import Path
from search import errands
from search.worker import Order
values = {"points": 2000, "epochs": 3, "engine": "torch"}
for keep in (True, False):
    record, best, models = errands.train(Order("heart.train", 0, "val_loss", "min", values), sys.argv[1], keep)
    Path(sys.argv[2], str(keep)).write_text(f"{record.checkpoints} {best is not None} {list(models)}")
"""


def test_an_audit_keeps_no_models(tmp_path: Path) -> None:
    command = [sys.executable, "-c", TRAINS, str(tmp_path / "log"), str(tmp_path)]
    subprocess.run(command, check=True, env=ENVIRONMENT, timeout=60)
    assert (tmp_path / "True").read_text(encoding="utf-8") == "(1, 2, 3) True [1, 2, 3]"
    assert (tmp_path / "False").read_text(encoding="utf-8") == "() False []"


def test_of_each_candidate_only_the_best_run_keeps_its_checkpoints() -> None:
    """As outcome.Candidate.best_run chooses it, of equal ones the first; and the reference, which cannot win, none."""
    for order in itertools.permutations([("a", 0, 2.0), ("a", 1, 1.0), ("a", 2, 1.0), ("reference", 3, 0.0)]):
        kept, leading = dict[int, Kept](), dict[str, tuple[float, int]]()
        for candidate, number, value in order:
            kept[number] = Kept("model", "checkpoints", (1, 2))
            retrain._drop_checkpoints(kept, leading, candidate, (value, number))
        assert [number for number, each in kept.items() if each.epochs] == [1]
        assert all(each.model for each in kept.values())


# Sheets and films.


def run(number: int, ending: Ending = "complete", values: tuple[float, ...] = (0.3, 0.2)) -> Trial:
    epochs = tuple({"loss": value, "elapsed_s": 0.0} for value in values)
    best = min(values, default=None)
    return Trial(number, ending, best, len(values), {}, epochs, {"config": {}}, 0.0, 0.0)


def candidate(name: str, *runs: Trial) -> Candidate:
    return Candidate(name, runs, {})


FOUND = (
    candidate("trial 4", run(0, values=(0.3,)), run(1, values=(0.5,))),
    candidate("trial 7", run(2, values=(0.01,)), run(3, "diverged", (0.01,))),
    candidate("trial 5", run(4, values=(0.3,)), run(5, values=(0.2,))),
    candidate("trial 9", run(6, "failed", ()), run(7, "failed", ())),
    candidate("reference", run(8, values=(0.1,)), run(9, values=(0.1,))),
)


def test_a_sheet_shows_the_sound_by_rank_then_the_others_marked_so_and_the_reference_last() -> None:
    found = Outcome(FOUND, FOUND[2], FOUND[4])
    for mode, first in (("min", ["trial 5", "trial 4"]), ("max", ["trial 4", "trial 5"])):
        names = [each.name for each in gallery.shown(found, mode)]
        assert names == [*first, "trial 7", "trial 9", "reference"]
    told = ["".join(gallery._caption(each, at, "loss")[:3]) for at, each in enumerate(gallery.shown(found, "min"), 1)]
    assert told == [
        "1. trial 5, loss 0.25000 ± 0.07071",
        "2. trial 4, loss 0.40000 ± 0.14142",
        "trial 7, 1 of 2 seeds diverged",
        "trial 9, 2 of 2 seeds failed",
        "reference, loss 0.10000 ± 0.00000",
    ]


def test_a_sheet_of_many_finalists_is_of_the_best_and_the_reference() -> None:
    many = tuple(candidate(f"trial {at}", run(at, values=(float(at),))) for at in range(30))
    reference = candidate("reference", run(99))
    names = [each.name for each in gallery.shown(Outcome((*many, reference), many[0], reference), "min")]
    assert names == [*(f"trial {at}" for at in range(11)), "reference"]


@pytest.mark.parametrize(("count", "columns", "rows"), [(1, 1, 1), (2, 2, 1), (3, 3, 1), (4, 2, 2), (7, 3, 3)])
def test_tiles_of_any_shape_stand_in_their_order_row_by_row(count: int, columns: int, rows: int) -> None:
    colours = [(30 * at, 120, 255 - 30 * at) for at in range(count)]
    tiles = [Image.new("RGB", (90 + 10 * (at % 2), 60 - 10 * (at % 3)), colour) for at, colour in enumerate(colours)]
    (made,) = frames_of(sheet.compose([(Caption("a tile"), tile) for tile in tiles]))
    width, height = max(tile.width for tile in tiles) + sheet.GAP, 60 + images.STRIP + sheet.GAP
    assert made.size == (columns * width + sheet.GAP, rows * height + sheet.GAP)
    middles = [
        (at % columns * width + sheet.GAP + width // 2, at // columns * height + images.STRIP + 40)
        for at in range(count)
    ]
    assert [made.getpixel(place) for place in middles] == colours


def test_a_long_name_in_a_caption_is_cut_and_the_numbers_around_it_are_not() -> None:
    name = "validation_" + "very_" * 60 + "long_loss"
    for width in (200, 480):
        text = images._fitted(Caption("1. trial 31, ", name, " 0.0057"), width)
        assert text.startswith("1. trial 31, v")
        assert text.endswith(" 0.0057")
        assert "…" in text
        assert images._font().getlength(text) <= width
    shorter = [images._fitted(Caption("epoch 10 of 30, ", name, " 0.1, kept"), width) for width in (200, 120, 60, 5)]
    assert shorter == ["epoch 10 of 30, … 0.1, kept", "epoch 10 of 30", "epoch…", ""]
    assert images._fitted(Caption("1. trial 31, ", r"$\frac$ $x", " 1\n2"), 480) == r"1. trial 31, $\frac$ $x 1 2"


def test_a_film_shows_each_frame_once_for_its_time_and_holds_the_last() -> None:
    colours = [RED, GREEN, BLUE]
    made = film.compose(
        [(1.0, Caption(f"epoch {at}"), Image.new("RGB", (300, 200), c)) for at, c in enumerate(colours)]
    )
    with Image.open(io.BytesIO(made)) as opened:
        assert (opened.n_frames, opened.info["loop"]) == (3, 0)  # type: ignore[attr-defined]
        durations = []
        for at in range(3):
            opened.seek(at)
            durations.append(opened.info["duration"])
    assert durations == [film.FRAME, film.FRAME, film.LAST]
    for frame, colour in zip(frames_of(made), colours, strict=True):
        dots = np.asarray(frame).astype(int)
        assert np.abs(dots[130, 150] - colour).max() <= 4
        assert dots[2, 298].tolist() == [255, 255, 255]


def test_a_frame_says_its_epoch_and_value_and_which_is_kept() -> None:
    made = run(3, values=(0.5, 0.25, 0.125))
    shown = {3: Drawn(image=noise(3)), 1: Drawn(image=noise(1)), 2: Drawn(problem="plot raised")}
    captions = [(gone, "".join(caption[:3])) for gone, caption, _ in gallery.frames(made, "loss", shown)]
    assert captions == [(1 / 3, "epoch 1 of 3, loss 0.5"), (1.0, "epoch 3 of 3, loss 0.125, kept")]


def test_a_film_and_a_sheet_of_pure_noise_stay_small() -> None:
    shown = [(at / 20, Caption(f"epoch {at} of 20"), noise(at)) for at in range(20)]
    made = film.compose(shown)
    assert len(made) <= film.AIM
    assert len(frames_of(made)) >= 10
    assert len(sheet.compose([(caption, image) for _, caption, image in shown[:12]])) <= sheet.AIM


# Drawing.


def workload(plot: Callable[[Any, Any], Any]) -> Workload:
    return Workload("tests.toy", Config, train, None, plot, None, lambda config: config, False)


def draw(plot: Callable[[Any, Any], Any], *epochs: int, whole: int = 0) -> list[Drawn]:
    """Draw the epochs of a run whose model is the epoch itself."""
    shots = [Shot({"x": 1.0}, 0, epoch, whole=epoch == whole) for epoch in epochs]
    return drawing.draw(workload(plot), shots, lambda shot: shot.epoch or None)


def test_figures_of_any_size_become_small_images_and_pyplot_forgets_them() -> None:
    from matplotlib import pyplot

    sizes = {1: (40.0, 20.0), 2: (0.5, 1.0), 3: (6.0, 6.0)}
    drawn = draw(lambda epoch, config: pyplot.figure(figsize=sizes[epoch]), 1, 2, 3, whole=3)
    assert [each.problem for each in drawn] == [""] * 3
    assert [each.image.size for each in drawn] == [(480, 240), (150, 300), (480, 480)]
    assert [each.png[:4] for each in drawn] == [b"", b"", b"\x89PNG"]
    assert frames_of(drawn[2].png)[0].size == (720, 720)
    assert pyplot.get_fignums() == []


def test_a_plot_that_fails_costs_its_own_picture(capfd: pytest.CaptureFixture[str]) -> None:
    def plot(epoch: int, config: Config) -> Any:
        if epoch == 2:
            raise RuntimeError("no such epoch")
        if epoch == 3:
            sys.exit("gone")
        return Figure() if epoch == 1 else None

    drawn = draw(plot, 2, 0, 3, 4, 2, 1)
    assert [each.problem for each in drawn] == [
        "plot raised RuntimeError: no such epoch",
        drawing.UNPICKLED,
        "plot raised SystemExit: gone",
        "plot raised TypeError: it must return a matplotlib Figure, but got NoneType",
        "plot raised RuntimeError: no such epoch",
        "",
    ]
    assert [each.image is not None for each in drawn] == [False] * 5 + [True]
    assert capfd.readouterr().err.count("Traceback") == 3  # of two that are the same, one


def test_a_plot_that_never_returns_is_ended_and_no_other_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drawing, "LONGEST", 0.2)
    monkeypatch.setattr(drawing, "CLOCK", 0.1)
    drawn = draw(lambda epoch, config: threading.Event().wait(), 1, 2, 3)
    assert [each.problem for each in drawn] == ["plot raised TimeoutError: it took longer than 0.2 s", "", ""]
    assert not any(each.image for each in drawn)


def test_a_slow_plot_costs_frames_and_not_the_winners_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drawing, "WORK", 0.0)
    drawn = draw(lambda epoch, config: Figure(), 1, 2, 3, 4, whole=3)
    assert [bool(each.image) for each in drawn] == [True, False, True, False]


# Real searches on a real Ray.

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
    width, height = 480 + sheet.GAP, 320 + images.STRIP + sheet.GAP
    assert made.size == (2 * width + sheet.GAP, 2 * height + sheet.GAP)
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
    [(RAISES, "plot raised RuntimeError: no ink"), (DIES, "plot: the process was lost")],
    ids=["raises", "dies"],
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


def test_a_ctrl_c_while_the_winner_is_drawn_keeps_it_without_pictures(tmp_path: Path) -> None:
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
    done = resume(tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(study.load(folder).others("retraining")) == 1

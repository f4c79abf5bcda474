"""Sheets and films, put together from images: order, captions, frames, sizes."""

import io

import numpy as np
import pytest
from PIL import Image

from search.journal.outcome import Candidate, Outcome
from search.journal.trial import Ending, Trial
from search.retraining import gallery
from search.spec.objective import Objective
from search.views import images
from search.views.images import Caption
from search.worker.jobs import Drawn
from tests.pictures import frames_of

RED, GREEN, BLUE = (200, 30, 30), (30, 160, 30), (30, 30, 200)


def noise(number: int, size: tuple[int, int] = (480, 480)) -> Image.Image:
    """Return an image that nothing can compress."""
    dots = np.random.default_rng(number).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    return Image.fromarray(dots)


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
        names = [each.name for each in gallery.shown(found, Objective("loss", mode))]
        assert names == [*first, "trial 7", "trial 9", "reference"]
    told = [
        "".join(gallery._caption(each, None if each is found.reference else at, "loss")[:3])
        for at, each in enumerate(gallery.shown(found, Objective("loss")), 1)
    ]
    assert told == [
        "1. trial 5, loss 0.25000 ± 0.07071",
        "2. trial 4, loss 0.40000 ± 0.14142",
        "trial 7, 1 of 2 seeds diverged",
        "trial 9, 2 of 2 seeds failed",
        "defaults, loss 0.10000 ± 0.00000",
    ]


def test_a_tile_of_a_finalist_that_was_not_judged_says_that_its_value_is_of_one_seed() -> None:
    alone = run(0, values=(0.3,))
    told = gallery._caption(Candidate("trial 4", (alone,), {}, (alone,)), 2, "loss")
    assert "".join(told) == "2. trial 4, loss 0.3, of one seed"


def test_a_sheet_of_many_finalists_is_of_the_best_and_the_reference() -> None:
    many = tuple(candidate(f"trial {at}", run(at, values=(float(at),))) for at in range(30))
    reference = candidate("reference", run(99))
    names = [each.name for each in gallery.shown(Outcome((*many, reference), many[0], reference), Objective("loss"))]
    assert names == [*(f"trial {at}" for at in range(11)), "reference"]


@pytest.mark.parametrize(("count", "columns", "rows"), [(1, 1, 1), (2, 2, 1), (3, 3, 1), (4, 2, 2), (7, 3, 3)])
def test_tiles_of_any_shape_stand_in_their_order_row_by_row(count: int, columns: int, rows: int) -> None:
    colours = [(30 * at, 120, 255 - 30 * at) for at in range(count)]
    tiles = [Image.new("RGB", (90 + 10 * (at % 2), 60 - 10 * (at % 3)), colour) for at, colour in enumerate(colours)]
    (made,) = frames_of(images.sheet([(Caption("a tile"), tile) for tile in tiles]))
    width, height = max(tile.width for tile in tiles) + images.GAP_PX, 60 + images.STRIP_PX + images.GAP_PX
    assert made.size == (columns * width + images.GAP_PX, rows * height + images.GAP_PX)
    middles = [
        (at % columns * width + images.GAP_PX + width // 2, at // columns * height + images.STRIP_PX + 40)
        for at in range(count)
    ]
    assert [made.getpixel(place) for place in middles] == colours


def test_a_long_name_in_a_caption_is_cut_and_the_numbers_around_it_are_not() -> None:
    name = "validation_" + "very_" * 60 + "long_loss"
    for width in (200, 480):
        line = images._fitted(Caption("1. trial 31, ", name, " 0.0057"), width)
        text = "".join(line)
        assert text.startswith("1. trial 31, v")
        assert text.endswith(" 0.0057")
        assert "…" in text
        assert images._length(line) <= width
    lines = [images._fitted(Caption("epoch 10 of 30, ", name, " 0.1, kept"), width) for width in (200, 120, 60, 5)]
    assert list(map("".join, lines)) == ["epoch 10 of 30, … 0.1, kept", "epoch 10 of 30", "epoch…", ""]
    formula = images._fitted(Caption("1. trial 31, ", r"$\frac$ $x", " 1\n2"), 480)
    assert "".join(formula) == r"1. trial 31, $\frac$ $x 1 2"


def test_a_name_that_runs_from_right_to_left_takes_no_number_along() -> None:
    """Written with it, the number would stand on its left, and its error before it."""
    parts = ("1. trial 3, ", "خسارة", " 0.12 ± 0.01")
    assert images._fitted(Caption(*parts), 480) == parts


def test_a_film_shows_each_frame_once_for_its_time_and_holds_the_last() -> None:
    colours = [RED, GREEN, BLUE]
    made = images.film([(1.0, Caption(f"epoch {at}"), Image.new("RGB", (300, 200), c)) for at, c in enumerate(colours)])
    with Image.open(io.BytesIO(made)) as opened:
        assert (opened.n_frames, opened.info["loop"]) == (3, 0)  # type: ignore[attr-defined]
        durations = []
        for at in range(3):
            opened.seek(at)
            durations.append(opened.info["duration"])
    assert durations == [images.FRAME_MS, images.FRAME_MS, images.LAST_FRAME_MS]
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
    made = images.film(shown)
    assert len(made) <= images.FILM_BYTES
    assert len(frames_of(made)) >= 10
    assert len(images.sheet([(caption, image) for _, caption, image in shown[:12]])) <= images.SHEET_BYTES

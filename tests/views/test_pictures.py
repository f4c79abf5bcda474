"""What the pictures of a study draw: every point, line and bar held against the journal they are drawn from."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from search.spec.axes import axis_of
from search.study import Study
from search.views.format import FRONT_COLOUR, STATE_COLOURS, drawn, epochs_of, some_of
from search.views.page import page
from tests import studies
from tests.studies import curve

SPACE = {
    "x": {"distribution": "uniform", "low": -5, "high": 5},
    "limit": {"distribution": "log_uniform", "low": 0.001, "high": 10},
    "fault": {"distribution": "choice", "values": ["", "nan", "raise"]},
}
Told = list[tuple[list[float], Any]]
TRIALS: Told = [
    (curve(5.0, 9), "complete"),
    ([3.0, 2.0, 2.5], "stopped"),
    ([1.0, 0.5, math.nan], "diverged"),
    (curve(1.5, 9), "complete"),
    ([0.4], "failed"),
    (curve(4.0, 9), "complete"),
    ([math.nan], "diverged"),
    ([1.8, 1.7], None),
    (curve(1.2, 9), "complete"),
    ([6.0], "stopped"),
]
"""The values of each trial's metric, and its ending."""


def create(folder: Path, trials: Told = TRIALS, **change: Any) -> Study:
    made = studies.create(folder, "s", space=SPACE, num_samples=len(trials), **change)
    for values, ending in trials:
        studies.add(made, values, ending, failure="it broke" if ending == "failed" else "")
    return made


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Study:
    return create(tmp_path_factory.mktemp("made"))


def only(figure: Figure) -> Axes:
    (axes,) = figure.axes
    return axes


def legend(figure: Figure) -> list[str]:
    return [text.get_text() for each in figure.legends for text in each.get_texts()]


def points(axes: Axes) -> dict[str, list[tuple[float, float]]]:
    """Return where the points of a scatter stand, by their label."""
    found: dict[str, list[tuple[float, float]]] = {}
    for each in axes.collections:
        assert isinstance(each, PathCollection)
        assert {to_hex(colour) for colour in np.asarray(each.get_facecolor())} == {STATE_COLOURS[str(each.get_label())]}
        found[str(each.get_label())] = [(float(x), float(y)) for x, y in np.asarray(each.get_offsets())]
    return found


def lines_of(axes: Axes) -> tuple[list[Line2D], list[Line2D]]:
    """Return the curves of the trials, and the lines of the rungs."""
    rungs = [each for each in axes.lines if each.get_linestyle() == ":"]
    return [each for each in axes.lines if each not in rungs], rungs


def test_rungs_at_each_epoch_are_no_fence_of_lines(tmp_path: Path) -> None:
    made = studies.create(tmp_path, "s", scheduler="median", fixed={"epochs": 40}, num_samples=3)
    studies.add(made, studies.curve(1.0, 40), "complete")
    figure = made.figures()["curves"]
    _, rungs = lines_of(only(figure))
    assert [list(np.asarray(line.get_xdata())) for line in rungs] == [[3, 3]]
    assert "first rung of epochs 3 to 39" in legend(figure)
    assert "Dotted: first rung of epochs 3 to 39." in page.render(made.snapshot()).decode()
    assert epochs_of(range(2, 90, 2)) == "epochs 2 to 88 in steps of 2"
    assert some_of(range(3, 40)) == [3, 7, 12, 16, 21, 25, 30, 34, 39]


def test_the_curves_are_every_epoch_of_every_trial_in_its_endings_colour_and_the_best_in_front(made: Study) -> None:
    figure = made.figures()["curves"]
    axes = only(figure)
    drawn, rungs = lines_of(axes)
    trials = made.trials()
    order = [*(trial for trial in trials if trial.number != 8), trials[8]]
    for line, trial in zip(drawn, order, strict=True):
        values = [row["loss"] for row in trial.epochs]
        np.testing.assert_array_equal(np.asarray(line.get_xdata()), range(1, len(values) + 1))
        np.testing.assert_array_equal(np.asarray(line.get_ydata()), values)
        assert line.get_color() == (FRONT_COLOUR if trial.number == 8 else STATE_COLOURS[trial.ending])
        assert (line.get_marker() == "o") == (len(values) == 1)  # a line of one point would not be seen
    assert drawn[-1].get_linewidth() > max(line.get_linewidth() for line in drawn[:-1])
    assert [list(np.asarray(line.get_xdata())) for line in rungs] == [[1, 1], [3, 3]]
    assert sorted(legend(figure)) == sorted([*STATE_COLOURS, "best, trial 8", "rung (epochs 1, 3)"])
    low, high = axes.get_xlim()
    assert low < 1
    assert 9 < high < 10
    assert (axes.get_xlabel(), axes.get_ylabel(), axes.get_yscale()) == ("epoch", "loss", "log")
    assert axes.get_title() == "Learning curves of tests.toy, trials: 10"


def test_the_curve_in_front_is_the_retrainings_winner_where_there_is_one(tmp_path: Path) -> None:
    made = create(tmp_path)
    studies.retrain(made, {"trial 3": [1.0, 1.1], "trial 8": [1.4, 1.5]}, {}, "test_loss")
    figure = made.figures()["curves"]
    drawn, _ = lines_of(only(figure))
    np.testing.assert_array_equal(np.asarray(drawn[-1].get_ydata()), TRIALS[3][0])
    assert [line.get_color() for line in drawn].count(FRONT_COLOUR) == 1
    assert "winner, trial 3" in legend(figure)


@pytest.mark.parametrize("mode", ["min", "max"])
def test_the_history_is_each_trials_best_value_and_the_best_so_far_of_those_that_may_win(
    mode: str, tmp_path: Path
) -> None:
    """A diverged or a failed trial's value is a point, but no step."""
    trials = TRIALS if mode == "min" else TRIALS[::-1]
    axes = only(figure := create(tmp_path, trials, mode=mode).figures()["history"])
    best = min if mode == "min" else max
    expected: dict[str, list[tuple[float, float]]] = {}
    able: list[float] = []
    so_far = []
    for number, (values, ending) in enumerate(trials):
        finite = [value for value in values if math.isfinite(value)]
        able += finite if ending in ("complete", "stopped") else []
        so_far.append(best(able))
        if finite:
            expected.setdefault(ending or "running", []).append((number, best(finite)))
    assert points(axes) == expected
    (step,) = axes.lines
    np.testing.assert_array_equal(np.asarray(step.get_xdata()), range(10))
    np.testing.assert_array_equal(np.asarray(step.get_ydata()), so_far)
    assert len(set(so_far)) > 2
    assert (step.get_drawstyle(), step.get_color()) == ("steps-post", FRONT_COLOUR)
    assert sorted(legend(figure)) == sorted([*STATE_COLOURS, "best so far"])
    assert axes.get_yscale() == "log"
    low, high = axes.get_xlim()
    assert low < 0
    assert 9 < high < 10


def test_before_the_first_value_that_counts_there_is_no_best_so_far(tmp_path: Path) -> None:
    made = studies.create(tmp_path, "s", num_samples=2)
    studies.add(made, [1.0, math.nan], "diverged")
    studies.add(made, [3.0, 2.0], "complete")
    (step,) = only(made.figures()["history"]).lines
    np.testing.assert_array_equal(np.asarray(step.get_ydata()), [math.nan, 2.0])


def test_each_hyperparameter_has_a_panel_of_its_whole_range_on_its_own_scale(made: Study) -> None:
    figure = made.figures()["hyperparameters"]
    panels = {axes.get_xlabel(): axes for axes in figure.axes}
    assert list(panels) == ["x", "limit", "fault"]
    for name, axes in panels.items():
        expected: dict[str, list[tuple[float, float]]] = {}
        for trial in made.trials():
            if trial.value is not None:
                at = axis_of(made.space[name]).position(trial.params[name])
                expected.setdefault(trial.ending, []).append((at, trial.value))
        assert points(axes) == expected
        assert axes.get_yscale() == "log"
    assert [axes.get_xscale() for axes in panels.values()] == ["linear", "log", "linear"]
    assert panels["x"].get_xlim() == pytest.approx((-5.3, 5.3))
    low, high = panels["limit"].get_xlim()
    assert 0.0005 < low < 0.001
    assert 10 < high < 20
    assert panels["fault"].get_xlim() == (-0.5, 2.5)
    assert list(panels["fault"].get_xticks()) == [0, 1, 2]
    assert panels["x"].get_ylabel() == "loss"
    assert [axes.get_ylabel() for axes in list(panels.values())[1:]] == ["", ""]
    assert sorted(legend(figure)) == sorted(STATE_COLOURS)


@pytest.mark.parametrize(("count", "rows", "columns"), [(1, 1, 1), (2, 1, 2), (4, 2, 2), (5, 2, 3)])
def test_panels_stand_in_rows_and_what_is_left_of_the_last_row_is_empty(
    count: int, rows: int, columns: int, tmp_path: Path
) -> None:
    names = ["x", "y", "limit", "fault", "folder"][:count]
    made = studies.create(
        tmp_path, "s", space={name: SPACE["fault" if name in ("fault", "folder") else "x"] for name in names}
    )
    studies.add(made, [1.0], "complete")
    panels = made.figures()["hyperparameters"].axes
    assert [axes.axison for axes in panels] == [True] * count + [False] * (rows * columns - count)
    labels = ["loss" if at % columns == 0 else "" for at in range(count)]  # what a row shares is said once
    assert [axes.get_ylabel() for axes in panels[:count]] == labels
    grid = panels[0].get_gridspec()
    assert grid is not None
    assert (grid.nrows, grid.ncols) == (rows, columns)


def test_values_that_span_less_than_a_factor_of_ten_stand_on_a_plain_scale(tmp_path: Path) -> None:
    made = studies.create(tmp_path, "s", num_samples=2)
    for depth in (2.0, 3.0):
        studies.add(made, curve(depth, 9), "complete")
    figures = made.figures()
    axes = [only(figures["curves"]), only(figures["history"]), *figures["hyperparameters"].axes]
    assert {each.get_yscale() for each in axes} == {"linear"}


@pytest.mark.parametrize("mode", ["min", "max"])
def test_the_bars_are_the_importances_the_largest_on_top_with_the_lines_of_their_samples(
    mode: str, tmp_path: Path
) -> None:
    made = create(tmp_path, mode=mode)
    axes = only(made.figures()["importances"])
    expected = made.snapshot().importances
    assert len(expected) == 3
    widths = [bar.get_width() for bar in axes.patches if isinstance(bar, Rectangle)]
    assert widths == [each.share for each in expected[::-1]]
    assert [label.get_text() for label in axes.get_yticklabels()] == [each.name for each in expected[::-1]]
    (spread,) = [each for each in axes.collections if not isinstance(each, PathCollection)]
    ends = [(segment[0][0], segment[1][0]) for segment in spread.get_segments()]  # type: ignore[attr-defined]
    assert ends == [pytest.approx((each.low, each.high)) for each in expected[::-1]]
    assert [text.get_text() for text in axes.texts] == [f" {each.share:.2f}" for each in expected[::-1]]
    low, high = axes.get_xlim()
    assert low == 0
    assert high > max(each.high for each in expected)
    assert axes.get_title() == "What sets the best of 6 trials apart (PED-ANOVA)"


def test_a_study_of_which_nothing_can_be_drawn_says_so(tmp_path: Path) -> None:
    made = studies.create(tmp_path, "s")
    studies.add(made, [math.nan], "diverged")
    figures = made.figures()
    said = {name: [text.get_text() for axes in each.axes for text in axes.texts] for name, each in figures.items()}
    few = "at least 4 trials with different finite values are needed"
    assert said == {
        "curves": ["no finite value"],
        "history": ["no finite value"],
        "hyperparameters": ["no finite value"] * 2,
        "importances": [few],
    }


@pytest.mark.parametrize("name", studies.EXTREMES)
def test_values_near_the_ends_of_what_a_float_holds_are_drawn_within_the_picture(name: str, tmp_path: Path) -> None:
    """None is left out, and matplotlib has nothing to warn of, which is an error in tests."""
    made = studies.extreme(tmp_path, name)
    for figure in made.figures().values():
        figure.canvas.draw()
        for axes in figure.axes:
            at = [each.get_xydata() for each in axes.lines if each.get_linestyle() != ":"]
            at += [each.get_offsets() for each in axes.collections if isinstance(each, PathCollection)]
            for points in at:
                place = axes.transAxes.inverted().transform(axes.transData.transform(points))
                assert ((place >= -1e-6) & (place <= 1 + 1e-6)).all(), (name, points)


@pytest.mark.parametrize(
    ("value", "place"), [(1e-320, 1e-150), (-5e-324, -1e-150), (-math.inf, -1e150), (2e200, 1e150)]
)
def test_what_is_too_close_to_zero_or_too_far_from_it_is_drawn_at_the_nearest_place(value: float, place: float) -> None:
    assert drawn(value) == place
    assert [drawn(kept) for kept in (0.0, 1e-150, -3.5, 1e150)] == [0.0, 1e-150, -3.5, 1e150]
    assert math.isnan(drawn(math.nan))

"""What a person reads while a search runs: the line of values, and the range of the time left."""

import io
import math
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from search.algorithms.forecast import Forecast
from search.algorithms.stopping import Limits, Stopping
from search.algorithms.survival import Survival
from search.analysis.progress import Progress
from search.journal.trial import Trial
from search.spec.objective import Objective
from search.views.display import BEST, UNITS, Display, between, sparkline
from tests.programs import ENVIRONMENT, on_terminal

FINITE = st.floats(allow_nan=False, allow_infinity=False)


def drawn(*values: float, mode: str = "min", width: int = 80, is_ascii: bool = False) -> str:
    return sparkline(dict(enumerate(values)), Objective("loss", mode), width, is_ascii).plain


def test_a_column_a_trial_shows_its_value_between_the_lowest_and_the_highest() -> None:
    assert drawn(2.0, 9.0, 5.6, 2.8, 9.0) == "▁ 2 █ 9 *█▅▁█"
    assert drawn(2.0, 9.0, 5.6, 2.8, 9.0, mode="max") == "▁ 2 █ 9 ▁*▅▁█"
    assert drawn(2.0, 9.0, 5.6, 2.8, 9.0, is_ascii=True) == ". 2 @ 9 *@+.@"


def test_values_stand_in_the_order_of_proposal_whatever_the_order_of_their_ends() -> None:
    assert sparkline({3: 1.0, 0: 9.0, 2: 5.0}, Objective("loss"), 80, False).plain == "▁ 1 █ 9 █▅*"


def test_positive_values_of_more_than_a_factor_of_ten_are_drawn_by_their_logarithms() -> None:
    assert drawn(0.001, 0.012, 0.12, 1.2, 10.0) == "▁ 0.001 █ 10 log *▃▅▇█"
    assert drawn(1.0, 10.0, 5.5) == "▁ 1 █ 10 *█▅"
    assert "log" not in drawn(-1.0, 100.0)


def test_one_value_or_equal_ones_are_a_line_too() -> None:
    assert drawn(3.0) == "▁ 3 █ 3 *"
    assert drawn(3.0, 3.0, 3.0) == "▁ 3 █ 3 *▅▅"


@pytest.mark.parametrize("width", [40, 41, 80])
def test_more_trials_than_columns_fill_the_width_and_share_it(width: int) -> None:
    values = [1000.0 - trial for trial in range(500)]
    line = drawn(*values, width=width)
    assert len(line) == width
    assert line.endswith("▁*")
    assert list(line[len("▁ 501 █ 1e+03 ") : -1]) == sorted(line[len("▁ 501 █ 1e+03 ") : -1], reverse=True)


@given(st.dictionaries(st.integers(0, 999), FINITE, min_size=1), st.sampled_from(["min", "max"]), st.integers(1, 200))
def test_any_finite_values_fit_and_the_best_is_marked_once(values: dict[int, float], mode: str, width: int) -> None:
    for is_ascii in (False, True):
        text = sparkline(values, Objective("loss", mode), width, is_ascii).plain
        assert text.count(BEST) == 1
        assert len(text) <= max(width, 40)
        assert text.isascii() == is_ascii


@given(st.floats(0, 1e7), st.floats(0, 1e7))
def test_a_range_as_text_holds_the_range(one: float, other: float) -> None:
    low, high = sorted((one, other))
    found = re.fullmatch(r"([\d.e+]+) to ([\d.e+]+) (s|min|h)", between(low, high))
    assert found
    size = next(size for unit, size, _ in UNITS if unit == found[3])
    assert float(found[1]) * size <= low + 1e-6
    assert high <= float(found[2]) * size + 1e-6
    assert float(found[1]) < float(found[2])


@pytest.mark.parametrize(
    ("low", "high", "text"),
    [
        (20.2, 44.1, "20 to 45 s"),
        (0, 0, "0 to 1 s"),
        (59.5, 179, "59 to 179 s"),
        (70, 290, "1 to 5 min"),
        (4000, 10799, "66 to 180 min"),
        (4000, 11000, "1.1 to 3.1 h"),
    ],
)
def test_a_range_is_told_in_one_unit(low: float, high: float, text: str) -> None:
    assert between(low, high) == text


def shown(encoding: str, width: int) -> str:
    """Return the display of a search of which three trials have ended, on a terminal without colour."""
    progress = Progress(Objective("loss"))
    forecast = Forecast(Survival([1, 3], 9, [1 / 3, 1 / 3]), 12, learns=True, clock=lambda: 0.0)
    for number, value in enumerate((4.0, 50.0, 0.25)):
        progress.recall(Trial(number, "complete", value, 1, {"x": value}, (), {}, math.nan, math.nan))
        forecast.begin(number)
        forecast.hear(number, 1, 5.0)
        forecast.end(number)
    written = io.BytesIO()
    stream = io.TextIOWrapper(written, encoding=encoding, write_through=True)
    console = Console(file=stream, force_terminal=True, color_system=None, width=width, highlight=False, soft_wrap=True)
    made = Display(console, 12, progress, forecast)
    made.look()
    console.print(made._render())
    return written.getvalue().decode(encoding)


@pytest.mark.parametrize(
    ("limits", "seconds", "text"),
    [
        (Limits(), 0.0, r"\[1/9, \d+ to \d+ s left to search\]"),
        (Limits(target=0.0), 0.0, r"\[1/9, at most \d+ s left to search\]"),
        (Limits(seconds=10), 7.5, r"\[1/9, 8 of 10 s, at most 3 s left to search\]"),
        (Limits(seconds=1e6), 7.5, r"\[1/9, at most \d+ s left to search\]"),
    ],
)
def test_where_a_limit_may_end_a_search_the_time_left_is_told_as_the_most(
    limits: Limits, seconds: float, text: str
) -> None:
    stopping = Stopping(limits, 9)
    stopping.pass_time(seconds)
    progress = Progress(Objective("loss"), wanted=9, limits=stopping)
    forecast = Forecast(Survival([], 9, []), 9, learns=False, clock=lambda: 0.0)
    forecast.begin(0)
    forecast.hear(0, 9, 9.0)
    forecast.end(0)
    out = io.StringIO()
    display = Display(Console(file=out, width=200), 9, progress, forecast)
    progress.endings["complete"] += 1
    progress.note("ended")
    display.look()
    assert re.fullmatch(f"ended  {text}\n", out.getvalue())
    # Of a search that has all its trials nothing is left.
    out.seek(0)
    out.truncate()
    progress.endings["complete"] += 8
    progress.note("all have ended")
    display.look()
    assert "[9/9" in out.getvalue()
    assert "left" not in out.getvalue()


@pytest.mark.parametrize(("encoding", "values"), [("utf-8", "▁ 0.25 █ 50 log ▅█*"), ("ascii", ". 0.25 @ 50 log +@*")])
def test_the_display_is_readable_on_forty_columns_in_any_encoding(encoding: str, values: str) -> None:
    lines = [line.rstrip() for line in shown(encoding, 40).splitlines()]
    assert lines[0].endswith("3/12 trials")
    assert "best loss 0.25, trial 2: x 0.25" in lines
    assert values in lines
    assert re.fullmatch(r"0 s elapsed, \d+ to \d+ (s|min) left to search", lines[-1])
    assert max(map(len, lines)) <= 40


def test_a_character_that_the_terminal_lacks_ends_no_program() -> None:
    code = "from search import cli; cli.Terminal().print('0.5 ± 0.1')"
    environment = {**ENVIRONMENT, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("0.5 ? 0.1\n", "")


SEARCHING = """
import math
from search import cli
from search.algorithms.forecast import Forecast
from search.algorithms.survival import Survival
from search.analysis.progress import Progress
from search.spec.objective import Objective
from search.views.display import Display

class Ended:
    number, epoch, best, params = 0, 9, 0.25, {"x": 0.5}

progress = Progress(Objective("loss"), running=2)
forecast = Forecast(Survival([1, 3], 9, [0.3, 0.3]), 2, learns=True, clock=lambda: 0.0)
shown = Display(cli.Terminal(), 2, progress, forecast)
with shown.showing():
    for Ended.number in range(2):
        progress.end(Ended(), "complete", "")
        shown.look()
"""


@pytest.mark.parametrize("term", ["dumb", "unknown"])
def test_on_a_terminal_that_cannot_redraw_there_are_plain_lines(term: str, tmp_path: Path) -> None:
    """As in Emacs and in some logs of CI: rich's live display draws nothing there, and says nothing of it."""
    code, text = on_terminal([sys.executable, "-c", SEARCHING], tmp_path, term)
    assert code == 0, text
    lines = [f"trial {number} complete at epoch 9: best loss 0.25  [{number + 1}/2" for number in range(2)]
    assert [line.startswith(start) for line, start in zip(text.splitlines(), lines, strict=True)] == [True, True]
    assert "\x1b" not in text


def test_on_a_terminal_that_can_the_lines_are_one_display(tmp_path: Path) -> None:
    code, text = on_terminal([sys.executable, "-c", SEARCHING], tmp_path, "xterm")
    assert code == 0, text
    assert "\x1b" in text
    assert "complete at epoch" not in text


def test_what_happens_between_two_looks_is_printed_a_line_an_event() -> None:
    progress = Progress(Objective("loss"))
    out = io.StringIO()
    console = Console(file=out, width=80)
    display = Display(console, 3, progress, Forecast(Survival([], 3, []), 3, learns=False))
    progress.note("a line")
    progress.note("a line")
    progress.note("another")
    display.look()
    display.look()
    assert out.getvalue().splitlines() == ["a line  [0/3]", "another  [0/3]"]

"""What a person sees while a search runs: one compact live display, or plain lines where there is no terminal."""

import itertools
import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from search.algorithms.forecast import Forecast
from search.analysis.progress import Progress
from search.journal.trial import WORDS
from search.spec.objective import Objective
from search.views.format import span, spans_decades, values

BLOCKS = "▁▂▃▄▅▆▇█"
ASCII = ".:-=+x#@"
"""Heights of a column, the lowest first; of a terminal that cannot show the first ones the second."""
BEST = "*"
"""Stands for the best trial, with and without colour: its height is the lowest or the highest."""
LEAST = 10
"""Columns of the line of values itself, however narrow the terminal."""
UNITS = ("s", 1, 0), ("min", 60, 0), ("h", 3600, 1)
"""Name, seconds, and digits after the point."""
MOST_OF_A_UNIT = 180
"""Of a unit, before the next is taken."""


class Display:
    """Shows a progress and a forecast that somebody else keeps."""

    def __init__(self, console: Console, trials: int, progress: Progress, forecast: Forecast) -> None:
        self._console = console
        self._trials = trials
        self._progress = progress
        self._forecast = forecast
        self._began = time.monotonic()
        self._seen = progress.events
        self._live: Live | None = None

    @contextmanager
    def showing(self) -> Iterator[None]:
        """Keep the live display on the terminal for as long as the search runs."""
        self._began = time.monotonic()
        if not self._console.is_terminal:
            yield
            return
        self._live = Live(get_renderable=self._render, console=self._console, refresh_per_second=5, transient=True)
        with self._live:
            yield

    def end(self) -> None:
        """Take the live display away, before its time."""
        if self._live:
            self._live.stop()

    def look(self) -> None:
        """Print what is new since the last look: every ended trial, or on a terminal only a failure."""
        progress = self._progress
        if self._console.is_terminal:
            self._forecast.look()
        if progress.events == self._seen:
            return
        self._seen = progress.events
        if not self._console.is_terminal:
            self._forecast.look()
            self._console.print(f"{progress.last}  [{progress.done}/{self._trials}{self._left()}]")
        elif progress.last_is_bad:
            self._console.print(progress.last)

    def _render(self) -> Group:
        progress = self._progress
        width = self._console.width
        is_ascii = self._console.options.ascii_only
        # How far it is.
        bar = Table.grid(padding=(0, 1))
        done = ProgressBar(total=self._trials, completed=progress.done, width=min(30, width // 2))
        bar.add_row(done, f"{progress.done}/{self._trials} trials")
        # What became of the trials, and the best.
        counts = [f"{progress.running} running"]
        for ending, word in WORDS.items():
            counts.append(f"{progress.endings[ending]} {word}")
        best = "no value yet"
        if progress.best is not None:
            metric = progress.objective.metric
            best = f"best {metric} {progress.best:.5g}, trial {progress.best_trial}: {values(progress.best_params)}"
        shown = [_folded((", " if is_ascii else " · ").join(counts)), _folded(best)]
        # The values, as a line.
        if found := progress.values.copy():  # another thread adds to it
            shown.append(sparkline(found, progress.objective, width, is_ascii))
        # How long it takes.
        clock = f"{span(time.monotonic() - self._began)} elapsed{self._left()}"
        return Group(bar, *shown, _folded(clock))

    def _left(self) -> str:
        found = self._forecast.left
        return f", {between(*found)} left to search" if found else ""


def _folded(line: str) -> Text:
    return Text(line, no_wrap=False, overflow="fold")


def between(low: float, high: float) -> str:
    """Return a range of seconds as text that holds it: 20 to 45 s, 2 to 5 min, 1.2 to 3 h."""
    unit, size, digits = next(each for each in UNITS if high < MOST_OF_A_UNIT * each[1] or each is UNITS[-1])
    least = math.floor(low / size * 10**digits)
    most = max(math.ceil(high / size * 10**digits), least + 1)
    return f"{least / 10**digits:g} to {most / 10**digits:g} {unit}"


def sparkline(found: Mapping[int, float], objective: Objective, width: int, is_ascii: bool) -> Text:
    """Return a column a trial in the order of proposal, behind the lowest and the highest value.

    It tells whether a search still improves, and how good is what it tries. `found` are the finite values of trials by
    number, at least one. Where there are more than fit into the width, neighbours share a column, which shows the best
    of them.
    """
    values = [value for _, value in sorted(found.items())]
    heights = ASCII if is_ascii else BLOCKS
    low = min(values)
    high = max(values)
    is_log = spans_decades(values)
    legend = f"{heights[0]} {low:.3g} {heights[-1]} {high:.3g}{' log' if is_log else ''} "
    best = values.index(objective.best_of(values))
    columns = min(len(values), max(width - len(legend), LEAST))
    edges = [column * len(values) // columns for column in range(columns + 1)]
    line = Text(legend, style="dim", no_wrap=True, overflow="crop")
    for begin, end in itertools.pairwise(edges):
        if begin <= best < end:
            line.append(BEST, style="not dim bold green")
            continue
        place = _place(objective.best_of(values[begin:end]), low, high, math.log if is_log else float)
        line.append(heights[min(int(place * len(heights)), len(heights) - 1)], style="not dim cyan")
    return line


def _place(value: float, low: float, high: float, scale: Callable[[float], float]) -> float:
    """Return where a value lies between two others, in [0, 1]; in the middle where those are equal."""
    # A half of each, since the span of two floats may be none.
    at = scale(value) / 2
    begin = scale(low) / 2
    end = scale(high) / 2
    return (at - begin) / (end - begin) if end > begin else 0.5

"""What a person sees while a search runs: one compact live display, or plain lines where nothing can be redrawn."""

import itertools
import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from search.algorithms.forecast import Forecast
from search.algorithms.stopping import Limits
from search.analysis.progress import Progress
from search.errors import count
from search.journal.trial import WORDS
from search.spec.objective import Objective
from search.views.format import span, spans_decades, values
from search.views.limits import how_far

BLOCK_HEIGHTS = "▁▂▃▄▅▆▇█"
ASCII_HEIGHTS = ".:-=+x#@"
"""Heights of a column, the lowest first; of a terminal that cannot show the first ones the second."""
BEST = "*"
"""Stands for the best trial, with and without colour: its height is the lowest or the highest."""
MIN_COLUMNS = 10
"""Of the line of values itself, however narrow the terminal."""


class Unit(NamedTuple):
    """A unit of time in which a range is told."""

    name: str
    seconds: int
    digits: int
    """After the point."""


UNITS = (Unit("s", 1, 0), Unit("min", 60, 0), Unit("h", 3600, 1))
MAX_OF_A_UNIT = 180
"""How many of a unit are told before the next one is taken."""


class Display:
    """Shows a progress and a forecast that somebody else keeps."""

    def __init__(self, console: Console, trials: int | None, progress: Progress, forecast: Forecast) -> None:
        self._console = console
        self._trials = trials
        self._progress = progress
        self._forecast = forecast
        self._began = time.monotonic()
        self._seen = len(progress.events)
        self._is_redrawn = console.is_terminal and not console.is_dumb_terminal  # where Live draws at all
        self._live: Live | None = None

    @contextmanager
    def showing(self) -> Iterator[None]:
        """Keep the live display on the terminal for as long as the search runs."""
        self._began = time.monotonic()
        if not self._is_redrawn:
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
        """Print what is new since the last look: every event, or beside the live display only what is bad."""
        progress = self._progress
        if self._is_redrawn:
            self._forecast.look()
        new = progress.events[self._seen :]
        if not new:
            return
        self._seen += len(new)
        if not self._is_redrawn:
            self._forecast.look()
        for sentence, is_bad in new:
            if not self._is_redrawn:
                self._console.print(f"{sentence}  [{self._done()}{self._limit()}{self._left()}]")
            elif is_bad:
                self._console.print(sentence)

    def _render(self) -> Group:
        progress = self._progress
        width = self._console.width
        is_ascii = self._console.options.ascii_only
        # How far it is.
        bar = Table.grid(padding=(0, 1))
        share, _ = how_far(progress.limits, progress.done, self._wanted)
        total = None if share is None else 1.0  # None is a bar that only moves
        done = ProgressBar(total=total, completed=share or 0.0, width=min(30, width // 2))
        trials = f"{progress.done}/{count(self._wanted, 'trial')}" if self._wanted else count(progress.done, "trial")
        bar.add_row(done, trials + self._limit())
        # What became of the trials, and the best.
        counts = [f"{progress.running} running"]
        for ending, word in WORDS.items():
            counts.append(f"{progress.endings[ending]} {word}")
        if progress.endings["infeasible"]:
            counts.append(f"{progress.endings['infeasible']} infeasible")
        separator = ", " if is_ascii else " · "
        best = "no value yet"
        if progress.best is not None:
            metric = progress.objective.metric
            best = f"best {metric} {progress.best:.5g}, trial {progress.best_trial}: {values(progress.best_params)}"
        lines = [_folded(separator.join(counts)), _folded(best)]
        # The values, as a line.
        value_of = progress.values.copy()  # another thread adds to it
        if value_of:
            lines.append(sparkline(value_of, progress.objective, width, is_ascii))
        # How long it takes.
        clock = f"{span(time.monotonic() - self._began)} elapsed{self._left()}"
        return Group(bar, *lines, _folded(clock))

    @property
    def _wanted(self) -> int | None:
        return self._progress.wanted or self._trials  # fewer, where a small space has infeasible configurations

    def _done(self) -> str:
        done = self._progress.done
        return f"{done}/{self._wanted}" if self._wanted else count(done, "trial")

    def _limit(self) -> str:
        """Return the limit that is nearest, unless that is the number of trials: `, 3 of 10 min`."""
        _, text = how_far(self._progress.limits, self._progress.done, self._wanted)
        return f", {text}" if text else ""

    def _left(self) -> str:
        """Return how long it still takes; where a limit may end the search before, how long at most."""
        limits = self._progress.limits
        asked = limits.limits if limits else Limits()
        if (limits and limits.reason) or (self._wanted and self._progress.done >= self._wanted):
            return ""
        left = self._forecast.left
        most = [left[1]] if left else []
        if limits and asked.seconds is not None:
            most.append(max(asked.seconds - limits.seconds, 0.0))
        if left and asked == Limits():
            return f", {between(*left)} left to search"
        return f", at most {at_most(min(most))} left to search" if most else ""


def _folded(line: str) -> Text:
    return Text(line, no_wrap=False, overflow="fold")


def between(low: float, high: float) -> str:
    """Return a range of seconds as text that holds it: 20 to 45 s, 2 to 5 min, 1.2 to 3 h."""
    unit = _unit_of(high)
    steps = 10**unit.digits
    least = math.floor(low / unit.seconds * steps)
    most = max(math.ceil(high / unit.seconds * steps), least + 1)
    return f"{least / steps:g} to {most / steps:g} {unit.name}"


def at_most(seconds: float) -> str:
    """Return seconds as text that is no less: 45 s, 5 min, 3.1 h."""
    unit = _unit_of(seconds)
    steps = 10**unit.digits
    return f"{math.ceil(seconds / unit.seconds * steps) / steps:g} {unit.name}"


def _unit_of(seconds: float) -> Unit:
    """Return the smallest unit of which this is not too many, else the largest."""
    for unit in UNITS[:-1]:
        if seconds < MAX_OF_A_UNIT * unit.seconds:
            return unit
    return UNITS[-1]


def sparkline(value_of: Mapping[int, float], objective: Objective, width: int, is_ascii: bool) -> Text:
    """Return a column a trial in the order of proposal, behind the lowest and the highest value.

    It tells whether a search still improves, and how good is what it tries. `value_of` has the finite values of trials
    by number, at least one. Where there are more than fit into the width, neighbours share a column, which shows the
    best of them.
    """
    values = [value for _, value in sorted(value_of.items())]
    low = min(values)
    high = max(values)
    # The legend: what the lowest and the highest column stand for.
    heights = ASCII_HEIGHTS if is_ascii else BLOCK_HEIGHTS
    is_log = spans_decades(values)
    scale_name = " log" if is_log else ""
    legend = f"{heights[0]} {low:.3g} {heights[-1]} {high:.3g}{scale_name} "
    line = Text(legend, style="dim", no_wrap=True, overflow="crop")
    # A column a trial, or for several of them.
    scale: Callable[[float], float] = math.log if is_log else float
    best = values.index(objective.best_of(values))
    columns = min(len(values), max(width - len(legend), MIN_COLUMNS))
    edges = [column * len(values) // columns for column in range(columns + 1)]
    for begin, end in itertools.pairwise(edges):
        if begin <= best < end:
            line.append(BEST, style="not dim bold green")
            continue
        place = _place(objective.best_of(values[begin:end]), low, high, scale)
        height = min(int(place * len(heights)), len(heights) - 1)
        line.append(heights[height], style="not dim cyan")
    return line


def _place(value: float, low: float, high: float, scale: Callable[[float], float]) -> float:
    """Return where a value lies between two others, in [0, 1]; in the middle where those are equal."""
    # A half of each, since the span of two floats may be none.
    at = scale(value) / 2
    begin = scale(low) / 2
    end = scale(high) / 2
    if end <= begin:
        return 0.5
    return (at - begin) / (end - begin)

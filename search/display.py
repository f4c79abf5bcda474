"""What a person sees while a search runs: one compact live display, or plain lines where there is no terminal."""

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from search import journal, sparkline
from search.config import StudyConfig
from search.forecast import Forecast
from search.tally import Tally
from search.words import span, values

UNITS = ("s", 1, 0), ("min", 60, 0), ("h", 3600, 1)
"""Name, seconds, and digits after the point."""
MOST = 180
"""Of a unit, before the next is taken."""


class Display:
    """Shows a tally and a forecast that somebody else keeps."""

    def __init__(self, console: Console, config: StudyConfig, tally: Tally, forecast: Forecast) -> None:
        self._console, self._config, self._tally, self._forecast = console, config, tally, forecast
        self._began = time.monotonic()
        self._seen = tally.events
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
        tally = self._tally
        if self._console.is_terminal:
            self._forecast.look()
        if tally.events == self._seen:
            return
        self._seen = tally.events
        if not self._console.is_terminal:
            self._forecast.look()
            self._console.print(f"{tally.last}  [{tally.done}/{self._config.num_samples}{self._left()}]")
        elif tally.last_is_bad:
            self._console.print(tally.last)

    def _render(self) -> Group:
        tally, total, width = self._tally, self._config.num_samples, self._console.width
        is_ascii = self._console.options.ascii_only
        bar = Table.grid(padding=(0, 1))
        bar.add_row(
            ProgressBar(total=total, completed=tally.done, width=min(30, width // 2)), f"{tally.done}/{total} trials"
        )
        counts = [f"{tally.running} running", *(f"{tally.endings[end]} {word}" for end, word in journal.WORDS.items())]
        best = "no value yet"
        if tally.best is not None:
            best = f"best {self._config.metric} {tally.best:.5g}, trial {tally.best_trial}: {values(tally.best_params)}"
        lines = [", ".join(counts) if is_ascii else " · ".join(counts), best]
        shown = [Text(line, no_wrap=False, overflow="fold") for line in lines]
        if found := tally.values.copy():  # another thread adds to it
            shown.append(sparkline.draw(found, tally.mode, width, is_ascii))
        clock = f"{span(time.monotonic() - self._began)} elapsed{self._left()}"
        return Group(bar, *shown, Text(clock, no_wrap=False, overflow="fold"))

    def _left(self) -> str:
        found = self._forecast.left
        return f", {between(*found)} left to search" if found else ""


def between(low: float, high: float) -> str:
    """Return a range of seconds as text that holds it: 20 to 45 s, 2 to 5 min, 1.2 to 3 h."""
    unit, size, digits = next(each for each in UNITS if high < MOST * each[1] or each is UNITS[-1])
    least = math.floor(low / size * 10**digits)
    most = max(math.ceil(high / size * 10**digits), least + 1)
    return f"{least / 10**digits:g} to {most / 10**digits:g} {unit}"

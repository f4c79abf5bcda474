"""What a person sees while a search runs: one compact live display, or plain lines where there is no terminal."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from search import journal
from search.config import StudyConfig
from search.tally import Tally
from search.words import span, values

WORDS: dict[journal.Ending, str] = {
    "complete": "complete",
    "stopped": "stopped early",
    "diverged": "diverged",
    "failed": "failed",
}


class Display:
    """Shows a tally that somebody else keeps."""

    def __init__(self, console: Console, config: StudyConfig, tally: Tally) -> None:
        self._console, self._config, self._tally = console, config, tally
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
        if tally.events == self._seen:
            return
        self._seen = tally.events
        if not self._console.is_terminal:
            self._console.print(f"{tally.last}  [{tally.done}/{self._config.num_samples}{self._left()}]")
        elif tally.last_is_bad:
            self._console.print(tally.last)

    def _render(self) -> Group:
        tally, total = self._tally, self._config.num_samples
        bar = Table.grid(padding=(0, 1))
        bar.add_row(ProgressBar(total=total, completed=tally.done, width=30), f"{tally.done}/{total} trials")
        counts = [f"{tally.running} running", *(f"{tally.endings[end]} {word}" for end, word in WORDS.items())]
        best = "no value yet"
        if tally.best is not None:
            best = f"best {self._config.metric} {tally.best:.5g}, trial {tally.best_trial}: {values(tally.best_params)}"
        clock = f"{span(time.monotonic() - self._began)} elapsed{self._left()}"
        lines = (" · ".join(counts), best, clock)
        return Group(bar, *(Text(line, no_wrap=False, overflow="fold") for line in lines))

    def _left(self) -> str:
        done, left = self._tally.done - self._tally.recalled, self._config.num_samples - self._tally.done
        if done < 2 or left <= 0:
            return ""
        return f", about {span((time.monotonic() - self._began) / done * left)} left"

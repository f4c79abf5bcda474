"""A search on a virtual clock: workers train what a contender asks for, and epochs arrive in the order of their time.

To decide takes no time, and neither does the start of a trial.
"""

import heapq
from collections.abc import Iterator
from typing import NamedTuple, Protocol

from benchmarks.quality.tables import Floats, Params


class Contender(Protocol):
    """A way to search."""

    def ask(self) -> tuple[int, Params] | None:
        """Return the number and the configuration of the next trial; None where there is none any more."""
        ...

    def hear(self, number: int, epoch: int, loss: float, *, is_last: bool) -> bool:
        """Take in the loss of a trial's epoch, counted from 1; return whether it goes on, unless that was its last."""
        ...

    def chosen(self) -> Params | None:
        """Return what it hands over if it ends here; None as long as there is nothing."""
        ...


class World(Protocol):
    """What is searched."""

    def run(self, params: Params, seed: int) -> tuple[Floats, float]:
        """Return the losses by epoch of a run, and the seconds of an epoch."""
        ...


class Moment(NamedTuple):
    """An epoch has been trained, and the contender is about to hear of it."""

    now: float
    """Seconds since the search began."""
    epochs: int
    """Those that it has heard of."""
    trials: int
    """Those that have begun."""


def play(contender: Contender, world: World, workers: int, seed: int) -> Iterator[Moment]:
    """Yield each moment of a search; whoever pulls no more has ended it."""
    running: list[tuple[float, int, int]] = []
    runs: dict[int, tuple[Floats, float]] = {}
    now = 0.0
    heard = 0
    is_over = False
    while True:
        # A free worker asks at once.
        while len(running) < workers and not is_over:
            asked = contender.ask()
            if asked is None:
                is_over = True
                break
            number, params = asked
            runs[number] = world.run(params, seed)
            heapq.heappush(running, (now + runs[number][1], number, 1))
        if not running:
            return
        now, number, epoch = heapq.heappop(running)
        yield Moment(now, heard, len(runs))
        losses, seconds = runs[number]
        is_last = epoch == len(losses)
        goes_on = contender.hear(number, epoch, float(losses[epoch - 1]), is_last=is_last)
        heard += 1
        if goes_on and not is_last:
            heapq.heappush(running, (now + seconds, number, epoch + 1))

"""When each trial was last known to be alive, and which of them are silent for long, which is said."""

import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

from search.journal.records import OpenTrial
from search.tune import deaths

SHORTEST_S = 60.0
"""Silence that is never said."""
FACTOR = 10
"""Silence is said that is so many times as long as the slowest epoch."""
POLL_S = 1.0


class SignOfLife(NamedTuple):
    """When a process was last known to be alive."""

    at: float
    """On the searcher's clock; infinite where it never was."""
    memory_kills: float
    """How many processes the kernel had killed for want of memory by then."""


class SignsOfLife:
    """The signs of life of the trials that have a process, by Tune's trial_id."""

    def __init__(self, timeout: float | None, clock: Callable[[], float]) -> None:
        """`timeout` is epoch_timeout, in seconds; None where it is off."""
        self._timeout = timeout
        self._clock = clock
        self._signs: dict[str, SignOfLife] = {}
        self._slowest_s = 0.0
        """The slowest epoch of the search so far."""
        self._elapsed_s: dict[int, float] = {}
        """Seconds of training up to the last epoch, by the trial's number."""
        self._told: set[int] = set()
        """The trials that were said to be silent."""
        self._looked = -math.inf

    def hear(self, trial_id: str) -> None:
        """Note that a trial's process is alive now."""
        self._signs[trial_id] = SignOfLife(self._clock(), deaths.memory_kills())

    def hear_epoch(self, number: int, epoch: int, elapsed_s: float) -> None:
        """Take in an epoch, counted from 1, and the seconds of training up to its end."""
        before = self._elapsed_s.get(number, 0.0) if epoch > 1 else 0.0
        self._slowest_s = max(self._slowest_s, elapsed_s - before)
        self._elapsed_s[number] = elapsed_s

    def has(self, trial_id: str) -> bool:
        """Return whether a trial has a process."""
        return trial_id in self._signs

    def take(self, trial_id: str) -> SignOfLife:
        """Return the last sign of life of a trial whose process it has no longer."""
        return self._signs.pop(trial_id, SignOfLife(math.inf, math.inf))

    def silent(self, trials: Mapping[str, OpenTrial]) -> list[str]:
        """Return a line on each of these trials that is silent for long, once a trial."""
        now = self._clock()
        if now - self._looked < POLL_S:
            return []
        self._looked = now
        limit = max(SHORTEST_S, FACTOR * self._slowest_s)
        lines = []
        for trial_id, sign in self._signs.items():
            trial = trials.get(trial_id)
            if trial and now - sign.at >= limit and trial.number not in self._told:
                self._told.add(trial.number)
                lines.append(self._line(trial, now - sign.at))
        return lines

    def _line(self, trial: OpenTrial, seconds: float) -> str:
        rule = "epoch_timeout, which is off, would end it as failed"
        if self._timeout:
            rule = f"epoch_timeout ends it after {self._timeout:g} s"
        slowest = f", where the slowest so far took {self._slowest_s:.2g} s" if self._slowest_s else ""
        silent = f"trial {trial.number} has reported nothing for {seconds:.0f} s, in epoch {trial.epoch + 1}"
        return f"{silent}{slowest}; {rule}"

"""How long a search still takes, as a range: 256 ways in which it may go on, drawn from what became of its trials.

A trial that reaches a rung goes on with a chance that its predecessors there tell of; its epochs take what theirs took.
"""

import math
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from search.survival import DRAWS, KEPT, Floats, Survival

QUANTILES = 0.1, 0.9
EVERY = 0.2
"""Seconds between two looks: one takes the time of half an epoch that is short."""
RECENT = 64
"""Ended trials whose seconds are remembered."""
AT_RANDOM = 10
"""Trials that TPE proposes before it has learned anything."""
GAIN = 0.7
"""By how much the log-odds of going on grow with what TPE learns: 1 in 3 becomes 1 in 2."""
NOISE = 0.1
"""Relative deviation of an epoch's seconds in the future from those so far, of all trials, and of each."""
SINGLY = 24
"""Trials at the end that are laid out one by one; those before them are a sum."""


@dataclass
class Course:
    """A trial that runs."""

    began: float
    is_warm: bool
    """Whether its process was there: to start one takes what no later trial will take."""
    heard: float
    epoch: int = 0
    elapsed: float = 0.0
    first: float = 0.0
    """Seconds of the first epoch, with what a workload does before it."""

    @property
    def speed(self) -> float:
        """Return seconds an epoch, the first left out where there are others."""
        return (self.elapsed - self.first) / (self.epoch - 1) if self.epoch > 1 else self.elapsed


class Forecast:
    """Is told what the trials of a search do, when it happens, and says when the last of them will have ended."""

    def __init__(
        self, survival: Survival, trials: int, learns: bool, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._survival, self._left, self._learns, self._clock = survival, trials, learns, clock
        self._running: dict[int, Course] = {}
        self._free: deque[float] = deque()
        """Since when a process has had nothing to do."""
        self._at_once = self._ended = 0
        self._seconds: deque[tuple[float, int]] = deque(maxlen=RECENT)
        """Seconds an epoch, and epochs, of the trials of this session: the machine of another may have been another."""
        self._between: deque[float] = deque(maxlen=RECENT)
        """Seconds that each took besides."""
        self._looked: tuple[float, tuple[float, float] | None] = (-math.inf, None)

    def recall(self, epoch: int) -> None:
        """Take in a trial that ended after so many epochs in an earlier session."""
        self._survival.learn(0, epoch, has_ended=True)
        self._left -= 1
        self._ended += 1

    def begin(self, trial: int) -> None:
        """Take in that a trial begins, maybe not for the first time."""
        now = self._clock()
        since = self._free.popleft() if self._free else now
        self._running[trial] = Course(since, is_warm=bool(self._seconds), heard=now)
        self._at_once = max(self._at_once, len(self._running))

    def hear(self, trial: int, epoch: int, elapsed_s: float) -> None:
        """Take in that a trial has trained an epoch, counted from 1; seconds of training up to its end."""
        course = self._running[trial]
        self._survival.learn(course.epoch, epoch, has_ended=False)
        course.first = course.first if course.epoch else elapsed_s
        course.epoch, course.elapsed, course.heard = epoch, elapsed_s, self._clock()

    def end(self, trial: int) -> None:
        """Take in that a trial has ended, however that was."""
        course = self.lose(trial)
        self._survival.learn(course.epoch, course.epoch, has_ended=True)
        if course.is_warm:
            self._between.append(max(self._clock() - course.began - course.speed * course.epoch, 0.0))
        if course.epoch:
            self._seconds.append((course.speed, course.epoch))
        self._left -= 1
        self._ended += 1

    def lose(self, trial: int) -> Course:
        """Take in that a trial has lost its process, and waits."""
        self._free.append(self._clock())
        return self._running.pop(trial)

    def look(self) -> None:
        """Draw anew from all that was told, unless the last look is a moment ago."""
        now = self._clock()
        if now - self._looked[0] >= EVERY:
            self._looked = now, self._draw(now) if self._seconds and self._left > 0 else None

    @property
    def left(self) -> tuple[float, float] | None:
        """Return seconds from now between which the search ends, with a chance of 80 %, by the last look.

        None where no trial has ended in this session yet, or all have.
        """
        looked, found = self._looked  # read once: another thread looks anew
        if found is None or not self._left:
            return None
        since = self._clock() - looked
        return max(found[0] - since, 0.0), max(found[1] - since, 0.0)

    def _draw(self, now: float) -> tuple[float, float]:
        random = np.random.default_rng(0)  # the same numbers at each look, so that only news move the range
        courses, waiting = list(self._running.values()), self._left - len(self._running)
        singly = min(waiting, SINGLY)
        at = np.array([course.epoch for course in courses] + [0] * singly)[:, np.newaxis]
        mean, speed = self._speeds(random, courses, len(at))
        gain = GAIN * KEPT ** max(0, self._ended - AT_RANDOM) if self._learns else 0.0
        chances, share = self._survival.chances(random, gain)
        between = np.array(self._between or [0.0])
        work = (self._survival.epochs(random, at, chances, share) - at) * speed
        work += np.where(at == 0, random.choice(between, size=work.shape), 0)
        slots = np.zeros((max(self._at_once, len(courses)), DRAWS))
        since = np.array([now - course.heard for course in courses])[:, np.newaxis]
        slots[: len(courses)] = np.maximum(work[: len(courses)] - since, 0)
        if before := waiting - singly:
            epochs = self._survival.sums(random, before, chances, share)
            besides = before * random.choice(between, size=(len(between), DRAWS)).mean(axis=0)
            slots = np.maximum(slots, (slots.sum(axis=0) + epochs * mean + besides) / len(slots))
        for seconds in work[len(courses) :]:  # each to the process that is free first
            slots[slots.argmin(axis=0), np.arange(DRAWS)] += seconds
        low, high = np.quantile(slots.max(axis=0), QUANTILES)
        return float(low), float(high)

    def _speeds(self, random: np.random.Generator, courses: list[Course], trials: int) -> tuple[Floats, Floats]:
        """Return seconds an epoch, of an epoch in the mean [draws] and of each trial [trials, draws].

        A trial that runs keeps its own. Which of the epochs seen are typical is unknown: each draw weighs them anew.
        """
        seen = [*self._seconds, *((course.speed, course.epoch) for course in courses if course.epoch)]
        seconds, epochs = np.array(seen).T
        weights = random.exponential(size=(DRAWS, len(seconds))) * epochs
        all_noise = np.exp(NOISE * random.standard_normal(DRAWS))
        mean = weights @ seconds / weights.sum(axis=1) * all_noise
        logs = np.log(np.maximum(seconds, 1e-9))
        spread = math.sqrt(np.average((logs - np.average(logs, weights=epochs)) ** 2, weights=epochs))
        found = mean * np.exp(spread * random.standard_normal((trials, DRAWS)))
        for at, course in enumerate(courses):
            if course.epoch:
                found[at] = course.speed * all_noise * np.exp(NOISE * random.standard_normal(DRAWS))
        return mean, found

"""How long a search still takes, as a range: ways in which it may go on, drawn from what became of its trials.

A trial that reaches a rung goes on with a chance that its predecessors there tell of; its epochs take what theirs took.
Each of DRAWS ways is a column of the arrays below.
"""

import math
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from search.algorithms.survival import DRAWS, KEPT, Floats, Survival

QUANTILES = 0.1, 0.9
LOOK_INTERVAL_S = 0.2
"""Between two looks: one takes the time of half an epoch that is short."""
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
    """When it reported last."""
    epoch: int = 0
    elapsed_s: float = 0.0
    """Of its training."""
    first_s: float = 0.0
    """Of the first epoch, with what a workload does before it."""
    waited_s: float = 0.0
    """From its begin until its first epoch was heard of, with the start of its process where that was not there."""

    @property
    def speed(self) -> float:
        """Return seconds an epoch, the first left out where there are others."""
        return (self.elapsed_s - self.first_s) / (self.epoch - 1) if self.epoch > 1 else self.elapsed_s

    @property
    def setup_s(self) -> float:
        """Return seconds that the first epoch took beyond the others."""
        return max(self.first_s - self.speed, 0.0) if self.epoch else 0.0


class Forecast:
    """Is told what the trials of a search do, when it happens, and says when the last of them will have ended."""

    def __init__(
        self, survival: Survival, trials: int | None, learns: bool, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._survival = survival
        self._left: float = math.inf if trials is None else trials
        """Trials that have not ended; infinite where nobody knows how many there will be: then nothing is foretold."""
        self._learns = learns
        self._clock = clock
        self._running: dict[int, Course] = {}
        self._free: deque[float] = deque()
        """Since when a process has had nothing to do."""
        self._at_once = 0
        """The most trials that ran at once."""
        self._ended = 0
        self._seconds: deque[tuple[float, int]] = deque(maxlen=RECENT)
        """Seconds an epoch, and epochs, of the trials of this session: the machine of another may have been another."""
        self._between: deque[float] = deque(maxlen=RECENT)
        """Seconds that each took besides, of those whose process was there."""
        self._setups: deque[float] = deque(maxlen=RECENT)
        """Seconds that the first epoch took beyond the others, of those whose process was not."""
        self._starts: deque[float] = deque(maxlen=RECENT)
        """Seconds until those first epochs were heard of."""
        self._looked: tuple[float, tuple[float, float] | None] = (-math.inf, None)
        """When the last look was, and its range."""

    def recall(self, epoch: int) -> None:
        """Take in a trial that ended after so many epochs in an earlier session."""
        self._survival.learn(0, epoch, has_ended=True)
        self._left -= 1
        self._ended += 1

    def suppose(self, seconds: Sequence[tuple[float, int]], besides_s: float, at_once: int) -> None:
        """Take in what is known before a search: of trials like its own the seconds an epoch, and the epochs, of each.

        So many of its trials will run `at_once`, and each takes `besides_s` seconds besides its epochs.
        """
        self._seconds.extend(seconds)
        self._between.append(besides_s)
        self._at_once = at_once

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
        now = self._clock()
        if not course.epoch:
            course.first_s = elapsed_s
            course.waited_s = max(now - course.began, elapsed_s)
        course.epoch = epoch
        course.elapsed_s = elapsed_s
        course.heard = now

    def end(self, trial: int) -> None:
        """Take in that a trial has ended, however that was."""
        course = self.lose(trial)
        self._survival.learn(course.epoch, course.epoch, has_ended=True)
        if course.is_warm:
            self._between.append(max(self._clock() - course.began - course.speed * course.epoch, 0.0))
        elif course.epoch:
            self._setups.append(course.setup_s)
            self._starts.append(course.waited_s)
        if course.epoch:
            self._seconds.append((course.speed, course.epoch))
        self._left -= 1
        self._ended += 1

    def lose(self, trial: int) -> Course:
        """Take in that a trial has lost its process, and waits; return what was known of it."""
        self._free.append(self._clock())
        return self._running.pop(trial)

    def want(self, trials: int | None, before: int | None) -> None:
        """Take in that there will be so many trials in all, and not as many as before; None of any number."""
        if trials is not None:
            self._left = trials - self._ended if before is None else self._left + trials - before

    def look(self) -> None:
        """Draw anew from all that was told, unless the last look is a moment ago."""
        now = self._clock()
        if now - self._looked[0] >= LOOK_INTERVAL_S:
            self._looked = now, self._draw(now) if self._seconds and 0 < self._left < math.inf else None

    @property
    def left(self) -> tuple[float, float] | None:
        """Return seconds from now between which the search ends, with a chance of 80 %, by the last look.

        None where no trial has ended in this session yet, or all have.
        """
        looked, found = self._looked  # read once: another thread looks anew
        if found is None or not self._left:
            return None
        since = self._clock() - looked
        low, high = found
        return max(low - since, 0.0), max(high - since, 0.0)

    def _draw(self, now: float) -> tuple[float, float]:
        random = np.random.default_rng(0)  # the same numbers at each look, so that only news move the range
        courses = list(self._running.values())
        waiting = int(self._left) - len(courses)
        singly = min(waiting, SINGLY)
        # Seconds of work for each trial that runs, then each of the last ones that wait [trials, draws].
        at = np.array([course.epoch for course in courses] + [0] * singly)[:, np.newaxis]
        mean, speed = self._speeds(random, courses, len(at))
        gain = GAIN * KEPT ** max(0, self._ended - AT_RANDOM) if self._learns else 0.0
        odds = self._survival.odds(random, gain)
        between, comes_again = self._besides(random)
        work = (self._survival.epochs(random, at, odds) - at) * speed
        begin = np.where(at == 0, random.choice(between, size=work.shape) * comes_again, 0)
        if self._starts:  # of those whose process is starting
            is_starting = np.array([not (course.epoch or course.is_warm) for course in courses] + [False] * singly)
            start = random.choice(np.array(self._starts), size=work.shape)
            begin = np.where(is_starting[:, np.newaxis], np.maximum(start - speed, 0), begin)
        work += begin
        # A slot a process [processes, draws]: seconds until it is free, of which some have gone since it reported.
        slots = np.zeros((max(self._at_once, len(courses)), DRAWS))
        since = np.array([now - course.heard for course in courses])[:, np.newaxis]
        slots[: len(courses)] = np.maximum(work[: len(courses)] - since, 0)
        # The many that come before the last ones fill the slots evenly.
        if before := waiting - singly:
            epochs = self._survival.sums(random, before, odds)
            besides = before * random.choice(between, size=(len(between), DRAWS)).mean(axis=0) * comes_again
            slots = np.maximum(slots, (slots.sum(axis=0) + epochs * mean + besides) / len(slots))
        # Each of the last ones goes to the process that is free first; the search ends with the last process.
        for seconds in work[len(courses) :]:
            slots[slots.argmin(axis=0), np.arange(DRAWS)] += seconds
        low, high = np.quantile(slots.max(axis=0), QUANTILES)
        return float(low), float(high)

    def _besides(self, random: np.random.Generator) -> tuple[Floats, Floats]:
        """Return seconds that trials took besides their epochs [trials], and by draw whether those come again [draws].

        As long as no process has trained a second trial, nobody knows of what the first epochs took beyond the others
        whether each trial takes it, as for its data, or each process, as for its imports: each in half of the draws.
        """
        if self._between:
            return np.array(self._between), np.ones(DRAWS)
        comes_again = (random.random(DRAWS) < 0.5).astype(float)
        return np.array(self._setups or [0.0]), comes_again

    def _speeds(self, random: np.random.Generator, courses: list[Course], trials: int) -> tuple[Floats, Floats]:
        """Return seconds an epoch, of an epoch in the mean [draws] and of each trial [trials, draws].

        A trial that runs keeps its own. Which of the epochs seen are typical is unknown: each draw weighs them anew.
        """
        seen = [*self._seconds, *((course.speed, course.epoch) for course in courses if course.epoch)]
        seconds, epochs = np.array(seen).T
        # The mean: a Bayesian bootstrap over the trials, weighted by their epochs, and what the future adds.
        weights = random.exponential(size=(DRAWS, len(seconds))) * epochs
        noise_of_all = np.exp(NOISE * random.standard_normal(DRAWS))
        mean = weights @ seconds / weights.sum(axis=1) * noise_of_all
        # A trial to come: around the mean as those so far were.
        logs = np.log(np.maximum(seconds, 1e-9))
        center = np.average(logs, weights=epochs)
        spread = math.sqrt(np.average((logs - center) ** 2, weights=epochs))
        speeds = mean * np.exp(spread * random.standard_normal((trials, DRAWS)))
        # A trial that runs: its own speed so far.
        for at, course in enumerate(courses):
            if course.epoch:
                speeds[at] = course.speed * noise_of_all * np.exp(NOISE * random.standard_normal(DRAWS))
        return mean, speeds

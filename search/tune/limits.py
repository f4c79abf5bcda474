"""The limits of a search while it runs: its seconds are counted, and the one that ends it is recorded."""

from collections.abc import Callable, Collection, Sequence
from typing import Any

from search.algorithms.stopping import Stopping
from search.journal import limits
from search.journal.limits import SEARCHED
from search.journal.trial import Ending, Trial
from search.study import Study
from search.views.limits import why_ended

RECORD_INTERVAL_S = 5.0
"""Of the seconds of searching: a kill loses no more than these, or than RECORD_SHARE of all."""
RECORD_SHARE = 0.01


class RunningLimits:
    """What ends a search, told all of earlier sessions, and of this one what happens."""

    def __init__(self, study: Study, trials: Sequence[Trial], clock: Callable[[], float]) -> None:
        """Take in the trials of earlier sessions."""
        self._study = study
        self._clock = clock
        self.stopping: Stopping = limits.stopping(study.search, study.config, trials, study.epochs)
        self._before_s = self.stopping.seconds
        """Of searching, in earlier sessions."""
        self._recorded_s = self.stopping.seconds
        self._began: float | None = None
        """When the first trial of this session was proposed."""
        self._is_recorded = limits.recorded(study.search, study.config) is not None
        self._stopped: set[int] = set()
        """Trials that end since the search does."""

    @property
    def is_reached(self) -> bool:
        """Return whether a limit has ended the search: no trial begins any more."""
        return self.stopping.reason is not None

    def begin(self) -> None:
        """Take in that a trial is proposed: from the first on, the seconds count."""
        if self._began is None:
            self._began = self._clock()

    def pass_time(self, *, is_over: bool = False) -> bool:
        """Take in the time, which ends where the search `is_over`; return whether `record` has something to record."""
        if self._began is not None:
            self.stopping.pass_time(self._before_s + self._clock() - self._began)
        if is_over:
            self._before_s = self.stopping.seconds
            self._began = None
        unrecorded_s = self.stopping.seconds - self._recorded_s
        is_new = self.is_reached and not self._is_recorded
        is_due = unrecorded_s >= max(RECORD_INTERVAL_S, RECORD_SHARE * self.stopping.seconds)
        return is_new or is_due or (is_over and unrecorded_s > 0)

    def hear(self, trial: int, result: dict[str, Any]) -> None:
        """Take in the epochs of a result."""
        objective = self._study.objective
        for epoch, metrics, _ in result["epochs"]:
            self.stopping.hear(trial, epoch, objective.sign * objective.value_in(metrics))

    def stops(self, trial: int, result: dict[str, Any]) -> bool:
        """Return whether a trial ends with this result, though it would go on: since the search does."""
        self.hear(trial, result)
        self.pass_time()
        if self.is_reached:
            self._stopped.add(trial)
        return self.is_reached

    @property
    def setting(self) -> str:
        """Return the setting whose limit has ended the search; empty where none has."""
        return self.stopping.reason.setting if self.stopping.reason else ""

    def setting_of(self, trial: int) -> str:
        """Return the setting whose limit stopped a trial; empty where that was the scheduler."""
        return self.setting if trial in self._stopped else ""

    def end(self, trial: int, ending: Ending) -> None:
        """Take in how a trial ended."""
        if ending != "infeasible":
            may_win = ending in ("complete", "stopped")
            self.stopping.end(trial, is_complete=ending == "complete", may_win=may_win)

    def record(self) -> str:
        """Record the seconds of searching and, once, the limit that was reached; return a line on that."""
        search = self._study.search
        if self.stopping.seconds > self._recorded_s:
            self._recorded_s = self.stopping.seconds
            search.set_user_attr(SEARCHED, round(self._recorded_s, 3))
        reason = self.stopping.reason
        if reason is None or self._is_recorded:
            return ""
        self._is_recorded = True
        limits.record(search, self._study.config, reason)
        return f"the search ends by {why_ended(reason, self._study.config)}; what runs is stopped"

    def rungs(self, trial: int) -> Collection[int]:
        """Return the epochs of a trial at which the search may end: it is to report there."""
        left = self.stopping.left(trial)
        return [] if left is None else [left]

"""Reuse of a search's processes for its retraining: to start new ones takes seconds.

When the search has nothing more to propose, each free process is given a Tune trial of its own whose message is Wait
instead of a TrialOrder. Such a trial trains nothing; each of its results is a handle to its process. When all processes
wait, the retraining calls functions in them, inside Tune's loop, and ReuseOverError then ends that loop.

The classes here hide the waiting trials from our searcher, scheduler and callbacks.
"""

import math
import time
from collections.abc import Callable
from typing import Any

from ray import cloudpickle
from ray.tune import Callback
from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from search.tune.searcher import OptunaSearcher
from search.tune.stateless import StatelessSearcher
from search.tune.trainable import HANDLE, TRIAL, Wait

Use = Callable[[list[Any]], None]
"""Is called with handles to the processes, once; it may raise anything."""
PATIENCE_S = 5.0
"""Time to wait for all processes after the last trial has ended; then those that are there have to do."""


class ReuseOverError(Exception):
    """Ends Tune's loop, after the processes have been used, or where they must not be: no trial is left."""


class ProcessReuse:
    """Holds the processes of a search as they become free, and calls `use` when it holds all of them."""

    def __init__(self, searcher: OptunaSearcher, processes: int, use: Use) -> None:
        self.search = searcher
        self._wanted = processes
        self._capacity = processes
        self._use = use
        self._handles: dict[str, Any] = {}
        """A pickled handle to each waiting process, by the trial_id of its trial; None before its first result."""
        self._waits: set[str] = set()
        """The trial_id of every waiting trial, ended ones included."""
        self._over_at = math.inf
        """When the last trial of the search was seen to have ended."""
        self.error: BaseException | None = None
        """What `use` raised, kept here because Tune would wrap it in an error of its own."""

    def begin(self, trial_id: str) -> dict[str, Any] | None:
        """Begin a waiting trial and return its config; None where there is one for every process that may be used."""
        if len(self._handles) >= self._capacity or self.search.needs_fresh:
            return None
        self._handles[trial_id] = None
        self._waits.add(trial_id)
        return {TRIAL: Wait()}

    def is_wait(self, trial_id: str) -> bool:
        """Return whether a Tune trial is a waiting one, and so none of the search's."""
        return trial_id in self._waits

    def is_holding(self) -> bool:
        """Return whether any process waits at present."""
        return bool(self._handles)

    def take(self, trial_id: str, handle: bytes) -> None:
        """Keep the handle that a waiting process has reported."""
        self._handles[trial_id] = handle

    def end(self, trial_id: str, *, is_lost: bool) -> None:
        """End a waiting trial: its process goes back to the search, or has died, which leaves one fewer to wait for."""
        del self._handles[trial_id]
        if is_lost:
            self._capacity -= 1

    def look(self) -> None:
        """Call `use` when the search is over and all processes wait, or PATIENCE_S later, then raise ReuseOverError."""
        if not self.search.is_over or self._capacity <= 0:
            return
        if self.search.needs_fresh:
            raise ReuseOverError  # no run of the retraining is to find what a trial has left
        # Wait for every process that the search had, but not for ever: one may never come.
        self._over_at = min(self._over_at, time.monotonic())
        handles = [handle for handle in self._handles.values() if handle]
        if len(handles) < self._wanted and time.monotonic() - self._over_at <= PATIENCE_S:
            return
        # Use those that are there, inside Tune's loop, which would end them.
        try:
            if handles:
                self._use([cloudpickle.loads(handle) for handle in handles])
        except BaseException as error:
            self.error = error
        raise ReuseOverError

    def __reduce__(self) -> Any:
        """Return a stand-in: Tune pickles its parts into a file that nobody reads, and terminals cannot be pickled."""
        return object, ()


class ReusingSearcher(StatelessSearcher):
    """The searcher that Tune is given: it proposes the search's trials, then waiting ones."""

    def __init__(self, reuse: ProcessReuse) -> None:
        super().__init__(metric=reuse.search.metric, mode=reuse.search.mode)
        self._reuse = reuse
        self._search = reuse.search

    def suggest(self, trial_id: str) -> Any:
        """Return the config of the search's next trial; when it has proposed all, of a waiting one.

        As of any searcher, None means that there may be a trial later, and FINISHED that there is none.
        """
        if self._search.is_done and not self._search.error:
            wait = self._reuse.begin(trial_id)
            if wait:
                return wait
        proposal = self._search.suggest(trial_id)
        if proposal == Searcher.FINISHED and self._reuse.is_holding():
            return None  # Tune's loop must go on: `look` ends it, after the processes have been used
        return proposal

    def on_trial_start(self, trial_id: str) -> None:
        """Tell the search that one of its trials has its process."""
        if not self._reuse.is_wait(trial_id):
            self._search.on_trial_start(trial_id)

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Pass epochs on to the search, or keep the handle of a waiting process."""
        if self._reuse.is_wait(trial_id):
            self._reuse.take(trial_id, result[HANDLE])
        else:
            self._search.on_trial_result(trial_id, result)

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Tell the search how a trial ended, or end a waiting trial."""
        if self._reuse.is_wait(trial_id):
            self._reuse.end(trial_id, is_lost=error)
        else:
            self._search.on_trial_complete(trial_id, result, error)


class ReusingScheduler(FIFOScheduler):
    """The scheduler that Tune is given: waiting trials go on until a trial of the search needs a process."""

    def __init__(self, reuse: ProcessReuse, scheduler: FIFOScheduler) -> None:
        FIFOScheduler.__init__(self)
        self._reuse = reuse
        self._scheduler = scheduler

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        """Return the search's decision; for a waiting trial STOP where the search is short of processes."""
        if not self._reuse.is_wait(trial.trial_id):
            decision: str = self._scheduler.on_trial_result(tune_controller, trial, result)
            return decision
        if self._reuse.search.is_short_of_processes:
            return TrialScheduler.STOP
        return TrialScheduler.CONTINUE

    def on_trial_error(self, tune_controller: Any, trial: Trial) -> None:
        """Pass on that a trial of the search has lost its process."""
        if not self._reuse.is_wait(trial.trial_id):
            self._scheduler.on_trial_error(tune_controller, trial)


class ReusingCallback(Callback):
    """A callback that Tune is given for one of ours: it passes on the search's trials, and hides waiting ones."""

    def __init__(self, reuse: ProcessReuse, callback: Callback) -> None:
        self._reuse = reuse
        self._callback = callback

    def on_trial_start(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Pass on that a trial of the search has its process."""
        if not self._reuse.is_wait(trial.trial_id):
            self._callback.on_trial_start(iteration, trials, trial, **info)

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        """Pass on a result of a trial of the search."""
        if not self._reuse.is_wait(trial.trial_id):
            self._callback.on_trial_result(iteration, trials, trial, result, **info)

    def on_trial_complete(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Pass on that a trial of the search has ended."""
        if not self._reuse.is_wait(trial.trial_id):
            self._callback.on_trial_complete(iteration, trials, trial, **info)

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Pass on that a trial of the search has lost its process."""
        if not self._reuse.is_wait(trial.trial_id):
            self._callback.on_trial_error(iteration, trials, trial, **info)

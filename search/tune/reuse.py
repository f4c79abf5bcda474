"""The processes of a search, used again for its retraining: to start new ones takes seconds.

When there is nothing more to propose, each process that is free is given a Tune trial of its own whose message is Wait
instead of a TrialOrder. It trains nothing; each of its results is a handle to the process. When all processes are there
the retraining calls functions in them, inside Tune's loop, and ReuseOverError then ends that loop.

Only this file knows: what the searcher, the scheduler, the trainable and the callbacks see are trials of the search.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import ray
from ray import cloudpickle
from ray.tune import Callback
from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from search.tune.searcher import OptunaSearcher
from search.tune.trainable import TRIAL, WorkloadTrainable

Use = Callable[[list[Any]], None]
"""What is called with handles to processes."""
HANDLE = "handle"
"""In a result: a pickled handle to the process that it came from."""
PATIENCE_S = 5.0
"""To wait for all processes, from when the last trial has ended."""
POLL_S = 0.02
"""Between two results of a process that waits: Tune asks again and again."""


@dataclass(frozen=True)
class Wait:
    """Tells a process to train nothing, and to say where it is."""


class ReuseOverError(Exception):
    """Ends Tune's loop: nothing is left to do for it."""


class ReusableTrainable(WorkloadTrainable):
    """A process that can also wait."""

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Take the next trial, or begin to wait; return that this process can be used for it."""
        if isinstance(new_config[TRIAL], Wait):
            self._end_training()
            return True
        return super().reset_config(new_config)

    def step(self) -> dict[str, Any]:
        """Train, or say where this process is."""
        if self._training is not None:
            return super().step()
        time.sleep(POLL_S)
        handle = cloudpickle.dumps(ray.get_runtime_context().current_actor)
        return {HANDLE: handle, "epoch": 0, "value": 0.0, "done": False}


class ProcessReuse:
    """Keeps the processes of a search as they become free, and hands them to `use` when all are there."""

    def __init__(self, searcher: OptunaSearcher, processes: int, use: Use) -> None:
        self.search = searcher
        self._wanted = processes
        self._capacity = processes
        self._use = use
        self._handles: dict[str, Any] = {}
        """Of the processes that wait, by trial_id: pickled handles, None before one has come."""
        self._waits: set[str] = set()
        """The trial_id of every Tune trial that waits, or has."""
        self._over_at = math.inf
        self.error: BaseException | None = None
        """What `use` raised: Tune would make another error of it."""

    def begin(self, trial_id: str) -> dict[str, Any] | None:
        """Return the config of a trial that waits; None where enough do."""
        if len(self._handles) >= self._capacity:
            return None
        self._handles[trial_id] = None
        self._waits.add(trial_id)
        return {TRIAL: Wait()}

    def is_wait(self, trial_id: str) -> bool:
        """Return whether a Tune trial is one that waits."""
        return trial_id in self._waits

    def is_holding(self) -> bool:
        """Return whether a process waits."""
        return bool(self._handles)

    def take(self, trial_id: str, handle: bytes) -> None:
        """Note where a process is."""
        self._handles[trial_id] = handle

    def end(self, trial_id: str, *, is_lost: bool) -> None:
        """Forget a process: the search has it back, or it died, and then there is one less to wait for."""
        del self._handles[trial_id]
        self._capacity -= is_lost

    def look(self) -> None:
        """Use the processes as soon as they are all there, then raise ReuseOverError."""
        if not self.search.is_over or self._capacity <= 0:
            return
        self._over_at = min(self._over_at, time.monotonic())
        handles = [handle for handle in self._handles.values() if handle]
        if len(handles) < self._wanted and time.monotonic() - self._over_at <= PATIENCE_S:
            return
        try:
            if handles:
                self._use([cloudpickle.loads(handle) for handle in handles])
        except BaseException as error:
            self.error = error
        raise ReuseOverError

    def __reduce__(self) -> Any:
        """Tune pickles what it is given into a file that nobody reads, and a terminal cannot be pickled."""
        return object, ()


class ReusingSearcher(Searcher):
    """The searcher as Tune sees it: the search's trials, then those that wait."""

    def __init__(self, reuse: ProcessReuse) -> None:
        super().__init__(metric=reuse.search.metric, mode=reuse.search.mode)
        self._reuse = reuse
        self._search = reuse.search

    def suggest(self, trial_id: str) -> Any:
        """Return what the search proposes; when it has proposed all, that a process is to wait."""
        if self._search.is_done and not self._search.error:
            wait = self._reuse.begin(trial_id)
            if wait:
                return wait
        proposed = self._search.suggest(trial_id)
        is_last = proposed == Searcher.FINISHED and self._reuse.is_holding()
        return None if is_last else proposed

    def on_trial_start(self, trial_id: str) -> None:
        """Tell the search that a trial has its process."""
        if not self._reuse.is_wait(trial_id):
            self._search.on_trial_start(trial_id)

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Tell the search of epochs, or note where a process is."""
        if self._reuse.is_wait(trial_id):
            self._reuse.take(trial_id, result[HANDLE])
        else:
            self._search.on_trial_result(trial_id, result)

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Tell the search how a trial ended, or give a process back."""
        if self._reuse.is_wait(trial_id):
            self._reuse.end(trial_id, is_lost=error)
        else:
            self._search.on_trial_complete(trial_id, result, error)

    def save(self, checkpoint_path: str) -> None:
        """Tune's own state is not part of a study."""

    def restore(self, checkpoint_path: str) -> None:
        """Tune's own state is not part of a study."""


class ReusingScheduler(FIFOScheduler):
    """A scheduler of trials, which lets those that wait go on until a trial of the search waits for a process."""

    def __init__(self, reuse: ProcessReuse, scheduler: FIFOScheduler) -> None:
        FIFOScheduler.__init__(self)
        self._reuse = reuse
        self._scheduler = scheduler

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        """Return CONTINUE or STOP."""
        if not self._reuse.is_wait(trial.trial_id):
            decision: str = self._scheduler.on_trial_result(tune_controller, trial, result)
            return decision
        return TrialScheduler.STOP if self._reuse.search.is_short_of_processes else TrialScheduler.CONTINUE


class ReusingCallback(Callback):
    """A callback that hears of the trials of the search alone."""

    def __init__(self, reuse: ProcessReuse, callback: Callback) -> None:
        self._reuse = reuse
        self._callback = callback

    def on_trial_start(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Pass it on."""
        if not self._reuse.is_wait(trial.trial_id):
            self._callback.on_trial_start(iteration, trials, trial, **info)

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        """Pass it on."""
        if not self._reuse.is_wait(trial.trial_id):
            self._callback.on_trial_result(iteration, trials, trial, result, **info)

    def on_trial_complete(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Pass it on."""
        if not self._reuse.is_wait(trial.trial_id):
            self._callback.on_trial_complete(iteration, trials, trial, **info)

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Pass it on."""
        if not self._reuse.is_wait(trial.trial_id):
            self._callback.on_trial_error(iteration, trials, trial, **info)

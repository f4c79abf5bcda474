"""Reports a search to its trackers, each in its own thread: no trial waits for one, and none can end the search."""

import logging
import math
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from queue import SimpleQueue
from typing import Any

from ray.tune import Callback
from ray.tune.experiment import Trial

from search.errors import describe, one_line
from search.journal import records
from search.journal.trial import Trial as RecordedTrial
from search.study import Study
from search.tune.trackers import TRACKERS
from search.tune.trainable import TRIAL, TrialOrder
from search.worker import training

log = logging.getLogger(__name__)
TRACKED_AS = "tracked as"
"""The study's attribute that holds its unique name among a tracker's runs."""
PATIENCE_S = 90.0
"""Time without progress after which a tracker, at the end of a search, is given up."""
ABORT_S = 3.0
"""Time that a tracker has for what is queued where the search is interrupted; the next session reports the rest."""
Say = Callable[[str], None]
"""Prints a line for the user."""


class TrackerThread:
    """The thread that writes to one tracker what is queued for it. The first error is printed and ends the thread."""

    def __init__(self, study: Study, identity: str, name: str, say: Say) -> None:
        self._study = study
        self._identity = identity
        self._name = name
        self._say = say
        self._queue: SimpleQueue[tuple[str, tuple[Any, ...]] | None] = SimpleQueue()
        """Calls of the tracker, each as a method's name and its arguments; None is the last."""
        self._written = 0
        self._deadline = math.inf
        self._is_lost = False
        self._ended = threading.Event()  # Thread.join would take a thread for ended that a Ctrl-C found it waiting for
        threading.Thread(target=self._write, name=name, daemon=True).start()

    def tell(self, method: str, *arguments: Any) -> None:
        """Queue a call of the tracker's method of that name; dropped once the tracker is lost."""
        if not self._is_lost:
            self._queue.put((method, arguments))

    def _write(self) -> None:
        """Run in the thread: make the tracker, make the queued calls until the end or the deadline, and close it."""
        tracker = None
        try:
            tracker = TRACKERS[self._name](self._study.name, self._identity, self._study.folder / self._name)
            while time.monotonic() < self._deadline and (call := self._queue.get()):
                method, arguments = call
                getattr(tracker, method)(*arguments)
                self._written += 1
            if self._deadline:  # not given up: Ray, through which W&B's tracker works, may be gone by then
                tracker.close(self._seconds_left())
        except Exception as error:
            log.exception("tracker %s", self._name)
            if self._deadline == math.inf:  # otherwise nobody waits for it any more
                self._report_lost(describe(error))
            if tracker and self._deadline:
                tracker.abandon()
        finally:
            self._ended.set()

    def _seconds_left(self) -> float:
        return max(0.0, self._deadline - time.monotonic())

    def _report_lost(self, why: str) -> None:
        """Print that the search goes on without this tracker."""
        self._is_lost = True
        log_file = self._study.logs / "ray.log"
        self._say(f"tracker {self._name}: {one_line(why, 300)}; the search goes on without it, see {log_file}")

    def end(self) -> None:
        """Wait until all that is queued is written; give up after PATIENCE_S without progress."""
        self._queue.put(None)
        if self._ended.wait(ABORT_S) or self._is_lost:
            return
        self._say(f"waiting for tracker {self._name}")
        written = self._written
        since = time.monotonic()
        while not self._ended.wait(0.1) and time.monotonic() - since < PATIENCE_S:
            if self._is_lost:
                self._ended.wait(ABORT_S)  # for the ends of its open runs
                return
            if written != self._written:
                written = self._written
                since = time.monotonic()
        if not self._ended.is_set():
            self._deadline = 0
            self._report_lost(f"nothing came of it for {PATIENCE_S:g} s")

    def abort(self) -> None:
        """Have the thread end within half of ABORT_S, whatever is still queued; `wait_aborted` waits for that."""
        self._deadline = time.monotonic() + ABORT_S / 2
        self._queue.put(None)

    def wait_aborted(self) -> None:
        """Wait until the thread has ended after `abort`, for ABORT_S after that at most."""
        self._ended.wait(self._seconds_left() + ABORT_S / 2)


class Tracking(Callback):
    """The callback of Tune that passes our trials on to the trackers, an epoch at a time."""

    def __init__(self, study: Study, say: Say) -> None:
        self._study = study
        identity = study.search.user_attrs.get(TRACKED_AS)
        if identity is None:
            identity = uuid.uuid4().hex[:12]
            study.search.set_user_attr(TRACKED_AS, identity)
        self._threads = [TrackerThread(study, identity, name, say) for name in study.config.trackers]
        self._recall(self._study.trials())

    def _recall(self, trials: Iterable[RecordedTrial]) -> None:
        """Pass on those of some trials of the journal that have ended: a tracker takes those that it lacks."""
        config = self._study.config
        for trial in trials:
            if trial.ending != "running":
                self._tell("recall", trial, config.values(trial.params))

    def _tell(self, method: str, *arguments: Any) -> None:
        for thread in self._threads:
            thread.tell(method, *arguments)

    def on_trial_start(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Have the trackers begin the run of the trial, with its full config."""
        started: TrialOrder = trial.config[TRIAL]
        self._tell("start", started.number, dict(started.order.values))

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        """Have the trackers log the epochs of a result, each on its own."""
        for epoch, metrics, _ in result.get("epochs", ()):
            self._tell("add", trial.config[TRIAL].number, epoch, metrics)

    def on_trial_complete(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Have the trackers end the run, with the ending that its last result means."""
        if "epochs" not in (trial.last_result or {}):
            return
        number = trial.config[TRIAL].number
        ending = training.ending(trial.last_result)
        if ending == "failed":
            self._recall([self._recorded(number)])  # anew: a process that was lost may have trained more epochs
        else:
            self._tell("end", number, ending)

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Have the trackers end the run of a trial that lost its process, unless it is to be trained again."""
        number = trial.config[TRIAL].number
        self._recall([self._recorded(number)])

    def _recorded(self, number: int) -> RecordedTrial:
        """Return a trial as the journal has it; to read them all for each that fails would be quadratic."""
        frozen = self._study.search.get_trials(deepcopy=False)[number]
        return records.read_trial(frozen, self._study.objective)

    def end(self) -> None:
        """Wait until every tracker has all trials of the journal."""
        self._recall(self._study.trials())
        for thread in self._threads:
            thread.end()

    def abort(self) -> None:
        """End all trackers at the same time, within ABORT_S: the search was interrupted."""
        for thread in self._threads:
            thread.abort()
        for thread in self._threads:
            thread.wait_aborted()

    def __reduce__(self) -> Any:
        """Return a stand-in: Tune pickles callbacks into a file that nobody reads, and threads cannot be pickled."""
        return Callback, ()


@contextmanager
def following(study: Study, say: Say) -> Iterator[list[Callback]]:
    """Yield the callbacks that report the search of a study to its trackers; `say` prints what goes wrong.

    Where the block ends, all is written; where it raises, a tracker has ABORT_S to write what it can.
    """
    if not study.config.trackers:
        yield []
        return
    tracking = Tracking(study, say)
    try:
        yield [tracking]
        tracking.end()
    except BaseException:
        tracking.abort()
        raise

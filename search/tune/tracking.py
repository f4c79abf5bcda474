"""A search told to its trackers, each in a thread: a trial waits for none, and one that breaks costs nothing else."""

import logging
import math
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import SimpleQueue
from typing import Any

from ray.tune import Callback
from ray.tune.experiment import Trial

from search.study import Study
from search.tune.trackers import TRACKERS
from search.tune.trainable import TRIAL, TrialOrder
from search.worker import training

log = logging.getLogger(__name__)
TRACKED_AS = "tracked as"
"""A study's attribute: a name that no other study has."""
PATIENCE_S = 90.0
"""Seconds in which nothing has come of a tracker until what is left for it is given up."""
HASTE_S = 3.0
"""Seconds for what is left where somebody wishes the end; the next session tells the rest."""
Say = Callable[[str], None]


class Scribe:
    """A thread that tells one tracker what there is to tell; the first that goes wrong is said, and is its end."""

    def __init__(self, study: Study, identity: str, name: str, say: Say) -> None:
        self._study = study
        self._identity = identity
        self._name = name
        self._say = say
        self._notes: SimpleQueue[tuple[str, tuple[Any, ...]] | None] = SimpleQueue()
        self._written = 0
        self._until = math.inf
        self._ended = threading.Event()  # Thread.join would take a thread for ended that a Ctrl-C found it waiting for
        threading.Thread(target=self._write, name=name, daemon=True).start()

    def tell(self, what: str, *about: Any) -> None:
        """Have the tracker's method of that name called, later."""
        if not self._ended.is_set():
            self._notes.put((what, about))

    def _write(self) -> None:
        try:
            tracker = TRACKERS[self._name](self._study.name, self._identity, self._study.folder / self._name)
            while time.monotonic() < self._until and (note := self._notes.get()):
                what, about = note
                getattr(tracker, what)(*about)
                self._written += 1
            if self._until:  # not given up: Ray, which W&B's is told through, may be gone by then
                tracker.close(self._left())
        except Exception as error:
            log.exception("tracker %s", self._name)
            if self._until == math.inf:  # nobody waits for it any more, otherwise
                self._give_up(f"{type(error).__name__}: {error}")
        finally:
            self._ended.set()

    def _left(self) -> float:
        """Return the seconds that it still has."""
        return max(0.0, self._until - time.monotonic())

    def _give_up(self, why: str) -> None:
        where = self._study.logs / "ray.log"
        self._say(f"tracker {self._name}: {' '.join(why.split()):.300}; the search goes on without it, see {where}")

    def end(self) -> None:
        """Let it write what is left, for as long as it comes on."""
        self._notes.put(None)
        if not self._ended.wait(HASTE_S):
            self._say(f"waiting for tracker {self._name}")
        written = self._written
        since = time.monotonic()
        while not self._ended.wait(0.1) and time.monotonic() - since < PATIENCE_S:
            if written != self._written:
                written = self._written
                since = time.monotonic()
        if not self._ended.is_set():
            self._until = 0
            self._give_up(f"nothing came of it for {PATIENCE_S:g} s")

    def hurry(self) -> None:
        """Let it write what it can in a moment; `leave` waits for that."""
        self._until = time.monotonic() + HASTE_S / 2
        self._notes.put(None)

    def leave(self) -> None:
        """Wait for it a moment."""
        self._ended.wait(self._left() + HASTE_S / 2)


class Tracking(Callback):
    """Hears of Tune's trials, and tells the trackers of ours, an epoch at a time."""

    def __init__(self, study: Study, say: Say) -> None:
        self._study = study
        identity = study.search.user_attrs.get(TRACKED_AS)
        if identity is None:
            identity = uuid.uuid4().hex[:12]
            study.search.set_user_attr(TRACKED_AS, identity)
        self._scribes = [Scribe(study, identity, name, say) for name in study.config.trackers]
        self._recall()

    def _recall(self) -> None:
        """Tell what the journal has and a tracker may lack."""
        config = self._study.config
        for trial in self._study.trials():
            if trial.ending != "running":
                self._tell("recall", trial, config.values(trial.params))

    def _tell(self, what: str, *about: Any) -> None:
        for scribe in self._scribes:
            scribe.tell(what, *about)

    def on_trial_start(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Begin a run."""
        told: TrialOrder = trial.config[TRIAL]
        self._tell("start", told.number, dict(told.order.values))

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        """Add the epochs of a result."""
        for epoch, metrics, _ in result.get("epochs", ()):
            self._tell("add", trial.config[TRIAL].number, epoch, metrics)

    def on_trial_complete(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """End a run."""
        if "epochs" in (trial.last_result or {}):
            self._tell("end", trial.config[TRIAL].number, training.ending(trial.last_result))

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """End the run of a trial that lost its process, unless it is to be trained again."""
        number = trial.config[TRIAL].number
        if self._study.search.get_trials(deepcopy=False)[number].state.is_finished():
            self._tell("end", number, "failed")

    def end(self) -> None:
        """Let the trackers come to their end."""
        self._recall()
        for scribe in self._scribes:
            scribe.end()

    def hurry(self) -> None:
        """Let them come to it at once."""
        for scribe in self._scribes:
            scribe.hurry()
        for scribe in self._scribes:
            scribe.leave()

    def __reduce__(self) -> Any:
        """Tune pickles it into a file that nobody reads, and a thread cannot be pickled."""
        return Callback, ()


@contextmanager
def following(study: Study, say: Say) -> Iterator[list[Callback]]:
    """Yield the callbacks that tell the study's trackers of its search; `say` is called with what goes wrong."""
    if not study.config.trackers:
        yield []
        return
    tracking = Tracking(study, say)
    try:
        yield [tracking]
        tracking.end()
    except BaseException:
        tracking.hurry()
        raise

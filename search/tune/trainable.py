"""The bridge to Ray Tune: a Trainable whose step is the epochs up to the next decision, in a process that is reused.

A process imports this file and what it imports, so nothing here needs Optuna.
"""

import sys
import time
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from search.worker import isolation, process
from search.worker.training import Order, Training

with isolation.importing():
    import ray
    from ray import cloudpickle
    from ray.tune import Trainable

TRIAL = "trial"
"""The one key of a Tune trial's config: the message to its process, a TrialOrder or a Wait."""
HANDLE = "handle"
"""The key of a waiting trial's result: a pickled handle to its process."""
POLL_S = 0.02
"""Time between two results of a waiting process: Tune asks again and again."""


@dataclass(frozen=True)
class TrialOrder:
    """The message that tells a process which trial to train."""

    number: int
    order: Order
    rungs: Collection[int]
    """The epochs, counted from 1, after which the scheduler decides whether the trial goes on."""
    log: Path
    """The file for what it prints."""
    is_fresh: bool = False
    """Whether it is to be trained in a process that has trained nothing before."""


@dataclass(frozen=True)
class Wait:
    """The message that tells a process to train nothing, and to report a handle to itself."""


class WorkloadTrainable(Trainable):
    """Trains one trial after another in the same process, each by a TrialOrder in its config."""

    def setup(self, config: dict[str, Any]) -> None:
        """Begin the first trial of this process."""
        self._training: Training | None = None
        self._trained = 0
        """Trials that this process has begun to train."""
        self.reset_config(config)

    def reset(self, new_config: dict[str, Any], storage: Any = None) -> bool | str:
        """Begin the next trial and return True; or a text, and this process is to be ended.

        That is what the last trial left behind; it is empty where the next one needs a fresh process.
        """
        left = self._end_training()
        order = new_config[TRIAL]
        needs_fresh = isinstance(order, TrialOrder) and order.is_fresh and self._trained > 0
        if left or needs_fresh:
            return left
        begun: bool = super().reset(new_config, storage)  # type: ignore[no-untyped-call]
        return begun

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Begin the next trial; return True, which tells Tune that this process could be reused for it."""
        trial: TrialOrder = new_config[TRIAL]
        self._log = trial.log
        self._rungs = trial.rungs
        process.redirect_output(self._log)
        self._training = Training(trial.order)
        self._trained += 1
        return True

    def step(self) -> dict[str, Any]:
        """Train up to a rung or for REPORT_INTERVAL_S; return the result, `done` where the trial ended by itself."""
        assert self._training is not None
        result = self._training.advance(self._rungs)
        if result["ended"]:
            result["notes"] += self._training.settle(result)
        return {**result, "done": result["ended"], "used": self._trained > 1}

    def cleanup(self) -> None:
        """End the last trial before Tune ends this process."""
        self._end_training()

    def _end_training(self) -> str:
        """End the trial that was trained last; return what it has left behind."""
        if self._training is None:
            return ""
        left = self._training.close()
        if left:
            print(f"it left {left} behind: this process is not used again", file=sys.stderr)
        process.remove_if_empty(self._log)
        self._training = None
        return left


class ReusableTrainable(WorkloadTrainable):
    """A trainable that can also wait, by a Wait in its config."""

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Begin the next trial, or begin to wait; return True, which tells Tune that this process could be reused."""
        if isinstance(new_config[TRIAL], Wait):
            return True
        return super().reset_config(new_config)

    def step(self) -> dict[str, Any]:
        """Train, or wait for POLL_S and return a handle to this process."""
        if self._training is not None:
            return super().step()
        time.sleep(POLL_S)
        handle = cloudpickle.dumps(ray.get_runtime_context().current_actor)
        return {HANDLE: handle, "epoch": 0, "value": 0.0, "done": False}

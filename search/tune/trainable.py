"""The bridge to Ray Tune: a Trainable whose step is the epochs up to the next decision, in a process that is reused."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from search.worker import isolation, process
from search.worker.training import Order, Training

with isolation.importing():
    from ray.tune import Trainable

TRIAL = "trial"
"""The one key of a Tune trial's config: the message to its process, such as a TrialOrder."""


@dataclass(frozen=True)
class TrialOrder:
    """The message that tells a process which trial to train."""

    number: int
    order: Order
    rungs: Collection[int]
    """The epochs, counted from 1, after which the scheduler decides whether the trial goes on."""
    log: Path
    """The file for what it prints."""


class WorkloadTrainable(Trainable):
    """Trains one trial after another in the same process, each by a TrialOrder in its config."""

    def setup(self, config: dict[str, Any]) -> None:
        """Begin the first trial of this process."""
        self._training: Training | None = None
        self.reset_config(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Begin the next trial; return True, which tells Tune that this process could be reused for it."""
        self._end_training()
        trial: TrialOrder = new_config[TRIAL]
        self._log = trial.log
        self._rungs = trial.rungs
        process.redirect_output(self._log)
        self._training = Training(trial.order)
        return True

    def step(self) -> dict[str, Any]:
        """Train up to a rung or for REPORT_INTERVAL_S; return the result, `done` where the trial ended by itself."""
        assert self._training is not None
        result = self._training.advance(self._rungs)
        return {**result, "done": result["ended"]}

    def cleanup(self) -> None:
        """End the last trial before Tune ends this process."""
        self._end_training()

    def _end_training(self) -> None:
        if self._training is not None:
            self._training.close()
            process.remove_if_empty(self._log)
            self._training = None

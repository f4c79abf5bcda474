"""The bridge to Ray Tune: the epochs up to a decision are a step of a Trainable, in a process that is used again."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from search.worker import isolation, process
from search.worker.training import Order, Training

with isolation.importing():
    from ray.tune import Trainable

TRIAL = "trial"
"""The one key of a Tune trial's config: what its process is told, such as a TrialOrder."""


@dataclass(frozen=True)
class TrialOrder:
    """Tells a process which trial to train."""

    number: int
    order: Order
    rungs: Collection[int]
    """The epochs at which it waits for a decision."""
    log: Path
    """The file for what it prints."""


class WorkloadTrainable(Trainable):
    """Trains the trial that it is told of, then the next one."""

    def setup(self, config: dict[str, Any]) -> None:
        """Take the first trial."""
        self._training: Training | None = None
        self.reset_config(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Take the next trial; return that this process can be used for it."""
        self._end_training()
        trial: TrialOrder = new_config[TRIAL]
        self._log = trial.log
        self._rungs = trial.rungs
        process.redirect_output(self._log)
        self._training = Training(trial.order)
        return True

    def step(self) -> dict[str, Any]:
        """Train up to a rung, or for a moment; `done` where the trial ended by itself, however that was."""
        assert self._training is not None
        result = self._training.advance(self._rungs)
        return {**result, "done": result["ended"]}

    def cleanup(self) -> None:
        """End the last trial."""
        self._end_training()

    def _end_training(self) -> None:
        if self._training is not None:
            self._training.close()
            process.remove_if_empty(self._log)
            self._training = None

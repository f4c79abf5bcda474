"""The bridge to Ray Tune: the epochs up to a decision are a step of a Trainable, in a process that is used again."""

import time
from pathlib import Path
from typing import Any

import ray
from ray import cloudpickle

from search import residue, worker

with residue.importing():
    from ray.tune import Trainable


class WorkloadTrainable(Trainable):
    """Trains the order it is given, then the next; `config` is {order, rungs, log: path of the trial's file}.

    Without an order it lends its process out: the result of a step holds a handle to it.
    """

    def setup(self, config: dict[str, Any]) -> None:
        """Take the first order."""
        self._training: worker.Training | None = None
        self.reset_config(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Take the next order; return that this process can be used for it."""
        self._end()
        if new_config["order"] is None:
            return True
        self._log, self._rungs = Path(new_config["log"]), new_config["rungs"]
        worker.redirect_output(self._log)
        self._training = worker.Training(worker.Order(**new_config["order"]))
        return True

    def step(self) -> dict[str, Any]:
        """Train up to a rung, or for a moment; `done` where the trial ended by itself, however that was."""
        if self._training is None:
            return {worker.LENT: self._lend(), "epoch": 0, "value": 0.0, "done": False}
        result = self._training.advance(self._rungs)
        return {**result, "done": result["ended"]}

    def _lend(self) -> bytes:
        time.sleep(0.02)  # Tune asks again and again
        handle: bytes = cloudpickle.dumps(ray.get_runtime_context().current_actor)
        return handle

    def cleanup(self) -> None:
        """End the last trial."""
        self._end()

    def _end(self) -> None:
        if self._training is not None:
            self._training.close()
            worker.remove_if_empty(self._log)
            self._training = None

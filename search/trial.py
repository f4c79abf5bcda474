"""The bridge to Ray Tune: one epoch of the workload is one step of a Trainable, in a process that is used again."""

from pathlib import Path
from typing import Any

from ray.tune import Trainable

from search import worker


class WorkloadTrainable(Trainable):
    """Trains the config it is given, then the next.

    `config` has workload, gpus, metric, mode and logs, which are the study's, and number and values, which are the
    trial's.
    """

    def setup(self, config: dict[str, Any]) -> None:
        """Import the workload and take the first config."""
        self._training: worker.Training | None = None
        self._workload = worker.prepare(config["workload"], config["gpus"])
        self.reset_config(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Take the next config; return that this process can be used for it."""
        self._end()
        self._log = Path(new_config["logs"]) / f"trial-{new_config['number']:04}.log"
        worker.redirect_output(self._log)
        self._training = worker.Training(self._workload, new_config["values"], new_config["metric"], new_config["mode"])
        return True

    def step(self) -> dict[str, Any]:
        """Train one epoch; `done` where the trial ended by itself, however that was."""
        assert self._training is not None
        result = self._training.pull()
        return {**result, "done": result["ended"]}

    def cleanup(self) -> None:
        """End the last trial."""
        self._end()

    def _end(self) -> None:
        if self._training is not None:
            self._training.close()
            worker.remove_if_empty(self._log)
            self._training = None

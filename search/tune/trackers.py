"""The trackers by name: TensorBoard, MLflow, and Weights & Biases; what each needs is looked for before a search."""

import importlib.util
import io
import os
import shutil
import time
from collections.abc import Collection, Mapping
from contextlib import redirect_stderr
from functools import cached_property
from importlib.metadata import packages_distributions
from typing import Any

from search.errors import UserError
from search.spec.config import TRACKERS as PACKAGES
from search.tune.tracker import Ending, Run, Tracker

UPLOAD = 60
"""Seconds that W&B has for a run that has ended, where the next waits for it."""
UPLOADS = 4
"""Runs that have ended which W&B may have under way: each is two processes."""


class TensorBoard(Tracker):
    """Event files, a folder a trial; the ending is one of the hyperparameters."""

    def _set_up(self) -> None:
        from ray.tune.logger import TBXLoggerCallback

        self.callback = TBXLoggerCallback()
        self.callback.setup()

    def _forget(self, run: Run) -> None:
        shutil.rmtree(run.local_path, ignore_errors=True)
        for name, value in run.config.items():
            run.evaluated_params[name] = "None" if value is None else value  # tensorboardX takes no None

    def _note(self, run: Run, ending: Ending) -> None:
        run.evaluated_params["ending"] = ending


class MLflow(Tracker):
    """The server that MLFLOW_TRACKING_URI names, else an SQLite file: MLflow 3 refuses others. The ending is a tag."""

    def _set_up(self) -> None:
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        from ray.air.integrations.mlflow import MLflowLoggerCallback

        server = os.environ.get("MLFLOW_TRACKING_URI")
        self.callback = MLflowLoggerCallback(
            tracking_uri=server or f"sqlite:///{self._folder}/mlflow.db",
            experiment_name=self._study,
            tags={"study": self._identity},
        )
        self.callback.setup()
        if not server:  # MLflow has set it, and another search of this process would take it for the user's
            os.environ.pop("MLFLOW_TRACKING_URI", None)

    def add(self, number: int, epoch: int, metrics: Mapping[str, float]) -> None:
        """Log the metrics of an epoch in one request: Tune's callback makes one for each, and one more."""
        from mlflow.entities import Metric

        now = round(1000 * time.time())
        told = [Metric(name, value, now, epoch) for name, value in metrics.items()]
        self._client.log_batch(self.callback._trial_runs[self._runs[number]], told)

    @cached_property
    def _client(self) -> Any:
        return self.callback.mlflow_util._get_client()

    def _forget(self, run: Run) -> None:
        wanted = f"tags.study = '{self._identity}' and tags.trial_name = '{run}'"
        for old in self._client.search_runs([self.callback.mlflow_util.experiment_id], wanted):
            self._client.delete_run(old.info.run_id)

    def _note(self, run: Run, ending: Ending) -> None:
        self._client.set_tag(self.callback._trial_runs[run], "ending", ending)

    def end(self, number: int, ending: Ending) -> None:
        """End the run of a trial, as killed where it was interrupted."""
        run = self._runs.get(number)
        super().end(number, ending)
        if run and ending == "interrupted":
            self._client.set_terminated(self.callback._trial_runs[run], "KILLED")


class Wandb(Tracker):
    """Weights & Biases, by its own settings; the ending is in a run's config. Each run has two processes of Tune's."""

    def _set_up(self) -> None:
        from ray.air.integrations.wandb import WandbLoggerCallback, _WandbLoggingActor

        class Process(_WandbLoggingActor):
            """One that ends when all is on the disk: Tune kills it at once, and W&B's own with it."""

            def run(self) -> None:
                super().run()  # type: ignore[no-untyped-call]
                self._wandb.teardown()

        self._uploads: dict[int, Any] = {}
        self._patience: float = UPLOAD
        self.callback = WandbLoggerCallback(
            project=self._study,
            upload_timeout=UPLOAD,
            mode=os.environ.get("WANDB_MODE"),
            dir=str(self._folder.parent),  # in which it makes one that is called wandb
        )
        self.callback._logger_actor_cls = Process
        self.callback.setup()

    def start(self, number: int, values: Mapping[str, Any]) -> None:
        """Begin the run of a trial, when not too many others are still on their way. Raises what went wrong in any."""
        self._await(UPLOADS - 1)
        super().start(number, values)
        self._uploads[number] = self.callback._trial_logging_futures[self._runs[number]]

    def _await(self, most: int) -> None:
        """Wait until no more runs that have ended are on their way than that."""
        import ray

        for number, upload in list(self._uploads.items()):
            if number not in self._runs:
                late = len(self._uploads.keys() - self._runs.keys()) > most
                if ray.wait([upload], timeout=self._patience if late else 0)[0]:
                    ray.get(self._uploads.pop(number))
                    if number in self._told:
                        super()._keep(number)
                elif late:
                    raise TimeoutError(f"W&B has not taken trial {number} in {self._patience:.0f} s")

    def _forget(self, run: Run) -> None:
        import ray

        run.local_path = str(self._folder)
        if run.number in self._uploads:
            ray.wait([self._uploads.pop(run.number)], timeout=UPLOAD)
        for old in self._folder.glob(f"*run-*-{run.trial_id}"):
            shutil.rmtree(old)

    def _note(self, run: Run, ending: Ending) -> None:
        at = {"training_iteration": run.epoch} if run.epoch else {}
        self.callback.log_trial_result(run.epoch, run, {"config": {"ending": ending}, **at})

    def _keep(self, number: int) -> None:
        """Do nothing yet: the run is on its way."""

    def close(self, seconds: float) -> None:
        """End what has not ended, and wait for what is still on its way."""
        self._patience = min(seconds, UPLOAD)
        self.callback._upload_timeout = self._patience
        super().close(seconds)
        self._await(0)


TRACKERS: dict[str, type[Tracker]] = {"tensorboard": TensorBoard, "mlflow": MLflow, "wandb": Wandb}
"""Every tracker; what it needs is said in search.spec.config, where its name is checked."""


def check(names: Collection[str]) -> None:
    """Raise UserError where a tracker is not installed, or would ask for a login."""
    for name in names:
        for package in PACKAGES[name]:
            found = importlib.util.find_spec(package)
            if found is None or found.origin is None:  # a folder of that name: W&B makes one
                ours = packages_distributions().get(__package__.partition(".")[0], ["the package of this search"])[0]
                raise UserError(
                    f"trackers must be installed, but {name} lacks {package}: pip install '{ours}[{name}]', "
                    f"or take {name} out of trackers"
                )
    if "wandb" in names:
        _check_login()


def _check_login() -> None:
    from ray.air.integrations import wandb

    try:
        with redirect_stderr(io.StringIO()):
            wandb._set_api_key()
    except Exception as error:  # wandb has classes of its own for a key that cannot be one
        why = " ".join(str(error).split())
        raise UserError(
            f"tracker wandb must have a login, but: {why:.200}; run `wandb login`, or set WANDB_API_KEY, "
            "or WANDB_MODE=offline"
        ) from None

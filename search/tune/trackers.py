"""The trackers by name: TensorBoard, MLflow, and Weights & Biases, with a check that each can work before a search."""

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

from search.errors import UserError, one_line
from search.spec.config import TRACKERS as PACKAGES
from search.tune import names
from search.tune.tracker import Ending, Run, Tracker

UPLOAD_S = 60
"""Time that W&B has to upload a run that has ended, where the next waits for it."""
UPLOADS = 4
"""Ended runs that W&B may be uploading at once: each takes two processes."""


class TensorBoard(Tracker):
    """TensorBoard's event files, in a folder a trial; the ending is shown as one of the hyperparameters."""

    clean = staticmethod(names.for_tensorboard)

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
    """MLflow, on the server that MLFLOW_TRACKING_URI names, else in an SQLite file; the ending is a tag of the run.

    MLflow 3 refuses other kinds of local files.
    """

    clean = staticmethod(names.for_mlflow)

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
        """Log the metrics of an epoch in one request: Tune's callback sends one for each metric, and one more."""
        from mlflow.entities import Metric

        now_ms = round(1000 * time.time())
        entries = [Metric(name, value, now_ms, epoch) for name, value in self._names.of(metrics).items()]
        self._client.log_batch(self.callback._trial_runs[self._runs[number]], entries)

    @cached_property
    def _client(self) -> Any:
        return self.callback.mlflow_util._get_client()

    def _forget(self, run: Run) -> None:
        same_trial = f"tags.study = '{self._identity}' and tags.trial_name = '{run}'"
        for old in self._client.search_runs([self.callback.mlflow_util.experiment_id], same_trial):
            self._client.delete_run(old.info.run_id)

    def _note(self, run: Run, ending: Ending) -> None:
        self._client.set_tag(self.callback._trial_runs[run], "ending", ending)

    def end(self, number: int, ending: Ending) -> None:
        """End the run of a trial; one that was interrupted has the status KILLED."""
        run = self._runs.get(number)
        super().end(number, ending)
        if run and ending == "interrupted":
            self._client.set_terminated(self.callback._trial_runs[run], "KILLED")


class Wandb(Tracker):
    """Weights & Biases, configured by its own settings; the ending is in the run's config.

    Each run has two processes, which upload it after it has ended; at most UPLOADS ended runs are uploaded at a time.
    """

    clean = staticmethod(names.for_wandb)

    def _set_up(self) -> None:
        from ray.air.integrations.wandb import WandbLoggerCallback, _WandbLoggingActor

        class Process(_WandbLoggingActor):
            """The actor of a run, which ends when all is on the disk: Tune kills its own at once, and W&B's service."""

            def run(self) -> None:
                super().run()  # type: ignore[no-untyped-call]
                self._wandb.teardown()

        self._uploads: dict[int, Any] = {}
        self._upload_timeout_s: float = UPLOAD_S
        self.callback = WandbLoggerCallback(
            project=self._study,
            upload_timeout=UPLOAD_S,
            mode=os.environ.get("WANDB_MODE"),
            dir=str(self._folder.parent),  # W&B makes the folder wandb in it
        )
        self.callback._logger_actor_cls = Process
        self.callback.setup()

    def start(self, number: int, values: Mapping[str, Any]) -> None:
        """Begin the run of a trial, when fewer than UPLOADS others are being uploaded. Raises what an upload raised."""
        self._await(UPLOADS - 1)
        super().start(number, values)
        self._uploads[number] = self.callback._trial_logging_futures[self._runs[number]]

    def _await(self, most: int) -> None:
        """Wait until at most so many runs that have ended are being uploaded; take in every upload that is complete."""
        import ray

        for number, upload in list(self._uploads.items()):
            if number in self._runs:
                continue
            are_too_many = len(self._uploads.keys() - self._runs.keys()) > most
            timeout_s = self._upload_timeout_s if are_too_many else 0
            complete, _ = ray.wait([upload], timeout=timeout_s)
            if complete:
                ray.get(self._uploads.pop(number))
                if number in self._told:
                    super()._keep(number)
            elif are_too_many:
                raise TimeoutError(f"W&B has not taken trial {number} in {self._upload_timeout_s:.0f} s")

    def _forget(self, run: Run) -> None:
        import ray

        run.local_path = str(self._folder)
        if run.number in self._uploads:
            ray.wait([self._uploads.pop(run.number)], timeout=UPLOAD_S)
        for old in self._folder.glob(f"*run-*-{run.trial_id}"):
            shutil.rmtree(old)

    def _note(self, run: Run, ending: Ending) -> None:
        result: dict[str, Any] = {"config": {"ending": ending}}
        if run.epoch:
            result["training_iteration"] = run.epoch
        self.callback.log_trial_result(run.epoch, run, result)

    def _keep(self, number: int) -> None:
        """Leave this to `_await`, which records a run when its upload is complete."""

    def close(self, seconds: float) -> None:
        """End every open run as interrupted, and wait for all uploads, for at most so many seconds each."""
        self._upload_timeout_s = min(seconds, UPLOAD_S)
        self.callback._upload_timeout = self._upload_timeout_s
        super().close(seconds)
        self._await(0)


TRACKERS: dict[str, type[Tracker]] = {"tensorboard": TensorBoard, "mlflow": MLflow, "wandb": Wandb}
"""The class of each tracker; the packages that it needs stand in search.spec.config, where its name is checked."""


def check(wanted: Collection[str]) -> None:
    """Raise UserError where a tracker is not installed, or would ask for a login."""
    for name in wanted:
        for package in PACKAGES[name]:
            spec = importlib.util.find_spec(package)
            if spec is None or spec.origin is None:  # without origin it is a mere folder of that name: W&B makes one
                distributions = packages_distributions().get(__package__.partition(".")[0])
                distribution = distributions[0] if distributions else "the package of this search"
                raise UserError(
                    f"trackers must be installed, but {name} lacks {package}: pip install '{distribution}[{name}]', "
                    f"or take {name} out of trackers"
                )
    if "wandb" in wanted:
        _check_login()


def _check_login() -> None:
    from ray.air.integrations import wandb

    try:
        with redirect_stderr(io.StringIO()):
            wandb._set_api_key()
    except Exception as error:  # wandb has classes of its own for a key that cannot be one
        why = one_line(str(error), 200)
        raise UserError(
            f"tracker wandb must have a login, but: {why}; run `wandb login`, or set WANDB_API_KEY, "
            "or WANDB_MODE=offline"
        ) from None

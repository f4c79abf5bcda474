"""The search itself: Ray Tune's Tuner, made of our sampler, scheduler and trial."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from ray import tune
from ray.tune import Callback, CheckpointConfig, FailureConfig, RunConfig, TuneConfig, Tuner
from ray.tune.experiment import Trial
from ray.tune.stopper import NoopStopper, Stopper

from search.cluster import Share
from search.sampler import OptunaSearcher
from search.scheduler import Rungs, Scheduler
from search.study import Study
from search.trial import WorkloadTrainable


class Interruption(Stopper):
    """Ends the run at a signal, or where the journal can no longer be written."""

    def __init__(self, searcher: OptunaSearcher) -> None:
        self.signal = 0
        self._searcher = searcher

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """Stop no single trial."""
        return False

    def stop_all(self) -> bool:
        """Return whether the run is to end now."""
        return bool(self.signal or self._searcher.error)

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Take SIGINT, SIGTERM and SIGHUP as a wish to end; a second one raises KeyboardInterrupt."""
        wishes = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        before = {number: signal.signal(number, self._take) for number in wishes}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _take(self, number: int, frame: FrameType | None) -> None:
        if self.signal:
            raise KeyboardInterrupt
        self.signal = number

    def __reduce__(self) -> Any:
        """Tune pickles it into a file that nobody reads."""
        return NoopStopper, ()


class Watcher(Callback):
    """Lets a display look at the search after every event."""

    def __init__(self, look: Callable[[], None]) -> None:
        self._look = look

    def on_step_end(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        """Look."""
        self._look()

    def __reduce__(self) -> Any:
        """Tune pickles it into a file that nobody reads, and a terminal cannot be pickled."""
        return Callback, ()


def run(study: Study, share: Share, searcher: OptunaSearcher, folder: Path, look: Callable[[], None]) -> int:
    """Search on the running Ray, Tune's own files in `folder`; return the signal that ended it early, or 0.

    Raises the error that kept the journal from being written.
    """
    config = study.config
    interruption = Interruption(searcher)
    resources = {"cpu": share.cpus, "gpu": share.gpus}
    shared = {"workload": config.workload, "gpus": share.gpus, "metric": config.metric, "mode": config.mode}
    tuner = Tuner(
        tune.with_resources(WorkloadTrainable, resources),
        param_space={**shared, "logs": str(study.logs.absolute())},
        tune_config=TuneConfig(
            search_alg=searcher,
            scheduler=Scheduler(Rungs(config.scheduler, study.epochs, config.mode)),
            num_samples=config.num_samples,
            max_concurrent_trials=share.concurrent,  # without it a model-based searcher brings trials up one by one
            reuse_actors=True,
            trial_dirname_creator=_dirname,
        ),
        run_config=RunConfig(
            name="tune",
            storage_path=str(folder),
            verbose=0,
            stop=interruption,
            callbacks=[Watcher(look)],
            checkpoint_config=CheckpointConfig(checkpoint_at_end=False),
            failure_config=FailureConfig(max_failures=0),
        ),
    )
    with interruption.listening():
        tuner.fit()
    if searcher.error:
        raise searcher.error
    return interruption.signal


def _dirname(trial: Trial) -> str:
    return str(trial.trial_id)

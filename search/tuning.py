"""The search itself: Ray Tune's Tuner, made of our sampler, scheduler and trial."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from ray import tune
from ray.tune import Callback, CheckpointConfig, FailureConfig, RunConfig, TuneConfig, Tuner
from ray.tune.experiment import Trial

from search.cluster import Share
from search.sampler import OptunaSearcher
from search.scheduler import Rungs, Scheduler
from search.study import Study
from search.trial import WorkloadTrainable


class Watcher(Callback):
    """Lets a display look at the search after every event, and the searcher know when a trial has its process."""

    def __init__(self, look: Callable[[], None], searcher: OptunaSearcher) -> None:
        self._look, self._searcher = look, searcher

    def on_trial_start(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Tell the searcher."""
        self._searcher.on_trial_start(trial.trial_id)

    def on_step_end(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        """Look."""
        self._look()

    def __reduce__(self) -> Any:
        """Tune pickles it into a file that nobody reads, and a terminal cannot be pickled."""
        return Callback, ()


def run(study: Study, share: Share, searcher: OptunaSearcher, folder: Path, look: Callable[[], None]) -> None:
    """Search on the running Ray, Tune's own files in `folder`.

    `look` is called after every event; what it raises ends the search and is raised here.
    """
    config = study.config
    rungs = Rungs(config.scheduler, study.epochs, config.mode)
    for trial in study.trials():
        rungs.recall(trial, config.metric)
    resources = {"cpu": share.cpus, "gpu": share.gpus}
    tuner = Tuner(
        tune.with_resources(WorkloadTrainable, resources),
        tune_config=TuneConfig(
            search_alg=searcher,
            scheduler=Scheduler(rungs),
            num_samples=-1,  # the searcher says when there are enough: a trial may be trained again
            max_concurrent_trials=share.concurrent,  # without it a model-based searcher brings trials up one by one
            reuse_actors=True,
            trial_dirname_creator=_dirname,
        ),
        run_config=RunConfig(
            name="tune",
            storage_path=str(folder),
            verbose=0,
            callbacks=[Watcher(look, searcher)],
            checkpoint_config=CheckpointConfig(checkpoint_at_end=False),
            failure_config=FailureConfig(max_failures=0),
        ),
    )
    tuner.fit()


def _dirname(trial: Trial) -> str:
    return str(trial.trial_id)

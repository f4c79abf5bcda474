"""The search itself: Ray Tune's Tuner, made of our searcher, scheduler and trainable."""

import math
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from ray import tune
from ray.tune import Callback, CheckpointConfig, FailureConfig, RunConfig, TuneConfig, Tuner
from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from search.algorithms.schedulers import Rule
from search.journal.trial import Trial as RecordedTrial
from search.spec.objective import Objective
from search.study import Study
from search.tune import shortcuts
from search.tune.resources import Share
from search.tune.reuse import (
    ProcessReuse,
    ReusableTrainable,
    ReuseOverError,
    ReusingCallback,
    ReusingScheduler,
    ReusingSearcher,
    Use,
)
from search.tune.searcher import OptunaSearcher
from search.tune.trainable import TRIAL, WorkloadTrainable


class Scheduler(FIFOScheduler):
    """A rule in its seat in Tune, which starts trials in the order of their proposals; a diverged trial is stopped."""

    def __init__(self, rule: Rule | None, objective: Objective) -> None:
        FIFOScheduler.__init__(self)
        self._rule = rule
        self._objective = objective

    def recall(self, trials: Iterable[RecordedTrial]) -> None:
        """Tell the rule of the trials of earlier sessions, epoch by epoch."""
        for trial in trials:
            epochs = zip(trial.curve(self._objective), trial.running_best(self._objective), strict=True)
            for epoch, (value, best) in enumerate(epochs, 1):
                if math.isfinite(value) and best is not None:
                    self.goes_on(trial.number, epoch, best)

    def goes_on(self, trial: int, epoch: int, best: float) -> bool:
        """Return whether a trial goes on after an epoch; `best` is its best so far, NaN where this epoch diverged."""
        if not math.isfinite(best):
            return False
        return self._rule is None or self._rule.goes_on(trial, epoch, self._objective.sign * best)

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        """Return CONTINUE or STOP for an epoch that did not end its trial by itself."""
        goes_on = self.goes_on(trial.config[TRIAL].number, result["epoch"], result["value"])
        return TrialScheduler.CONTINUE if goes_on else TrialScheduler.STOP


class Watcher(Callback):
    """Lets a display look at the search after every event, and the searcher know when a trial has its process."""

    def __init__(self, look: Callable[[], None], searcher: Searcher) -> None:
        self._look = look
        self._searcher: Any = searcher

    def on_trial_start(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Tell the searcher."""
        self._searcher.on_trial_start(trial.trial_id)

    def on_step_end(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        """Look."""
        self._look()

    def __reduce__(self) -> Any:
        """Tune pickles it into a file that nobody reads, and a terminal cannot be pickled."""
        return Callback, ()


def run(
    study: Study,
    share: Share,
    folder: Path,
    searcher: OptunaSearcher,
    look: Callable[[], None],
    callbacks: Sequence[Callback] = (),
    use: Use | None = None,
) -> None:
    """Search on the running Ray, Tune's own files in `folder`; then `use` the processes of the search.

    `look` is called after every event; what it raises ends the search and is raised here, as is what `use` raises.
    `callbacks` are Tune's.
    """
    scheduler = _scheduler(study)
    if use is None:
        watcher = Watcher(look, searcher)
        _fit(study, share, folder, WorkloadTrainable, searcher, scheduler, [watcher, *callbacks])
        return

    reuse = ProcessReuse(searcher, share.concurrent, use)
    tunes_searcher = ReusingSearcher(reuse)

    def look_and_reuse() -> None:
        look()
        reuse.look()

    listening = [Watcher(look_and_reuse, tunes_searcher), *(ReusingCallback(reuse, each) for each in callbacks)]
    try:
        _fit(study, share, folder, ReusableTrainable, tunes_searcher, ReusingScheduler(reuse, scheduler), listening)
    except ReuseOverError:
        if reuse.error:
            raise reuse.error from None


def _scheduler(study: Study) -> Scheduler:
    options = study.config.scheduler
    scheduler = Scheduler(options.rule(study.epochs) if options else None, study.objective)
    scheduler.recall(study.trials())
    return scheduler


def _fit(
    study: Study,
    share: Share,
    folder: Path,
    trainable: type[WorkloadTrainable],
    searcher: Searcher,
    scheduler: FIFOScheduler,
    callbacks: list[Callback],
) -> None:
    tuner = Tuner(
        tune.with_resources(trainable, {"cpu": share.cpus, "gpu": share.gpus}),
        tune_config=TuneConfig(
            search_alg=searcher,
            scheduler=scheduler,
            num_samples=-1,  # the searcher says when there are enough: a trial may be trained again
            max_concurrent_trials=share.concurrent,  # without it a model-based searcher brings trials up one by one
            reuse_actors=True,
            trial_dirname_creator=_dirname,
        ),
        run_config=RunConfig(
            name="tune",
            storage_path=str(folder),
            verbose=0,
            callbacks=callbacks,
            checkpoint_config=CheckpointConfig(checkpoint_at_end=False),
            failure_config=FailureConfig(max_failures=0),
        ),
    )
    is_our_ray = study.config.ray_address is None
    with shortcuts.uncounted_callbacks(), shortcuts.steady_processes(is_our_ray=is_our_ray):
        tuner.fit()


def _dirname(trial: Trial) -> str:
    return str(trial.trial_id)

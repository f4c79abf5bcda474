"""The search itself: Ray Tune's Tuner, run with our searcher, scheduler and trainable."""

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
    ReuseOverError,
    ReusingCallback,
    ReusingScheduler,
    ReusingSearcher,
    Use,
)
from search.tune.searcher import OptunaSearcher
from search.tune.trainable import TRIAL, ReusableTrainable, WorkloadTrainable


class Scheduler(FIFOScheduler):
    """Tune's scheduler by one of our rules: starts trials in the order of their proposals, stops a diverged one."""

    def __init__(self, rule: Rule | None, objective: Objective, searcher: OptunaSearcher | None = None) -> None:
        FIFOScheduler.__init__(self)
        self._rule = rule
        self._objective = objective
        self._searcher = searcher

    def recall(self, trials: Iterable[RecordedTrial]) -> None:
        """Replay the trials of earlier sessions to the rule, epoch by epoch."""
        for trial in trials:
            for epoch, best in enumerate(trial.running_best(self._objective), 1):
                if best is not None and not trial.diverged_at(epoch, self._objective):
                    self.goes_on(trial.number, epoch, best)

    def goes_on(self, trial: int, epoch: int, best: float | None) -> bool:
        """Return whether a trial goes on after an epoch.

        `best` is its best value so far: None where it has none yet, which decides nothing, and NaN where it diverged.
        """
        if best is None:
            return True
        if not math.isfinite(best):
            return False
        return self._rule is None or self._rule.goes_on(trial, epoch, self._objective.sign * best)

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        """Return CONTINUE or STOP for an epoch that did not end its trial by itself."""
        number = trial.config[TRIAL].number
        goes_on = self.goes_on(number, result["epoch"], result["value"])
        if goes_on and self._searcher:
            goes_on = not self._searcher.limits.stops(number, result)
        return TrialScheduler.CONTINUE if goes_on else TrialScheduler.STOP

    def on_trial_error(self, tune_controller: Any, trial: Trial) -> None:
        """Tell the searcher what Ray says of a trial's process that died: Tune tells it only that it did."""
        if self._searcher and trial.error_file:
            error = Path(trial.error_file).read_text(encoding="utf-8", errors="replace")
            self._searcher.on_trial_error(trial.trial_id, error)


class Watcher(Callback):
    """Calls `look`, for a display, after every event, and tells the searcher when a trial has its process."""

    def __init__(self, look: Callable[[], None], searcher: Searcher) -> None:
        self._look = look
        self._searcher: Any = searcher

    def on_trial_start(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Tell the searcher that the trial has its process, from when it may be silent for epoch_timeout."""
        self._searcher.on_trial_start(trial.trial_id)

    def on_step_end(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        """Have the display show the search as it stands."""
        self._look()

    def __reduce__(self) -> Any:
        """Return a stand-in: Tune pickles callbacks into a file that nobody reads, and terminals cannot be pickled."""
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
    """Search on the running Ray, to the end of the study.

    Each trial gets `share` of the machine; Tune's own files go to `folder`, which is temporary. `look` is called after
    every event, and `use`, where it is given, at the end with handles to the processes of the search. What they raise
    ends the search and is raised here. `callbacks` are Tune's, beside ours.
    """
    scheduler = _scheduler(study, searcher)
    if use is None:
        watcher = Watcher(look, searcher)
        _fit(study, share, folder, WorkloadTrainable, searcher, scheduler, [watcher, *callbacks], searcher.leave_behind)
        return

    # The processes are to be reused: everything that Tune is given hides the trials that only wait.
    reuse = ProcessReuse(searcher, share.concurrent, use)
    reusing_searcher = ReusingSearcher(reuse)

    def look_and_reuse() -> None:
        look()
        reuse.look()

    all_callbacks: list[Callback] = [Watcher(look_and_reuse, reusing_searcher)]
    all_callbacks += [ReusingCallback(reuse, callback) for callback in callbacks]
    reusing_scheduler = ReusingScheduler(reuse, scheduler)
    try:
        _fit(
            study,
            share,
            folder,
            ReusableTrainable,
            reusing_searcher,
            reusing_scheduler,
            all_callbacks,
            searcher.leave_behind,
        )
    except ReuseOverError:
        if reuse.error:
            raise reuse.error from None


def _scheduler(study: Study, searcher: OptunaSearcher) -> Scheduler:
    options = study.config.scheduler
    rule = options.rule(study.epochs) if options else None
    scheduler = Scheduler(rule, study.objective, searcher)
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
    tell_left: Callable[[str], None],
) -> None:
    tuner = Tuner(
        tune.with_resources(trainable, {"cpu": share.cpus, "gpu": share.gpus}),
        tune_config=TuneConfig(
            search_alg=searcher,
            scheduler=scheduler,
            num_samples=-1,  # no limit: the searcher counts, since a trial may be trained again
            max_concurrent_trials=share.concurrent,  # without it Tune starts a searcher's trials one by one
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
    with shortcuts.uncounted_callbacks(), shortcuts.steady_processes(tell_left, is_our_ray=is_our_ray):
        tuner.fit()


def _dirname(trial: Trial) -> str:
    return str(trial.trial_id)

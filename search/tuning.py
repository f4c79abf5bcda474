"""The search itself: Ray Tune's Tuner, made of our searcher, scheduler and trial."""

import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ray import cloudpickle, tune
from ray.tune import Callback, CheckpointConfig, FailureConfig, RunConfig, TuneConfig, Tuner
from ray.tune.experiment import Trial

from search import shortcuts
from search.scheduler import Rungs, Scheduler
from search.searcher import OptunaSearcher
from search.share import Share
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


class Loan:
    """The processes of a search, for what is to be done after it: starting new ones takes seconds."""

    PATIENCE = 5.0
    """Seconds to wait for all of them, from when the last trial has ended."""

    def __init__(self, searcher: OptunaSearcher, processes: int, use: Callable[[list[Any]], None]) -> None:
        self._searcher, self._processes, self._use = searcher, processes, use
        self._over_at = math.inf
        self.is_used = False
        self.error: BaseException | None = None

    def look(self) -> None:
        """Use them as soon as they are all there, then raise LoanOverError: nothing is left to do for Tune."""
        if not self._searcher.is_over or not self._searcher.lends:
            return
        self._over_at = min(self._over_at, time.monotonic())
        lent = [handle for handle in self._searcher.lent.values() if handle]
        if len(lent) == self._processes or time.monotonic() - self._over_at > self.PATIENCE:
            self.is_used = True
            try:
                if lent:
                    self._use([cloudpickle.loads(handle) for handle in lent])
            except BaseException as error:  # for `run` to raise: Tune would make another of it
                self.error = error
            raise LoanOverError


class LoanOverError(Exception):
    """Ends Tune's loop."""


def run(
    study: Study,
    share: Share,
    folder: Path,
    searcher: OptunaSearcher,
    look: Callable[[], None],
    use: Callable[[list[Any]], None],
    callbacks: Sequence[Callback] = (),
) -> None:
    """Search on the running Ray, Tune's own files in `folder`; then `use` the processes that the searcher has lent.

    `look` is called after every event; what it raises ends the search and is raised here. `callbacks` are Tune's.
    """
    config = study.config
    rungs = Rungs(config.scheduler, study.epochs, config.mode)
    for trial in study.trials():
        rungs.recall(trial, config.metric)
    loan = Loan(searcher, share.concurrent, use)

    def look_and_lend() -> None:
        look()
        loan.look()

    resources = {"cpu": share.cpus, "gpu": share.gpus}
    tuner = Tuner(
        tune.with_resources(WorkloadTrainable, resources),
        tune_config=TuneConfig(
            search_alg=searcher,
            scheduler=Scheduler(rungs, lambda: searcher.wants_back),
            num_samples=-1,  # the searcher says when there are enough: a trial may be trained again
            max_concurrent_trials=share.concurrent,  # without it a model-based searcher brings trials up one by one
            reuse_actors=True,
            trial_dirname_creator=_dirname,
        ),
        run_config=RunConfig(
            name="tune",
            storage_path=str(folder),
            verbose=0,
            callbacks=[Watcher(look_and_lend, searcher), *callbacks],
            checkpoint_config=CheckpointConfig(checkpoint_at_end=False),
            failure_config=FailureConfig(max_failures=0),
        ),
    )
    try:
        with shortcuts.uncounted_callbacks(), shortcuts.steady_processes(is_our_ray=config.ray_address is None):
            tuner.fit()
    except Exception:
        if not loan.is_used:
            raise
    if loan.error:
        raise loan.error


def _dirname(trial: Trial) -> str:
    return str(trial.trial_id)

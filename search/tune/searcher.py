"""The searcher that tells Optuna the truth: every epoch, and how each trial really ended."""

import logging
import math
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from ray.tune.search import Searcher

from search.algorithms.forecast import Forecast, Survival
from search.algorithms.samplers import SAMPLERS
from search.analysis.progress import Progress
from search.journal.records import OpenTrial
from search.journal.trial import Ending
from search.study import Study
from search.tune.trainable import TRIAL, TrialOrder
from search.worker import training
from search.worker.training import Order

log = logging.getLogger(__name__)


class OptunaSearcher(Searcher):
    """Tune's view of the study: asks Optuna for configurations and writes the journal.

    Trials that an earlier session left open come first: those of which all was recorded are closed, the others are
    trained again under their own number and config, as is a trial whose process died, up to max_failures times.

    Tune never passes the result on which a trial stops to `on_trial_result`; `on_trial_complete` records it.
    """

    def __init__(self, study: Study, gpus: float, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(metric="value", mode=study.config.mode)
        self._study = study
        self._gpus = gpus
        self._clock = clock
        self._rungs = study.config.scheduler.rungs(study.epochs) if study.config.scheduler else []
        self._open: dict[str, OpenTrial] = {}
        """The trials that are being trained, by Tune's trial_id."""
        self._again: deque[OpenTrial] = deque()
        """Those that wait to be trained again."""
        self._heard: dict[str, float] = {}
        """When a trial that has a process last reported, by trial_id."""
        self.progress = Progress(study.objective)
        self.forecast = self._expected()
        self.error: Exception | None = None
        """What keeps the journal from being written."""
        study.search.sampler = SAMPLERS[study.config.sampler].make(study.config.seed)
        self._take_up()

    def _expected(self) -> Forecast:
        config = self._study.config
        factor = config.scheduler.reduction_factor if config.scheduler else 1
        survival = Survival(self._rungs, self._study.epochs, factor)
        return Forecast(survival, config.num_samples, SAMPLERS[config.sampler].learns, self._clock)

    def _take_up(self) -> None:
        """Go on where an earlier session stopped."""
        study = self._study
        trials = study.trials()
        self._proposed = len(trials)
        # A trial that was left open is closed where all of it was recorded, and else trained again.
        for trial in trials:
            if trial.ending != "running":
                continue
            opened = OpenTrial.of(study.search, trial.number, study.space)
            if ending := trial.settled(study.epochs, study.objective):
                opened.settle(trial, ending, study.objective)
            else:
                opened.begin_again()
                self._again.append(opened)
        # What ended, by now, is counted.
        for trial in study.trials():
            self.progress.recall(trial)
            if trial.ending != "running":
                self.forecast.recall(len(trial.epochs))

    @property
    def is_done(self) -> bool:
        """Return whether there is no trial left to propose."""
        return not self._again and self._proposed >= self._study.config.num_samples

    @property
    def is_short_of_processes(self) -> bool:
        """Return whether a trial waits for a process, having lost its own and maybe a node."""
        return bool(self._again) or any(trial_id not in self._heard for trial_id in self._open)

    @property
    def is_over(self) -> bool:
        """Return whether every trial has ended."""
        return self.is_done and not self._open

    def suggest(self, trial_id: str) -> Any:
        """Return what the next trial's process is told; None where there may be a trial later, else FINISHED."""
        if self.error:
            return None
        if self.is_done:
            return None if self._open else Searcher.FINISHED
        with self._writing():
            trial = self._next()
            self._open[trial_id] = trial
            self.progress.running += 1
            self.forecast.begin(trial.number)
            return {TRIAL: self._order(trial)}
        return None

    def _next(self) -> OpenTrial:
        if self._again:
            return self._again.popleft()
        proposed = self._study.search.ask(fixed_distributions=self._study.space)
        self._proposed += 1
        return OpenTrial(self._study.search, proposed)

    def _order(self, trial: OpenTrial) -> TrialOrder:
        config = self._study.config
        order = Order(
            config.workload, self._gpus, config.objective, config.values(trial.params), timeout=config.epoch_timeout
        )
        return TrialOrder(trial.number, order, self._rungs, self._study.log_of(trial.number).absolute())

    def on_trial_start(self, trial_id: str) -> None:
        """Begin to wait for the trial's first epoch: its process is there."""
        self._heard[trial_id] = self._clock()

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Record epochs after which the trial goes on."""
        self._heard[trial_id] = self._clock()
        if self.error:
            return
        with self._writing():
            self._record(self._open[trial_id], result)

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Record a trial's last epochs and its ending, or have it trained again where its process died.

        A trial that Tune drops without a result stays open in the journal, for a later session.
        """
        silence_s = self._clock() - self._heard.pop(trial_id, math.inf)
        if self.error:
            return
        with self._writing():
            trial = self._open.pop(trial_id)
            if error:
                self._lose(trial, silence_s)
            elif result and "epochs" in result:
                self._end(trial, result)

    def _end(self, trial: OpenTrial, result: dict[str, Any]) -> None:
        ending = training.ending(result)
        if ending == "stopped":
            trial.stop(result["epoch"])
        self._record(trial, result)
        self._close(trial, ending, result.get("failure", ""), result.get("traceback", ""))

    def _lose(self, trial: OpenTrial, silence_s: float) -> None:
        """Queue the trial again, unless it was silent for too long, or has had its chances."""
        config = self._study.config
        if config.epoch_timeout and silence_s >= config.epoch_timeout:
            silent = training.SILENT.format(config.epoch_timeout)
            self._close(trial, "failed", f"{silent}; its process was ended")
            return
        epoch = trial.epoch
        trial.lose()
        if trial.lost > config.max_failures:
            trial.epoch = epoch
            times = f", {trial.lost} times in all" if trial.lost > 1 else ""
            self._close(trial, "failed", f"the process that trained it died{times}")
            return
        self.progress.lose(trial, epoch)
        self.forecast.lose(trial.number)
        self._again.append(trial)

    def _close(self, trial: OpenTrial, ending: Ending, failure: str, traceback: str = "") -> None:
        note = ""
        if failure:
            log_file = self._study.log_of(trial.number)
            with log_file.open("a", encoding="utf-8") as file:
                file.write(f"{traceback or failure}\n")
            trial.fail(failure)
            note = f"{failure}, see {log_file}"
        trial.end(ending)
        self.progress.end(trial, ending, note)
        self.forecast.end(trial.number)

    def _record(self, trial: OpenTrial, result: dict[str, Any]) -> None:
        """Record the epochs of a result, and where they were trained."""
        trial.place(result["where"])
        for epoch, metrics, best in result["epochs"]:
            trial.add(epoch, metrics, best)
            self.forecast.hear(trial.number, epoch, metrics["elapsed_s"])

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Write what is recorded in here together; keep an error (a full disk) for `check`, and write no more after it.

        Tune would take it for the trial's.
        """
        try:
            with self._study.storage.together():
                yield
        except Exception as error:
            log.exception("the journal could not be written")
            self.error = self.error or error

    def check(self) -> None:
        """Raise the error that keeps the journal from being written."""
        if self.error:
            raise self.error

    def save(self, checkpoint_path: str) -> None:
        """Tune's own state is not part of a study: the journal holds it all."""

    def restore(self, checkpoint_path: str) -> None:
        """Tune's own state is not part of a study: the journal holds it all."""

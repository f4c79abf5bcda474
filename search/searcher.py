"""The searcher that tells Optuna the truth: every epoch, and how each trial really ended."""

import logging
import math
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from ray.tune.search import Searcher

from search import journal, worker
from search.forecast import Forecast
from search.sampler import SAMPLERS
from search.study import Study
from search.survival import Survival
from search.tally import Tally

log = logging.getLogger(__name__)


class OptunaSearcher(Searcher):
    """Tune's view of the study: asks Optuna for configurations and writes the journal.

    Trials that an earlier session left open come first: those of which all was recorded are closed, the others are
    trained again under their own number and config, as is a trial whose process died, up to max_failures times.

    At the end it keeps so many processes as it is to `lend`, each in a trial of its own that trains nothing.

    Tune never passes the result on which a trial stops to `on_trial_result`; `on_trial_complete` records it.
    """

    def __init__(self, study: Study, gpus: float, lend: int = 0, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(metric="value", mode=study.config.mode)
        self._to_lend = lend
        self.lent: dict[str, Any] = {}
        """The processes that have nothing more to search, by trial_id: pickled handles, None before it has come."""
        self._study = study
        self._gpus = gpus
        self._rungs = study.config.scheduler.rungs(study.epochs) if study.config.scheduler else []
        self._open: dict[str, journal.OpenTrial] = {}
        self._again: deque[journal.OpenTrial] = deque()
        self._heard: dict[str, float] = {}
        self._clock = clock
        self.tally = Tally(study.config.metric, study.config.mode)
        self.forecast = self._expected()
        self.error: Exception | None = None
        study.search.sampler = SAMPLERS[study.config.sampler](study.config.seed)
        self._take_up()

    def _expected(self) -> Forecast:
        config = self._study.config
        factor = config.scheduler.reduction_factor if config.scheduler else 1
        survival = Survival(self._rungs, self._study.epochs, factor)
        return Forecast(survival, config.num_samples, config.sampler == "tpe", self._clock)

    def _take_up(self) -> None:
        """Go on where an earlier session stopped."""
        config, search = self._study.config, self._study.search
        trials = self._study.trials()
        self._proposed = len(trials)
        for trial in trials:
            if trial.ending == "running":
                opened = journal.OpenTrial.of(search, trial.number, self._study.space)
                if ending := trial.settled(self._study.epochs, config.metric):
                    opened.settle(trial, ending, config.metric, config.mode)
                else:
                    opened.begin_again()
                    self._again.append(opened)
        for trial in self._study.trials():
            self.tally.recall(trial)
            if trial.ending != "running":
                self.forecast.recall(len(trial.epochs))

    @property
    def is_done(self) -> bool:
        """Return whether there is no trial left to propose."""
        return not self._again and self._proposed >= self._study.config.num_samples

    @property
    def lends(self) -> bool:
        """Return whether processes are kept at the end."""
        return self._to_lend > 0

    @property
    def wants_back(self) -> bool:
        """Return whether what was lent is needed: a trial waits for a process, having lost its own and maybe a node."""
        return bool(self._again) or any(trial_id not in self._heard for trial_id in self._open)

    @property
    def is_over(self) -> bool:
        """Return whether every trial has ended."""
        return self.is_done and not self._open

    def suggest(self, trial_id: str) -> Any:
        """Return the next trial's order, None where there may be one later, FINISHED where there will be none.

        What the order comes with: the trial's number, the epochs at which its process waits for a decision, and the
        file for what it prints.
        """
        if self.error:
            return None
        with self._writing():
            if self.is_done and len(self.lent) < self._to_lend:
                self.lent[trial_id] = None
                return {"order": None, "number": None}
            if self.is_done:
                return None if self._open or self.lent else Searcher.FINISHED
            trial = self._open[trial_id] = self._next()
            self.tally.running += 1
            self.forecast.begin(trial.number)
            config = self._study.config
            values = {**config.fixed, **trial.params, "seed": config.seed}
            order = worker.Order(
                config.workload, self._gpus, config.metric, config.mode, values, timeout=config.epoch_timeout
            )
            log = str(self._study.log_of(trial.number).absolute())
            return {"order": vars(order), "rungs": self._rungs, "log": log, "number": trial.number}
        return None

    def _next(self) -> journal.OpenTrial:
        if self._again:
            return self._again.popleft()
        asked = self._study.search.ask(fixed_distributions=self._study.space)
        self._proposed += 1
        return journal.OpenTrial(self._study.search, asked)

    def on_trial_start(self, trial_id: str) -> None:
        """Begin to wait for the trial's first epoch: its process is there."""
        self._heard[trial_id] = self._clock()

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Record epochs after which the trial goes on."""
        if trial_id in self.lent:
            self.lent[trial_id] = result[worker.LENT]
            return
        self._heard[trial_id] = self._clock()
        if self.error:
            return
        with self._writing():
            self._record(self._open[trial_id], result)

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Record a trial's last epochs and its ending, or have it trained again where its process died.

        A trial that Tune drops without a result stays open in the journal, for a later session.
        """
        if trial_id in self.lent:
            del self.lent[trial_id]
            self._to_lend -= error
            return
        silence = self._clock() - self._heard.pop(trial_id, math.inf)
        if self.error:
            return
        with self._writing():
            trial = self._open.pop(trial_id)
            if error:
                self._lose(trial, silence)
            elif result and "epochs" in result:
                self._end(trial, result)

    def _end(self, trial: journal.OpenTrial, result: dict[str, Any]) -> None:
        ending = worker.ending(result)
        if ending == "stopped":
            trial.stop(result["epoch"])
        self._record(trial, result)
        self._close(trial, ending, result.get("failure", ""), result.get("traceback", ""))

    def _lose(self, trial: journal.OpenTrial, silence: float) -> None:
        """Queue the trial again, unless it was silent for too long, or has had its chances."""
        config = self._study.config
        if config.epoch_timeout and silence >= config.epoch_timeout:
            self._close(trial, "failed", f"{worker.SILENT.format(config.epoch_timeout)}; its process was ended")
            return
        epoch = trial.epoch
        trial.lose()
        if trial.lost > config.max_failures:
            trial.epoch = epoch
            times = f", {trial.lost} times in all" if trial.lost > 1 else ""
            self._close(trial, "failed", f"the process that trained it died{times}")
            return
        self.tally.lose(trial, epoch)
        self.forecast.lose(trial.number)
        self._again.append(trial)

    def _close(self, trial: journal.OpenTrial, ending: journal.Ending, failure: str, traceback: str = "") -> None:
        if failure:
            with self._study.log_of(trial.number).open("a", encoding="utf-8") as file:
                file.write(f"{traceback or failure}\n")
            trial.note("failure", failure)
            failure += f", see {self._study.log_of(trial.number)}"
        trial.end(ending)
        self.tally.end(trial, ending, failure)
        self.forecast.end(trial.number)

    def _record(self, trial: journal.OpenTrial, result: dict[str, Any]) -> None:
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
        """Do nothing: the journal holds it all."""

    def restore(self, checkpoint_path: str) -> None:
        """Do nothing: the journal holds it all."""

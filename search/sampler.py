"""The searcher that tells Optuna the truth: every epoch, and how each trial really ended."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import optuna
from optuna.samplers import TPESampler
from optuna.trial import FrozenTrial
from ray.tune.search import Searcher

from search import journal, worker
from search.study import Study
from search.tally import Tally

log = logging.getLogger(__name__)
METRICS = "metrics/"


class SeededTPE(TPESampler):
    """TPE whose proposal depends on the seed, the trial's number and the history, not on the process's past."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed=seed)
        self._seed = seed

    def before_trial(self, study: optuna.Study, trial: FrozenTrial) -> None:
        """Reseed both generators for this trial; reseed_rng() would take entropy from the system."""
        first, second = np.random.SeedSequence([self._seed, trial.number]).generate_state(2)
        self._rng.rng.seed(first)
        self._random_sampler._rng.rng.seed(second)


class OptunaSearcher(Searcher):
    """Tune's view of the study: asks Optuna for configurations and writes the journal.

    Tune never passes the result on which a trial stops to `on_trial_result`; `on_trial_complete` records it.
    """

    def __init__(self, study: Study, gpus: float) -> None:
        super().__init__(metric="value", mode=study.config.mode)
        self._study = study
        self._gpus = gpus
        self._open: dict[str, journal.OpenTrial] = {}
        self.tally = Tally(study.config.metric, study.config.mode)
        self.error: Exception | None = None
        study.search.sampler = SeededTPE(study.config.seed)

    def suggest(self, trial_id: str) -> dict[str, Any] | None:
        """Return the next trial's order, and the file for what it prints."""
        if self.error:
            return None
        with self._keeping_errors():
            asked = self._study.search.ask(fixed_distributions=self._study.space)
            trial = self._open[trial_id] = journal.OpenTrial(self._study.search, asked)
            self.tally.running += 1
            config = self._study.config
            values = {**config.fixed, **trial.params, "seed": config.seed}
            order = worker.Order(config.workload, self._gpus, config.metric, config.mode, values)
            return {"order": vars(order), "log": str(self._study.log_of(trial.number).absolute())}
        return None

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Record an epoch after which the trial goes on."""
        if self.error:
            return
        with self._keeping_errors():
            self._record(self._open[trial_id], result)

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Record a trial's last epoch and its ending."""
        if self.error:
            return
        with self._keeping_errors():
            trial = self._open.pop(trial_id)
            result = dict(result or {})
            if error:
                result["failure"] = "the process that trained it died"
            if "epoch" in result:
                self._record(trial, result)
            ending, failure = worker.ending(result), result.get("failure", "")
            if failure:
                self._keep_traceback(trial, failure, result.get("traceback", ""))
                failure += f", see {self._study.log_of(trial.number)}"
            trial.end(ending)
            self.tally.end(trial, ending, failure)

    def _record(self, trial: journal.OpenTrial, result: dict[str, Any]) -> None:
        """Record an epoch; the result that only says that a workload ended repeats its last one."""
        metrics = {name.removeprefix(METRICS): value for name, value in result.items() if name.startswith(METRICS)}
        trial.add(result["epoch"], {**metrics, "elapsed_s": result["elapsed_s"]}, result["best"])

    def _keep_traceback(self, trial: journal.OpenTrial, failure: str, traceback: str) -> None:
        trial.note("failure", failure)
        with self._study.log_of(trial.number).open("a", encoding="utf-8") as file:
            file.write(f"{traceback or failure}\n")

    @contextmanager
    def _keeping_errors(self) -> Iterator[None]:
        """Keep an error (a full disk) for `check`: Tune would take it for the trial's. Nothing is written after it."""
        try:
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

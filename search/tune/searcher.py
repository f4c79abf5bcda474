"""Tune's searcher on Optuna: asks for configurations, and records every epoch and how each trial really ended."""

import time
from collections import deque
from collections.abc import Callable
from typing import Any

from ray.tune.search import Searcher

from search.algorithms.space import Takes
from search.analysis.progress import Progress
from search.journal.records import OpenTrial
from search.journal.trial import REFUSED, Ending, Trial
from search.study import Study
from search.tune import deaths
from search.tune.failures import RETRIED, Failures, kind_of
from search.tune.infeasible import Refusals
from search.tune.left import forecast_of
from search.tune.limits import RunningLimits
from search.tune.orders import order_of
from search.tune.proposing import proposer_of
from search.tune.recording import RecordingSearcher
from search.tune.recovery import take_up
from search.tune.silence import SignOfLife, SignsOfLife
from search.tune.trainable import TRIAL
from search.worker import training


class OptunaSearcher(RecordingSearcher):
    """The searcher that Tune is given: proposes Optuna's configurations and writes the journal.

    Trials that an earlier session left open come first: those of which all was recorded are closed, the others are
    trained again under their own number and config. So is a trial whose process died, up to max_failures times.

    Tune never passes the result on which a trial stops to `on_trial_result`; `on_trial_complete` records it.
    """

    def __init__(
        self,
        study: Study,
        gpus: float,
        takes: Takes = lambda params: True,
        clock: Callable[[], float] = time.monotonic,
        check: Callable[[], None] = lambda: None,
    ) -> None:
        """Take up the study; `check` raises where Ray itself is dead: then it is no trial's fault that it is lost."""
        super().__init__(study)
        self._gpus = gpus
        self._clock = clock
        self._check_ray = check
        self._open: dict[str, OpenTrial] = {}
        """The trials that are being trained, by Tune's trial_id."""
        self._signs = SignsOfLife(study.config.epoch_timeout, clock)
        self.failures = Failures(study.config.max_same_failures, study.default_params)
        self._is_fresh = study.needs_fresh
        self._errors: dict[str, str] = {}
        """What Ray says of the processes that have just died, by Tune's trial_id."""
        self.leaves = study.leaves
        """What a trial has left behind in its process; empty as long as none has."""
        self._refusals = Refusals(study, takes)
        self._proposer = proposer_of(study, takes)
        study.search.sampler = self._proposer
        self._again = deque(take_up(study))
        """The trials that are queued to be trained again."""
        trials = study.trials()
        self.limits = RunningLimits(study, trials, clock)
        self.progress = Progress(study.objective, wanted=study.wanted, limits=self.limits.stopping)
        self.forecast = forecast_of(study, trials, clock)
        self._count(trials)

    def _count(self, trials: list[Trial]) -> None:
        """Take in the trials of earlier sessions."""
        for trial in trials:
            self.progress.recall(trial)
            self.failures.recall(trial)
        self._proposed = len(trials) - self.progress.endings["infeasible"]
        self._pass_time()

    @property
    def is_done(self) -> bool:
        """Return whether no trial is left to propose; some may still be training."""
        wanted = self.progress.wanted
        return not self._again and (self.limits.is_reached or (wanted is not None and self._proposed >= wanted))

    @property
    def needs_fresh(self) -> bool:
        """Return whether no process of the search may be used again."""
        return self._is_fresh or bool(self.leaves)

    @property
    def is_short_of_processes(self) -> bool:
        """Return whether a trial waits for a process: one that lost its own, or has been proposed and not started."""
        if self._again:
            return True
        return not all(self._signs.has(trial_id) for trial_id in self._open)

    @property
    def is_over(self) -> bool:
        """Return whether all trials have been proposed and have ended."""
        return self.is_done and not self._open

    def suggest(self, trial_id: str) -> Any:
        """Return the config of the next trial, which holds its TrialOrder.

        None means that there may be a trial later, and FINISHED that there will be none.
        """
        self._pass_time()
        if self.error:
            return None
        if self.is_done:
            return None if self._open else Searcher.FINISHED
        with self._writing():
            trial = self._begin(self._next_trial())
            self._open[trial_id] = trial
            is_fresh = self._is_fresh or trial.number in self.failures.suspects
            also = self.limits.rungs(trial.number)
            return {TRIAL: order_of(self._study, trial, self._gpus, also, is_fresh=is_fresh)}
        return None

    def _begin(self, trial: OpenTrial) -> OpenTrial:
        self.limits.begin()
        self.progress.running += 1
        self.forecast.begin(trial.number)
        return trial

    def _next_trial(self) -> OpenTrial:
        """Return a trial that is queued to be trained again, or else one that Optuna proposes."""
        if self._again:
            return self._again.popleft()
        trial = OpenTrial.proposed(self._study.search, self._study.space)
        self._proposed += 1
        if self._proposer.refused:
            trial.note(REFUSED, self._proposer.refused)
        return trial

    def on_trial_start(self, trial_id: str) -> None:
        """Begin to count the trial's silence: it has its process, and epoch_timeout runs from here."""
        self._signs.hear(trial_id)

    def look(self) -> None:
        """Say which trials are silent for long, and take in the time."""
        self._pass_time()
        for line in self._signs.silent(self._open):
            self.progress.warn(line)

    def on_trial_error(self, trial_id: str, error: str) -> None:
        """Take in what Ray says of a trial's process that died: `on_trial_complete`, which follows, is not told."""
        self._errors[trial_id] = error

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Record the epochs of a result after which the trial goes on."""
        self._signs.hear(trial_id)
        if self.error:
            return
        with self._writing():
            self._record(self._open[trial_id], result)

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Record a trial's last epochs and its ending, or have it trained again where its process died.

        A trial that Tune drops without a result stays open in the journal, for a later session.
        """
        heard = self._signs.take(trial_id)
        told = self._errors.pop(trial_id, "")
        if self.error:
            return
        with self._writing():
            if error:
                self._check_ray()
            trial = self._open.pop(trial_id)
            if error:
                self._lose(trial, heard, told)
            elif result and "epochs" in result:
                self._end(trial, result)

    def _end(self, trial: OpenTrial, result: dict[str, Any]) -> None:
        """Record the last result of a trial and close it; a stop is recorded first, in case of a kill in between."""
        ending = self.failures.ending(training.ending(result), result, trial.params)
        failure = result.get("failure", "")
        traceback = result.get("traceback", "")
        is_suspect = self.failures.suspects_process(trial.number, result)
        if ending == "infeasible" and not is_suspect:
            self._refuse(trial, result)
            return
        if ending == "stopped":
            trial.stop(result["epoch"], self.limits.setting_of(trial.number))
        self._record(trial, result)
        if is_suspect:
            self._retry(trial, failure, traceback)
            return
        if not failure and trial.number in self.failures.suspects and not self._is_fresh:
            self._is_fresh = True
            self._study.note_fresh(f"trial {trial.number} failed in a used process, and not in a fresh one")
            self.progress.tell_fresh(trial.number)
        self._close(trial, ending, failure, traceback)

    def _retry(self, trial: OpenTrial, failure: str, traceback: str) -> None:
        """Queue a trial that failed in a process that had trained others, to be trained in a fresh one."""
        self._write_log(trial, f"{traceback}\n{RETRIED}")
        self.progress.retry(trial, failure)
        self.forecast.lose(trial.number)
        trial.restart()
        self._again.append(trial)

    def _refuse(self, trial: OpenTrial, result: dict[str, Any]) -> None:
        """Record that a configuration is infeasible: another is proposed in its place, as far as the space has one."""
        self._refusals.add("infeasible", result["failure"])
        self._record(trial, result)
        self._write_log(trial, result["traceback"])
        trial.refuse(result["failure"])
        trial.end("infeasible")
        self.progress.end(trial, "infeasible", f"{result['failure']}; another is proposed in its place")
        self.forecast.lose(trial.number)
        self._proposed -= 1
        wanted = self._refusals.wanted(self.progress.wanted)
        self.forecast.want(wanted, self.progress.wanted)
        self.progress.wanted = wanted

    def _lose(self, trial: OpenTrial, heard: SignOfLife, told: str) -> None:
        """Queue a trial whose process died, unless epoch_timeout ended it or it has had its max_failures."""
        config = self._study.config
        if config.epoch_timeout and self._clock() - heard.at >= config.epoch_timeout:
            silent = training.SILENT.format(config.epoch_timeout)
            self._close(trial, "failed", f"{silent}; its process was ended")
            return
        epoch = trial.epoch
        reason = deaths.reason(told, deaths.last_words(self._study.log_of(trial.number)), heard.memory_kills)
        trial.lose()
        if trial.lost > config.max_failures:
            trial.epoch = epoch  # it fails with the epochs that it had
            times = f", {trial.lost} times in all" if trial.lost > 1 else ""
            self._close(trial, "failed", f"the process that trained it died{times}{reason}")
            return
        self._write_log(trial, f"{deaths.LOG_LINE}{reason}; it is trained again")
        self.progress.lose(trial, epoch, reason)
        self.forecast.lose(trial.number)
        self._again.append(trial)

    def _pass_time(self) -> None:
        """Take in the time; where a limit has ended the search, record that, and give up what waits for a process."""
        has_news = self.limits.pass_time(is_over=self.is_over) or (self.limits.is_reached and self._again)
        if self.error or not has_news:
            return
        with self._writing():
            if line := self.limits.record():
                self.progress.warn(line)
            while self.limits.is_reached and self._again:
                self._give_up(self._begin(self._again.popleft()))

    def _give_up(self, trial: OpenTrial) -> None:
        """Close a trial that would be trained again, with the epochs that it had: the search has ended."""
        trial.keep(self._study.trials()[trial.number])
        trial.stop(trial.epoch, self.limits.setting)
        self._close(trial, "stopped", "")

    def leave_behind(self, left: str) -> None:
        """Record that trials leave something behind in their processes, of which no other trial should know."""
        if self.error or self.leaves:
            return
        self.leaves = left
        with self._writing():
            self._study.note_leaves(left)
        self.progress.tell_left(left)

    def _close(self, trial: OpenTrial, ending: Ending, failure: str, traceback: str = "") -> None:
        """Close a trial in the journal; a failure goes to its log file as well, with the traceback."""
        note = ""
        if failure:
            kind = kind_of(failure, traceback)
            self.failures.add(kind)
            self._write_log(trial, traceback or failure)
            trial.fail(failure, kind)
            note = f"{failure}, see {self._study.log_of(trial.number)}"
        else:
            self.failures.succeed()
        self._refusals.add(ending, failure)
        self._pass_time()  # the seconds stand before the ending, so that this is the last of a search
        trial.end(ending)
        self.limits.end(trial.number, ending)
        self.progress.end(trial, ending, note)
        self.forecast.end(trial.number)
        self._pass_time()

    def _record(self, trial: OpenTrial, result: dict[str, Any]) -> None:
        """Record the epochs of a result, and where they were trained."""
        trial.place(result["where"])
        self.limits.hear(trial.number, result)
        for line in result.get("notes", ()):
            self.progress.note(line)
        for epoch, metrics, best in result["epochs"]:
            trial.add(epoch, metrics, best)
            self.forecast.hear(trial.number, epoch, metrics["elapsed_s"])
            self._signs.hear_epoch(trial.number, epoch, metrics["elapsed_s"])

    def check(self) -> None:
        """Raise the error at which the journal could not be written, or EndedError after too many refusals in a row."""
        super().check()
        self._refusals.check()

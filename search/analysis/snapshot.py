"""A study as it stood at one moment, read from its journal: what its tables, pictures and report are made of."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from search.algorithms.space import Space
from search.algorithms.stopping import Reason
from search.analysis import verdict
from search.analysis.ablation import Ablation
from search.analysis.dependence import Place, dependences
from search.analysis.importance import Importance, importances
from search.analysis.verdict import Verdict
from search.journal import front, outcome
from search.journal.earlier import Known
from search.journal.outcome import Candidate, Outcome, finalists
from search.journal.trial import KIND, LIMIT, REFUSED, State, Trial
from search.spec import files, translation
from search.spec.axes import Axis, axes_of
from search.spec.config import StudyConfig
from search.spec.objective import Objective


@dataclass(frozen=True)
class Snapshot:
    """A study's trials, and what its newest retraining found."""

    name: str
    folder: Path
    config: StudyConfig
    epochs: int
    """Epochs of a full trial."""
    space: Space
    trials: Sequence[Trial]
    """Those that count, in the order of their numbers, of which infeasible ones have some."""
    wanted: int | None
    """How many the search is to have; None for any number."""
    outcome: Outcome | None
    """None where no retraining has finished."""
    sessions: Sequence[Mapping[str, Any]]
    """Where and with what it was searched: share, time, versions, machine, git; the newest last."""
    default_params: Mapping[str, Any] | None = None
    """The workload's defaults of what is searched, where they lie in the space."""
    infeasible: Sequence[Trial] = ()
    """Configurations that the workload refused when it was to train them."""
    earlier: Sequence[Known] = ()
    """Trials of earlier studies, of which the sampler was told."""
    times_tested: int = 0
    """How many retrainings have looked at the test part."""
    ended_by: Reason | None = None
    """Why the search has ended; None as long as it has not."""
    audit_runs: Sequence[Trial] = ()
    """Stopped trials, trained again to their end."""
    ablation: Ablation | None = None
    """The newest one."""
    changes: Sequence[Mapping[str, Any]] = ()
    """How its space and fixed values were changed; the newest last."""

    @property
    def objective(self) -> Objective:
        """Return what the search is for."""
        return self.config.objective

    @cached_property
    def axes(self) -> dict[str, Axis]:
        """Return how each hyperparameter's values lie on a line: those of trials from before a change, too."""
        axes = axes_of(self.space)
        for trial in self.outside:
            for name in axes.keys() & trial.params.keys():
                axes[name] = axes[name].holding(trial.params[name])
        return axes

    def placed(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Return those hyperparameters of a trial that have a place on their axis, in the order of the space."""
        return {name: params[name] for name, axis in self.axes.items() if name in params and axis.holds(params[name])}

    @cached_property
    def outside(self) -> list[Trial]:
        """Return the trials that have ended and do not lie in the space, as some from before it was changed."""
        ended = [trial for trial in self.trials if self.changes and trial.ending != "running"]
        return [trial for trial in ended if not self.space.is_whole(trial.params)]

    @cached_property
    def able(self) -> list[Trial]:
        """Return the trials with a value that counts: those that may win."""
        outside = {trial.number for trial in self.outside}
        return [trial for trial in self.trials if trial.may_win and trial.number not in outside]

    @property
    def values(self) -> list[float]:
        """Return the value of each trial that has one."""
        return [trial.value for trial in self.trials if trial.value is not None]

    @property
    def epoch_values(self) -> list[float]:
        """Return the finite values of the metric at all epochs of all trials."""
        values: list[float] = []
        for trial in self.trials:
            values += filter(math.isfinite, trial.curve(self.objective))
        return values

    def numbered(self, number: int) -> Trial:
        """Return the trial of a number."""
        return next(trial for trial in self.trials if trial.number == number)

    @property
    def refused(self) -> int:
        """Return how many proposals Config refused, before any was trained."""
        return sum(trial.attributes.get(REFUSED, 0) for trial in [*self.trials, *self.infeasible])

    @property
    def last(self) -> int:
        """Return the greatest number of a trial, at least 1."""
        return max([1, *(trial.number for trial in self.trials)])

    @property
    def endings(self) -> Counter[State]:
        """Return how many trials ended how, those that have not included."""
        return Counter(trial.ending for trial in self.trials)

    def in_state(self, state: State) -> list[Trial]:
        """Return the trials that ended so, or that have not, by number."""
        return [trial for trial in self.trials if trial.ending == state]

    @property
    def failed_alike(self) -> list[Trial]:
        """Return the trials whose failures, alike and before any success, ended the search; none where it went on."""
        most = self.config.max_same_failures
        failed = self.in_state("failed")
        if most is None or len(failed) < self.ended:
            return []
        kinds = Counter(trial.attributes.get(KIND) for trial in failed)
        return [trial for trial in failed if kinds[trial.attributes.get(KIND)] >= most]

    @property
    def ended(self) -> int:
        """Return how many trials have ended."""
        return len(self.trials) - self.endings["running"]

    @property
    def trained(self) -> int:
        """Return how many epochs its trials have trained."""
        return epochs_of(self.trials)

    @property
    def full(self) -> int:
        """Return how many they would have trained, had none ended before its time: some end by themselves."""
        complete = self.in_state("complete")
        return epochs_of(complete) + (len(self.trials) - len(complete)) * self._usual_epochs

    @property
    def _usual_epochs(self) -> int:
        """Return the most epochs that a complete trial has trained; those of a full one where there is none."""
        return max((len(trial.epochs) for trial in self.in_state("complete")), default=self.epochs)

    @property
    def saved(self) -> float:
        """Return the share of those that stopping early has saved."""
        if not self.full:
            return 0.0
        stopped = [trial for trial in self.in_state("stopped") if LIMIT not in trial.attributes]
        spared = len(stopped) * self._usual_epochs - epochs_of(stopped)
        return spared / self.full

    @property
    def worked(self) -> float:
        """Return the seconds of training of all its trials."""
        return sum(trial.worked for trial in self.trials)

    @property
    def rungs(self) -> list[int]:
        """Return the epochs at which trials are compared; none without a scheduler."""
        scheduler = self.config.scheduler
        if not scheduler:
            return []
        return scheduler.rungs(self.epochs)

    @cached_property
    def importances(self) -> list[Importance]:
        """Return what sets the best trials apart, the most important first; none of too few trials."""
        return importances(self.able, self.space, self.objective)

    @property
    def winner(self) -> Candidate | None:
        """Return the winner of the newest retraining; None where there is none."""
        if not self.outcome:
            return None
        return self.outcome.winner

    @cached_property
    def verdict(self) -> Verdict | None:
        """Return what is to be made of the winner; None without one."""
        if not self.outcome or not self.winner:
            return None
        return verdict.judge(self.outcome, self.config.aims)

    @property
    def defaults_win(self) -> bool:
        """Return whether the newest retraining was won by the workload's defaults."""
        return self.outcome is not None and self.outcome.defaults_win

    @property
    def is_unjudged(self) -> bool:
        """Return whether the search has ended, with a best trial, and is not to be retrained."""
        return not self.outcome and not self.config.finalists and self.ended_by is not None and bool(self.able)

    @property
    def defaults_trial(self) -> Trial | None:
        """Return the trial that is the workload's defaults; None where none is."""
        return next((trial for trial in self.trials if trial.params == self.default_params), None)

    @property
    def winning_trial(self) -> Trial | None:
        """Return the trial of the winner; None without one, or where the defaults win and are no trial that counts."""
        if self.defaults_win:
            trial = self.defaults_trial
            return trial if trial and trial.may_win else None
        if self.winner and self.winner.trial is not None:
            return self.numbered(self.winner.trial)
        return None

    @cached_property
    def front(self) -> Trial | None:
        """Return the trial to be drawn in front: the winner of the retraining, else the best that may win."""
        return self.winning_trial or front.best(self.able, self.config.aims)

    @cached_property
    def on_front(self) -> list[Trial]:
        """Return the trials that may win of which none is beaten in all objectives, by the first."""
        return front.front(self.able, self.config.aims)

    @cached_property
    def dependences(self) -> dict[str, list[Place]]:
        """Return how the value goes with each hyperparameter."""
        return dependences(self.able, self.axes, self.objective.sign)

    @property
    def running_best(self) -> list[float | None]:
        """Return the best value that counts up to each trial, in order of proposal; None before the first."""
        able = {trial.number: trial.value for trial in self.able if trial.value is not None}
        return self.objective.running_best(able.get(trial.number, math.nan) for trial in self.trials)

    @property
    def is_current(self) -> bool:
        """Return whether the newest retraining was of those that would be its finalists now."""
        judged: set[str] = set()
        reference = None
        if self.outcome:
            judged = {candidate.name for candidate in self.outcome.finalists}
            reference = self.default_params if self.outcome.reference and self.outcome.may_win else None
        is_race = self.outcome is None or self.outcome.is_race
        finalists_now = finalists(self.able, self.config.finalists, self.config.aims, reference, is_race=is_race)
        return judged == set(map(outcome.name_of, finalists_now))

    def params_of(self, candidate: Candidate) -> dict[str, Any]:
        """Return the hyperparameters of a candidate, of those that are on with them."""
        if candidate.trial is None:
            return translation.taken(candidate.config, self.space)
        settled = translation.spread_of(candidate.config, self.space)
        return {name: settled.get(name, value) for name, value in self.numbered(candidate.trial).params.items()}

    def log_of(self, number: int) -> Path:
        """Return the file that holds what the workload printed in a trial, and the traceback of a failed one."""
        return files.trial_log(self.folder, number)


def epochs_of(trials: Iterable[Trial]) -> int:
    """Return how many epochs these trials have trained, all together."""
    return sum(len(trial.epochs) for trial in trials)

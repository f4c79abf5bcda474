"""One trial in the journal: how its epochs and its ending are written to Optuna, and read back.

| ending | in Optuna |
|---|---|
| complete | COMPLETE, the best so far |
| stopped | PRUNED, all its steps |
| diverged | PRUNED with a violated constraint, so that TPE stays away |
| failed | FAIL |

A step's value is the best so far, since TPE ranks a PRUNED trial by its last step; the raw metrics of every epoch are
the trial's attributes.
"""

import math
from collections.abc import Mapping
from typing import Any, Self

import optuna
from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial, TrialState

from search.journal.trial import FAILURE, STOPPED_AT, WHERE, Ending, State, Trial, Where
from search.spec.objective import Objective

EPOCH = "epoch "
LOST = "lost"
LENGTH = "length"
STATES = {"complete": TrialState.COMPLETE, "stopped": TrialState.PRUNED, "diverged": TrialState.PRUNED}


class OpenTrial:
    """A trial that has not ended, as it is written."""

    def __init__(self, study: optuna.Study, trial: optuna.Trial) -> None:
        self._study = study
        self._trial = trial
        self._recorded = 0
        self._where: Where | None = None
        self.number: int = trial.number
        self.params: dict[str, Any] = trial.params
        self.lost = 0
        """Processes that died while they trained it."""
        self.epoch = 0
        self.best: float | None = None

    @classmethod
    def of(cls, study: optuna.Study, number: int, space: Mapping[str, BaseDistribution]) -> Self:
        """Return a trial that a writer left open, with the parameters that it had or would have got."""
        (frozen,) = (each for each in study.get_trials(deepcopy=False) if each.number == number)
        trial = optuna.Trial(study, frozen._trial_id)
        for name, distribution in space.items():  # as Study.ask does: a kill may have come before the last parameter
            trial._suggest(name, distribution)
        opened = cls(study, trial)
        opened.lost = frozen.user_attrs.get(LOST, 0)
        opened._recorded = sum(key.startswith(EPOCH) for key in frozen.user_attrs)
        return opened

    def note(self, name: str, value: Any) -> None:
        """Record an attribute."""
        self._trial.set_user_attr(name, value)

    def place(self, where: Where) -> None:
        """Record where it is trained."""
        if where != self._where:
            self._where = where
            self.note(WHERE, [*where])

    def add(self, epoch: int, metrics: Mapping[str, float], best: float | None) -> None:
        """Record an epoch, counted from 1, unless it is there: its raw metrics and the best value so far.

        A trial that is trained again writes over what an earlier process recorded, so that no curve is of two.
        """
        if epoch <= self.epoch:
            return
        self.epoch = epoch
        self.best = best
        self._recorded = max(self._recorded, epoch)
        self.note(f"{EPOCH}{epoch}", {name: to_json(value) for name, value in metrics.items()})
        if best is not None:  # Trial.report() would ignore an epoch that it has seen
            self._study._storage.set_trial_intermediate_value(self._trial._trial_id, epoch, best)

    def stop(self, epoch: int) -> None:
        """Record, before its last epoch, that the scheduler stops it there: a kill between the two is then known."""
        self.note(STOPPED_AT, epoch)

    def begin_again(self) -> None:
        """Forget that it was to stop: trained again, it may go on there."""
        if STOPPED_AT in self._trial.user_attrs:
            self.note(STOPPED_AT, 0)

    def lose(self) -> None:
        """Record that the process that trained it died, and begin anew."""
        self.lost += 1
        self.note(LOST, self.lost)
        self.epoch = 0
        self.best = None

    def end(self, ending: Ending) -> None:
        """Close it: only then does Optuna's sampler learn of it."""
        if self.epoch < self._recorded and ending != "failed":
            self.note(LENGTH, self.epoch)
        if ending == "diverged" and not self._trial._get_latest_trial().constraints:
            self._trial.set_constraint("diverged", 1.0)
        value = self.best if ending == "complete" else None
        self._study.tell(self._trial, value, state=STATES.get(ending, TrialState.FAIL))

    def settle(self, trial: Trial, ending: Ending, objective: Objective) -> None:
        """Close it from what was recorded, which is all of it."""
        epochs = zip(trial.epochs, trial.running_best(objective), strict=True)
        for epoch, (metrics, best) in enumerate(epochs, 1):
            self.add(epoch, metrics, best)
        self.end(ending)

    def fail(self, why: str) -> None:
        """Record why it failed; the ending is for `end`."""
        self.note(FAILURE, why)


def read(study: optuna.Study, objective: Objective) -> list[Trial]:
    """Return the trials of a study, by number."""
    return [_read_trial(frozen, objective) for frozen in study.get_trials(deepcopy=False)]


def _read_trial(frozen: FrozenTrial, objective: Objective) -> Trial:
    attributes = dict(frozen.user_attrs)
    epochs = _take_epochs(attributes)
    # Where a value is reached for the first time it is the best epoch.
    bests = objective.running_best(objective.value_in(metrics) for metrics in epochs)
    value = bests[-1] if bests else None
    return Trial(
        number=frozen.number,
        ending=_ending(frozen),
        value=value,
        best_epoch=0 if value is None else bests.index(value) + 1,
        params=dict(frozen.params),
        epochs=epochs,
        attributes=attributes,
        started=frozen.datetime_start.timestamp() if frozen.datetime_start else math.nan,
        seconds=frozen.duration.total_seconds() if frozen.duration else math.nan,
    )


def _take_epochs(attributes: dict[str, Any]) -> tuple[dict[str, float], ...]:
    """Take the epochs out of a trial's attributes, and return their metrics in order."""
    keys = [key for key in attributes if key.startswith(EPOCH)]
    keys.sort(key=lambda key: int(key[len(EPOCH) :]))
    epochs = []
    for key in keys:
        metrics = attributes.pop(key)
        epochs.append({name: float(value) for name, value in metrics.items()})
    return tuple(epochs[: attributes.get(LENGTH)])


def _ending(frozen: FrozenTrial) -> State:
    if frozen.state == TrialState.PRUNED:
        is_violated = any(value > 0 for value in frozen.constraints.values())
        return "diverged" if is_violated else "stopped"
    if frozen.state == TrialState.COMPLETE:
        return "complete"
    return "failed" if frozen.state == TrialState.FAIL else "running"


def to_json(value: float) -> float | str:
    """Return a number that any JSON reader takes: optuna-dashboard's browser refuses a bare NaN."""
    return value if math.isfinite(value) else str(value)

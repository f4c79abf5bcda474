"""Records of a trial in the journal: how its epochs and its ending are written to Optuna, and read back.

| ending | in Optuna |
|---|---|
| complete | COMPLETE, the best so far |
| stopped | PRUNED, all its steps |
| diverged | PRUNED with a violated constraint, so that TPE stays away |
| failed | PRUNED with a violated constraint, so that TPE stays away; of journals before, FAIL |
| infeasible | PRUNED with a violated constraint, so that TPE stays away |

An epoch is a step of Optuna's whose value is the best so far, since TPE ranks a PRUNED trial by its last step. The raw
metrics of every epoch are the trial's attributes.
"""

import math
from collections.abc import Mapping
from typing import Any, Self

import optuna
from optuna.trial import FrozenTrial, TrialState

from search.algorithms.proposals import ask, suggest
from search.algorithms.space import Space
from search.journal.trial import FAILURE, INFEASIBLE, KIND, LIMIT, STOPPED_AT, WHERE, Ending, State, Trial, Where
from search.spec.objective import Objective

START = "start"
"""The attribute of a search that holds the configurations to try first, by trial; a study of before has none."""
CHANGES = "changes"
"""The attribute of a search that lists how its space and fixed values were changed: after so many `trials` from what
`space` and `fixed`, and in `lines` the difference; one that was never changed has none."""
EPOCH = "epoch "
"""Begins the attribute that holds the metrics of an epoch, counted from 1."""
LOST = "lost"
"""The attribute that counts the processes that died while they trained the trial."""
LENGTH = "length"
"""The attribute that says how many of the recorded epochs count, where an earlier process had recorded more."""
BAD: tuple[Ending, ...] = ("diverged", "failed", "infeasible")
"""The endings that a sampler is to stay away from: each is the name of a constraint that such a trial violates."""


class OpenTrial:
    """A trial that has not ended, to which records are written."""

    def __init__(self, study: optuna.Study, trial: optuna.Trial) -> None:
        self._study = study
        self._trial = trial
        self._recorded = 0
        """Epochs that the journal has, those of earlier processes included."""
        self._where: Where | None = None
        self.number: int = trial.number
        self.params: dict[str, Any] = trial.params
        self.lost = 0
        """Processes that died while they trained it."""
        self.epoch = 0
        """Epochs that its present process has recorded."""
        self.best: float | None = None
        """The best finite value of these."""

    @classmethod
    def proposed(cls, study: optuna.Study, space: Space) -> Self:
        """Return a new trial, with the hyperparameters that the study's sampler proposes."""
        return cls(study, ask(study, space))

    @classmethod
    def of(cls, study: optuna.Study, number: int, space: Space) -> Self:
        """Return a trial that an earlier writer left open, with the parameters that it had or would have got."""
        frozen = study.get_trials(deepcopy=False)[number]
        assert frozen.number == number
        trial = optuna.Trial(study, frozen._trial_id)
        if space.takes_up(frozen.params):  # else it is from before a change of the space
            suggest(trial, space)  # a kill may have come before the last parameter
        opened = cls(study, trial)
        opened.lost = frozen.user_attrs.get(LOST, 0)
        opened._recorded = sum(key.startswith(EPOCH) for key in frozen.user_attrs)
        return opened

    def note(self, name: str, value: Any) -> None:
        """Record an attribute of the trial, a value that JSON can hold."""
        self._trial.set_user_attr(name, value)

    def place(self, where: Where) -> None:
        """Record the process that trains it, where that is another than before."""
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
        plain = {name: to_json(value) for name, value in metrics.items()}
        self.note(f"{EPOCH}{epoch}", plain)
        if best is not None:  # Trial.report() would ignore an epoch that it has seen
            self._study._storage.set_trial_intermediate_value(self._trial._trial_id, epoch, best)

    def stop(self, epoch: int, setting: str = "") -> None:
        """Record that it is stopped at an epoch, before that epoch: a kill in between then loses nothing.

        The scheduler stops it, or where a setting is named the limit of that, which ended the search.
        """
        if setting:
            self.note(LIMIT, setting)
        self.note(STOPPED_AT, epoch)

    def begin_again(self) -> None:
        """Clear the record that the scheduler stopped it: trained again, it may go on there."""
        if STOPPED_AT in self._trial.user_attrs:
            self.note(STOPPED_AT, 0)

    def lose(self) -> None:
        """Record that the process that trained it died, and begin with epoch 1 again."""
        self.lost += 1
        self.note(LOST, self.lost)
        self.restart()

    def restart(self) -> None:
        """Begin with epoch 1 again: another process trains it."""
        self.epoch = 0
        self.best = None

    def keep(self, trial: Trial) -> None:
        """Take back that it began again: it keeps the epochs that the journal has of it, as `trial` was read."""
        self.epoch = len(trial.epochs)
        self.best = trial.value

    def end(self, ending: Ending) -> None:
        """Close it with its ending: only now does Optuna's sampler learn of it."""
        if self.epoch < self._recorded and ending != "failed":
            self.note(LENGTH, self.epoch)
        if ending in BAD and not self._trial._get_latest_trial().constraints:
            self._trial.set_constraint(ending, 1.0)
        if ending == "complete":
            self._study.tell(self._trial, self.best, state=TrialState.COMPLETE)
        else:
            self._study.tell(self._trial, state=TrialState.PRUNED)

    def settle(self, trial: Trial, ending: Ending, objective: Objective) -> None:
        """Close it by the record of an earlier session, in which `trial` had ended."""
        epochs = zip(trial.epochs, trial.running_best(objective), strict=True)
        for epoch, (metrics, best) in enumerate(epochs, 1):
            self.add(epoch, metrics, best)
        self.end(ending)

    def fail(self, why: str, kind: str = "") -> None:
        """Record why it failed, and of what kind that is; `end` must still be called."""
        if kind:
            self.note(KIND, kind)
        self.note(FAILURE, why)

    def refuse(self, why: str) -> None:
        """Record why it is infeasible; `end` must still be called."""
        self.note(INFEASIBLE, why)


def read(study: optuna.Study, objective: Objective) -> list[Trial]:
    """Return all trials of a study in the journal, in the order of their numbers."""
    return [read_trial(frozen, objective) for frozen in study.get_trials(deepcopy=False)]


def read_trial(frozen: FrozenTrial, objective: Objective) -> Trial:
    """Return one trial as Optuna has it."""
    attributes = dict(frozen.user_attrs)
    epochs = _take_epochs(attributes)
    # The best epoch is the first that reaches the best value.
    bests = objective.running_best(objective.value_in(metrics) for metrics in epochs)
    value = None
    best_epoch = 0
    if bests and bests[-1] is not None:
        value = bests[-1]
        best_epoch = bests.index(value) + 1
    # Optuna may lack both times: of a trial that waits, and of one that runs.
    started = math.nan
    if frozen.datetime_start:
        started = frozen.datetime_start.timestamp()
    seconds = math.nan
    if frozen.duration and frozen.duration.total_seconds() >= 0:  # else the clock was set back meanwhile
        seconds = frozen.duration.total_seconds()
    return Trial(
        number=frozen.number,
        ending=_ending(frozen),
        value=value,
        best_epoch=best_epoch,
        params=dict(frozen.params),
        epochs=epochs,
        attributes=attributes,
        started=started,
        seconds=seconds,
    )


def _take_epochs(attributes: dict[str, Any]) -> tuple[dict[str, float], ...]:
    """Remove the epochs from a trial's attributes, and return their metrics in order."""
    keys = [key for key in attributes if key.startswith(EPOCH)]
    keys.sort(key=lambda key: int(key.removeprefix(EPOCH)))
    epochs = []
    for key in keys:
        metrics = attributes.pop(key)
        epochs.append({name: float(value) for name, value in metrics.items()})
    return tuple(epochs[: attributes.get(LENGTH)])


def _ending(frozen: FrozenTrial) -> State:
    """Return the ending that Optuna's state and constraints stand for: the reverse of `OpenTrial.end`."""
    if frozen.state == TrialState.PRUNED:
        violated = [name for name, value in frozen.constraints.items() if value > 0]
        for ending in ("failed", "infeasible"):
            if ending in violated:
                return ending
        return "diverged" if violated else "stopped"
    if frozen.state == TrialState.COMPLETE:
        return "complete"
    if frozen.state == TrialState.FAIL:
        return "failed"
    return "running"


def to_json(value: float) -> float | str:
    """Return a number as JSON can hold it, a text where it is not finite: optuna-dashboard refuses a bare NaN."""
    if math.isfinite(value):
        return value
    return str(value)

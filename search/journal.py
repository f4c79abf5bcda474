"""One trial in the journal: how its epochs and its ending are written to Optuna, and read back.

| ending | when | in Optuna |
|---|---|---|
| complete | trained to `epochs`, or the workload ended by itself | COMPLETE, the best so far |
| stopped | the scheduler stopped it | PRUNED, all its steps |
| diverged | the first non-finite metric | PRUNED with a violated constraint, so that TPE stays away |
| failed | an exception, a metric that is missing or no number, a lost process | FAIL |

A step's value is the best so far, since TPE ranks a PRUNED trial by its last step; the raw metrics of every epoch are
the trial's attributes.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self

import optuna
from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial, TrialState

Ending = Literal["complete", "stopped", "diverged", "failed"]
Where = tuple[str, int, float]
"""The host, the process, and when it began there: seconds since 1970."""
WORDS: dict[Ending, str] = {
    "complete": "complete",
    "stopped": "stopped early",
    "diverged": "diverged",
    "failed": "failed",
}
EPOCH = "epoch "
STOPPED_AT, LOST, LENGTH, WHERE = "stopped at", "lost", "length", "where"
STATES = {"complete": TrialState.COMPLETE, "stopped": TrialState.PRUNED, "diverged": TrialState.PRUNED}


@dataclass(frozen=True)
class Trial:
    """One configuration as it was trained, read from the journal."""

    number: int
    ending: Ending | Literal["running"]
    value: float | None
    """The best finite value of the metric; None where there is none."""
    best_epoch: int
    """Where that value was reached, counted from 1; 0 where there is none."""
    params: dict[str, Any]
    """The sampled hyperparameters."""
    epochs: tuple[dict[str, float], ...]
    """The raw metrics of every epoch, and elapsed_s: seconds of training up to its end."""
    attributes: dict[str, Any]
    """What else was noted: the failure, and in a retraining the candidate and its full config."""
    started: float
    """Seconds since 1970."""
    seconds: float
    """From the proposal to the ending; NaN while it runs."""

    @property
    def worked(self) -> float:
        """Return the seconds of its training; 0 where no epoch has ended."""
        return self.epochs[-1]["elapsed_s"] if self.epochs else 0.0

    @property
    def where(self) -> Where | None:
        """Return where it was trained last; None where nobody has said so."""
        found = self.attributes.get(WHERE)
        return (str(found[0]), int(found[1]), float(found[2])) if found else None

    @property
    def may_win(self) -> bool:
        """Return whether it has a finite value that counts: a diverged or a failed trial's does not."""
        return self.ending in ("complete", "stopped") and self.value is not None

    def bests(self, metric: str, mode: str) -> list[float | None]:
        """Return the best value so far at every epoch; None before the first finite one."""
        found: list[float | None] = []
        for metrics in self.epochs:
            value, best = metrics.get(metric, math.nan), found[-1] if found else None
            found.append(value if better(value, best, mode) else best)
        return found

    def settled(self, epochs: int, metric: str) -> Ending | None:
        """Return how it ended though its writer died before it could say so; None where it must be trained again."""
        if "failure" in self.attributes:
            return "failed"
        if self.epochs and not math.isfinite(self.epochs[-1].get(metric, math.nan)):
            return "diverged"
        if len(self.epochs) >= epochs:
            return "complete"
        return "stopped" if self.epochs and self.attributes.get(STOPPED_AT) == len(self.epochs) else None


def better(value: float, than: float | None, mode: str) -> bool:
    """Return whether a finite value beats another."""
    if not math.isfinite(value):
        return False
    return than is None or (value < than if mode == "min" else value > than)


def ranked(trials: Iterable[Trial], mode: str) -> list[Trial]:
    """Return the trials that have a value, the best first."""
    sign = 1 if mode == "min" else -1
    return sorted((trial for trial in trials if trial.value is not None), key=lambda trial: sign * (trial.value or 0.0))


def best(trials: Iterable[Trial], mode: str) -> Trial | None:
    """Return the trial with the best value; None where none has one."""
    return next(iter(ranked(trials, mode)), None)


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
        self.epoch, self.best = epoch, best
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
        self.epoch, self.best = 0, None

    def end(self, ending: Ending) -> None:
        """Close it."""
        if self.epoch < self._recorded and ending != "failed":
            self.note(LENGTH, self.epoch)
        if ending == "diverged" and not self._trial._get_latest_trial().constraints:
            self._trial.set_constraint("diverged", 1.0)
        value = self.best if ending == "complete" else None
        self._study.tell(self._trial, value, state=STATES.get(ending, TrialState.FAIL))

    def settle(self, trial: Trial, ending: Ending, metric: str, mode: str) -> None:
        """Close it from what was recorded, which is all of it."""
        for epoch, (metrics, best) in enumerate(zip(trial.epochs, trial.bests(metric, mode), strict=True), 1):
            self.add(epoch, metrics, best)
        self.end(ending)


def read(study: optuna.Study, metric: str) -> list[Trial]:
    """Return the trials of a study, by number."""
    maximize = study.direction == optuna.study.StudyDirection.MAXIMIZE
    mode = "max" if maximize else "min"
    return [_read_trial(frozen, metric, mode) for frozen in study.get_trials(deepcopy=False)]


def _read_trial(frozen: FrozenTrial, metric: str, mode: str) -> Trial:
    attributes = dict(frozen.user_attrs)
    keys = sorted((key for key in attributes if key.startswith(EPOCH)), key=lambda key: int(key[len(EPOCH) :]))
    epochs = tuple({name: float(value) for name, value in attributes.pop(key).items()} for key in keys)
    epochs = epochs[: attributes.get(LENGTH)]
    value, best_epoch = None, 0
    for epoch, metrics in enumerate(epochs, 1):
        if better(metrics.get(metric, math.nan), value, mode):
            value, best_epoch = metrics[metric], epoch
    return Trial(
        number=frozen.number,
        ending=_ending(frozen),
        value=value,
        best_epoch=best_epoch,
        params=dict(frozen.params),
        epochs=epochs,
        attributes=attributes,
        started=frozen.datetime_start.timestamp() if frozen.datetime_start else math.nan,
        seconds=frozen.duration.total_seconds() if frozen.duration else math.nan,
    )


def _ending(frozen: FrozenTrial) -> Ending | Literal["running"]:
    if frozen.state == TrialState.PRUNED:
        return "diverged" if any(value > 0 for value in frozen.constraints.values()) else "stopped"
    if frozen.state == TrialState.COMPLETE:
        return "complete"
    return "failed" if frozen.state == TrialState.FAIL else "running"


def to_json(value: float) -> float | str:
    """Return a number that any JSON reader takes: optuna-dashboard's browser refuses a bare NaN."""
    return value if math.isfinite(value) else str(value)

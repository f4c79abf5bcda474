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
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState

Ending = Literal["complete", "stopped", "diverged", "failed"]
EPOCH = "epoch "
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
    def may_win(self) -> bool:
        """Return whether it has a finite value that counts: a diverged or a failed trial's does not."""
        return self.ending in ("complete", "stopped") and self.value is not None


def open_storage(path: Path) -> JournalStorage:
    """Return the storage of a journal file, which is made where there is none."""
    return JournalStorage(JournalFileBackend(str(path.absolute())))


def mend(path: Path) -> None:
    """Cut a record that a dying writer left half written: the next one would be glued to it and both be lost.

    Only for whoever is about to write, with no other writer alive.
    """
    with path.open("r+b") as file:
        content = file.read()
        file.truncate(content.rfind(b"\n") + 1)


def better(value: float, than: float | None, mode: str) -> bool:
    """Return whether a finite value beats another."""
    if not math.isfinite(value):
        return False
    return than is None or (value < than if mode == "min" else value > than)


class OpenTrial:
    """A trial that has not ended, as it is written."""

    def __init__(self, study: optuna.Study, trial: optuna.Trial) -> None:
        self._study = study
        self._trial = trial
        self.number: int = trial.number
        self.params: dict[str, Any] = trial.params
        self.epoch = 0
        self.best: float | None = None

    def note(self, name: str, value: Any) -> None:
        """Record an attribute."""
        self._trial.set_user_attr(name, value)

    def add(self, epoch: int, metrics: Mapping[str, float], best: float | None) -> None:
        """Record an epoch, counted from 1, unless it is there: its raw metrics and the best value so far."""
        if epoch <= self.epoch:
            return
        self.epoch, self.best = epoch, best
        self.note(f"{EPOCH}{epoch}", {name: to_json(value) for name, value in metrics.items()})
        if best is not None:
            self._trial.report(best, epoch)

    def end(self, ending: Ending) -> None:
        """Close it."""
        if ending == "diverged":
            self._trial.set_constraint("diverged", 1.0)
        value = self.best if ending == "complete" else None
        self._study.tell(self._trial, value, state=STATES.get(ending, TrialState.FAIL))


def read(study: optuna.Study, metric: str) -> list[Trial]:
    """Return the trials of a study, by number."""
    maximize = study.direction == optuna.study.StudyDirection.MAXIMIZE
    mode = "max" if maximize else "min"
    return [_read_trial(frozen, metric, mode) for frozen in study.get_trials(deepcopy=False)]


def _read_trial(frozen: FrozenTrial, metric: str, mode: str) -> Trial:
    attributes = dict(frozen.user_attrs)
    keys = sorted((key for key in attributes if key.startswith(EPOCH)), key=lambda key: int(key[len(EPOCH) :]))
    epochs = tuple({name: float(value) for name, value in attributes.pop(key).items()} for key in keys)
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

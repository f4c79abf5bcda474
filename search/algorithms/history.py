"""What a sampler is told of a search: its trials, in the terms of the space that is searched now.

A sampler of Optuna's is given an optuna.Study and reads its trials. Here it is given a History, so that what it reads
can differ from what the journal holds: the positions of ordinals, only the trials that lie in the space, and whatever
else makes a sampler work. Nor can it write into the journal by itself.
"""

import copy
from collections.abc import Callable, Container, Iterable, Sequence
from typing import Any, NamedTuple

import optuna
from optuna.storages import InMemoryStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from search.algorithms.completion import completed
from search.algorithms.space import Key, Space


class Notes(InMemoryStorage):
    """What samplers keep for themselves: of the trial that is proposed, for as long as it takes."""

    def __init__(self) -> None:
        super().__init__()
        self.of_trial: dict[str, Any] = {}
        """Of the trial that is proposed."""

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        """Keep a note on the trial that is proposed."""
        self.of_trial[key] = value

    def get_trial_system_attrs(self, trial_id: int) -> dict[str, Any]:
        """Return the notes on the trial that is proposed."""
        return self.of_trial

    def set_study_system_attr(self, study_id: int, key: str, value: Any) -> None:
        """Forget a note on the study: it would not be a function of the history."""

    def get_study_system_attrs(self, study_id: int) -> dict[str, Any]:
        """Return no notes."""
        return {}


class History(optuna.Study):
    """The trials of a search, as a sampler reads them."""

    def __init__(
        self, trials: Iterable[FrozenTrial], directions: Sequence[StudyDirection], known: Iterable[Key] = ()
    ) -> None:
        # Not Optuna's constructor, which would ask a storage for what is given here.
        self.study_name = "history"
        self._study_id = 0
        self._directions = list(directions)
        self.told = list(trials)
        self.known = set(known)
        """The keys of the search's own configurations that lie in the space, told or not."""
        self.notes = Notes()
        self._storage: Any = self.notes

    def _get_trials(
        self, deepcopy: bool = True, states: Container[TrialState] | None = None, use_cache: bool = False
    ) -> list[FrozenTrial]:
        """Return the trials in these states, of which no sampler changes one."""
        if states is None:
            return self.told
        return [trial for trial in self.told if trial.state in states]


class Several(NamedTuple):
    """Several objectives, as a sampler of Optuna's knows them."""

    directions: Sequence[StudyDirection]
    values_of: Callable[[FrozenTrial], Sequence[float] | None]
    """Returns the values of a trial that has ended; None where one is missing."""


class Shown(NamedTuple):
    """A trial of the search that lies in the space."""

    key: Key
    told: FrozenTrial | None
    """As a sampler reads it; None where it lacks a value of several objectives."""


class Teller:
    """Makes the History of a search, proposal after proposal; a trial that has ended is looked at once."""

    def __init__(
        self,
        space: Space,
        *,
        reads_stopped: bool,
        several: Several | None = None,
        earlier: Iterable[FrozenTrial] = (),
    ) -> None:
        """Tell of a space; a sampler that reads no stopped trials is told them as complete ones.

        `earlier` are trials of earlier studies, which are told before the search's own.
        """
        self._space = space
        self._reads_stopped = reads_stopped
        self._several = several
        translated = [self._translated(trial) for trial in earlier]
        self._earlier = [trial for trial in translated if trial]
        self._ended: dict[int, Shown | None] = {}
        """By number; None where it does not lie in the space."""

    def tell(self, study: optuna.Study, trial: FrozenTrial) -> History:
        """Return what is told of a study for the proposal of a trial."""
        others = [other for other in study.get_trials(deepcopy=False) if other.number != trial.number]
        shown = [each for each in map(self._shown, others) if each]
        directions = self._several.directions if self._several else study.directions
        told = [*self._earlier, *(each.told for each in shown if each.told)]
        if not self._reads_stopped:
            told = completed(told, directions)
        return History(told, directions, (each.key for each in shown))

    def _shown(self, trial: FrozenTrial) -> Shown | None:
        if trial.number in self._ended:
            return self._ended[trial.number]
        shown = None
        if translated := self._translated(trial):
            told: FrozenTrial | None = translated
            if self._several and trial.state.is_finished():
                told = _judged(translated, self._several)
            shown = Shown(self._space.key(trial.params), told)
        if trial.state.is_finished():
            self._ended[trial.number] = shown
        return shown

    def _translated(self, trial: FrozenTrial) -> FrozenTrial | None:
        """Return a trial in the terms of the space; None where it does not lie in it, or a kill has cut it short."""
        if not self._space.is_whole(trial.params):
            return None
        distributions = {name: self._space.drawn(name) for name in trial.params}
        if distributions == trial.distributions:
            return trial
        shown = copy.copy(trial)
        shown.params = {name: self._space.to_draw(name, value) for name, value in trial.params.items()}
        shown.distributions = distributions
        return shown


def _judged(trial: FrozenTrial, several: Several) -> FrozenTrial | None:
    """Return a trial with a value an objective, as if it had been trained to its end: Optuna ranks no other.

    One that a sampler is to stay away from stays as it is; of one that lacks a value nothing is told.
    """
    if any(violation > 0 for violation in trial.constraints.values()):
        return trial
    values = several.values_of(trial)
    if values is None:
        return None
    shown = copy.copy(trial)
    shown.state = TrialState.COMPLETE
    shown.values = list(values)
    return shown

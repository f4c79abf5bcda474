"""Optuna's replay of a journal, in time that is linear in a trial's epochs.

Optuna copies a trial and its epochs at each record, since what it has handed out must not change: of a trial of 20,000
epochs that is 2.5 s of copying. Here a trial is copied where it has been handed out since, and else changed in place.

Written for Optuna 5.0, to which pyproject pins us, as it replaces private functions: read them again with each release.
"""

import copy
from collections.abc import Container
from typing import Any

from optuna.distributions import json_to_distribution
from optuna.storages import JournalStorage
from optuna.storages.journal._storage import JournalStorageReplayResult
from optuna.trial import FrozenTrial, TrialState

RETRY = "retry"
"""The attribute of a study that lists failed trials, by number, which are open again from that record on."""
RETRIES = "retries"
"""The attribute of a trial that counts how often it was opened again."""


class LinearStorage(JournalStorage):
    """Optuna's storage of a journal, with a Replay."""

    def _sync_with_backend(self) -> None:
        """Apply the records that are new; called with Optuna's lock held."""
        if not isinstance(self._replay_result, Replay):  # Optuna's constructor makes its own, and calls this at once
            self._replay_result = Replay(self._worker_id_prefix)
        super()._sync_with_backend()


class Replay(JournalStorageReplayResult):
    """The state of a journal after the records so far."""

    def __init__(self, worker_id_prefix: str) -> None:
        super().__init__(worker_id_prefix)
        self._unshared: set[int] = set()
        """The ids of the trials whose epochs and attributes nobody else holds: they may be changed in place."""

    def get_trial(self, trial_id: int) -> FrozenTrial:
        """Return a trial, which does not change from here on."""
        self._unshared.discard(trial_id)
        return super().get_trial(trial_id)

    def get_all_trials(self, study_id: int, states: Container[TrialState] | None) -> list[FrozenTrial]:
        """Return the trials of a study that are in one of these states, which do not change from here on."""
        trials = super().get_all_trials(study_id, states)
        self._unshared.difference_update(trial._trial_id for trial in trials)
        return trials

    def _apply_set_study_user_attr(self, log: dict[str, Any]) -> None:
        super()._apply_set_study_user_attr(log)
        trials = self._study_id_to_trial_ids.get(log["study_id"], [])
        for number in log["user_attr"].get(RETRY, ()):
            self._open_again(trials[number])

    def _open_again(self, trial_id: int) -> None:
        """Open a trial that has failed, which Optuna never does, as one that was proposed and not trained yet."""
        trial = copy.copy(self._trials[trial_id])
        trial.state = TrialState.RUNNING
        trial.values = None
        trial.datetime_complete = None
        trial.intermediate_values = {}
        trial.user_attrs = {RETRIES: trial.user_attrs.get(RETRIES, 0) + 1}
        # The constraints that it violated go; in which generation of a sampler's it was proposed stays.
        notes = trial.system_attrs.items()
        trial.system_attrs = {name: note for name, note in notes if not name.startswith("constraints")}
        self._trials[trial_id] = trial
        self._unshared.discard(trial_id)

    def _apply_set_trial_param(self, log: dict[str, Any]) -> None:
        """Take in a value whatever other trials have of its name: a choice may have got another value meanwhile.

        Optuna's own function refuses that, and where it reads the journal leaves the value out.
        """
        if self._trial_exists_and_updatable(log["trial_id"], log):
            name = log["param_name"]
            distribution = json_to_distribution(log["distribution"])
            trial = copy.copy(self._trials[log["trial_id"]])
            trial.params = {**trial.params, name: distribution.to_external_repr(log["param_value_internal"])}
            trial.distributions = {**trial.distributions, name: distribution}
            self._trials[log["trial_id"]] = trial

    def _apply_set_trial_intermediate_value(self, log: dict[str, Any]) -> None:
        if self._trial_exists_and_updatable(log["trial_id"], log):
            trial = self._to_change(log["trial_id"])
            trial.intermediate_values[log["step"]] = log["intermediate_value"]

    def _apply_set_trial_user_attr(self, log: dict[str, Any]) -> None:
        if self._trial_exists_and_updatable(log["trial_id"], log):
            assert len(log["user_attr"]) == 1
            trial = self._to_change(log["trial_id"])
            trial.user_attrs.update(**log["user_attr"])

    def _to_change(self, trial_id: int) -> FrozenTrial:
        """Return the trial with epochs and attributes of its own.

        It stays so where Optuna's other functions replace it: they copy it with these two as they are.
        """
        if trial_id not in self._unshared:
            trial = copy.copy(self._trials[trial_id])
            trial.intermediate_values = dict(trial.intermediate_values)
            trial.user_attrs = dict(trial.user_attrs)
            self._trials[trial_id] = trial
            self._unshared.add(trial_id)
        return self._trials[trial_id]

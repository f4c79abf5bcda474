"""What a journal must hold to be a study of ours: a stranger's may hold anything."""

import re
from collections.abc import Sequence
from typing import Any

import optuna

from search import journal, outcome
from search.snapshot import Snapshot

LATEST = 1e11
"""Seconds since 1970 beyond which no calendar of the system goes."""


def check(study: Snapshot, defaults: Any, search: optuna.Study, retrainings: Sequence[optuna.Study]) -> None:
    """Read all that a study holds, and its finished retrainings. Raises anything where no search of ours wrote it."""
    if type(study.epochs) is not int or not 1 <= study.epochs < 2**31 or not isinstance(defaults, dict):
        raise ValueError(f"it has epochs {study.epochs!r} and defaults {defaults!r}")
    direction = search.direction.name.lower()
    if direction != ("minimize" if study.config.mode == "min" else "maximize"):
        raise ValueError(f"it is to {direction} in mode {study.config.mode}")
    for session in study.sessions:
        for part in ("share", "versions", "machine"):
            dict(session.get(part, {}))
    for trial in study.trials:
        for name, value in trial.params.items():
            if not study.space[name]._contains(study.space[name].to_internal_repr(value)):
                raise ValueError(f"trial {trial.number} has {name}={value!r}, which is not in the space")
        _check_times(trial)
    for each in retrainings:
        _check_retraining(each, study)


def _check_times(trial: journal.Trial) -> None:
    times = [*(metrics["elapsed_s"] for metrics in trial.epochs), trial.where[2] if trial.where else 0.0]
    if not all(0 <= seconds < LATEST for seconds in times):
        raise ValueError(f"trial {trial.number} was trained at {times}")


def _check_retraining(retraining: optuna.Study, study: Snapshot) -> None:
    list(retraining.user_attrs["jobs"])
    for run in journal.read(retraining, study.config.metric):
        _check_times(run)
        candidate, trials = run.attributes["candidate"], len(study.trials)
        if not re.fullmatch("trial [0-9]{1,18}|reference", candidate):
            raise ValueError(f"a retraining has the candidate {candidate!r}")
        if candidate != outcome.REFERENCE and int(candidate.removeprefix("trial ")) >= trials:
            raise ValueError(f"a retraining has the candidate {candidate!r} of {trials} trials")
        for name in study.space:
            _ = run.attributes["config"][name]
    outcome.of(retraining, study.config.metric, study.config.mode)

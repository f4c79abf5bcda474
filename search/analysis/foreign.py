"""A study that may be a stranger's, whose journal may hold anything: all of it is read once when it is opened."""

import math
import re
from collections.abc import Sequence
from typing import Any

import optuna

from search.analysis.snapshot import Snapshot
from search.journal import limits, outcome, records
from search.journal.earlier import Known
from search.journal.outcome import REFERENCE
from search.journal.trial import Trial
from search.spec import start, translation
from search.spec.limits import NAMES
from search.spec.space import parse
from search.spec.values import SCALAR

MAX_TIME_S = 1e11
"""Seconds since 1970 beyond which no calendar of the system goes."""


def check(snapshot: Snapshot, defaults: Any, search: optuna.Study, retrainings: Sequence[optuna.Study]) -> None:
    """Read all that a study holds, and its finished retrainings: a stranger's journal may hold anything.

    Raises anything where no search of ours wrote it.
    """
    if type(snapshot.epochs) is not int or not 1 <= snapshot.epochs < 2**31 or not isinstance(defaults, dict):
        raise ValueError(f"it has epochs {snapshot.epochs!r} and defaults {defaults!r}")
    direction = search.direction.name.lower()
    if direction != snapshot.objective.direction:
        raise ValueError(f"it is to {direction} in mode {snapshot.config.mode}")
    if type(snapshot.refused) is not int or snapshot.refused < 0:
        raise ValueError(f"Config has refused {snapshot.refused!r} proposals")
    for session in snapshot.sessions:
        for part in ("share", "versions", "machine"):
            dict(session.get(part, {}))
    for params in filter(None, search.user_attrs.get(records.START, [])):
        start.parse([params], snapshot.space, {})
    _check_changes(snapshot)
    _check_limits(search)
    for known in snapshot.earlier:
        _check_known(known, len(snapshot.config.aims.all))
    for trial in [*snapshot.trials, *snapshot.infeasible]:
        _check_params(trial, snapshot)
        _check_times(trial)
    for retraining in retrainings:
        _check_retraining(retraining, snapshot)


def _check_changes(snapshot: Snapshot) -> None:
    for change in snapshot.changes:
        parse(change["space"], dict(change["fixed"]))
        list(map(str, change["lines"]))
        _ = change["trials"] + 1


def _check_limits(search: optuna.Study) -> None:
    reached = search.user_attrs.get(limits.REACHED)
    if reached and (reached["setting"] not in NAMES or "limit" not in reached or type(reached["note"]) is not str):
        raise ValueError(f"it was ended by {reached!r:.200}")
    seconds = search.user_attrs.get(limits.SEARCHED, 0.0)
    if not 0 <= seconds < MAX_TIME_S:
        raise ValueError(f"it was searched for {seconds!r} seconds")


def _check_known(known: Known, objectives: int) -> None:
    """Refuse a trial of an earlier study without a value an objective, or with what is no hyperparameter's value."""
    are_all = known.values is None or len(known.values) == objectives
    if not are_all or not isinstance(known.params, dict):
        raise ValueError(f"it was told of {known!r:.200}")
    if not all(isinstance(value, SCALAR) for value in known.params.values()):
        raise ValueError(f"it was told of {known!r:.200}")
    for name, value in known.params.items():
        _check_number(known.number, name, value)


def _check_params(trial: Trial, snapshot: Snapshot) -> None:
    for name, value in trial.params.items():
        if snapshot.changes and isinstance(value, SCALAR):
            _check_number(trial.number, name, value)
            continue
        distribution = snapshot.space[name]
        if not distribution._contains(distribution.to_internal_repr(value)):
            raise ValueError(f"trial {trial.number} has {name}={value!r}, which is not in the space")


def _check_number(trial: int, name: str, value: Any) -> None:
    """Refuse a number that no axis can hold."""
    if isinstance(value, int | float) and not (math.isfinite(value) and abs(value) < 2**63):
        raise ValueError(f"trial {trial} has {name}={value!r}")


def _check_times(trial: Trial) -> None:
    times = [metrics["elapsed_s"] for metrics in trial.epochs]
    began = 0.0
    if trial.where:
        _, _, began = trial.where
    times.append(began)
    for seconds in times:
        if not 0 <= seconds < MAX_TIME_S:
            raise ValueError(f"trial {trial.number} was trained at {times}")


def _check_retraining(retraining: optuna.Study, snapshot: Snapshot) -> None:
    list(retraining.user_attrs["jobs"])
    numbers = {trial.number for trial in snapshot.trials}
    for run in records.read(retraining, snapshot.objective):
        _check_times(run)
        name = run.attributes["candidate"]
        if not re.fullmatch(f"{outcome.TRIAL}[0-9]{{1,18}}|{REFERENCE}", name):
            raise ValueError(f"a retraining has the candidate {name!r}")
        if name != REFERENCE and int(name.removeprefix(outcome.TRIAL)) not in numbers:
            raise ValueError(f"a retraining has the candidate {name!r} of {len(snapshot.trials)} trials")
        values = run.attributes["config"]
        translation.taken(values, snapshot.space)
        for hyperparameter in [] if snapshot.changes else snapshot.space:
            if hyperparameter in values or hyperparameter not in snapshot.config.space:
                continue
            if hyperparameter not in snapshot.space.conditions and snapshot.config.is_passed(hyperparameter):
                raise ValueError(f"a retraining has a config without {hyperparameter!r}")
    outcome.judge(retraining, snapshot.config.aims)

"""Trials of earlier studies that a new one begins with, under `warm_start` in the YAML.

warm_start: [results/OLD, {study: results/OTHER, use: points}, {storage: "sqlite:///x.db", study: NAME}]

Where metric, epochs and all that is not searched agree, the sampler is told the values, as if the trials were the
search's own; the best of them is tried again, so that it may win. Else the best are starting points.
"""

import math
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from search import continuation
from search.algorithms import samplers
from search.errors import UserError, count, describe, suggestion
from search.journal import front
from search.journal.earlier import Known
from search.spec import start
from search.spec.config import StudyConfig
from search.spec.fit import First, Fit
from search.spec.translation import params_of
from search.study import Study, load

POINTS = 5
"""The best configurations of a study that are tried first, where its values are not told."""
MOST = 1000
"""Trials of a study that are told: the best."""
USES = ("values", "points")


@dataclass
class Earlier:
    """What is known before a search."""

    known: list[Known] = field(default_factory=list)
    """Trials of which the sampler is told."""
    points: list[Mapping[str, Any]] = field(default_factory=list)
    """Configurations to try first."""
    lines: list[str] = field(default_factory=list)
    """For the user: what is taken of each study."""

    def before(self, first: First, most: int | None) -> First:
        """Return what a search tries first: after its own these points, up to as many trials as there will be."""
        configurations = start.without_repeats([*first.configurations, *map(dict, self.points)])[:most]
        return First(configurations, "\n".join(line for line in (first.note, *self.lines) if line))


def read(fit: Fit) -> Earlier:
    """Return what the studies under `warm_start` tell. Raises UserError where one is none, or tells nothing of this."""
    earlier = Earlier()
    seen = set()
    for entry in fit.config.warm_start:
        source = _source(entry)
        place = (Path(source.name) if source.name and not source.storage else source.name, source.storage)
        if place in seen:
            raise UserError(f"warm_start must name each study once, but got {source.name or source.storage} twice")
        seen.add(place)
        _take(source, fit, earlier)
    return earlier


@dataclass(frozen=True)
class Source:
    """An entry of `warm_start`."""

    name: str
    storage: str
    """Empty for a study of ours."""
    use: str
    """values, points, or empty for whatever agrees."""


def _source(entry: Any) -> Source:
    if isinstance(entry, str):
        is_storage = entry.startswith(("sqlite:", "journal:"))
        return Source("" if is_storage else entry, entry if is_storage else "", "")
    if not isinstance(entry, Mapping):
        raise UserError(f"warm_start must list folders of studies, or {{study: ..., use: ...}}, but got {entry!r}")
    for key, value in entry.items():
        if key not in ("study", "storage", "use"):
            known = ["study", "storage", "use"]
            raise UserError(f"warm_start has an unknown key {key!r}, {suggestion(str(key), known)}")
        if not isinstance(value, str) or not value:
            raise UserError(f"warm_start: {key} must be a text, but got {value!r}")
    use = entry.get("use", "")
    if use and use not in USES:
        raise UserError(f"warm_start: use must be values or points, but got {use!r}")
    if "study" not in entry and "storage" not in entry:
        raise UserError(f"warm_start must name a study, but got {dict(entry)!r}")
    return Source(entry.get("study", ""), entry.get("storage", ""), use)


def _take(source: Source, fit: Fit, earlier: Earlier) -> None:
    """Add what one study tells."""
    name = source.name or source.storage
    if source.storage:
        stored = _stored(source)
        sign = -1 if stored.directions[0] == StudyDirection.MAXIMIZE else 1
        found = _of_optuna(source, stored, fit)
        alike: list[Known] = []
        why = "of an Optuna study the epochs are not known (use: values says that they agree)"
    else:
        study = _opened(source.name)
        sign = study.objective.sign
        if source.use != "points":
            _check_objectives(name, study.config, fit.config)
        found, agreeing = _of_ours(name, study, fit)
        why = _difference(study, fit)
        alike = [] if why else agreeing
        why = why or "what is not searched has other values"
    if not found:
        raise UserError(f"warm_start: no trial of {name} lies in this space, so it tells nothing; take it out")
    if source.use == "values":
        alike = found
    if source.use == "points" or not alike:
        best = _ranked(found, sign)[:POINTS]
        earlier.points += [trial.params for trial in best]
        reason = "" if source.use == "points" else f": {why}"
        earlier.lines.append(f"warm start: the best {len(best)} of {name} are tried first{reason}")
        return
    ranked = _ranked(alike, sign)
    bad = [trial for trial in alike if trial.values is None]
    earlier.known += [*ranked, *bad][:MOST]
    earlier.points += [trial.params for trial in ranked[:1]]
    again = f"; its best, trial {ranked[0].number}, is tried again" if ranked else ""
    told = min(MOST, len(alike))
    unread = ""
    if not fit.config.sampler.learns_of_others:
        unread = f"; {samplers.name_of(fit.config.sampler)} learns nothing of them, as tpe and gp do"
    earlier.lines.append(f"warm start: the sampler is told {count(told, 'trial')} of {name}{again}{unread}")


def _ranked(trials: Iterable[Known], sign: int) -> list[Known]:
    """Return the trials that have values, the best by their own study's first objective first; less is better in 1."""
    with_loss = [(sign * trial.values[0], trial) for trial in trials if trial.values is not None]
    with_loss.sort(key=lambda pair: pair[0])
    return [trial for _, trial in with_loss]


# Studies of ours.


def _opened(folder: str) -> Study:
    try:
        return load(folder)
    except UserError as error:
        raise UserError(f"warm_start: {error}") from None


def _check_objectives(name: str, old: StudyConfig, new: StudyConfig) -> None:
    if old.aims.all != new.aims.all:
        raise UserError(
            f"warm_start: {name} must be of the same metric, but it is of {_described(old)}, and this is of "
            f"{_described(new)}; to try its best configurations first, write {{study: {name}, use: points}}"
        )


def _described(config: StudyConfig) -> str:
    return ", ".join(f"{objective.metric} ({objective.mode})" for objective in config.aims.all)


def _difference(study: Study, fit: Fit) -> str:
    """Return why no value of a study compares with those of the new one; empty where some may."""
    if study.config.source != fit.config.source:
        return f"it is of another workload, {study.config.title}"
    if study.epochs != fit.epochs:
        return f"its trials had up to {study.epochs} epochs, and these {fit.epochs}"
    return ""


def _of_ours(name: str, study: Study, fit: Fit) -> tuple[list[Known], list[Known]]:
    """Return the trials of a study that lie in the new space, and those of them in which all else is the same, too."""
    found = []
    agreeing = []
    configs = continuation.configs_of(study)
    for trial in study.trials():
        full = {**study.defaults, **continuation.config_in(configs, trial.number).values(trial.params)}
        values = front.point(trial, study.config.aims) if trial.may_win else None
        params = _params_in(full, fit)
        if params is None or (values is None and trial.ending != "diverged"):
            continue
        known = Known(name, trial.number, params, values, len(trial.epochs), trial.ending == "complete")
        found.append(known)
        if _agrees(full, params, fit):
            agreeing.append(known)
    return found, agreeing


def _agrees(old: Mapping[str, Any], params: Mapping[str, Any], fit: Fit) -> bool:
    """Return whether all that the new study does not search has the value that it had in an earlier one."""
    new = {**fit.workload.defaults(fit.space), **fit.config.values(params)}
    shared = (new.keys() & old.keys()) - fit.space.keys() - {"seed"}
    return all(old[name] == new[name] for name in shared)


def _params_in(values: Mapping[str, Any], fit: Fit) -> dict[str, Any] | None:
    """Return the point of the new space at which these values lie; None where they lie outside."""
    params, why_not = params_of(values, fit.space)
    return params if not why_not and fit.takes(params) else None


# Studies of Optuna's.


def _of_optuna(source: Source, study: optuna.Study, fit: Fit) -> list[Known]:
    """Return the trials of a study in a storage that lie in the new space."""
    directions = [direction.name.lower() for direction in study.directions]
    wanted = [objective.direction for objective in fit.config.aims.all]
    if directions != wanted and source.use != "points":
        raise UserError(
            f"warm_start: {study.study_name} must {', '.join(wanted)}, as this search does, but it is to "
            f"{', '.join(directions)}; to try its best configurations first, add use: points"
        )
    found = []
    for trial in study.get_trials(deepcopy=False):
        params = _params_in(trial.params, fit)
        values = _values_of(trial)
        if params is not None and values is not None:
            epoch = max(trial.intermediate_values, default=fit.epochs)
            is_complete = trial.state == TrialState.COMPLETE
            found.append(Known(source.name or source.storage, trial.number, params, values, epoch, is_complete))
    return found


def _values_of(trial: FrozenTrial) -> tuple[float, ...] | None:
    if trial.state == TrialState.COMPLETE:
        return tuple(trial.values) if all(map(math.isfinite, trial.values)) else None
    if trial.state == TrialState.PRUNED and trial.intermediate_values:
        value = trial.intermediate_values[max(trial.intermediate_values)]
        return (value,) if math.isfinite(value) else None
    return None


def _stored(source: Source) -> optuna.Study:
    """Open a study of Optuna's to be read. Raises UserError where there is none, or several and no name."""
    kind, _, place = source.storage.partition(":")
    path = Path(place.removeprefix("///"))
    if kind not in ("sqlite", "journal"):
        raise UserError(f"warm_start: storage must be sqlite:///FILE or journal:FILE, but got {source.storage!r}")
    if not path.is_file():
        raise UserError(f"warm_start: the file of {source.storage} must exist, but there is no {path}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            storage: Any = source.storage
            if kind == "journal":
                storage = JournalStorage(JournalFileBackend(str(path)))
            names = optuna.get_all_study_names(storage)
            if source.name in names:
                return optuna.load_study(study_name=source.name, storage=storage)
            if not source.name and len(names) == 1:
                return optuna.load_study(study_name=names[0], storage=storage)
    except Exception as error:  # whatever Optuna, and its database, make of a file that is none of theirs
        rule = f"warm_start: {source.storage} must be a storage of Optuna's"
        raise UserError(f"{rule}, but reading it raises {describe(error)}") from None
    if not names:
        raise UserError(f"warm_start: {source.storage} must be a storage of Optuna's with a study, but it holds none")
    there = suggestion(source.name, names) if source.name else f"there are: {', '.join(names)}"
    raise UserError(f"warm_start: {source.storage} must have a study {source.name or 'that is named'}, {there}")

"""What a study that goes on must keep, and what may change."""

import dataclasses
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from search.algorithms import samplers
from search.errors import UserError, count
from search.journal.limits import NUMBER
from search.journal.records import CHANGES, START
from search.journal.replay import RETRY
from search.spec.config import StudyConfig
from search.study import Study

OF_WORKLOAD = ("workload", "command", "report", "fixed", "seed")
OF_SEARCH = ("metric", "mode", "objectives", "space", "try_defaults", "start", "warm_start", "prior")
KEPT = (*OF_WORKLOAD, *OF_SEARCH)
"""Settings without which the trials of a study could not be compared."""
EDITABLE = ("space", "fixed", "start", "prior")
"""Those of them that may change all the same where that is allowed; `start` and `prior` may lose entries."""


def retry_failed(made: Study) -> int:
    """Open a study's trials that have failed again, to be trained under their own numbers; return how many.

    What they were stays in the journal, in which the replay takes this record for their opening. Raises UserError where
    a limit has ended the search: they would be given up at once.
    """
    ended = made.ended_by
    if ended and ended.setting != NUMBER:
        limit = f"{ended.setting} {getattr(made.config, ended.setting):g}"
        raise UserError(
            f"trials that failed are trained again within the limits of their search, but {limit} has ended it; ask "
            f"for more, by --{ended.setting.replace('_', '-')}"
        )
    failed = [trial.number for trial in made.trials() if trial.ending == "failed"]
    if failed:
        made.search.set_user_attr(RETRY, failed)
    return len(failed)


def continued(
    before: Study, config: StudyConfig, epochs: int, defaults: Mapping[str, Any], *, may_change: bool = False
) -> Study:
    """Return a study under a config that may ask for more, but for nothing else than before.

    With `may_change` its space and fixed values may change, too, which is recorded. Raises UserError, with the
    difference, where the trials so far would mean nothing under it.
    """
    changes = list(_differences(_of(before.config, EDITABLE), _of(config, EDITABLE)))
    # What both spaces, or none of them, have: a default is kept of what is searched, whatever it is.
    moved = set(before.config.space) ^ set(config.space)
    old = {"epochs": before.epochs, "defaults": _without(before.defaults, moved)}
    new = {"epochs": epochs, "defaults": _without(defaults, moved)}
    kept = [name for name in KEPT if name not in EDITABLE]
    differences = list(_differences(_of(before.config, kept) | old, _of(config, kept) | new))
    if any(entry not in before.config.start for entry in config.start):
        differences += _differences(_of(before.config, ["start"]), _of(config, ["start"]))
    if not config.prior.items() <= before.config.prior.items():
        differences += _differences(_of(before.config, ["prior"]), _of(config, ["prior"]))
    if differences or (changes and not may_change):
        fix = "start a new study"
        if not differences:
            differences = changes
            fix += ", or add --allow-changes, with which space and fixed may change"
        more = len(differences) - 3
        told = differences[:3] + ([f"{more} more"] if more > 0 else [])
        raise UserError(
            f"a study that goes on must keep {', '.join(KEPT)} and the workload's defaults, "
            f"but {'; '.join(told)}; {fix}"
        )
    trials = sum(trial.ending != "infeasible" for trial in before.trials())
    if config.num_samples is not None and config.num_samples < trials:
        raise UserError(
            f"num_samples must be at least the {count(trials, 'trial')} of the study, but got {config.num_samples}"
        )
    if changes:
        return _changed(before, config, defaults, changes)
    return before.reconfigured(config)


def _of(config: StudyConfig, names: Sequence[str]) -> dict[str, Any]:
    return {name: getattr(config, name) for name in names}


def _without(defaults: Mapping[str, Any], names: set[str]) -> dict[str, Any]:
    return {name: value for name, value in defaults.items() if name not in names}


def _changed(before: Study, config: StudyConfig, defaults: Mapping[str, Any], lines: list[str]) -> Study:
    """Record that the space or a fixed value of a study changes, and return the study under it."""
    search = before.search
    change = {"trials": len(before.trials()), **_of(before.config, ["space", "fixed"]), "lines": lines}
    first = [params if config.searched.takes_up(params) else {} for params in before.start]
    with before.storage.together():
        search.set_user_attr(CHANGES, [*search.user_attrs.get(CHANGES, []), change])
        search.set_user_attr(START, first)
        search.set_user_attr("defaults", dict(defaults))
        changed = before.reconfigured(config)
    return dataclasses.replace(changed, defaults=dict(defaults))


def told(before: Study, now: Study) -> list[str]:
    """Return what is changed of a study, a line a difference, and what becomes of its trials; nothing where none is."""
    changes = now.search.user_attrs.get(CHANGES, [])
    if before.config.space == now.config.space and before.config.fixed == now.config.fixed:
        return []
    ended = [trial for trial in now.trials() if trial.ending not in ("running", "infeasible")]
    within = len(now.within(ended))
    lines = [f"changed: {line}" for line in changes[-1]["lines"]]
    inside = "none lies" if not within else f"{within} {'lies' if within == 1 else 'lie'}"
    trials = f"of {count(len(ended), 'trial')} so far {inside} in the space"
    kept = "they stay as history and may be finalists, the others only count towards num_samples"
    lines.append(f"{trials}: {kept if within else 'they only count towards num_samples'}")
    if before.config.fixed != now.config.fixed:
        lines.append("the values of those trials are of the fixed values as they were, and may not compare")
    return lines


def configs_of(made: Study) -> list[tuple[float, StudyConfig]]:
    """Return the configs under which the trials of a study were proposed, each with the number before which that was.

    As far as they have changed; what only a proposal depends on, as `prior` and the sampler, is left out.
    """
    configs: list[tuple[float, StudyConfig]] = []
    for change in made.search.user_attrs.get(CHANGES, []):
        before = {"space": change["space"], "fixed": change["fixed"], "start": [], "prior": {}}
        sampler = samplers.make(samplers.DEFAULT)  # which takes any space
        configs.append((change["trials"], dataclasses.replace(made.config, **before, sampler=sampler)))
    return [*configs, (math.inf, made.config)]


def config_in(configs: Iterable[tuple[float, StudyConfig]], number: int) -> StudyConfig:
    """Return the one of these under which a trial was proposed."""
    return next(config for end, config in configs if number < end)


def _differences(old: Any, new: Any, where: str = "") -> Iterator[str]:
    """Yield where two nested mappings differ, as text."""
    if not (isinstance(old, Mapping) and isinstance(new, Mapping)):
        are_nan = old != old and new != new  # NaN alone differs from itself
        if old != new and not are_nan:
            yield f"{where} was {old!r} and is {new!r}"
        return
    for name in dict.fromkeys([*old, *new]):
        place = f"{where}.{name}" if where else str(name)
        if name not in new:
            yield f"{place} was {old[name]!r} and is gone"
        elif name not in old:
            yield f"{place} is new: {new[name]!r}"
        else:
            yield from _differences(old[name], new[name], place)

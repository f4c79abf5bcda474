"""What a study that goes on must keep, and what may change."""

from collections.abc import Iterator, Mapping
from typing import Any

from search.errors import UserError, count
from search.journal.limits import NUMBER
from search.journal.replay import RETRY
from search.spec.config import StudyConfig
from search.study import Study

OF_WORKLOAD = ("workload", "command", "report", "fixed", "seed")
OF_SEARCH = ("metric", "mode", "objectives", "space", "try_defaults", "start", "warm_start", "prior")
KEPT = (*OF_WORKLOAD, *OF_SEARCH)
"""Settings without which the trials of a study could not be compared."""


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


def continued(before: Study, config: StudyConfig, epochs: int, defaults: Mapping[str, Any]) -> Study:
    """Return a study under a config that may ask for more, but for nothing else than before.

    Raises UserError, with the difference, where the trials so far would mean nothing under it.
    """
    old = {name: getattr(before.config, name) for name in KEPT}
    new = {name: getattr(config, name) for name in KEPT}
    old |= {"epochs": before.epochs, "defaults": before.defaults}
    new |= {"epochs": epochs, "defaults": defaults}
    differences = list(_differences(old, new))
    if differences:
        more = len(differences) - 3
        told = differences[:3] + ([f"{more} more"] if more > 0 else [])
        raise UserError(
            f"a study that goes on must keep {', '.join(KEPT)} and the workload's defaults, "
            f"but {'; '.join(told)}; start a new study"
        )
    trials = sum(trial.ending != "infeasible" for trial in before.trials())
    if config.num_samples is not None and config.num_samples < trials:
        raise UserError(
            f"num_samples must be at least the {count(trials, 'trial')} of the study, but got {config.num_samples}"
        )
    return before.reconfigured(config)


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

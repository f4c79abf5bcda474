"""The settings that end a search: how many trials, how long, how many epochs, patience, a target."""

import math
import re
from typing import Any

from search.errors import UserError, count, require

NAMES = ("time_budget", "epoch_budget", "patience", "target")
"""The settings, beside num_samples, that end a search."""
UNITS = {"": 1, "s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400}
"""Seconds of the units in which a time may be given."""
MOST_S = 1e9


def seconds_of(name: str, given: Any) -> float | None:
    """Return a time in seconds: of a number of those, or of text such as 90s, 10m, 1.5h, 2d; None of None.

    Raises UserError where it is nothing of the kind.
    """
    if given is None:
        return None
    seconds = math.nan
    if isinstance(given, str) and (found := re.fullmatch(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*([a-z]*)\s*", given)):
        seconds = float(found[1]) * UNITS.get(found[2], math.nan)
    elif isinstance(given, int | float) and not isinstance(given, bool):
        seconds = float(given) if abs(given) < MOST_S else math.inf
    if not 0 < seconds <= MOST_S:
        raise UserError(
            f"{name} must be a time above 0: seconds, or text such as 90s, 10m, 1.5h, 2d, but got {given!r}"
        )
    return seconds


def check(config: Any) -> None:
    """Raise UserError where a setting of a StudyConfig breaks its rule, or nothing would end the search."""
    others = f"{', '.join(NAMES[:-1])} or {NAMES[-1]}"
    trials = config.num_samples
    rule = ">= 1" if trials == 0 else f">= 1, or null where {others} ends the search"
    require(config, "num_samples", rule, trials is None or trials >= 1)
    for name in ("epoch_budget", "patience"):
        value = getattr(config, name)
        require(config, name, ">= 1, or null for no such limit", value is None or value >= 1)
    if trials is None and all(getattr(config, name) is None for name in NAMES):
        raise UserError(
            f"num_samples may be null where something else ends the search, but nothing does; give {others}"
        )


def check_epochs(config: Any, epochs: int) -> None:
    """Raise UserError where the budget of a search is smaller than one trial's epochs."""
    budget = config.epoch_budget
    if budget is not None and budget < epochs:
        raise UserError(f"epoch_budget must be at least the {count(epochs, 'epoch')} of one trial, but got {budget}")

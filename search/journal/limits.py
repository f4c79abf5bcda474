"""What ends a search, by its journal: how many trials it is to have, how long it was searched, and why it has ended."""

import math
from collections.abc import Sequence
from typing import Any

import optuna

from search.algorithms.stopping import Limits, Reason, Stopping
from search.journal.records import CHANGES
from search.journal.trial import Trial
from search.spec.config import StudyConfig
from search.spec.limits import NAMES

POSSIBLE = "possible"
"""The search's attribute that says how many trials its space has room for, where that was found to be finite."""
SEARCHED = "searched"
"""The search's attribute that says how many seconds it was searched; a study of before has none."""
REACHED = "reached"
"""The search's attribute that says which limit ended it, as it was then; a study of before has none."""
NUMBER = "num_samples"
EXHAUSTED = "the space has no other configuration"


def wanted(search: optuna.Study, config: StudyConfig) -> int | None:
    """Return how many trials a search is to have: as many as asked, or as its space has; None for any number."""
    numbers = [config.num_samples, search.user_attrs.get(POSSIBLE)]
    return min((number for number in numbers if number is not None), default=None)


def stopping(search: optuna.Study, config: StudyConfig, trials: Sequence[Trial], epochs: int) -> Stopping:
    """Return the limits of a search that were told all its trials, in the order in which these ended.

    Of one that does not lie in the space, as that was changed, only the epochs count: it may not win.
    """
    objective = config.objective
    target = None if config.target is None else objective.sign * config.target
    told = Stopping(Limits(config.time_budget, config.epoch_budget, config.patience, target), epochs)
    told.reason = recorded(search, config)
    for trial in sorted(trials, key=_ended_at):
        is_within = CHANGES not in search.user_attrs or config.searched.is_whole(trial.params)
        for epoch, value in enumerate(trial.curve(objective), 1):
            told.hear(trial.number, epoch, objective.sign * value if is_within else math.nan)
        if is_within and trial.ending not in ("running", "infeasible"):
            told.end(trial.number, is_complete=trial.ending == "complete", may_win=trial.may_win)
    told.pass_time(search.user_attrs.get(SEARCHED, _busy_s(trials)))
    return told


def recorded(search: optuna.Study, config: StudyConfig) -> Reason | None:
    """Return the limit that is recorded to have ended a search; None where none is, or it is another one now."""
    reached = search.user_attrs.get(REACHED)
    if reached and getattr(config, reached["setting"]) == reached["limit"]:
        return Reason(reached["setting"], reached["note"])
    return None


def record(search: optuna.Study, config: StudyConfig, reason: Reason) -> None:
    """Record which limit has ended a search: only under another one does it go on."""
    reached = {"setting": reason.setting, "limit": getattr(config, reason.setting), "note": reason.note}
    search.set_user_attr(REACHED, reached)


def ended_by(search: optuna.Study, config: StudyConfig, trials: Sequence[Trial], epochs: int) -> Reason | None:
    """Return why a search has ended; None as long as it has not."""
    if any(trial.ending == "running" for trial in trials):
        return None
    ended = sum(trial.ending != "infeasible" for trial in trials)
    number = wanted(search, config)
    has_all = number is not None and ended >= number
    if any(getattr(config, name) is not None for name in NAMES):
        reason = stopping(search, config, trials, epochs).reason
        if reason:
            return reason
    return Reason(NUMBER, "" if number == config.num_samples else EXHAUSTED) if has_all else None


def _ended_at(trial: Trial) -> tuple[float, int]:
    """Return when a trial ended, in seconds since 1970; of one that has not, after all others."""
    at = trial.started + trial.seconds
    return (at if math.isfinite(at) else math.inf), trial.number


def _busy_s(trials: Sequence[Trial]) -> float:
    """Return for how many seconds any of these trials was open: of a study of before, which has not counted them."""
    spans: list[Any] = sorted((trial.started, trial.started + trial.seconds) for trial in trials)
    seconds = 0.0
    until = -math.inf
    for begin, end in spans:
        if math.isfinite(begin) and math.isfinite(end):
            seconds += max(0.0, end - max(begin, until))
            until = max(until, end)
    return seconds

"""What ends a search, as a person reads it: what was asked, how far that is, and which limit it was."""

from search.algorithms.stopping import Reason, Stopping
from search.errors import count
from search.journal.limits import NUMBER
from search.spec.config import StudyConfig
from search.views.format import span


def described(config: StudyConfig) -> str:
    """Return what ends a search beside the number of its trials, as a line; empty where nothing does."""
    limits = _described(config)
    which = ", whichever comes first" if len(limits) > 1 or config.num_samples else ""
    return f"it ends {', or '.join(limits)}{which}" if limits else ""


def _described(config: StudyConfig) -> list[str]:
    limits = []
    if config.time_budget is not None:
        limits.append(f"after {span(config.time_budget)} of searching")
    if config.epoch_budget is not None:
        limits.append(f"after {count(config.epoch_budget, 'epoch')} in all")
    if config.patience is not None:
        limits.append(f"after {count(config.patience, 'trial')} in a row without an improvement beyond the noise")
    if config.target is not None:
        limits.append(f"when a trial has {config.metric} {config.target:g}")
    return limits


def why_ended(reason: Reason, config: StudyConfig) -> str:
    """Return which limit ended a search, as text that follows its name."""
    if reason.setting == NUMBER:
        trials = count(config.num_samples or 0, "trial")
        return f"{NUMBER}: {reason.note or f'it has its {trials}'}"
    note = f" ({reason.note})" if reason.note else ""
    texts = {
        "time_budget": lambda: f"it was searched for {span(config.time_budget or 0)}",
        "epoch_budget": lambda: f"its trials have trained {count(config.epoch_budget or 0, 'epoch')}",
        "patience": lambda: f"{count(config.patience or 0, 'trial')} in a row brought no improvement beyond the noise",
        "target": lambda: f"{config.metric} {config.target:g} was reached",
    }
    return f"{reason.setting}: {texts[reason.setting]()}{note}"


def ending(reason: Reason | None, config: StudyConfig) -> str:
    """Return a sentence on why a search has ended; empty where nothing but a number of trials was asked for."""
    if reason is None or (reason.setting == NUMBER and not described(config)):
        return ""
    return f"the search ended by {why_ended(reason, config)}"


def how_far(limits: Stopping | None, done: int, wanted: int | None) -> tuple[float | None, str]:
    """Return the share of a search that is done, by the limit that is nearest, and that limit as text: 3 of 10 min.

    The share is None, and the text empty, where nobody knows; the text is empty for the number of trials, too.
    """
    shares: list[tuple[float, str]] = []
    if wanted:
        shares.append((done / wanted, ""))
    asked = limits.limits if limits else None
    if limits and asked and asked.seconds is not None:
        shares.append((limits.seconds / asked.seconds, _of_time(limits.seconds, asked.seconds)))
    if limits and asked and asked.epochs is not None:
        shares.append((limits.trained / asked.epochs, f"{limits.trained} of {count(asked.epochs, 'epoch')}"))
    if limits and asked and asked.patience is not None:
        text = f"{limits.without} of {count(asked.patience, 'trial')} without an improvement"
        shares.append((limits.without / asked.patience, text))
    share, text = max(shares, default=(None, ""))
    return (None if share is None else min(share, 1.0)), text


def _of_time(seconds: float, limit: float) -> str:
    """Return seconds of so many, in the unit that suits the limit: 45 of 90 s, 3 of 10 min, 1.5 of 2 h."""
    if limit < 180:
        return f"{min(seconds, limit):.0f} of {limit:.4g} s"
    if limit < 180 * 60:
        return f"{min(seconds, limit) / 60:.0f} of {limit / 60:.3g} min"
    return f"{min(seconds, limit) / 3600:.1f} of {limit / 3600:.3g} h"

"""What to try next, as far as a study's own trials say it."""

from collections.abc import Iterator
from typing import Any

from search.analysis.snapshot import Snapshot
from search.analysis.verdict import SURE_ERRORS, Verdict
from search.errors import count
from search.spec.axes import Axis, axes_of
from search.views import no_winner
from search.views.format import number

END_SHARE = 0.03
"""Of a range, on its scale, which is its end."""
LATE_SHARE = 0.75
"""Of the trials, after which a new best one says that the search has not settled."""
MIN_TRIALS = 8
"""Without which nothing is said of how the search went."""
ENOUGH_TRIALS = 20
"""Without which nothing is said of what does not matter."""
MINOR_IMPORTANCE = 0.1
"""Below which a hyperparameter may be left alone."""


def advice(snapshot: Snapshot) -> list[str]:
    """Return sentences, the weightiest first; one that says that there is nothing where there is nothing."""
    sentences = list(_faults(snapshot))
    if snapshot.verdict:
        sentences += _doubts(snapshot.verdict)
    sentences += _search(snapshot)
    sentences += _space(snapshot)
    if sentences:
        return sentences
    if len(snapshot.trials) < ENOUGH_TRIALS or not snapshot.winner:
        return ["Nothing yet: too few trials, or none of them judged."]
    return ["Nothing in these trials asks for another search: more of the same would look for luck."]


def _faults(snapshot: Snapshot) -> Iterator[str]:
    if snapshot.outcome and not snapshot.winner:
        yield "No finalist trained to its end with every seed: keep the search away from where they diverge or fail."
    total = len(snapshot.trials)
    trials = count(total, "trial")
    failed = snapshot.endings["failed"]
    if failed:
        yield f"{failed} of {trials} failed: see the failures below."
    diverged = snapshot.endings["diverged"]
    if diverged and no_winner.is_hopeless(snapshot):
        yield f"{diverged} of {trials} diverged: search another space, of a learning rate, for one, lower values."
    elif diverged and diverged >= total / 10:
        yield f"{diverged} of {trials} diverged: the panels below show where; keep the search out of there."


def _doubts(verdict: Verdict) -> Iterator[str]:
    gain = None if verdict.further else verdict.validation  # of several objectives none decides by itself
    if verdict.defaults_win and (gain is None or gain.is_sure is not False):
        yield "No trial was better than the defaults: search longer, or in another space."
    elif gain and gain.value < 0 and gain.is_sure:
        yield "The defaults are better than the winner: search longer, or in another space."
    elif gain and gain.is_sure is False and not verdict.defaults_win:
        yield "The seeds do not tell the winner from the defaults: retrain with more seeds before you believe either."
    if verdict.noise is None:
        yield "With one seed nobody knows the noise: set seeds to 3 or more."
    if verdict.rivals:
        names = ", ".join(rival.name for rival in verdict.rivals)
        yield f"The seeds do not tell {names} from the winner: more seeds would, more trials would not."
    test = verdict.test
    if gain and test and verdict.survived is not None:
        at_most = test.value + SURE_ERRORS * (test.error or 0.0)
        if at_most < gain.value / 2:
            yield "Less than half of the gain is left on the test part: the search has fitted the validation part."


def _search(snapshot: Snapshot) -> Iterator[str]:
    best = snapshot.objective.best(snapshot.able)
    total = len(snapshot.trials)
    if not best or total < MIN_TRIALS:
        return
    if snapshot.trials.index(best) >= LATE_SHARE * (total - 1):
        yield f"The best value came late, in trial {best.number} of {total}: go on with more of them."
    if best.best_epoch == snapshot.epochs > 1:
        yield f"The best trial was at its best in its last epoch, {snapshot.epochs}: more epochs may help it."


def _space(snapshot: Snapshot) -> Iterator[str]:
    if snapshot.front:
        axes = axes_of(snapshot.space)
        for name, value in snapshot.front.params.items():
            end = _end_of_range(axes[name], value) if name in axes else ""
            is_natural = end == "low" and axes[name].low == 0 and not axes[name].choices  # as of a dropout
            if end and not is_natural:
                yield f"{name} {number(value)} of the best is at the {end} end of its range: search beyond it."
    minor = [importance.name for importance in snapshot.importances if importance.high < MINOR_IMPORTANCE]
    items = {item for series in snapshot.space.series.values() for item in series.items}
    minor = [name for name in minor if name not in items and _times_on(snapshot, name) >= ENOUGH_TRIALS]
    if minor:
        them = "it" if len(minor) == 1 else "them"
        yield f"{', '.join(minor)} hardly mattered: fix {them}, and search fewer."


def _times_on(snapshot: Snapshot, name: str) -> int:
    """Return how many trials with a value that counts have a hyperparameter."""
    return sum(name in trial.params for trial in snapshot.able)


def _end_of_range(axis: Axis, value: Any) -> str:
    """Return the end of its range that a value lies at, low or high; empty where it is at none, or a choice."""
    if not axis.is_ordered or not axis.holds(value):
        return ""
    place = axis.unit(value)
    if place <= END_SHARE:
        return "low"
    if place >= 1 - END_SHARE:
        return "high"
    return ""

"""What to try next, as far as a study's own trials say it."""

from collections.abc import Iterator

from search.analysis.snapshot import Snapshot
from search.analysis.verdict import SURE_ERRORS, Verdict
from search.views.format import number

EDGE = 0.03
"""Part of a range, on its scale, that is its end."""
LATE = 0.75
"""Share of the trials after which a new best one says that the search has not settled."""
ENOUGH = 20
"""Trials without which nothing is said of what does not matter."""
MINOR = 0.1
"""Importance below which a hyperparameter may be left alone."""


def advice(snapshot: Snapshot) -> list[str]:
    """Return sentences, the weightiest first; one that says that there is nothing where there is nothing."""
    found = [
        *_faults(snapshot),
        *(_doubts(snapshot.verdict) if snapshot.verdict else []),
        *_search(snapshot),
        *_space(snapshot),
    ]
    if not found and (len(snapshot.trials) < ENOUGH or not snapshot.winner):
        return ["Nothing yet: too few trials, or none of them judged."]
    return found or ["Nothing in these trials asks for another search: more of the same would look for luck."]


def _faults(snapshot: Snapshot) -> Iterator[str]:
    if snapshot.outcome and not snapshot.winner:
        yield "No finalist trained to its end with every seed: keep the search away from where they diverge or fail."
    total = len(snapshot.trials)
    failed = snapshot.endings["failed"]
    if failed:
        yield f"{failed} of {total} trials failed: see the failures below."
    diverged = snapshot.endings["diverged"]
    if diverged and diverged >= total / 10:
        yield f"{diverged} of {total} trials diverged: the panels below show where; keep the search out of there."


def _doubts(verdict: Verdict) -> Iterator[str]:
    gain = verdict.validation
    if gain and gain.value < 0 and gain.is_sure is not False:
        yield "The defaults are better than the winner: search longer, or in another space."
    elif gain and gain.is_sure is False:
        yield "The seeds do not tell the winner from the defaults: retrain with more seeds before you believe either."
    if verdict.noise is None:
        yield "With one seed nobody knows the noise: set seeds to 3 or more."
    if verdict.rivals:
        names = ", ".join(each.name for each in verdict.rivals)
        yield f"The seeds do not tell {names} from the winner: more seeds would, more trials would not."
    test = verdict.test
    left = test.value + SURE_ERRORS * (test.error or 0.0) if test else 0.0
    if verdict.survived is not None and gain and left < gain.value / 2:
        yield "Less than half of the gain is left on the test part: the search has fitted the validation part."


def _search(snapshot: Snapshot) -> Iterator[str]:
    best = snapshot.objective.best(snapshot.able)
    total = len(snapshot.trials)
    if not best or total < 8:
        return
    if best.number >= LATE * (total - 1):
        yield f"The best value came late, in trial {best.number} of {total}: go on with more of them."
    if best.best_epoch == snapshot.epochs > 1:
        yield f"The best trial was at its best in its last epoch, {snapshot.epochs}: more epochs may help it."


def _space(snapshot: Snapshot) -> Iterator[str]:
    for name, value in snapshot.front.params.items() if snapshot.front else ():
        axis = snapshot.axes[name]
        if not axis.choices:
            at = axis.unit(value)
            if at <= EDGE or at >= 1 - EDGE:
                end = "low" if at <= EDGE else "high"
                yield f"{name} {number(value)} of the best is at the {end} end of its range: search beyond it."
    minor = [each.name for each in snapshot.importances if each.high < MINOR]
    if minor and len(snapshot.able) >= ENOUGH:
        yield f"{', '.join(minor)} hardly mattered: fix {'it' if len(minor) == 1 else 'them'}, and search fewer."

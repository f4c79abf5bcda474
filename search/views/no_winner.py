"""Why a study has no winner, in one sentence: what a winner must do, what happened instead, and what to do about it.

And why the defaults are the winner.
"""

from collections import Counter

from search.analysis.snapshot import Snapshot
from search.errors import command, count
from search.journal.outcome import Candidate
from search.journal.trial import Trial
from search.views import chosen

MAX_LISTED = 3
"""Finalists of which is told what became of their seeds."""


def why(snapshot: Snapshot) -> str:
    """Return why a study has no winner, which it must not have."""
    if snapshot.outcome:
        return _of_finalists(snapshot)
    if snapshot.able:
        return "a winner must be retrained, but no retraining has ended; go on with --resume"
    return _of_trials(snapshot)


def why_defaults(snapshot: Snapshot) -> str:
    """Return why the defaults win a retraining, which they must."""
    assert snapshot.outcome is not None
    assert snapshot.winner is not None
    seeds = count(len(snapshot.winner.runs), "seed")
    opponent = snapshot.outcome.opponent(snapshot.objective)
    if opponent and snapshot.outcome.chosen_by is not None:
        best = f"the best of {len(snapshot.outcome.finalists)} by seed {snapshot.outcome.chosen_by}"
        return f"{opponent.label}, {best}, was not better on {chosen.seeds(snapshot.outcome.judged_by)}"
    if opponent:
        return f"no trial was better over {seeds}"
    if snapshot.outcome.finalists:
        return "no finalist trained to its end with every seed"
    return "no other trial could be retrained"


def is_hopeless(snapshot: Snapshot) -> bool:
    """Return whether the search has ended without a trial that could be retrained."""
    return snapshot.ended_by is not None and not snapshot.able


def _of_trials(snapshot: Snapshot) -> str:
    """Return why no trial could be retrained."""
    rule = f"a winner must train with a finite {snapshot.config.metric}"
    if not is_hopeless(snapshot) and (alike := snapshot.failed_alike):
        again = command("search.run", "--resume", snapshot.folder, "--allow-changes", "--retry-failed")
        trials = f"{count(len(alike), 'trial')} failed in the same way before any went well (max_same_failures)"
        return f"{rule}, but {trials}; mend that, and go on with {again}"
    if not is_hopeless(snapshot):
        return f"{rule}, but no trial has ended so yet; go on with --resume"
    happened = []
    fixes = []
    diverged = snapshot.in_state("diverged")
    failed = snapshot.in_state("failed")
    if failed:
        happened.append(f"{len(failed)} failed")
        fixes.append("mend what failed")
    if diverged:
        happened.append(f"{len(diverged)} diverged, {_when(diverged)}")
        fixes.append("search another space (of a learning rate, for one, lower values)")
    trials = count(len(snapshot.trials), "trial")
    if not snapshot.trials and snapshot.infeasible:
        return f"{rule}, but all {len(snapshot.infeasible)} configurations of the space are infeasible; search another"
    return f"{rule}, but of {trials} {' and '.join(happened) or 'none did'}; {', and '.join(fixes) or 'search longer'}"


def _when(diverged: list[Trial]) -> str:
    """Return at which epochs trials diverged: where each of them ended."""
    epochs = [len(trial.epochs) for trial in diverged]
    first = min(epochs)
    last = max(epochs)
    if first == last:
        return f"at epoch {first}"
    return f"at epochs {first} to {last}"


def _of_finalists(snapshot: Snapshot) -> str:
    """Return why none of the retrained configurations could win."""
    assert snapshot.outcome is not None
    happened = []
    endings = set()
    outcome = snapshot.outcome
    for candidate in outcome.candidates if outcome.may_win else outcome.finalists:
        happened.append(f"of {candidate.label} {wrong_seeds(candidate)}")
        endings |= {run.ending for run in candidate.runs}
    others = [trial for trial in snapshot.able if not outcome.may_win or trial is not snapshot.defaults_trial]
    are_all = len(outcome.finalists) >= len(others)
    more = len(happened) - MAX_LISTED
    if more > 0:
        happened[MAX_LISTED:] = [f"{more} more are like them"]
    # What may help against each of the endings that occurred.
    fixes = []
    if "failed" in endings:
        fixes.append("mend what failed (see logs/retraining.log)")
    if "diverged" in endings:
        fixes.append("keep the space away from where they diverge")
    if not are_all:
        fixes.append("retrain more finalists")
    return f"a winner must train to its end with every seed, but {', '.join(happened)}; {', or '.join(fixes)}"


def wrong_seeds(candidate: Candidate) -> str:
    """Return what became of the seeds of a candidate that did not train to their end."""
    counts = Counter(run.ending for run in candidate.runs if run.ending != "complete")
    seeds = count(len(candidate.runs), "seed")
    wrong = [f"{number} of {seeds} {ending}" for ending, number in counts.items()]
    return ", ".join(wrong) or "no finite value"

"""What the report says in words: what won, can it be trusted, what mattered, what it cost, and what to try next."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from search.analysis.snapshot import Snapshot
from search.analysis.verdict import Gain, Verdict
from search.errors import count, have
from search.journal.front import described
from search.journal.outcome import Candidate
from search.journal.trial import WORDS, State
from search.views import no_winner
from search.views.chosen import chosen_among
from search.views.format import infeasible, outside, plus_minus, span, spread, values
from search.views.limits import ending
from search.views.page import timeline
from search.views.page.advice import advice
from search.views.page.rows import Rows

ENDINGS: dict[State, str] = {**WORDS, "running": "running or cut off"}
"""The states of a trial, in words."""


@dataclass(frozen=True)
class Card:
    """One question and its answer."""

    title: str
    lines: list[str]
    lead: bool = True
    """Whether the first line is the answer, and the others what it rests on."""
    wide: bool = False


def aims(snapshot: Snapshot) -> str:
    """Return what the search is for: each metric, and whether less or more of it is better."""
    words = {"min": "lower", "max": "higher"}
    return "; ".join(f"{each.metric}, {words[each.mode]} is better" for each in snapshot.config.aims.all)


def progress(snapshot: Snapshot) -> str:
    """Return in a sentence how far the search is, and whether it has been retrained and judged."""
    ended = snapshot.ended
    running = snapshot.endings["running"]
    asked = snapshot.wanted
    of_all = f"{count(ended, 'trial')} {have(ended)}"
    if asked is not None:
        of_all = f"{ended} of {count(asked, 'trial')} {have(asked)}"
    if running:
        return f"Not finished: {of_all} ended, {running} running or cut off."
    if not snapshot.ended_by:
        return f"Not finished: {of_all} ended."
    trials = count(ended, "trial")
    if snapshot.outcome and not snapshot.winner:
        return f"{trials}, retrained: no configuration trained to its end with every seed."
    if not snapshot.able:
        return f"{trials}, of which none can win."
    if snapshot.is_unjudged:
        return f"{trials}, not retrained: finalists is 0."
    if not snapshot.winner:
        return f"{trials}, not retrained to the end yet: --resume does that."
    if not snapshot.is_current:
        return f"{trials}; the verdict is on the best of fewer: --resume judges those of now."
    return f"{trials}, retrained and judged."


def cards(snapshot: Snapshot, stretches: list[Rows]) -> list[Card]:
    """Return the answers, in the order in which people ask; `stretches` are those of its time."""
    return [_won(snapshot), _trust(snapshot), _mattered(snapshot), _cost(snapshot, stretches), _next(snapshot)]


def _won(snapshot: Snapshot) -> Card:
    title = "What won?"
    front = snapshot.front
    winner = snapshot.winner
    if winner:
        mean = f"{_means(snapshot, winner)} over {count(len(winner.values), 'seed')}"
        if snapshot.defaults_win:
            defaults = values(snapshot.params_of(winner))
            return Card(title, ["the defaults", no_winner.why_defaults(snapshot), mean, defaults])
        if front:
            chosen = chosen_among(snapshot.outcome) if snapshot.outcome else ""
            return Card(title, [line for line in (winner.name, mean, chosen, values(front.params)) if line])
    if snapshot.outcome or no_winner.is_hopeless(snapshot):
        return Card(title, ["nothing", no_winner.why(snapshot)])
    if not front:
        return Card(title, ["nothing yet", "no trial has been trained to its end"])
    value = f"{described(front, snapshot.config.aims)} in the search; not retrained, so not judged"
    name = f"trial {front.number}" if snapshot.is_unjudged else f"trial {front.number} so far"
    if front is snapshot.defaults_trial:
        name += ", the defaults"
    return Card(title, [name, value, values(front.params)])


def _means(snapshot: Snapshot, winner: Candidate) -> str:
    """Return the winner's mean in each objective."""
    means = [f"{name} {spread(values)}" for name, values in winner.by_objective(snapshot.config.aims)]
    return ", ".join(means)


def _trust(snapshot: Snapshot) -> Card:
    title = "Can I trust it?"
    verdict = snapshot.verdict
    if not verdict and snapshot.outcome:
        return Card(title, ["no", "retrained with other seeds, no finalist trained to its end with every seed"])
    if no_winner.is_hopeless(snapshot):
        return Card(title, ["no", "no trial has a value that counts"])
    if not verdict and snapshot.is_unjudged:
        return Card(title, ["nobody knows", "the best of many noisy trials flatters itself, and finalists is 0"])
    if not verdict:
        return Card(title, ["not yet", "the best of many noisy trials flatters itself; retraining judges it"])
    lines = ["nothing to compare it with"]
    if verdict.validation and verdict.over:
        over = verdict.over.label if verdict.defaults_win else "the defaults"
        lines = [_gain(verdict.validation, over)]
        if verdict.further:
            gains = [verdict.validation, *verdict.further]
            lines = [f"{gain.metric}: {_gain(gain, over)}" for gain in gains]
    lines += _survived(verdict)
    if verdict.noise is not None:
        lines.append(f"its standard deviation over seeds is {verdict.noise:.2g}: believe no smaller difference")
    if verdict.rivals:
        names = ", ".join(rival.name for rival in verdict.rivals)
        lines.append(f"not told apart from it: {names}")
    return Card(title, lines)


def _survived(verdict: Verdict) -> list[str]:
    """Return what is to be said of held-out data, as at most one line."""
    if verdict.survived is not None and verdict.survived <= 0:
        return ["nothing of the validation gain survived on the held-out test part"]
    if verdict.survived is not None:
        return [f"{verdict.survived:.0%} of the validation gain survived on the held-out test part"]
    if verdict.validation and not verdict.test and not verdict.defaults_win:
        return ["no test metric stands for the search's, so nobody knows what survives on held-out data"]
    return []


def _gain(gain: Gain, over: str) -> str:
    doubt = {True: "", False: ": within the noise", None: ", on a single seed"}
    word = "worse" if gain.value < 0 else "better"
    return f"{word} than {over} by {plus_minus(abs(gain.value), gain.error)}{doubt[gain.is_sure]}"


def _mattered(snapshot: Snapshot) -> Card:
    title = "What mattered?"
    importances = snapshot.importances
    if not importances:
        return Card(title, ["too few trials to say"])
    lines = []
    for importance in importances[:4]:
        interval = f"{importance.low:.0%} to {importance.high:.0%}"
        lines.append(f"{importance.name} {importance.share:.0%} ({interval})")
    if len(importances) > 1 and importances[0].low <= importances[1].high:
        lines.append(f"their order may be chance, with {len(snapshot.able)} trials")
    return Card(title, lines)


def _cost(snapshot: Snapshot, stretches: list[Rows]) -> Card:
    clock_s = 0.0
    for stretch in stretches:
        clock_s += timeline.duration_s(stretch)
    epochs = f"{snapshot.trained} of {count(max(1, snapshot.full), 'epoch')} trained"
    lines = [
        f"{span(clock_s)} by the clock, {span(snapshot.worked)} of training in the search",
        _endings(snapshot),
        f"{epochs}; stopping early saved {snapshot.saved:.0%}",
    ]
    if line := ending(snapshot.ended_by, snapshot.config):
        lines.append(line)
    if refused := infeasible(snapshot.refused, len(snapshot.infeasible)):
        lines.insert(2, refused)
    if unlike := outside(len(snapshot.outside)):
        lines.insert(2, unlike)
    return Card("What did it cost?", lines)


def _endings(snapshot: Snapshot) -> str:
    if not snapshot.trials:
        return "no trial yet"
    counts = [f"{snapshot.endings[state]} {word}" for state, word in states(snapshot)]
    return f"{count(len(snapshot.trials), 'trial')}: {', '.join(counts)}"


def states(snapshot: Snapshot) -> list[tuple[State, str]]:
    """Return the states that occur, with the words for them."""
    return [(state, word) for state, word in ENDINGS.items() if snapshot.endings[state]]


def _next(snapshot: Snapshot) -> Card:
    return Card("What should I try next?", advice(snapshot), lead=False, wide=True)


def notes(snapshot: Snapshot) -> list[str]:
    """Return what is to be said below the winner and the defaults."""
    if not snapshot.winner:
        return []
    notes = []
    seeds = len(snapshot.winner.runs)
    if seeds > 1:
        unused = "none of which the search used"
        if snapshot.outcome and snapshot.outcome.chosen_by is not None:
            unused += ", nor the choice among the finalists"
        notes.append(f"Mean ± standard deviation over {seeds} seeds, {unused}.")
    verdict = snapshot.verdict
    if verdict and verdict.over and verdict.validation and verdict.test:
        gain = f"Gain of the defaults over {verdict.over.label}" if verdict.defaults_win else "Gain over the defaults"
        notes.append(f"{gain}: {_signed(verdict.validation)}, {_signed(verdict.test)}.")
    is_close = verdict is not None and verdict.validation is not None and verdict.validation.is_sure is False
    if is_close and snapshot.outcome and snapshot.outcome.is_race:
        notes.append("These seeds decided between the two as well, which flatters the better one a little.")
    if snapshot.times_tested > 1:
        notes.append("The test part has been looked at before, by an earlier retraining of this study.")
    return notes


def _signed(gain: Gain) -> str:
    return f"{gain.metric} {plus_minus(gain.value, gain.error)}"


def facts(snapshot: Snapshot) -> list[tuple[str, str]]:
    """Return how the study was made, a line a fact: of its newest session, and when the others were."""
    if not snapshot.sessions:
        return []
    newest = snapshot.sessions[-1]
    begun = [str(session.get("time")) for session in snapshot.sessions]
    versions = [f"{name} {version}" for name, version in newest.get("versions", {}).items() if version]
    machine = newest.get("machine", {})
    share = newest.get("share", {})
    of_each = f"{_of(share, 'cpus', 'CPU')} and {_of(share, 'gpus', 'GPU')}"
    changes = [
        f"after {count(change['trials'], 'trial')}: {line}" for change in snapshot.changes for line in change["lines"]
    ]
    return [
        *(("changed", change) for change in changes),
        ("command", str(newest.get("command", "unknown"))),
        ("begun", ", ".join(begun)),
        ("seed", str(snapshot.config.seed)),
        ("versions", ", ".join(versions)),
        ("machine", f"{machine.get('processor')}, {_of(machine, 'cpus', 'CPU')}, {machine.get('system')}"),
        ("at once", f"{_of(share, 'concurrent', 'trial')}, each with {of_each}"),
        ("git revision", str(newest.get("git") or "none")),
    ]


def _changes(snapshot: Snapshot) -> list[str]:
    """Return how the space and the fixed values were changed, a line a difference."""
    lines = []
    for change in snapshot.changes:
        lines += [f"after {count(change['trials'], 'trial')}: {line}" for line in change["lines"]]
    return lines


def _of(recorded: Mapping[str, Any], name: str, thing: str) -> str:
    """Return a number of things as a session has recorded it; what is no number as it stands."""
    number = recorded.get(name)
    if isinstance(number, int | float):
        return count(number, thing)
    return f"{number} {thing}s"

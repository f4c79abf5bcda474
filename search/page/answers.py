"""What people ask after a search: what won, can it be trusted, what mattered, what did it cost, what to try next."""

from dataclasses import dataclass, field

from search import journal, outcome
from search.page.advice import advice
from search.page.rows import Rows
from search.snapshot import Snapshot
from search.verdict import Gain, Verdict
from search.words import count, number, plus_minus, span, values

ENDINGS = {str(ending): word for ending, word in journal.WORDS.items()} | {"running": "running or cut off"}
"""The states of a trial, in words."""


@dataclass(frozen=True)
class Card:
    """One question and its answer."""

    title: str
    lines: list[str]
    lead: bool = True
    """Whether the first line is the answer, and the others what it rests on."""
    wide: bool = False


@dataclass(frozen=True)
class Comparison:
    """The winner beside the defaults."""

    columns: list[str]
    rows: list[tuple[str, list[str]]]
    judged: bool
    notes: list[str] = field(default_factory=list)


def progress(study: Snapshot) -> str:
    """Return how far the study is."""
    ended = sum(trial.ending != "running" for trial in study.trials)
    asked = study.config.num_samples
    if ended < asked or ended < len(study.trials):
        running = f", {len(study.trials) - ended} running or cut off" if ended < len(study.trials) else ""
        return f"Not finished: {ended} of {asked} trials have ended{running}."
    if study.outcome and not study.is_judged:
        return f"{asked} trials, retrained: no configuration trained to its end with every seed."
    if study.is_judged and not study.is_current:
        return f"{count(asked, 'trial')}; the verdict is on the best of fewer: --resume judges those of now."
    return count(asked, "trial") + (", retrained and judged." if study.is_judged else ", not retrained yet.")


def cards(study: Snapshot, stretches: list[Rows]) -> list[Card]:
    """Return the answers, in the order in which people ask; `stretches` are those of its time."""
    return [_won(study), _trust(study), _mattered(study), _cost(study, stretches), _next(study)]


def _won(study: Snapshot) -> Card:
    title, front, winner = "What won?", study.front, study.outcome.winner if study.outcome else None
    if not front:
        return Card(title, ["nothing yet", "no trial has been trained to its end"])
    if winner:
        mean = f"{study.config.metric} {outcome.spread(winner.values)} over {count(len(winner.values), 'seed')}"
        return Card(title, [winner.name, mean, values(front.params)])
    value = f"{study.config.metric} {number(front.value)} in the search; not retrained, so not judged"
    return Card(title, [f"trial {front.number} so far", value, values(front.params)])


def _trust(study: Snapshot) -> Card:
    title, verdict = "Can I trust it?", study.verdict
    if not verdict and study.outcome:
        return Card(title, ["no", "retrained with other seeds, no finalist trained to its end with every seed"])
    if not verdict:
        return Card(title, ["not yet", "the best of many noisy trials flatters itself; retraining judges it"])
    lines = [_gain(verdict.validation)] if verdict.validation else ["nothing to compare it with"]
    lines += _survived(verdict)
    if verdict.noise is not None:
        lines.append(f"its standard deviation over seeds is {verdict.noise:.2g}: believe no smaller difference")
    if verdict.rivals:
        lines.append(f"not told apart from it: {', '.join(each.name for each in verdict.rivals)}")
    return Card(title, lines)


def _survived(verdict: Verdict) -> list[str]:
    """Return what is to be said of held-out data, as at most one line."""
    if verdict.survived is not None and verdict.survived <= 0:
        return ["nothing of the validation gain survived on the held-out test part"]
    if verdict.survived is not None:
        return [f"{verdict.survived:.0%} of the validation gain survived on the held-out test part"]
    if verdict.validation and not verdict.test:
        return ["no test metric stands for the search's, so nobody knows what survives on held-out data"]
    return []


def _gain(gain: Gain) -> str:
    doubt = {True: "", False: ": within the noise", None: ", on a single seed"}
    word = "worse" if gain.value < 0 else "better"
    return f"{word} than the defaults by {plus_minus(abs(gain.value), gain.error)}{doubt[gain.is_sure]}"


def _mattered(study: Snapshot) -> Card:
    found = study.importances
    if not found:
        return Card("What mattered?", ["too few trials to say"])
    lines = [f"{each.name} {each.share:.0%} ({each.low:.0%} to {each.high:.0%})" for each in found[:4]]
    clear = len(found) < 2 or found[0].low > found[1].high
    doubt = [] if clear else [f"their order may be chance, with {len(study.able)} trials"]
    return Card("What mattered?", [*lines, *doubt])


def _cost(study: Snapshot, stretches: list[Rows]) -> Card:
    clock = span(sum(max(bar["end"] for bar in stretch) for stretch in stretches))
    counts = {state: sum(trial.ending == state for trial in study.trials) for state in ENDINGS}
    ended = ", ".join(f"{many} {word}" for (state, word) in ENDINGS.items() if (many := counts[state]))
    return Card(
        "What did it cost?",
        [
            f"{clock} by the clock, {span(study.worked)} of training in the search",
            f"{count(len(study.trials), 'trial')}: {ended}" if study.trials else "no trial yet",
            f"{study.trained} of {max(1, study.full)} epochs trained; stopping early saved {study.saved:.0%}",
        ],
    )


def _next(study: Snapshot) -> Card:
    return Card("What should I try next?", advice(study), lead=False, wide=True)


def comparison(study: Snapshot, times_tested: int) -> Comparison:
    """Return the winner beside the defaults, or the best so far where nothing is judged."""
    found, metric = study.outcome, study.config.metric
    if not found or not found.winner:
        front = study.front
        lines = [(name, [number(front.params[name])]) for name in study.space if name in front.params] if front else []
        lines += [(metric, [number(front.value)])] if front else []
        return Comparison([f"trial {front.number}"] if front else [], lines, judged=False)
    columns = [found.winner, *([found.reference] if found.reference else [])]
    made: list[tuple[str, list[str]]] = [
        (name, [number(each.config[name]) for each in columns]) for name in study.space
    ]
    made.append((metric, [outcome.spread(each.values) for each in columns]))
    made += [(name, [outcome.spread(each.tests.get(name, [])) for each in columns]) for name in found.winner.tests]
    seeds = len(found.winner.runs)
    notes = [f"Mean ± standard deviation over {seeds} seeds, none of which the search used."] if seeds > 1 else []
    verdict = study.verdict
    if verdict and verdict.validation and verdict.test:
        notes.append(f"Gain over the defaults: {_signed(verdict.validation)}, {_signed(verdict.test)}.")
    if times_tested > 1:
        notes.append("The test part has been looked at before, by an earlier retraining of this study.")
    return Comparison(["winner", "default"][: len(columns)], made, judged=True, notes=notes)


def _signed(gain: Gain) -> str:
    return f"{gain.metric} {plus_minus(gain.value, gain.error)}"


def facts(study: Snapshot) -> list[tuple[str, str]]:
    """Return how the study was made, a line a fact: of its newest session, and when the others were."""
    if not study.sessions:
        return []
    newest = study.sessions[-1]
    versions = ", ".join(f"{name} {version}" for name, version in newest.get("versions", {}).items() if version)
    machine = newest.get("machine", {})
    share = newest.get("share", {})
    return [
        ("command", str(newest.get("command", "unknown"))),
        ("begun", ", ".join(str(session.get("time")) for session in study.sessions)),
        ("seed", str(study.config.seed)),
        ("versions", versions),
        ("machine", f"{machine.get('processor')}, {machine.get('cpus')} CPUs, {machine.get('system')}"),
        (
            "at once",
            f"{share.get('concurrent')} trials, each with {share.get('cpus')} CPUs and {share.get('gpus')} GPUs",
        ),
        ("git revision", str(newest.get("git") or "none")),
    ]

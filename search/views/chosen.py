"""How the winner of a retraining was chosen, and on which seeds it was judged, in words."""

from collections.abc import Sequence

from search.journal.outcome import Outcome


def seeds(numbers: Sequence[int]) -> str:
    """Return the numbers of seeds, which follow each other, as text: seed 2, seeds 2 and 3, seeds 2 to 4."""
    if len(numbers) == 1:
        return f"seed {numbers[0]}"
    between = "and" if len(numbers) == 2 else "to"
    return f"seeds {numbers[0]} {between} {numbers[-1]}"


def chosen_among(outcome: Outcome) -> str:
    """Return how a race chose, and what judged: chosen among 6 by seed 1, judged on seeds 2 to 4.

    Of a single finalist the second half; empty in a retraining of before, in which all seeds did both.
    """
    if not outcome.is_race:
        return ""
    judged = f"judged on {seeds(outcome.judged_by)}"
    if outcome.chosen_by is None or outcome.defaults_win:
        return judged
    return f"chosen among {len(outcome.finalists)} by seed {outcome.chosen_by}, {judged}"

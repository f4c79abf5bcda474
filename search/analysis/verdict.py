"""What the winner's gain over the defaults is worth: beside the noise of seeds, and on data the search never saw."""

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass

from search.journal.outcome import Candidate, Outcome
from search.spec.objective import Objective, deviation, mean

PART = re.compile(r"^(val|valid|validation|eval|dev|test)[_/. -]|[_/. -](val|valid|validation|eval|dev|test)$", re.I)
"""What tells a metric of the validation part from the same of the test part: val_loss, test_loss, loss/val."""
SURE = 2.0
"""Standard errors that a difference must have to be believed."""


@dataclass(frozen=True)
class Gain:
    """By how much the winner beats another: a difference of means over seeds, positive where it is better."""

    metric: str
    winner: list[float]
    """A value a seed."""
    other: list[float]
    objective: Objective

    @property
    def value(self) -> float:
        """Return the difference of the means."""
        return self.objective.sign * (mean(self.other) - mean(self.winner))

    @property
    def error(self) -> float | None:
        """Return its standard error, from the seeds of both; None of a single seed."""
        if min(len(self.winner), len(self.other)) < 2:
            return None
        return math.hypot(*(deviation(each) / math.sqrt(len(each)) for each in (self.winner, self.other)))

    @property
    def is_sure(self) -> bool | None:
        """Return whether it, or the loss, is more than the seeds would make by chance; None of a single seed."""
        return None if self.error is None else abs(self.value) > SURE * self.error


@dataclass(frozen=True)
class Verdict:
    """What is to be made of a retraining with a winner."""

    noise: float | None
    """Standard deviation of the winner's value over seeds; None of a single seed."""
    validation: Gain | None
    """None without a reference, or where its seeds did not all train to their end."""
    test: Gain | None
    """Of the test metric that stands for the search's; None where none does."""
    rivals: list[Candidate]
    """The finalists that the seeds' noise does not tell from the winner."""

    @property
    def survived(self) -> float | None:
        """Return the share of the validation gain that is left on the test part; None where there is none to share."""
        if not self.validation or not self.test or not self.validation.is_sure or self.validation.value <= 0:
            return None
        return self.test.value / self.validation.value


def judge(outcome: Outcome, objective: Objective) -> Verdict:
    """Return what is to be made of a retraining, which must have a winner."""
    winner = outcome.winner
    assert winner is not None
    reference = outcome.reference if outcome.reference and outcome.reference.is_sound else None
    noise = deviation(winner.values) if len(winner.values) > 1 else None
    validation = Gain(objective.metric, winner.values, reference.values, objective) if reference else None
    test = _test_gain(winner, reference, objective) if reference else None
    rivals = []
    for candidate in outcome.candidates:
        is_other = candidate is not winner and candidate is not outcome.reference
        if is_other and candidate.is_sound:
            gain = Gain(objective.metric, winner.values, candidate.values, objective)
            if gain.is_sure is False:
                rivals.append(candidate)
    return Verdict(noise, validation, test, rivals)


def _test_gain(winner: Candidate, reference: Candidate, objective: Objective) -> Gain | None:
    """Return the gain on the test part; None where no test metric stands for the search's, or a seed has no value."""
    name = counterpart(objective.metric, winner.tests)
    if name is None:
        return None
    values = winner.tests[name] + reference.tests.get(name, [math.nan])
    if not all(map(math.isfinite, values)):
        return None
    return Gain(name, winner.tests[name], reference.tests[name], objective)


def counterpart(metric: str, tests: Iterable[str]) -> str | None:
    """Return the test metric that is the search's metric on the test part, by its name; None where none or two may be.

    val_loss and test_loss are the same but for their part, as are loss and test_loss.
    """
    same = [name for name in tests if PART.sub("", name).lower() == PART.sub("", metric).lower()]
    return same[0] if len(same) == 1 else None

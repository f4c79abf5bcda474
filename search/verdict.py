"""What the winner's gain over the defaults is worth: beside the noise of seeds, and on data the search never saw."""

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass

from search.outcome import Candidate, Outcome, deviation, mean

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
    mode: str

    @property
    def value(self) -> float:
        """Return the difference of the means."""
        difference = mean(self.other) - mean(self.winner)
        return difference if self.mode == "min" else -difference

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


def of(found: Outcome, metric: str, mode: str) -> Verdict:
    """Return what is to be made of a retraining, which must have a winner."""
    winner, reference = found.winner, found.reference
    assert winner is not None
    noise = deviation(winner.values) if len(winner.values) > 1 else None
    validation = test = None
    if reference and reference.is_sound:
        validation = Gain(metric, winner.values, reference.values, mode)
        name = counterpart(metric, winner.tests)
        if name and all(map(math.isfinite, winner.tests[name] + reference.tests.get(name, [math.nan]))):
            test = Gain(name, winner.tests[name], reference.tests[name], mode)
    finalists = [each for each in found.candidates if each.is_sound and each is not reference and each is not winner]
    rivals = [each for each in finalists if Gain(metric, winner.values, each.values, mode).is_sure is False]
    return Verdict(noise, validation, test, rivals)


def counterpart(metric: str, tests: Iterable[str]) -> str | None:
    """Return the test metric that is the search's metric on the test part, by its name; None where none or two may be.

    val_loss and test_loss are the same but for their part, as are loss and test_loss.
    """
    same = [name for name in tests if PART.sub("", name).lower() == PART.sub("", metric).lower()]
    return same[0] if len(same) == 1 else None

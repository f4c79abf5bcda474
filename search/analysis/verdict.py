"""What the winner's gain over the defaults is worth: beside the noise of seeds, and on data the search never saw.

Where the defaults themselves win, the gain is theirs over the best trial.
"""

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass

from search.journal.outcome import Candidate, Outcome
from search.spec.objective import Objective, deviation, mean
from search.spec.objectives import Objectives

PART = re.compile(r"^(val|valid|validation|eval|dev|test)[_/. -]|[_/. -](val|valid|validation|eval|dev|test)$", re.I)
"""What tells a metric of the validation part from the same of the test part: val_loss, test_loss, loss/val."""
SURE_ERRORS = 2.0
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
        return math.hypot(_error_of_mean(self.winner), _error_of_mean(self.other))

    @property
    def is_sure(self) -> bool | None:
        """Return whether it, or the loss, is more than the seeds would make by chance; None of a single seed."""
        error = self.error
        if error is None:
            return None
        return abs(self.value) > SURE_ERRORS * error


def _error_of_mean(values: list[float]) -> float:
    """Return the standard error of the mean of values, of which there must be two."""
    return deviation(values) / math.sqrt(len(values))


@dataclass(frozen=True)
class Verdict:
    """What is to be made of a retraining with a winner."""

    noise: float | None
    """Standard deviation of the winner's value over seeds; None of a single seed."""
    over: Candidate | None
    """What the gains are over: the reference, or where that wins the best finalist."""
    validation: Gain | None
    """None where there is none, or where its seeds did not all train to their end."""
    test: Gain | None
    """Of the test metric that stands for the search's; None where none does."""
    rivals: list[Candidate]
    """The finalists that the seeds' noise does not tell from the winner; in a race by the seed that chose."""
    defaults_win: bool = False
    further: tuple[Gain, ...] = ()
    """The gains in the other objectives, where there are several: what one costs may be what another gains."""

    @property
    def survived(self) -> float | None:
        """Return the share of the validation gain that is left on the test part; None where there is none to share."""
        if self.defaults_win or not self.validation or not self.test:
            return None
        if not self.validation.is_sure or self.validation.value <= 0:
            return None
        return self.test.value / self.validation.value


def judge(outcome: Outcome, objectives: Objectives) -> Verdict:
    """Return what is to be made of a retraining, which must have a winner."""
    objective = objectives.first
    winner = outcome.winner
    assert winner is not None
    # The noise: how far the winner's own seeds lie apart.
    noise = None
    if len(winner.values) > 1:
        noise = deviation(winner.values)
    # The gain over the reference, on both parts.
    over = outcome.opponent(objective)
    validation = None
    test = None
    if over and over.is_sound:
        validation = Gain(objective.metric, winner.values, over.values, objective)
        test = _test_gain(winner, over, objective)
    rivals = [] if objectives.are_several else _rivals(outcome, winner, noise, objective)
    further = _further(winner, over, objectives) if validation and over else ()
    return Verdict(noise, over, validation, test, rivals, outcome.defaults_win, further)


def _further(winner: Candidate, over: Candidate, objectives: Objectives) -> tuple[Gain, ...]:
    """Return the gains in the objectives after the first, as far as both have values of them."""
    gains = []
    for at, objective in enumerate(objectives.all[1:], 1):
        values = winner.values_of(at, objectives)
        others = over.values_of(at, objectives)
        if values and others:
            gains.append(Gain(objective.metric, values, others, objective))
    return tuple(gains)


def _rivals(outcome: Outcome, winner: Candidate, noise: float | None, objective: Objective) -> list[Candidate]:
    """Return the sound finalists whose difference from the winner the seeds may have made by chance.

    One that was not judged has a value of the seed that chose, as the winner has: two values of the same noise.
    """
    rivals = []
    for candidate in outcome.finalists:
        if candidate is winner or not candidate.is_sound:
            continue
        if candidate.is_judged:
            gain = Gain(objective.metric, winner.values, candidate.values, objective)
            is_rival = gain.is_sure is False
        else:
            is_rival = _is_near(winner, candidate, noise)
        if is_rival:
            rivals.append(candidate)
    return rivals


def _is_near(winner: Candidate, other: Candidate, noise: float | None) -> bool:
    """Return whether what two came to with the seed that chose differs by no more than two such values may."""
    values = [run.value for run in (*winner.choosing, *other.choosing) if run.value is not None]
    if len(values) != 2 or noise is None:
        return False
    return abs(values[0] - values[1]) <= SURE_ERRORS * math.sqrt(2) * noise


def _test_gain(winner: Candidate, over: Candidate, objective: Objective) -> Gain | None:
    """Return the gain on the test part; None where no test metric stands for the search's, or a seed has no value."""
    name = counterpart(objective.metric, winner.tests)
    if name is None:
        return None
    values = winner.tests[name] + over.tests.get(name, [math.nan])
    if not all(map(math.isfinite, values)):
        return None
    return Gain(name, winner.tests[name], over.tests[name], objective)


def counterpart(metric: str, tests: Iterable[str]) -> str | None:
    """Return the test metric that is the search's metric on the test part, by its name; None where none or two may be.

    val_loss and test_loss are the same but for their part, as are loss and test_loss.
    """
    same = [name for name in tests if _without_part(name) == _without_part(metric)]
    if len(same) != 1:
        return None
    return same[0]


def _without_part(metric: str) -> str:
    return PART.sub("", metric).lower()

"""Hyperband: successive halving in several brackets, each with a grace period of its own.

Li et al., Hyperband: A Novel Bandit-Based Approach to Hyperparameter Optimization, JMLR 18, 2018,
https://jmlr.org/papers/v18/16-558.html.

ASHA must be told how early a trial may be judged. Hyperband hedges: bracket 0 judges from grace_period epochs on,
bracket 1 from reduction_factor times as many, ..., and the last one hardly stops anything. Of s + 1 brackets that with
k halvings gets trials in proportion to (s + 1) / (k + 1) * reduction_factor**k, so that each trains about the same
number of epochs; they are as many as Optuna's HyperbandPruner has. Within a bracket the rule is ASHA's: the paper's
waits until a bracket is full.

What differs from Optuna's: a trial's bracket is a function of its number alone, not of a hash of it and the study's
name, and the brackets take turns, so that of any few trials in a row each gets its share. A trial is judged by its best
epoch so far, and one that is resumed or trained again went on at the rungs where it was.
"""

from dataclasses import dataclass

from search.algorithms.asha import SuccessiveHalving, powers
from search.errors import check_types, require


@dataclass(frozen=True)
class Hyperband:
    """Hyperband's two numbers. Raises UserError at a value that breaks its rule."""

    grace_period: int = 1
    """Epochs that every trial may train: the first rung of the bracket that stops the most."""
    reduction_factor: int = 3
    """At each rung one in so many goes on, and the next rung, or the next bracket's first, is so many times higher."""

    def __post_init__(self) -> None:
        check_types(self)
        require(self, "grace_period", ">= 1", self.grace_period >= 1)
        require(self, "reduction_factor", ">= 2", self.reduction_factor >= 2)

    def rungs(self, epochs: int) -> list[int]:
        """Return the epochs at which trials of so many epochs are compared, lowest first: those of bracket 0."""
        return powers(self.grace_period, self.reduction_factor, epochs - 1)

    def begins(self, epochs: int) -> list[int]:
        """Return the first rung of each bracket; a last one at `epochs` itself is a bracket that stops nothing."""
        return powers(self.grace_period, self.reduction_factor, epochs)

    def shares(self, epochs: int) -> list[int]:
        """Return of how many trials each bracket gets so many, in each turn of all of them."""
        brackets = len(self.begins(epochs))
        shares = []
        for bracket in range(brackets):
            halvings = brackets - 1 - bracket
            # The paper's n, rounded up: (s + 1) / (k + 1) * reduction_factor**k.
            shares.append(-(-brackets * self.reduction_factor**halvings // (halvings + 1)))
        return shares

    def chances(self, epochs: int) -> list[float]:
        """Return with what chance a trial goes on at each rung: the brackets that begin later let all theirs pass."""
        there = [float(share) for share in self.shares(epochs)]
        chances = []
        for rung in range(len(self.rungs(epochs))):
            passes = [many / self.reduction_factor if at <= rung else many for at, many in enumerate(there)]
            chances.append(sum(passes) / sum(there))
            there = passes
        return chances

    def rule(self, epochs: int) -> "Brackets":
        """Return the rule for a search whose full trials train so many epochs."""
        rungs = self.rungs(epochs)
        brackets = []
        for begin in self.begins(epochs):
            its_rungs = [rung for rung in rungs if rung >= begin]
            brackets.append(SuccessiveHalving(its_rungs, self.reduction_factor))
        return Brackets(brackets, turns(self.shares(epochs)))


def turns(shares: list[int]) -> list[int]:
    """Return the bracket of each trial of a turn: every one gets its share, spread evenly over the turn."""
    places = []
    for bracket, share in enumerate(shares):
        places += [((at + 0.5) / share, bracket) for at in range(share)]
    return [bracket for _, bracket in sorted(places)]


class Brackets:
    """The rule itself: which trials go on."""

    def __init__(self, brackets: list[SuccessiveHalving], turn: list[int]) -> None:
        self._brackets = brackets
        self._turn = turn
        """The bracket of each trial, by its number, over and over."""

    def goes_on(self, trial: int, epoch: int, loss: float) -> bool:
        """Take in a trial's best loss so far at an epoch; return whether it goes on, compared within its bracket."""
        if not self._turn:
            return True
        bracket = self._turn[trial % len(self._turn)]
        return self._brackets[bracket].goes_on(trial, epoch, loss)

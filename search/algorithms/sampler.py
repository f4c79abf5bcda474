"""What a sampler is: its options, what it reads of a search, and Optuna's sampler that it makes for a trial."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from optuna.samplers import BaseSampler

from search.algorithms.space import Space


@dataclass(frozen=True)
class Sampler(ABC):
    """The options of a sampler: a frozen dataclass that checks its fields and raises UserError."""

    learns: ClassVar[bool] = True
    """Whether its proposals get better with the history: what the time left is reckoned with."""
    reads_stopped: ClassVar[bool] = False
    """Whether it reads stopped trials, diverged and failed ones; else they are told as complete (`completed`)."""
    notes: ClassVar[tuple[str, ...]] = ()
    """Optuna's attributes of a trial without which the sampler does not know it as its own: the journal keeps them."""
    takes_several: ClassVar[bool] = True
    """Whether it searches for several objectives."""
    packages: ClassVar[tuple[str, ...]] = ()
    """What it imports when it proposes, beside what a search needs in any case."""
    draws: ClassVar[int] = 20
    """Draws for one proposal, where what it draws is known or refused; after those, random ones are next."""

    @property
    def learns_of_others(self) -> bool:
        """Return whether it learns of trials that it has not proposed, as those of an earlier study."""
        return self.learns and not self.notes

    def check(self, space: Space) -> None:
        """Raise UserError where it cannot search a space."""
        del space

    @abstractmethod
    def make(self, seed: int, trial: int, space: Space) -> BaseSampler:
        """Return Optuna's sampler for the proposal of a trial, by its number.

        It is asked for all values of that trial and for nothing else. `seed` is the study's, or of a further draw.
        """

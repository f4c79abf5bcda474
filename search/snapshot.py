"""A study as it stood at one moment, read from its journal: what its tables, pictures and report are made of."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from search import journal, verdict
from search.config import StudyConfig
from search.importance import Importance, importances
from search.outcome import REFERENCE, Outcome, finalists
from search.space import Space
from search.verdict import Verdict


@dataclass(frozen=True)
class Snapshot:
    """A study's trials, and what its newest retraining found."""

    name: str
    config: StudyConfig
    epochs: int
    """Epochs of a full trial."""
    space: Space
    trials: Sequence[journal.Trial]
    """By number."""
    outcome: Outcome | None
    """None where no retraining has finished."""
    sessions: Sequence[Mapping[str, Any]]
    """Where and with what it was searched: share, time, versions, machine, git; the newest last."""

    @property
    def able(self) -> list[journal.Trial]:
        """Return the trials with a value that counts."""
        return [trial for trial in self.trials if trial.may_win]

    @property
    def trained(self) -> int:
        """Return how many epochs its trials have trained."""
        return sum(len(trial.epochs) for trial in self.trials)

    @property
    def full(self) -> int:
        """Return how many they would have trained, had none ended before its time."""
        return len(self.trials) * self.epochs

    @property
    def saved(self) -> float:
        """Return the share of those that stopping early has saved."""
        spared = sum(self.epochs - len(trial.epochs) for trial in self.trials if trial.ending == "stopped")
        return spared / self.full if self.full else 0.0

    @property
    def worked(self) -> float:
        """Return the seconds of training of all its trials."""
        return sum(trial.worked for trial in self.trials)

    @property
    def rungs(self) -> list[int]:
        """Return the epochs at which trials are compared; none without a scheduler."""
        halving = self.config.scheduler
        return halving.rungs(self.epochs) if halving else []

    @cached_property
    def importances(self) -> list[Importance]:
        """Return what sets the best trials apart, the most important first; none of too few trials."""
        return importances(self.able, self.space, self.config.mode)

    @cached_property
    def verdict(self) -> Verdict | None:
        """Return what is to be made of the winner; None without one."""
        judged = self.outcome if self.outcome and self.outcome.winner else None
        return verdict.of(judged, self.config.metric, self.config.mode) if judged else None

    @property
    def front(self) -> journal.Trial | None:
        """Return the trial to be drawn in front: the winner of the retraining, else the best that may win."""
        if self.outcome and self.outcome.winner:
            return self.trials[int(self.outcome.winner.name.removeprefix("trial "))]
        return journal.best(self.able, self.config.mode)

    @property
    def is_current(self) -> bool:
        """Return whether the newest retraining was of those that would be its finalists now."""
        judged = self.outcome.candidates if self.outcome else ()
        chosen = finalists(list(self.trials), self.config.finalists, self.config.mode)
        names = {f"trial {trial.number}" for trial in chosen}
        return names == {each.name for each in judged if each.name != REFERENCE}

    @property
    def is_judged(self) -> bool:
        """Return whether a retraining has found a winner."""
        return bool(self.outcome and self.outcome.winner)

"""A search so far, in numbers: the sampler keeps them, the display shows them."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from search import journal


@dataclass
class Tally:
    """How many trials ended how, and the best so far."""

    metric: str
    mode: str
    running: int = 0
    endings: Counter[journal.Ending] = field(default_factory=Counter)
    best: float | None = None
    """Of the complete and the stopped trials."""
    best_trial: int = -1
    best_params: Mapping[str, Any] = field(default_factory=dict)
    last: str = ""
    """What the trial that ended last came to, as a sentence."""
    last_failed: bool = False

    @property
    def done(self) -> int:
        """Return how many trials have ended."""
        return self.endings.total()

    def end(self, trial: journal.OpenTrial, ending: journal.Ending, note: str) -> None:
        """Take in a trial that has ended; `note` says why a failed one did."""
        self.running -= 1
        self.endings[ending] += 1
        self.last_failed = ending == "failed"
        came = note if note or trial.best is None else f"best {self.metric} {trial.best:.5g}"
        self.last = f"trial {trial.number} {ending} at epoch {trial.epoch}{': ' if came else ''}{came}"
        wins = ending in ("complete", "stopped") and trial.best is not None
        if wins and journal.better(trial.best or 0.0, self.best, self.mode):
            self.best, self.best_trial, self.best_params = trial.best, trial.number, trial.params

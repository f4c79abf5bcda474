"""A search so far, in numbers: the searcher keeps them, the display shows them."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from search.algorithms.stopping import Stopping
from search.journal.records import OpenTrial
from search.journal.trial import Ending, State, Trial
from search.spec.objective import Objective

LEFT = "a trial left {} behind in its process; such a process is not used again, which costs the start of another"

FRESH = "fresh_process: true gives each trial a process of its own from the start"


@dataclass
class Progress:
    """How many trials ended how, and the best so far."""

    objective: Objective
    running: int = 0
    endings: Counter[State] = field(default_factory=Counter)
    best: float | None = None
    """Of the complete and the stopped trials."""
    best_trial: int = -1
    best_params: Mapping[str, Any] = field(default_factory=dict)
    events: list[tuple[str, bool]] = field(default_factory=list)
    """What has happened that is worth a line: a sentence, and whether it is shown beside a live display, too."""
    values: dict[int, float] = field(default_factory=dict)
    """Those of the complete and the stopped trials, by number."""
    _notes: set[str] = field(default_factory=set)

    wanted: int | None = 0
    """How many trials the search is to have; None for any number."""
    limits: Stopping | None = None
    """What ends it before that, and how far that is."""

    @property
    def done(self) -> int:
        """Return how many trials have ended, of those that count."""
        return self.endings.total() - self.endings["infeasible"]

    def recall(self, trial: Trial) -> None:
        """Take in a trial of an earlier session of the study."""
        if trial.ending != "running":
            self._count(trial.ending, trial.value, trial.number, trial.params)

    def end(self, trial: OpenTrial, ending: Ending, note: str) -> None:
        """Take in a trial that has ended; `note` says why a failed or an infeasible one did."""
        sentence = f"trial {trial.number} {ending} at epoch {trial.epoch}"
        if note:
            sentence += f": {note}"
        elif trial.best is not None:
            sentence += f": best {self.objective.metric} {trial.best:.5g}"
        self._tell(sentence, is_bad=ending == "failed")
        self._count(ending, trial.best, trial.number, trial.params)

    def lose(self, trial: OpenTrial, epoch: int, reason: str = "") -> None:
        """Take in a trial whose process died after an epoch, and that will be trained again.

        `reason` is text that follows a word, or empty.
        """
        sentence = f"trial {trial.number} lost its process after epoch {epoch}{reason}; it will be trained again"
        self._tell(sentence, is_bad=True)

    def retry(self, trial: OpenTrial, failure: str) -> None:
        """Take in a trial that failed in a process that had trained others, and is tried in a fresh one."""
        sentence = f"trial {trial.number} failed at epoch {trial.epoch} in a process that had trained others: {failure}"
        self._tell(f"{sentence}; it is tried once more in a fresh one ({FRESH})", is_bad=True)

    def tell_fresh(self, number: int) -> None:
        """Take in that such a trial did not fail in a fresh process."""
        self._say(f"trial {number} does not fail in a fresh process: each trial has its own now ({FRESH})", is_bad=True)

    def warn(self, sentence: str) -> None:
        """Take in what a person should know of a trial that runs."""
        self._say(sentence, is_bad=True)

    def tell_left(self, left: str) -> None:
        """Take in that a trial has left something behind in its process."""
        self._say(LEFT.format(left), is_bad=True)

    def note(self, line: str) -> None:
        """Take in a line on what a trial yields; each is said once."""
        if line not in self._notes:
            self._notes.add(line)
            self._say(line, is_bad=True)

    def _tell(self, sentence: str, *, is_bad: bool) -> None:
        """Take in that a trial runs no longer."""
        self.running -= 1
        self._say(sentence, is_bad=is_bad)

    def _say(self, sentence: str, *, is_bad: bool) -> None:
        self.events.append((sentence, is_bad))

    def _count(self, ending: Ending, value: float | None, number: int, params: Mapping[str, Any]) -> None:
        self.endings[ending] += 1
        if ending not in ("complete", "stopped") or value is None:
            return
        self.values[number] = value
        if self.objective.is_better(value, self.best):
            self.best = value
            self.best_trial = number
            self.best_params = params

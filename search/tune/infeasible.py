"""Configurations that a search proposed and the workload refused when it was to train them: no trials that count."""

from search.algorithms.space import MOST_POINTS, Takes
from search.errors import EndedError
from search.journal.limits import POSSIBLE
from search.journal.trial import Ending
from search.study import Study

MOST_IN_A_ROW = 100
"""Infeasible configurations, with no other ending between them, at which a search ends."""


class Refusals:
    """The infeasible configurations of a session: how many came in a row, and what trials the space has left."""

    def __init__(self, study: Study, takes: Takes) -> None:
        self._study = study
        self._takes = takes
        self._in_a_row = 0
        self._why = ""

    def add(self, ending: Ending, why: str) -> None:
        """Take in how a trial ended, and why."""
        self._in_a_row = self._in_a_row + 1 if ending == "infeasible" else 0
        self._why = why

    def check(self) -> None:
        """Raise EndedError where there were so many in a row that the next ones would most likely be, too."""
        if self._in_a_row >= MOST_IN_A_ROW:
            raise EndedError(
                f"a configuration must train for an epoch, but {self._in_a_row} in a row were refused before that, the "
                f"last with {self._why}; search another space, or mend what raises"
            )

    def wanted(self, before: int | None) -> int | None:
        """Return how many trials the search is to have: fewer than before, and recorded, where the space has fewer."""
        left = possible(self._study, self._takes)
        if left is None or (before is not None and left >= before):
            return before
        self._study.search.set_user_attr(POSSIBLE, left)
        return left


def possible(study: Study, takes: Takes) -> int | None:
    """Return how many trials that count a study's space has room for, up to those that are asked for; None for any."""
    asked = study.config.num_samples
    if not study.space.is_small:
        return asked
    if asked is None:
        asked = MOST_POINTS
    trials = study.trials()
    within = study.within(trials)
    infeasible = sum(trial.ending == "infeasible" for trial in within)
    # Those that count beside what the space has room for: they are from before it was changed.
    known = {trial.number for trial in within}
    outside = sum(trial.number not in known and trial.ending not in ("running", "infeasible") for trial in trials)
    room = study.space.room([trial.params for trial in within], takes, asked + infeasible)
    return min(asked, room - infeasible + outside)

"""What the failures of a search have in common: of one kind before any success, they end it; a process may be to blame.

A trial that fails in a process that has trained others is tried once more in a fresh one. A kind of failure that was
seen in a fresh process is the workload's own: a trial that fails so is not tried again.
"""

import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

from search.journal.trial import Ending, Trial

PLACE = re.compile(r'^ +File "(.+)", line (\d+), in ', re.MULTILINE)
"""A line of a traceback: the last one says where the exception was raised."""
RETRIED = "--- it failed in a process that had trained other trials; it is trained again in a fresh one"
"""The line that stands in a trial's log between the two."""


class AlikeFailuresError(Exception):
    """Ends a search whose trials all fail in the same way: the next ones would, too."""


class Failures:
    """The failures of a session, by their kinds, and whether any trial of the study has gone well."""

    def __init__(self, most_alike: int | None, defaults: Mapping[str, Any] | None = None) -> None:
        """`most_alike` are the failures of one kind, before any success, that end a search; None for any number."""
        self._most_alike = most_alike
        self._counts: Counter[str] = Counter()
        self._of_fresh: set[str] = set()
        """The kinds that were seen in a process that had trained nothing before."""
        self._defaults = defaults
        self._of_defaults: set[str] = set()
        """The kinds that the workload's defaults had."""
        self._is_well = False
        self.suspects: set[int] = set()
        """The trials that failed in a process that had trained others, and are tried in a fresh one."""

    def recall(self, trial: Trial) -> None:
        """Take in a trial of an earlier session: what failed then may have been mended."""
        if trial.ending not in ("running", "failed", "infeasible"):
            self._is_well = True

    def succeed(self) -> None:
        """Take in a trial that did not fail."""
        self._is_well = True

    def add(self, kind: str) -> None:
        """Take in a trial that failed so."""
        self._counts[kind] += 1

    def suspects_process(self, trial: int, result: Mapping[str, Any]) -> bool:
        """Return whether the process may be to blame for a trial's last result: what it raised, in a used process.

        Then it is to be tried in a fresh one.
        """
        traceback = result.get("traceback", "")
        if not traceback or result["failure"].startswith("TimeoutError"):
            return False
        kind = kind_of(result["failure"], traceback)
        if result.get("used") and kind not in self._of_fresh:
            self.suspects.add(trial)
            return True
        self._of_fresh.add(kind)
        return False

    def ending(self, ending: Ending, result: Mapping[str, Any], params: Mapping[str, Any]) -> Ending:
        """Return how a trial ended: what the workload's defaults raise, too, is no refusal of a combination."""
        if ending != "infeasible":
            return ending
        kind = kind_of(result["failure"], result["traceback"])
        if params == self._defaults:
            self._of_defaults.add(kind)
        return "failed" if kind in self._of_defaults else ending

    def check(self) -> None:
        """Raise AlikeFailuresError where so many trials have failed in the same way that the search is to end."""
        if self._most_alike is None or self._is_well:
            return
        if any(count >= self._most_alike for count in self._counts.values()):
            raise AlikeFailuresError


def kind_of(failure: str, traceback: str) -> str:
    """Return the kind of a failure: the exception's type and where it was raised, else the text without its numbers."""
    places = PLACE.findall(traceback)
    if places:
        file, line = places[-1]
        return f"{failure.partition(':')[0]} at {file}, line {line}"
    return re.sub(r"\d+(\.\d+)?", "#", failure)

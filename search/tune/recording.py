"""A searcher that writes the journal: an error of that ends the search, and never one of its trials."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from search.journal.records import OpenTrial
from search.study import Study
from search.tune.stateless import StatelessSearcher

log = logging.getLogger(__name__)


class RecordingSearcher(StatelessSearcher):
    """The base of the searcher that records a study's trials."""

    def __init__(self, study: Study) -> None:
        super().__init__(metric="value", mode=study.config.mode)
        self._study = study
        self.error: Exception | None = None
        """The error at which the journal could not be written; nothing is written after it."""

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Write the records of the block together. An error, such as a full disk, is kept for `check`.

        Raised here, Tune would take it for the trial's own.
        """
        try:
            with self._study.storage.together():
                yield
        except Exception as error:
            log.exception("the journal could not be written")
            self.error = self.error or error

    def _write_log(self, trial: OpenTrial, text: str) -> None:
        with self._study.log_of(trial.number).open("a", encoding="utf-8") as file:
            file.write(f"{text}\n")

    def check(self) -> None:
        """Raise the error at which the journal could not be written."""
        if self.error:
            raise self.error

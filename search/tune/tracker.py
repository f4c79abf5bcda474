"""What a tracker of one study is: Ray Tune's own callback for it, shown runs as people look at them.

Tune's callbacks would show its results, of several epochs each, and its trials, one more for each lost process.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from search.journal.trial import Ending as TrialEnding
from search.journal.trial import Trial
from search.spec import files
from search.study import Study

WHOLE = ".whole"
"""A file that lists the trials whose runs a tracker has from their first epoch to their ending."""
Ending = TrialEnding | Literal["interrupted"]


def whole(folder: Path) -> list[int]:
    """Return the trials that a tracker has, by its folder; a line that a power cut has left in part is none."""
    file = folder / WHOLE
    text = file.read_text(encoding="utf-8", errors="replace") if file.is_file() else ""
    return [int(line) for line in re.findall("^([0-9]{1,9})\n", text, re.MULTILINE)]


def lag(study: Study) -> bool:
    """Return whether a tracker lacks a trial that has ended."""
    if not study.config.trackers:
        return False
    ended = {trial.number for trial in study.trials() if trial.ending != "running"}
    return any(ended - set(whole(study.folder / name)) for name in study.config.trackers)


class Run:
    """A trial as Tune's callbacks look at one of Tune's."""

    def __init__(self, number: int, values: Mapping[str, Any], identity: str, study: str, folder: Path) -> None:
        self.number = number
        self.epoch = 0
        self.config = dict(values)
        self.evaluated_params = dict(values)
        self.trial_id = f"{identity}-{number:04}"  # no run of another study has it
        self.experiment_dir_name = study
        self.local_path = str(folder / str(self))

    def __str__(self) -> str:
        return f"trial-{self.number:04}"

    def init_local_path(self) -> None:
        """Make its folder."""
        Path(self.local_path).mkdir(parents=True, exist_ok=True)


class Tracker:
    """One tracker of one study: its runs begin, go on and end; each is known by its trial's number.

    A run that begins again takes the place of the old one. Every method may raise anything.
    """

    callback: Any
    """Tune's own."""

    def __init__(self, study: str, identity: str, folder: Path) -> None:
        """Set up in a folder of its own; `identity` tells the study from another of its name."""
        self._study = study
        self._identity = identity
        self._folder = folder.absolute()
        self._runs: dict[int, Run] = {}
        self._folder.mkdir(parents=True, exist_ok=True)
        self._kept = whole(folder)
        self._told = set(self._kept)
        """The trials of which nothing more is to be told."""
        self._set_up()

    def recall(self, trial: Trial, values: Mapping[str, Any]) -> None:
        """Take in a trial that has ended, unless it has been told."""
        if trial.number not in self._told:
            self.start(trial.number, values)
            for epoch, metrics in enumerate(trial.epochs, 1):
                self.add(trial.number, epoch, metrics)
            assert trial.ending != "running"
            self.end(trial.number, trial.ending)

    def start(self, number: int, values: Mapping[str, Any]) -> None:
        """Begin the run of a trial."""
        if number in self._runs:
            self.end(number, "interrupted")
        run = Run(number, values, self._identity, self._study, self._folder)
        self._forget(run)
        self._runs[number] = run
        self.callback.log_trial_start(run)

    def add(self, number: int, epoch: int, metrics: Mapping[str, float]) -> None:
        """Log the metrics of an epoch, counted from 1."""
        run = self._runs[number]
        run.epoch = epoch
        self.callback.log_trial_result(epoch, run, {**metrics, "training_iteration": epoch})

    def end(self, number: int, ending: Ending) -> None:
        """End the run of a trial; one that never began, as its process died before it, is for `recall`."""
        if number not in self._runs:
            return
        run = self._runs.pop(number)
        self._note(run, ending)
        self.callback.log_trial_end(run, failed=ending == "failed")
        if ending != "interrupted":
            self._told.add(number)
            self._keep(number)

    def close(self, seconds: float) -> None:
        """End what has not ended, within so many seconds where that has to be waited for."""
        for number in list(self._runs):
            self.end(number, "interrupted")
        self.callback.on_experiment_end([])

    def _set_up(self) -> None:
        """Make the callback."""
        raise NotImplementedError

    def _keep(self, number: int) -> None:
        """Note that a run is here, for later sessions."""
        self._kept.append(number)
        files.write(self._folder / WHOLE, "".join(f"{each}\n" for each in self._kept))

    def _forget(self, run: Run) -> None:
        """Remove an earlier run of the same trial."""
        raise NotImplementedError

    def _note(self, run: Run, ending: Ending) -> None:
        """Write how a run ends."""
        raise NotImplementedError

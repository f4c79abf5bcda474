"""The tracker of a study: Ray Tune's own logger callback, given one run a trial and one step an epoch.

Left to Tune, a callback would get its results, of several epochs each, and a further trial for each lost process.
"""

import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

from search.journal.trial import Ending as TrialEnding
from search.journal.trial import Trial
from search.spec import files
from search.study import Study
from search.tune.names import Names

WHOLE = ".whole"
"""The file in a tracker's folder that lists the trials whose runs it has in full, a number a line."""
Ending = TrialEnding | Literal["interrupted"]


def whole(folder: Path) -> list[int]:
    """Return the trials that the tracker of a folder has in full; a line that a power cut has left torn is ignored."""
    file = folder / WHOLE
    text = ""
    if file.is_file():
        text = file.read_text(encoding="utf-8", errors="replace")
    return [int(line) for line in re.findall("^([0-9]{1,9})\n", text, re.MULTILINE)]


def lag(study: Study) -> bool:
    """Return whether any tracker of a study lacks a trial that has ended."""
    if not study.config.trackers:
        return False
    ended = {trial.number for trial in study.trials() if trial.ending != "running"}
    return any(ended - set(whole(study.folder / name)) for name in study.config.trackers)


class Run:
    """The run of one of our trials, with the attributes that Tune's callbacks expect of a trial of Tune's."""

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
        """Make the run's folder, as Tune's callbacks ask a trial to."""
        Path(self.local_path).mkdir(parents=True, exist_ok=True)


class Tracker:
    """One tracker of one study: runs are started, logged epoch by epoch and ended, each by its trial's number.

    A run that is started again replaces the old one. Every method may raise whatever the tracker's library raises.
    """

    callback: Any
    """Tune's own logger callback."""

    def __init__(self, study: str, identity: str, folder: Path) -> None:
        """Set the tracker up in a folder of its own; `identity` tells the study from others of the same name."""
        self._study = study
        self._identity = identity
        self._folder = folder.absolute()
        self._runs: dict[int, Run] = {}
        self._names = Names(type(self).clean)
        self._folder.mkdir(parents=True, exist_ok=True)
        self._kept = whole(folder)
        self._told = set(self._kept)
        """The trials whose ending the tracker has been given: nothing more is to be told of them."""
        self._set_up()

    def recall(self, trial: Trial, values: Mapping[str, Any]) -> None:
        """Log a trial of the journal that has ended as a whole run, unless the tracker has it."""
        if trial.number not in self._told:
            self.start(trial.number, values)
            for epoch, metrics in enumerate(trial.epochs, 1):
                self.add(trial.number, epoch, metrics)
            assert trial.ending != "running"
            self.end(trial.number, trial.ending)

    def start(self, number: int, values: Mapping[str, Any]) -> None:
        """Begin the run of a trial with this config; an earlier run of the trial is removed."""
        if number in self._runs:
            self.end(number, "interrupted")
        run = Run(number, values, self._identity, self._study, self._folder)
        self._forget(run)
        self._told.discard(number)  # one that had failed may be trained again
        self._runs[number] = run
        self.callback.log_trial_start(run)

    def add(self, number: int, epoch: int, metrics: Mapping[str, float]) -> None:
        """Log the metrics of one epoch, counted from 1."""
        run = self._runs[number]
        run.epoch = epoch
        self.callback.log_trial_result(epoch, run, {**self._names.of(metrics), "training_iteration": epoch})

    def end(self, number: int, ending: Ending) -> None:
        """End the run of a trial. One that never began, as its process died before it, is left to `recall`."""
        if number not in self._runs:
            return
        run = self._runs[number]
        self._note(run, ending)
        self.callback.log_trial_end(run, failed=ending == "failed")
        del self._runs[number]
        if ending != "interrupted":
            self._told.add(number)
            self._keep(number)

    def close(self, seconds: float) -> None:
        """End every open run as interrupted, and flush: within so many seconds where that has to be waited for."""
        for number in list(self._runs):
            self.end(number, "interrupted")
        self.callback.on_experiment_end([])

    def abandon(self) -> None:
        """End every open run as interrupted, as far as that goes: a call has failed, and no other will follow."""
        for number in list(self._runs):
            with suppress(Exception):
                self.end(number, "interrupted")

    @staticmethod
    def clean(name: str) -> str:
        """Return the name of a metric as the tracker's library takes it; where it takes any, there is nothing to do."""
        return name

    def _set_up(self) -> None:
        """Create `self.callback` and set it up."""
        raise NotImplementedError

    def _keep(self, number: int) -> None:
        """Record in the folder that a run is complete, so that a later session does not log it again."""
        self._kept.append(number)
        lines = [f"{kept}\n" for kept in self._kept]
        files.write(self._folder / WHOLE, "".join(lines))

    def _forget(self, run: Run) -> None:
        """Remove an earlier run of the same trial, if there is one."""
        raise NotImplementedError

    def _note(self, run: Run, ending: Ending) -> None:
        """Write the ending where the tracker shows it."""
        raise NotImplementedError

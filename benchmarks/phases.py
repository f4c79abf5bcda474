"""Where our seconds go: the phases of one command, told apart by what its journal says of them."""

from pathlib import Path

from search import study
from search.journal import records
from search.study import RETRAINING

PHASES = ("start", "first epochs", "search", "retraining", "end")
"""Until the first proposal (imports, Ray); until the first epoch is in the journal (Tune, torch, numba and the data in
the workers); until the last trial has ended; until the last run has ended; and the test, the winner's files, tables,
pictures and Ray's end."""


def of(folder: Path, began: float, first_epoch_s: float, seconds: float) -> dict[str, float]:
    """Return the seconds of each phase, and `busy`: the share of the workers' time in the search that was training.

    `folder` is that of the study; `began` in seconds since 1970; the others in seconds from there.
    """
    made = study.load(folder)
    trials = made.trials()
    runs = records.read(made.others(RETRAINING)[-1], made.objective)
    ends = [
        trials[0].started - began,
        first_epoch_s,
        max(trial.started + trial.seconds for trial in trials) - began,
        max(run.started + run.seconds for run in runs) - began,
        seconds,
    ]
    spans = [end - begin for begin, end in zip([0.0, *ends], ends, strict=False)]
    sessions = made.search.user_attrs[study.SESSIONS]
    trained = sum(trial.epochs[-1]["elapsed_s"] for trial in trials if trial.epochs)
    busy = trained / (ends[2] - ends[0]) / sessions[-1]["share"]["concurrent"]
    return {**dict(zip(PHASES, spans, strict=True)), "busy": busy}

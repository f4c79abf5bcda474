"""What an earlier session left open: a kill may have come at any moment."""

from search.journal.records import OpenTrial
from search.study import Study

OUTSIDE = "it was cut off, and does not lie in the space as that was changed"
"""Why a trial is infeasible that an earlier session had proposed in another space."""


def take_up(study: Study) -> list[OpenTrial]:
    """Close the open trials of which all was recorded; return the others, which are to be trained again."""
    again = []
    for trial in study.trials():
        if trial.ending != "running":
            continue
        opened = OpenTrial.of(study.search, trial.number, study.space)
        ending = trial.settled(study.epochs, study.objective)
        if ending:
            with study.storage.together():
                opened.settle(trial, ending, study.objective)
        elif not study.space.is_whole(opened.params):
            opened.refuse(OUTSIDE)
            opened.end("infeasible")
        else:
            opened.begin_again()
            again.append(opened)
    return again

"""The proposer of a study: its sampler by name, and what that is told of the trials."""

from collections.abc import Sequence

from optuna.study import StudyDirection
from optuna.trial import FrozenTrial

from search.algorithms.history import Several
from search.algorithms.proposals import Proposer
from search.algorithms.space import Takes
from search.journal import earlier, front
from search.journal.records import read_trial
from search.spec import prior
from search.spec.objectives import Objectives
from search.study import Study


def proposer_of(study: Study, takes: Takes, *, begins: bool = True) -> Proposer:
    """Return what proposes the trials of a study, which the workload takes; unless it `begins`, without its `start`."""
    config = study.config
    several = _several(config.aims) if config.aims.are_several else None
    known = earlier.as_optuna(earlier.read(study.search), study.space, are_several=several is not None)
    return Proposer(
        config.sampler,
        config.seed,
        study.space,
        takes,
        start=study.start if begins else (),
        several=several,
        earlier=known,
        prior=prior.parse(config.prior, study.space),
    )


def _several(objectives: Objectives) -> Several:
    directions = [StudyDirection[objective.direction.upper()] for objective in objectives.all]

    def values_of(trial: FrozenTrial) -> Sequence[float] | None:
        return front.point(read_trial(trial, objectives.first), objectives)

    return Several(directions, values_of)

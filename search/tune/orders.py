"""The order of a trial: what its process is told."""

from collections.abc import Collection

from search.journal.records import OpenTrial
from search.spec.paths import in_full
from search.study import Study
from search.tune.trainable import TrialOrder
from search.worker.training import Order


def order_of(study: Study, trial: OpenTrial, gpus: float, also: Collection[int], *, is_fresh: bool) -> TrialOrder:
    """Return the message to the process that trains a trial, which is a new one where it `is_fresh`.

    It reports at the scheduler's rungs, and at the epochs of `also`.
    """
    config = study.config
    rungs = config.scheduler.rungs(study.epochs) if config.scheduler else []
    order = Order(
        workload=in_full(config.source),
        gpus=gpus,
        objective=config.objective,
        values=config.values(trial.params),
        timeout=config.epoch_timeout,
        epochs=study.epochs,
        others=tuple(config.aims.names[1:]),
        folder=study.folder_of(f"{trial.number:04d}").absolute(),
    )
    return TrialOrder(trial.number, order, [*rungs, *also], study.log_of(trial.number).absolute(), is_fresh)

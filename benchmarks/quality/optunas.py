"""Optuna's own: its TPE and one of its pruners, by ask, report, should_prune and tell."""

import optuna
from optuna.pruners import BasePruner
from optuna.samplers import TPESampler
from optuna.trial import TrialState

from benchmarks.quality.tables import Params, Table


class Optunas:
    """A search as Optuna's documentation sets it up: the metric is reported as it is, the last one is returned."""

    def __init__(self, table: Table, seed: int, pruner: BasePruner) -> None:
        self._space = table.space
        # HyperbandPruner draws a trial's bracket from the name of the study, which would be a random one.
        name = f"seed {seed}"
        sampler = TPESampler(seed=seed)
        self._study = optuna.create_study(study_name=name, sampler=sampler, pruner=pruner, direction="minimize")
        self._open: dict[int, optuna.Trial] = {}
        self._params: dict[int, Params] = {}
        self._last: dict[int, float] = {}
        self._stopped: set[int] = set()

    def ask(self) -> tuple[int, Params]:
        """Return the next trial."""
        trial = self._study.ask(fixed_distributions=dict(self._space))
        self._open[trial.number] = trial
        self._params[trial.number] = trial.params
        return trial.number, trial.params

    def hear(self, number: int, epoch: int, loss: float, *, is_last: bool) -> bool:
        """Report an epoch, and tell the ending."""
        trial = self._open[number]
        self._last[number] = loss
        trial.report(loss, epoch)
        if is_last:
            self._study.tell(trial, loss)
            return False
        if not trial.should_prune():
            return True
        self._study.tell(trial, state=TrialState.PRUNED)
        self._stopped.add(number)
        return False

    def chosen(self) -> Params | None:
        """Return the best of those that were not stopped: Study.best_trial, but one that still runs counts as well."""
        may_win = {number: loss for number, loss in self._last.items() if number not in self._stopped}
        known = may_win or self._last
        if not known:
            return None
        return self._params[min(known, key=lambda number: known[number])]

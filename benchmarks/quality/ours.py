"""Ours: the real proposals, samplers and rules; trials are told to Optuna as the journal tells them."""

from contextlib import AbstractContextManager, nullcontext

import optuna

from benchmarks.quality.tables import Params, Table
from search.algorithms import samplers, schedulers
from search.algorithms.proposals import Proposer
from search.algorithms.sampler import Sampler
from search.algorithms.schedulers import Rule, Scheduler
from search.journal.records import OpenTrial

METRIC = "loss"
DEFAULT = samplers.make(samplers.DEFAULT)


class Memory(optuna.storages.InMemoryStorage):
    """Optuna's, which writes nothing."""

    def together(self) -> AbstractContextManager[None]:
        """Do nothing."""
        return nullcontext()


class Ours:
    """A search with our defaults, unless it is given others."""

    def __init__(
        self,
        table: Table,
        seed: int,
        *,
        trials: int | None = 32,
        sampler: Sampler = DEFAULT,
        scheduler: Scheduler | None = None,
        try_defaults: bool = True,
    ) -> None:
        """Begin; without a number of trials there is always another."""
        self._space = table.space
        self._left = trials
        self._study = optuna.create_study(storage=Memory(), direction="minimize")
        start = [table.defaults] if try_defaults and table.defaults else []
        self._study.sampler = Proposer(sampler, seed, table.space, lambda params: True, start)
        options = scheduler or schedulers.make(schedulers.DEFAULT)
        assert options is not None
        self._rule: Rule = options.rule(table.epochs)
        self._open: dict[int, OpenTrial] = {}
        self._best: dict[int, float] = {}
        """The best loss so far of each trial."""
        self._ended: dict[int, Params] = {}

    def ask(self) -> tuple[int, Params] | None:
        """Return the next trial."""
        if self._left is not None:
            if not self._left:
                return None
            self._left -= 1
        trial = OpenTrial.proposed(self._study, self._space)
        self._open[trial.number] = trial
        return trial.number, trial.params

    def hear(self, number: int, epoch: int, loss: float, *, is_last: bool) -> bool:
        """Record an epoch, and the ending where that was the last, or the rule stops it there."""
        best = min(loss, self._best.get(number, loss))
        self._best[number] = best
        trial = self._open[number]
        goes_on = is_last or self._rule.goes_on(number, epoch, best)
        trial.add(epoch, {METRIC: loss}, best)
        if is_last or not goes_on:
            trial.end("complete" if is_last else "stopped")
            self._ended[number] = trial.params
            del self._open[number]
        return goes_on

    def chosen(self) -> Params | None:
        """Return the trial with the best value, of those that have ended, as best.yaml does before a retraining."""
        if not self._ended:
            return None
        return self._ended[min(self._ended, key=lambda number: self._best[number])]

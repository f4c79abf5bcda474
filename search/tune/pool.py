"""Worker processes for the jobs of a retraining: which runs what, what Ray keeps of it, what a lost one costs."""

import dataclasses
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, TypeVar

from search.study import Study
from search.tune.resources import Share
from search.worker import jobs
from search.worker.jobs import Drawn, Files, Record, Scores, Shot
from search.worker.training import Order

T = TypeVar("T")
DRAWING = 4
"""Processes that draw at most: each imports what draws."""
POLL_S = 0.2
"""Between two looks whether somebody wishes the end."""


class Kept(NamedTuple):
    """What Ray keeps of a run: references to the pickled model at its best epoch, and to others by epoch."""

    model: Any
    checkpoints: Any = None
    epochs: tuple[int, ...] = ()
    """Of the checkpoints: none where the workload has no `plot`."""


class ProcessLostError(Exception):
    """One of the processes that were given is gone, and what it held with it."""


class WorkerPool:
    """Jobs, in processes with a trial's share of the machine; what they print goes to logs/<name>.log.

    The processes are those of a search, given as handles, or new ones. A model travels pickled, as a reference: the
    driver never holds one. Every moment `check` is called; what it raises is raised here.
    ProcessLostError is raised where the last of the given processes dies, or one with a model.
    """

    def __init__(
        self,
        study: Study,
        share: Share,
        name: str,
        processes: Sequence[Any] = (),
        check: Callable[[], None] = lambda: None,
    ) -> None:
        import ray

        self.log = study.logs / f"{name}.log"
        self._ray = ray
        self._resources: dict[str, Any] = {"num_cpus": share.cpus, "num_gpus": share.gpus, "max_retries": 1}
        config = study.config
        self._order = Order(config.workload, share.gpus, config.objective, {}, config.epoch_timeout)
        self._processes = list(processes)
        self._check = check
        self._concurrent = share.concurrent
        self._busy: dict[Any, Any] = {}
        """The given process that each reference still waits for."""
        self._ran: dict[Any, Any] = {}
        """The given process that each reference came from."""

    def _start(self, function: Callable[..., Any], *arguments: Any, returns: int = 1) -> Any:
        """Start a function in a process that is free; return references to its results, the first ends with it."""
        if not self._processes:
            return self._ray.remote(**self._resources, num_returns=returns)(function).remote(*arguments)
        while True:
            busy = self._busy.values()
            free = [process for process in self._processes if process not in busy]
            if free:
                return self._call(free[0], function, *arguments, returns=returns)
            self._wait(list(self._busy))

    def _call(self, process: Any, function: Callable[..., Any], *arguments: Any, returns: int = 1) -> Any:
        """Call a function in one of the given processes, when that is done with what it was called for before."""
        call = process.__ray_call__.options(num_returns=returns)
        started = call.remote(lambda actor, *arguments: function(*arguments), *arguments)
        reference = started if returns == 1 else started[0]
        self._busy[reference] = process
        self._ran[reference] = process
        return started

    def _wait(self, references: list[Any], check: Callable[[], None] | None = None) -> Any:
        """Return the first of these that has ended."""
        ended: list[Any] = []
        while not ended:
            ended, _ = self._ray.wait(references, timeout=POLL_S)
            (check or self._check)()
        self._busy.pop(ended[0], None)
        return ended[0]

    def _ordered(self, values: dict[str, Any]) -> tuple[Order, str]:
        return dataclasses.replace(self._order, values=values), str(self.log.absolute())

    def train(self, values: list[dict[str, Any]], *, keep: bool = True) -> Iterator[tuple[int, Record, Kept]]:
        """Yield (index, record, what is kept of it, if it is to be) of each config, as they end."""
        waiting = deque(enumerate(values))
        pending: dict[Any, tuple[int, Any, Any]] = {}
        tries: Counter[int] = Counter()
        while waiting or pending:
            # Give every process a run; new processes, which Ray starts as there is room, get all at once.
            while waiting and len(pending) < (len(self._processes) or len(values)):
                index, config = waiting.popleft()
                tries[index] += 1
                record, model, checkpoints = self._start(jobs.train, *self._ordered(config), keep, returns=3)
                pending[record] = (index, model, checkpoints)
            ended = self._wait(list(pending))
            index, model, checkpoints = pending.pop(ended)
            try:
                ran = self._get(ended, lambda why: Record("failed", failure=why))
            except ProcessLostError:
                # A run whose process died gets a second try in another, where there is one.
                if tries[index] > 1 or not self._processes:
                    raise
                waiting.appendleft((index, values[index]))
            else:
                yield index, ran, Kept(model, checkpoints, ran.checkpoints)

    def test(self, work: list[tuple[Any, dict[str, Any]]]) -> list[Scores]:
        """Return the test metrics of each (model, config)."""
        asked = [self._start(jobs.test, *self._ordered(values), model) for model, values in work]
        return [self._get(reference, lambda why: ({}, f"test: {why}")) for reference in asked]

    def package(self, model: Any, values: dict[str, Any]) -> Callable[[], Files]:
        """Have the workload make files of a model; return what waits for them, without a `check`: all else is done."""
        asked = self._start(jobs.package, *self._ordered(values), model)
        return lambda: self._get(asked, lambda why: ({}, [f"save: {why}"]), lambda: None)

    def draw(self, shots: Sequence[Shot]) -> Callable[[], list[Drawn]]:
        """Have processes draw, each a share; return what waits for them, in the order of the shots.

        The first shots of each are those that there will be time for. A lost process costs its share.
        """
        count = max(1, min(DRAWING, len(self._processes) or self._concurrent, len(shots)))
        shares = [list(shots[first::count]) for first in range(count)]
        asked = [self._ask_to_draw(share, number) for number, share in enumerate(shares) if share]

        def drawn() -> list[Drawn]:
            found = [Drawn()] * len(shots)
            for first, reference in enumerate(asked):
                found[first::count] = self._drawn(reference, len(shares[first]))
            return found

        return drawn

    def _ask_to_draw(self, shots: list[Shot], number: int) -> Any:
        # Ray passes a reference on only where it is an argument itself: a shot has its model's place among them.
        models = list(dict.fromkeys(shot.model for shot in shots))
        numbered = [dataclasses.replace(shot, model=models.index(shot.model)) for shot in shots]
        call = (jobs.draw_all, *self._ordered({}), numbered, *models)
        return self._call(self._processes[number], *call) if self._processes else self._start(*call)

    def _drawn(self, reference: Any, count: int) -> list[Drawn]:
        try:
            return self._get(reference, lambda why: [Drawn(problem=f"plot: {why}")] * count)
        except ProcessLostError:
            return [Drawn(problem="plot: the process was lost")] * count

    def _get(self, reference: Any, lost: Callable[[str], T], check: Callable[[], None] | None = None) -> T:
        """Return a job's result, or what stands for it where its process was lost.

        Raises ProcessLostError where that was one of the given processes, which is from then on done without.
        """
        try:
            result: T = self._ray.get(self._wait([reference], check))
            return result
        except self._ray.exceptions.RayError as error:
            process = self._ran.get(reference)
            if process is not None and isinstance(error, self._ray.exceptions.RayActorError):
                self._processes = [other for other in self._processes if other is not process]
                raise ProcessLostError from error
            why = f"the process was lost: {type(error).__name__}: {str(error).strip():.200}"
            return lost(why.replace("\n", " "))

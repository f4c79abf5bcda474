"""The errands of a retraining, in worker processes: who runs which, what is kept in Ray, and what a lost one costs."""

import dataclasses
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, TypeVar

from search import errands, worker
from search.drawing import Drawn, Shot
from search.errands import Files, Record, Scores
from search.share import Share
from search.study import Study

T = TypeVar("T")
DRAWING = 4
"""Processes that draw at most: each imports what draws."""


class Kept(NamedTuple):
    """What Ray keeps of a run: references to the pickled model at its best epoch, and to others by epoch."""

    model: Any
    checkpoints: Any = None
    epochs: tuple[int, ...] = ()
    """Of the checkpoints: none where the workload has no `plot`."""


class ProcessLostError(Exception):
    """One of the processes that were given is gone, and what it held with it."""


class Tasks:
    """The errands, in processes with a trial's share of the machine; what they print goes to logs/<name>.log.

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
        self._order = worker.Order(config.workload, share.gpus, config.metric, config.mode, {}, config.epoch_timeout)

        self._processes, self._check = list(processes), check
        self._concurrent = share.concurrent
        self._busy: dict[Any, Any] = {}
        self._ran: dict[Any, Any] = {}

    def _start(self, function: Callable[..., Any], *arguments: Any, returns: int = 1) -> Any:
        """Start a function in a process that is free; return references to its results, the first ends with it."""
        if not self._processes:
            return self._ray.remote(**self._resources, num_returns=returns)(function).remote(*arguments)
        while not (free := [each for each in self._processes if each not in self._busy.values()]):
            self._wait(list(self._busy))
        return self._call(free[0], function, *arguments, returns=returns)

    def _call(self, process: Any, function: Callable[..., Any], *arguments: Any, returns: int = 1) -> Any:
        """Call a function in one of the given processes, when that is done with what it was called for before."""
        call = process.__ray_call__.options(num_returns=returns)
        started = call.remote(lambda actor, *arguments: function(*arguments), *arguments)
        reference = started if returns == 1 else started[0]
        self._busy[reference] = self._ran[reference] = process
        return started

    def _wait(self, references: list[Any], check: Callable[[], None] | None = None) -> Any:
        """Return the first of these that has ended."""
        ended: list[Any] = []
        while not ended:
            ended, _ = self._ray.wait(references, timeout=0.2)
            (check or self._check)()
        self._busy.pop(ended[0], None)
        return ended[0]

    def _ordered(self, values: dict[str, Any]) -> tuple[worker.Order, str]:
        return dataclasses.replace(self._order, values=values), str(self.log.absolute())

    def train(self, values: list[dict[str, Any]], *, keep: bool = True) -> Iterator[tuple[int, Record, Kept]]:
        """Yield (index, record, what is kept of it, if it is to be) of each config, as they end."""
        waiting = deque(enumerate(values))
        pending: dict[Any, tuple[int, Any, Any]] = {}
        tried: Counter[int] = Counter()
        while waiting or pending:
            while waiting and len(pending) < (len(self._processes) or len(values)):
                at, each = waiting.popleft()
                tried[at] += 1
                record, *copies = self._start(errands.train, *self._ordered(each), keep, returns=3)
                pending[record] = (at, *copies)
            ended = self._wait(list(pending))
            at, model, checkpoints = pending.pop(ended)
            try:
                ran = self._get(ended, lambda why: Record("failed", failure=why))
            except ProcessLostError:
                if tried[at] > 1 or not self._processes:
                    raise
                waiting.appendleft((at, values[at]))
            else:
                yield at, ran, Kept(model, checkpoints, ran.checkpoints)

    def test(self, work: list[tuple[Any, dict[str, Any]]]) -> list[Scores]:
        """Return the test metrics of each (model, config)."""
        asked = [self._start(errands.test, *self._ordered(values), model) for model, values in work]
        return [self._get(each, lambda why: ({}, f"test: {why}")) for each in asked]

    def package(self, model: Any, values: dict[str, Any]) -> Callable[[], Files]:
        """Have the workload make files of a model; return what waits for them, without a `check`: all else is done."""
        asked = self._start(errands.package, *self._ordered(values), model)
        return lambda: self._get(asked, lambda why: ({}, [f"save: {why}"]), lambda: None)

    def draw(self, shots: Sequence[Shot]) -> Callable[[], list[Drawn]]:
        """Have processes draw, each a share; return what waits for them, in the order of the shots.

        The first shots of each are those that there will be time for. A lost process costs its share.
        """
        count = max(1, min(DRAWING, len(self._processes) or self._concurrent, len(shots)))
        shares = [range(first, len(shots), count) for first in range(count)]
        asked = [self._ask_to_draw([shots[at] for at in share], first) for first, share in enumerate(shares) if share]

        def drawn() -> list[Drawn]:
            found = [Drawn()] * len(shots)
            for share, each in zip(shares, asked, strict=False):
                found[share.start :: count] = self._drawn(each, len(share))
            return found

        return drawn

    def _ask_to_draw(self, shots: list[Shot], number: int) -> Any:
        models = list(dict.fromkeys(shot.model for shot in shots))
        numbered = [dataclasses.replace(shot, model=models.index(shot.model)) for shot in shots]
        call = (errands.draw_all, *self._ordered({}), numbered, *models)
        return self._call(self._processes[number], *call) if self._processes else self._start(*call)

    def _drawn(self, reference: Any, count: int) -> list[Drawn]:
        try:
            return self._get(reference, lambda why: [Drawn(problem=f"plot: {why}")] * count)
        except ProcessLostError:
            return [Drawn(problem="plot: the process was lost")] * count

    def _get(self, reference: Any, lost: Callable[[str], T], check: Callable[[], None] | None = None) -> T:
        """Return a task's result, or what stands for it where its process was lost.

        Raises ProcessLostError where that was one of the given processes, which is from then on done without.
        """
        try:
            found: T = self._ray.get(self._wait([reference], check))
            return found
        except self._ray.exceptions.RayError as error:
            if reference in self._ran and isinstance(error, self._ray.exceptions.RayActorError):
                self._processes = [each for each in self._processes if each is not self._ran[reference]]
                raise ProcessLostError from error
            return lost(f"the process was lost: {type(error).__name__}: {str(error).strip():.200}".replace("\n", " "))

"""The worker pool of a retraining: runs its jobs in processes, keeps models in Ray, and survives a lost process."""

import dataclasses
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from search.analysis.tried import Tried
from search.spec.paths import in_full
from search.study import Study
from search.tune import deaths
from search.tune.health import LAST_MOMENT_S
from search.tune.resources import Share
from search.worker import jobs, trial_run
from search.worker.jobs import Drawn, Files, Record, Scores, Shot
from search.worker.training import Order

T = TypeVar("T")
MOST_DRAWING = 4
"""Processes that draw, at most: each has to import matplotlib first."""
POLL_S = 0.2
"""Time between two calls of `check` while the pool waits."""


class Kept(NamedTuple):
    """What Ray keeps of a run, as object references: the driver process never holds a model."""

    model: Any
    """To the pickled model of its best epoch."""
    checkpoints: Any = None
    """To the pickled models by epoch."""
    epochs: tuple[int, ...] = ()
    """Those of the checkpoints; none where the workload has no `plot`."""


class ProcessLostError(Exception):
    """One of the given processes has died, and the objects that it held are lost."""


class WorkerPool:
    """Runs jobs in processes that each have a trial's share of the machine; they print to logs/<name>.log.

    The processes are those of a search, given as handles (`processes`), or new ones that Ray starts. Models stay in
    Ray's object store, pickled: the driver passes references on. While a method waits it calls `check` every POLL_S,
    and raises what that raises. ProcessLostError is raised where the last of the given processes dies, or one that
    held a model.
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
        self._options: dict[str, Any] = {"num_cpus": share.cpus, "num_gpus": share.gpus, "max_retries": 1}
        if study.leaves or study.needs_fresh or not study.sources():  # nobody has looked at a study of before
            self._options["max_calls"] = 1  # a process a run
        config = study.config
        self._order = Order(
            in_full(config.source), share.gpus, config.objective, {}, config.epoch_timeout, study.epochs
        )
        self._processes = list(processes)
        self._check = check
        self._memory_kills = deaths.memory_kills()
        self._concurrent = share.concurrent
        self._busy: dict[Any, Any] = {}
        """The given process that works on each reference that has not ended."""
        self._ran: dict[Any, Any] = {}
        """The given process that works, or worked, on each reference."""

    @property
    def is_of_search(self) -> bool:
        """Return whether its processes are those of a search."""
        return bool(self._processes)

    def _start(self, function: Callable[..., Any], *arguments: Any, returns: int = 1) -> Any:
        """Start a function in a free process, or wait for one; return the reference to its result, or one a result."""
        if not self._processes:
            return self._ray.remote(**self._options, num_returns=returns)(function).remote(*arguments)
        while True:
            busy = self._busy.values()
            free = [process for process in self._processes if process not in busy]
            if free:
                return self._call(free[0], function, *arguments, returns=returns)
            self._wait(list(self._busy))

    def _call(self, process: Any, function: Callable[..., Any], *arguments: Any, returns: int = 1) -> Any:
        """Queue a function in one of the given processes: it runs after the calls that were queued before."""
        call = process.__ray_call__.options(num_returns=returns)
        started = call.remote(lambda actor, *arguments: function(*arguments), *arguments)
        reference = started if returns == 1 else started[0]
        self._busy[reference] = process
        self._ran[reference] = process
        return started

    def _wait(self, references: list[Any], check: Callable[[], None] | None = None) -> Any:
        """Wait until one of these references has a result or an error, and return that reference."""
        ended: list[Any] = []
        while not ended:
            ended, _ = self._ray.wait(references, timeout=POLL_S)
            (check or self._check)()
        self._busy.pop(ended[0], None)
        return ended[0]

    def _ordered(self, values: dict[str, Any], folder: Path | None = None) -> tuple[Order, str]:
        """Return the first two arguments of every job: the order for this config, and the log file."""
        order = dataclasses.replace(self._order, values=values, folder=folder and folder.absolute())
        return order, str(self.log.absolute())

    def train(
        self, values: list[dict[str, Any]], folders: Sequence[Path], *, keep: bool = True
    ) -> Iterator[tuple[int, Record, Kept]]:
        """Train every config in full; yield (index, record, references to its models) of each as it ends.

        Each has the folder of its index for itself. Without `keep` the references lead to nothing. A run whose given
        process dies is trained once more. Configs, and folders, that are added meanwhile are trained too.
        """
        waiting: deque[tuple[int, dict[str, Any]]] = deque()
        taken = 0
        pending: dict[Any, tuple[int, Any, Any]] = {}
        tries: Counter[int] = Counter()
        while taken < len(values) or waiting or pending:
            waiting += enumerate(values[taken:], taken)
            taken = len(values)
            # Give every process a run; new processes, which Ray starts as there is room, get all at once.
            most_pending = len(self._processes) or len(values)
            while waiting and len(pending) < most_pending:
                index, config = waiting.popleft()
                tries[index] += 1
                ordered = self._ordered(config, folders[index])
                record, model, checkpoints = self._start(jobs.train, *ordered, keep, returns=3)
                pending[record] = (index, model, checkpoints)
            # Take in the run that ends first.
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

    def try_out(self, values: list[dict[str, Any]], folder: Path) -> Iterator[tuple[int, Tried, Any]]:
        """Train a few epochs of every config; yield (index, what they showed, a reference to its model) as each ends.

        What a trial writes into a folder of its own goes into one in `folder`.
        """
        pending: dict[Any, tuple[int, Any]] = {}
        for index, config in enumerate(values):
            ordered = self._ordered(config, folder / str(index))
            tried, model = self._start(trial_run.train, *ordered, returns=2)
            pending[tried] = (index, model)
        while pending:
            ended = self._wait(list(pending))
            index, model = pending.pop(ended)
            yield index, self._get(ended, lambda why: Tried(failure=why)), model

    def test(self, work: list[tuple[Any, dict[str, Any]]]) -> list[Scores]:
        """Return the test metrics of each (reference to a model, config), and what went wrong, in this order."""
        references = [self._start(jobs.test, *self._ordered(values), model) for model, values in work]
        return [self._get(reference, lambda why: ({}, f"test: {why}")) for reference in references]

    def package(self, model: Any, values: dict[str, Any]) -> Callable[[], Files]:
        """Have a process save the workload's files of a model; return a function that waits for and returns them.

        That function calls no `check`: the winner's model is saved even where the user interrupts.
        """
        reference = self._start(jobs.package, *self._ordered(values), model)
        return lambda: self._get(reference, lambda why: ({}, [f"save: {why}"]), lambda: None)

    def draw(self, shots: Sequence[Shot]) -> Callable[[], list[Drawn]]:
        """Share the shots out among processes; return a function that waits for the pictures, in the shots' order.

        The shots go round the processes in turn, as each draws its first ones and may have no time for its last. A
        lost process costs its share.
        """
        workers = len(self._processes) or self._concurrent
        count = max(1, min(MOST_DRAWING, workers, len(shots)))
        shares = [list(shots[first::count]) for first in range(count)]
        references = [self._start_drawing(share, number) for number, share in enumerate(shares) if share]

        def wait_for_pictures() -> list[Drawn]:
            pictures = [Drawn()] * len(shots)
            for first, reference in enumerate(references):
                pictures[first::count] = self._get_pictures(reference, len(shares[first]))
            return pictures

        return wait_for_pictures

    def _start_drawing(self, shots: list[Shot], number: int) -> Any:
        """Start to draw in the given process of this number, or in a new one; return the reference to the pictures."""
        # Ray resolves only references that are arguments themselves: a shot holds the index of its model among them.
        models = list(dict.fromkeys(shot.model for shot in shots))
        numbered = [dataclasses.replace(shot, model=models.index(shot.model)) for shot in shots]
        call = (jobs.draw_all, *self._ordered({}), numbered, *models)
        if self._processes:
            return self._call(self._processes[number], *call)
        return self._start(*call)

    def _get_pictures(self, reference: Any, count: int) -> list[Drawn]:
        try:
            return self._get(reference, lambda why: [Drawn(problem=f"plot: {why}")] * count)
        except (ProcessLostError, OSError) as error:
            why = "the process was lost" if isinstance(error, ProcessLostError) else str(error)
            return [Drawn(problem=f"plot: {why}")] * count

    def _get(self, reference: Any, lost: Callable[[str], T], check: Callable[[], None] | None = None) -> T:
        """Return a job's result; where Ray lost its process, what `lost` makes of the reason.

        Raises ProcessLostError where that was one of the given processes, which is removed from the pool, and OSError
        where the job itself raised one: a workload's own never leaves a job, so it is a full disk or the like.
        """
        try:
            result: T = self._ray.get(self._wait([reference], check))
            return result
        except self._ray.exceptions.RayError as error:
            self._check_ray()
            process = self._ran.get(reference)
            deadly = (self._ray.exceptions.RayActorError, self._ray.exceptions.OutOfMemoryError)
            if process is not None and isinstance(error, deadly):
                self._processes = [other for other in self._processes if other is not process]
                raise ProcessLostError from error
            if isinstance(error, self._ray.exceptions.RayTaskError) and isinstance(error.cause, OSError):
                raise error.cause from None
            reason = deaths.reason(str(error), "", self._memory_kills)
            self._memory_kills = deaths.memory_kills()
            why = reason or f": {type(error).__name__}: {str(error).strip():.200}"
            return lost(f"the process was lost{why}".replace("\n", " "))

    def _check_ray(self) -> None:
        """Call `check` until a Ray that is dying, and has ended its processes, is dead: no job is to blame then."""
        deadline = time.monotonic() + LAST_MOMENT_S
        while time.monotonic() < deadline:
            self._check()
            time.sleep(LAST_MOMENT_S / 10)

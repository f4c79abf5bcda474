"""What is trained in full in worker processes: train a config in full, test its model, make files of it.

A workload that raises costs its run, or its files, and says so; nothing here raises what a workload raises.
"""

import dataclasses
import sys
import tempfile
import traceback
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from search import journal, worker
from search.share import Share
from search.study import Study

T = TypeVar("T")
Scores = tuple[dict[str, float], str]
"""Test metrics, and what went wrong."""
Files = tuple[dict[str, bytes], list[str]]
"""Contents by name, and what went wrong."""


@dataclass(frozen=True)
class Record:
    """One config trained to its end."""

    ending: journal.Ending
    config: dict[str, Any] | None = None
    """The full config, as it ran; None where it was never built."""
    epochs: tuple[tuple[dict[str, float], float | None], ...] = ()
    """The raw metrics with elapsed_s, and the best value so far, of every epoch."""
    best: float | None = None
    failure: str = ""
    where: journal.Where | None = None
    """None where its process was lost."""

    def write(self, trial: journal.OpenTrial) -> None:
        """Write it as a trial in the journal."""
        if self.config:
            trial.note("config", self.config)
        if self.failure:
            trial.note("failure", self.failure)
        if self.where:
            trial.place(self.where)
        for epoch, (metrics, best) in enumerate(self.epochs, 1):
            trial.add(epoch, metrics, best)
        trial.end(self.ending)

    def came_to(self, metric: str) -> str:
        """Return how it ended and its value, as text."""
        if self.failure:
            return f"{self.ending}, {self.failure}"
        return f"{self.ending}, best {metric} {'none' if self.best is None else format(self.best, '.5g')}"


class ProcessLostError(Exception):
    """One of the processes that were given is gone, and what it held with it."""


class Tasks:
    """The functions below, in processes with a trial's share of the machine; what they print goes to logs/<name>.log.

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
        self._busy: dict[Any, Any] = {}
        self._ran: dict[Any, Any] = {}

    def _start(self, function: Callable[..., Any], *arguments: Any, returns: int = 1) -> Any:
        """Start a function in a process that is free; return references to its results, the first ends with it."""
        if not self._processes:
            return self._ray.remote(**self._resources, num_returns=returns)(function).remote(*arguments)
        while len(self._busy) == len(self._processes):
            self._wait(list(self._busy))
        process = next(each for each in self._processes if each not in self._busy.values())
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

    def train(self, values: list[dict[str, Any]], *, keep: bool = True) -> Iterator[tuple[int, Record, Any]]:
        """Yield (index, record, model at its best epoch, where it is to be kept) of each config, as they end."""
        waiting = deque(enumerate(values))
        pending: dict[Any, tuple[int, Any]] = {}
        tried: Counter[int] = Counter()
        while waiting or pending:
            while waiting and len(pending) < (len(self._processes) or len(values)):
                at, each = waiting.popleft()
                tried[at] += 1
                record, model = self._start(_train, *self._ordered(each), keep, returns=2)
                pending[record] = (at, model)
            ended = self._wait(list(pending))
            at, model = pending.pop(ended)
            try:
                ran = self._get(ended, lambda why: Record("failed", failure=why))
            except ProcessLostError:
                if tried[at] > 1 or not self._processes:
                    raise
                waiting.appendleft((at, values[at]))
            else:
                yield at, ran, model

    def test(self, work: list[tuple[Any, dict[str, Any]]]) -> list[Scores]:
        """Return the test metrics of each (model, config)."""
        asked = [self._start(_test, *self._ordered(values), model) for model, values in work]
        return [self._get(each, lambda why: ({}, f"test: {why}")) for each in asked]

    def package(self, model: Any, values: dict[str, Any]) -> Callable[[], Files]:
        """Have the workload make files of a model; return what waits for them, without a `check`: all else is done."""
        asked = self._start(_package, *self._ordered(values), model)
        return lambda: self._get(asked, lambda why: ({}, [f"save: {why}"]), lambda: None)

    def _get(self, reference: Any, lost: Callable[[str], T], check: Callable[[], None] | None = None) -> T:
        """Return a task's result, or what stands for it where its process was lost.

        Raises ProcessLostError where that was one of the given processes, which is from then on done without.
        """
        try:
            found: T = self._ray.get(self._wait([reference], check))
            return found
        except self._ray.exceptions.RayError as error:
            if reference in self._ran and isinstance(error, self._ray.exceptions.RayActorError):
                self._processes.remove(self._ran[reference])
                raise ProcessLostError from error
            return lost(f"the process was lost: {type(error).__name__}: {str(error).strip():.200}".replace("\n", " "))


def _train(order: worker.Order, log: str, keep: bool) -> tuple[Record, bytes | None]:
    worker.redirect_output(Path(log))
    training = worker.Training(order)
    epochs: list[tuple[dict[str, float], float | None]] = []
    model, best = None, None
    while True:
        result = training.advance(seconds=0)
        epochs += [(metrics, reached) for _, metrics, reached in result["epochs"]]
        if result["best"] != best:
            best = result["best"]
            model = _pickle(training.model) if keep else None
        if result["ended"]:
            break
    config = _plain(dataclasses.asdict(training.config)) if training.config else None
    training.close()
    failure = result.get("failure", "")
    if failure:
        print(result["traceback"] or failure, file=sys.stderr)
    return Record(worker.ending(result), config, tuple(epochs), best, failure, training.where), model


def _plain(config: dict[str, Any]) -> dict[str, Any]:
    """Return a config as YAML and JSON can hold it: `resolve` may have put a number of numpy's there."""
    plain = {}
    for name, value in config.items():
        foreign = not isinstance(value, str | int | float | None)
        plain[name] = (value.item() if hasattr(value, "item") else str(value)) if foreign else value
    return plain


def _pickle(model: Any) -> bytes | None:
    """Return a copy of the live model; None, and the reason in the log, where it cannot be pickled."""
    from ray import cloudpickle

    try:
        copied: bytes = cloudpickle.dumps(model)
    except Exception:  # whatever a foreign object raises
        traceback.print_exc()
        return None
    return copied


def _test(order: worker.Order, log: str, model: bytes | None) -> Scores:
    worker.redirect_output(Path(log))
    workload = worker.prepare(order.workload, order.gpus)
    if model is None or workload.test is None:
        return {}, "its model cannot be pickled, so it cannot be tested"
    try:
        scores = workload.test(_unpickle(model), workload.build(order.values))
        return {str(name): float(value) for name, value in scores.items()}, ""
    except (Exception, SystemExit) as error:
        traceback.print_exc()
        return {}, f"test raised {type(error).__name__}: {error}"


def _package(order: worker.Order, log: str, model: bytes | None) -> Files:
    """Make model.pt where the workload saves, plot.png where it plots."""
    worker.redirect_output(Path(log))
    workload = worker.prepare(order.workload, order.gpus)
    if model is None:
        return {}, ["its model cannot be pickled, so it is not kept"]
    config, problems = workload.build(order.values), []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for word in ("save", "plot"):
            try:
                if word == "save" and workload.save:
                    workload.save(_unpickle(model), config, folder / "model.pt")
                if word == "plot" and workload.plot:
                    workload.plot(_unpickle(model), config).savefig(folder / "plot.png", dpi=120)
            except (Exception, SystemExit) as error:
                traceback.print_exc()
                problems.append(f"{word} raised {type(error).__name__}: {error}")
        made = sorted(path for path in folder.rglob("*") if path.is_file())
        return {str(path.relative_to(folder)): path.read_bytes() for path in made}, problems


def _unpickle(model: bytes) -> Any:
    from ray import cloudpickle

    return cloudpickle.loads(model)

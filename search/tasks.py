"""What retraining runs in worker processes: train a config in full, test its model, make files of it.

A workload that raises costs its run, or its files, and says so; nothing here raises what a workload raises.
"""

import dataclasses
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from search import journal, worker
from search.cluster import Share
from search.study import Study
from search.workload import Workload

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


class Tasks:
    """The functions below, in processes with a trial's share of the machine; what they print goes to `log`.

    A model travels pickled, as a reference: the driver never holds one.
    """

    def __init__(self, study: Study, share: Share) -> None:
        import ray

        self.log = study.logs / "retraining.log"
        self._ray = ray
        self._resources: dict[str, Any] = {"num_cpus": share.cpus, "num_gpus": share.gpus, "max_retries": 1}
        self._place = (study.config.workload, share.gpus, str(self.log.absolute()))
        self._goal = (study.config.metric, study.config.mode)

    def _task(self, function: Callable[..., Any], **options: Any) -> Any:
        return self._ray.remote(**self._resources, **options)(function)

    def train(self, values: list[dict[str, Any]]) -> Iterator[tuple[int, Record, Any]]:
        """Yield (index, record, model at its best epoch) of each config, as they end."""
        task = self._task(_train, num_returns=2)
        pending = {}
        for at, each in enumerate(values):
            record, model = task.remote(self._place, each, *self._goal)
            pending[record] = (at, model)
        while pending:
            (ended,), _ = self._ray.wait(list(pending))
            at, model = pending.pop(ended)
            lost = Record("failed", failure="the process that trained it died")
            yield at, self._get(ended, lost), model

    def test(self, work: list[tuple[Any, dict[str, Any]]]) -> list[Scores]:
        """Return the test metrics of each (model, config)."""
        task = self._task(_test)
        asked = [task.remote(self._place, *each) for each in work]
        return [self._get(each, ({}, "the process that tested it died")) for each in asked]

    def package(self, model: Any, values: dict[str, Any]) -> Files:
        """Return the files that the workload makes of a model."""
        lost: Files = ({}, ["the process that saved it died"])
        return self._get(self._task(_package).remote(self._place, model, values), lost)

    def _get(self, reference: Any, lost: T) -> T:
        try:
            found: T = self._ray.get(reference)
            return found
        except self._ray.exceptions.WorkerCrashedError:
            return lost


def _prepare(name: str, gpus: float, log: str) -> Workload:
    worker.redirect_output(Path(log))
    return worker.prepare(name, gpus)


def _train(
    place: tuple[str, float, str], values: dict[str, Any], metric: str, mode: str
) -> tuple[Record, bytes | None]:
    training = worker.Training(_prepare(*place), values, metric, mode)
    epochs: list[tuple[dict[str, float], float | None]] = []
    model, best = None, None
    while True:
        result = training.pull()
        if result["epoch"] > len(epochs):
            epochs.append(({**result["metrics"], "elapsed_s": result["elapsed_s"]}, result["best"]))
        if result["best"] != best:
            model, best = _pickle(training.model), result["best"]
        if result["ended"]:
            break
    config = dataclasses.asdict(training.config) if training.config else None
    training.close()
    failure = result.get("failure", "")
    if failure:
        print(result["traceback"] or failure, file=sys.stderr)
    return Record(worker.ending(result), config, tuple(epochs), best, failure), model


def _pickle(model: Any) -> bytes | None:
    """Return a copy of the live model; None, and the reason in the log, where it cannot be pickled."""
    from ray import cloudpickle

    try:
        copied: bytes = cloudpickle.dumps(model)
    except Exception:  # whatever a foreign object raises
        traceback.print_exc()
        return None
    return copied


def _test(place: tuple[str, float, str], model: bytes | None, values: dict[str, Any]) -> Scores:
    workload = _prepare(*place)
    if model is None or workload.test is None:
        return {}, "its model cannot be pickled, so it cannot be tested"
    try:
        scores = workload.test(_unpickle(model), workload.build(values))
        return {str(name): float(value) for name, value in scores.items()}, ""
    except (Exception, SystemExit) as error:
        traceback.print_exc()
        return {}, f"test raised {type(error).__name__}: {error}"


def _package(place: tuple[str, float, str], model: bytes | None, values: dict[str, Any]) -> Files:
    """Make model.pt where the workload saves, plot.png where it plots."""
    workload = _prepare(*place)
    if model is None:
        return {}, ["its model cannot be pickled, so it is not kept"]
    config, problems = workload.build(values), []
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

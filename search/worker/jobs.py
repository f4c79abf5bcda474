"""The jobs of a retraining, as they run in worker processes: train a config in full, test, save and draw its model.

A workload that raises costs its run, or its files, and the result says why; no job raises what a workload raises.
"""

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cloudpickle

from search.journal.trial import Ending, Where
from search.spec.workload import Workload
from search.worker import metrics, process, training
from search.worker.checkpoints import Copies
from search.worker.guard import Guard, tell
from search.worker.training import Order, Training

WORK_S = 3.0
"""CPU time after which a process begins no further picture."""
CLOCK_S = 10.0
"""The same by the clock, which other processes slow down."""
PICTURE_S = 5.0
"""Time limit of one picture."""
WHOLE_PICTURE_S = 60.0
"""Time limit of one that is wanted in full size, which is the winner's own."""
UNPICKLED = "its model cannot be pickled"
NO_MODEL = "train yields no model; yield (metrics, model)"
"""Why a picture, a file or a test is missing."""
Scores = tuple[dict[str, float], str]
"""Test metrics, and what went wrong."""
Files = tuple[dict[str, bytes], list[str]]
"""Contents by name, and what went wrong."""


@dataclass(frozen=True)
class Shot:
    """An order for one picture, of a model and its config."""

    values: dict[str, Any]
    """The full config."""
    model: Any
    """A reference to the model, or to the checkpoints of a run."""
    epoch: int = 0
    """Of the checkpoint to draw; 0 where `model` is the model itself."""
    whole: bool = False
    """Whether it is wanted in full size as well as small."""


@dataclass(frozen=True)
class Drawn:
    """A picture that was drawn, small and where wanted in full size; or why there is none."""

    image: Any = None
    """Small, as PIL's Image."""
    png: bytes = b""
    """In full size; empty where only the small one was wanted."""
    problem: str = ""
    """Why there is none; empty too where there was no time for it."""


class Lacking(str):
    """Why a model is not there."""


@dataclass(frozen=True)
class Record:
    """The result of training one config: its ending and its epochs."""

    ending: Ending
    config: dict[str, Any] | None = None
    """The full config, as it ran; None where it was never built."""
    epochs: tuple[tuple[dict[str, float], float | None], ...] = ()
    """The raw metrics with elapsed_s, and the best value so far, of every epoch."""
    best: float | None = None
    failure: str = ""
    where: Where | None = None
    """None where its process was lost."""
    checkpoints: tuple[int, ...] = ()
    """The epochs of which there is one."""
    left: str = ""
    """What it left behind in its process."""

    def came_to(self, metric: str) -> str:
        """Return how it ended and its best value, as text for a line of output."""
        if self.failure:
            return f"{self.ending}, {self.failure}"
        best = "none" if self.best is None else format(self.best, ".5g")
        return f"{self.ending}, best {metric} {best}"


def train(order: Order, log: str, keep: bool) -> tuple[Record, bytes | None, dict[int, bytes]]:
    """Train a config to its end, without any scheduler.

    Returns its record and, with `keep`, pickled models: the one of its best epoch, and the checkpoints by epoch.
    """
    process.redirect_output(Path(log))
    run = Training(order)
    copies = Copies(order)
    epochs: list[tuple[dict[str, float], float | None]] = []
    # Train epoch by epoch: each may be the best so far, or one to keep.
    while True:
        result = run.advance(seconds=0)
        for _, numbers, best in result["epochs"]:
            epochs.append((numbers, best))
        if keep:
            copies.take(run, result)
        if result["ended"]:
            for line in run.settle(result):
                tell(line)
            break
    left = run.close()
    failure = result.get("failure", "")
    if failure:
        tell(result["traceback"] or failure)
    models = copies.checkpoints.models
    ending = training.ending(result)
    record = Record(
        ending="failed" if ending == "infeasible" else ending,
        config=run.values or None,
        epochs=tuple(epochs),
        best=result["best"],
        failure=failure,
        where=run.where,
        checkpoints=tuple(models),
        left=left,
    )
    return record, copies.best, models


def test(order: Order, log: str, model: bytes | None) -> Scores:
    """Return the metrics of a pickled model on the workload's test data, and what went wrong."""
    process.redirect_output(Path(log))
    if not model:
        return {}, f"not tested: {_lacking(model)}"
    with Guard() as guard:
        workload = process.prepare(order.workload, order.gpus)
        assert workload.test is not None
        returned = workload.test(cloudpickle.loads(model), workload.build(order.values))
        if isinstance(returned, int | float):
            returned = {"test": returned}
        scores, others = metrics.read(returned, "what test returns")
        for name, why in others.items():
            tell(f"test: {name} must be a number, but {why}")
        return scores, f"test: {', '.join(others)} must be a number; left out" if others else ""
    guard.print()
    return {}, f"test raised {guard.failure}"


def package(order: Order, log: str, model: bytes | None) -> Files:
    """Return the files that the workload's `save` writes for a pickled model (model.pt), and what went wrong."""
    process.redirect_output(Path(log))
    if model is None:
        return {}, [f"not kept: {UNPICKLED}"]
    problems = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with Guard() as guard:
            workload = process.prepare(order.workload, order.gpus)
            if workload.save and not model:
                problems.append(f"not kept: {NO_MODEL}")
            elif workload.save:
                workload.save(cloudpickle.loads(model), workload.build(order.values), folder / "model.pt")
        if guard.failure:
            guard.print()
            problems.append(f"save raised {guard.failure}")
        contents = {}
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                contents[str(path.relative_to(folder))] = path.read_bytes()
    return contents, problems


def draw_all(order: Order, log: str, shots: list[Shot], *models: Any) -> list[Drawn]:
    """Draw shots whose `model` is an index into `models`: each a pickled model, or a run's checkpoints by epoch."""
    process.redirect_output(Path(log))

    def model_of(shot: Shot) -> Any:
        pickled = models[shot.model]
        if shot.epoch:
            pickled = pickled[shot.epoch]
        return cloudpickle.loads(pickled) if pickled else Lacking(_lacking(pickled))

    with Guard() as guard:
        workload = process.prepare(order.workload, order.gpus)
        return draw(workload, shots, model_of)
    guard.print()
    return [Drawn(problem=f"plot raised {guard.failure}")] * len(shots)


def draw(workload: Workload, shots: Sequence[Shot], models: Callable[[Shot], Any]) -> list[Drawn]:
    """Return a picture of each shot, drawn in this order until the time is used up; the others are empty.

    The first shot is drawn in any case, as is one in full size. `models` returns a shot's model, or why it is Lacking.
    """
    from search.views import images  # noqa: F401 - imports matplotlib: not while a trial could be trained

    begin_work = time.process_time()
    begin = time.monotonic()
    pictures: list[Drawn] = []
    printed = set()
    for shot in shots:
        is_late = time.process_time() - begin_work > WORK_S or time.monotonic() - begin > CLOCK_S
        if is_late and pictures and not shot.whole:
            pictures.append(Drawn())
            continue
        with Guard() as guard:
            pictures.append(_draw_one(workload, shot, models(shot)))
        if guard.failure:
            problem = f"plot raised {guard.failure}"
            if problem not in printed:
                guard.print()
            printed.add(problem)
            pictures.append(Drawn(problem=problem))
    return pictures


def _draw_one(workload: Workload, shot: Shot, model: Any) -> Drawn:
    from search.views import images

    if isinstance(model, Lacking):
        return Drawn(problem=model)
    assert workload.plot is not None
    limit_s = WHOLE_PICTURE_S if shot.whole else PICTURE_S
    with process.time_limit(limit_s):
        figure = images.figure_of(workload.plot(model, workload.build(shot.values)))
        image = images.render(figure)
        png = images.png(figure) if shot.whole else b""
        images.close(figure)
    return Drawn(image, png)


def _lacking(model: bytes | None) -> str:
    """Return why there is no model, of which no pickle was kept, or an empty one."""
    return UNPICKLED if model is None else NO_MODEL

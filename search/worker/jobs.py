"""What retraining has worker processes do: train a config in full, test its model, make files of it, draw it.

A workload that raises costs its run, or its files, and says so; nothing here raises what a workload raises.
"""

import dataclasses
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cloudpickle

from search.journal.trial import Ending, Where
from search.spec.workload import Workload
from search.worker import process, training
from search.worker.checkpoints import Copies
from search.worker.training import Order, Training

WORK_S = 3.0
CLOCK_S = 10.0
"""Of work, and by the clock, which others slow down, after which a process begins no further picture."""
PICTURE_S = 5.0
WHOLE_PICTURE_S = 60.0
"""That one picture may take; the winner's own is waited for."""
UNPICKLED = "its model cannot be pickled"
Scores = tuple[dict[str, float], str]
"""Test metrics, and what went wrong."""
Files = tuple[dict[str, bytes], list[str]]
"""Contents by name, and what went wrong."""


@dataclass(frozen=True)
class Shot:
    """A picture that is wanted, of a model and its config."""

    values: dict[str, Any]
    """The full config."""
    model: Any
    """A reference to the model, or to the checkpoints of a run."""
    epoch: int = 0
    """Of a checkpoint; 0 where it is the model."""
    whole: bool = False
    """Whether it is wanted in its own size, too."""


@dataclass(frozen=True)
class Drawn:
    """A picture: PIL's small image, and its own size as PNG where that was wanted; or why there is none."""

    image: Any = None
    png: bytes = b""
    problem: str = ""
    """Empty too where there was no time for it."""


@dataclass(frozen=True)
class Record:
    """One config trained to its end."""

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

    def came_to(self, metric: str) -> str:
        """Return how it ended and its value, as text."""
        if self.failure:
            return f"{self.ending}, {self.failure}"
        return f"{self.ending}, best {metric} {'none' if self.best is None else format(self.best, '.5g')}"


def train(order: Order, log: str, keep: bool) -> tuple[Record, bytes | None, dict[int, bytes]]:
    """Train a config; return its record and, to `keep`, pickled models: that of its best epoch, and others by epoch."""
    process.redirect_output(Path(log))
    run = Training(order)
    copies = Copies(order)
    epochs: list[tuple[dict[str, float], float | None]] = []
    while True:
        result = run.advance(seconds=0)
        for _, metrics, best in result["epochs"]:
            epochs.append((metrics, best))
        if keep:
            copies.take(run, result)
        if result["ended"]:
            break
    config = _plain(dataclasses.asdict(run.config)) if run.config else None
    run.close()
    failure = result.get("failure", "")
    if failure:
        print(result["traceback"] or failure, file=sys.stderr)
    models = copies.checkpoints.models
    record = Record(
        ending=training.ending(result),
        config=config,
        epochs=tuple(epochs),
        best=result["best"],
        failure=failure,
        where=run.where,
        checkpoints=tuple(models),
    )
    return record, copies.best, models


def _plain(config: dict[str, Any]) -> dict[str, Any]:
    """Return a config as YAML and JSON can hold it: `resolve` may have put a number of numpy's there."""
    plain = {}
    for name, value in config.items():
        if isinstance(value, str | int | float | None):
            plain[name] = value
        elif hasattr(value, "item"):
            plain[name] = value.item()
        else:
            plain[name] = str(value)
    return plain


def test(order: Order, log: str, model: bytes | None) -> Scores:
    """Return the metrics of a pickled model on data that nobody has looked at."""
    process.redirect_output(Path(log))
    workload = process.prepare(order.workload, order.gpus)
    if model is None or workload.test is None:
        return {}, "its model cannot be pickled, so it cannot be tested"
    try:
        scores = workload.test(cloudpickle.loads(model), workload.build(order.values))
        return {str(name): float(value) for name, value in scores.items()}, ""
    except (Exception, SystemExit) as error:
        traceback.print_exc()
        return {}, f"test raised {type(error).__name__}: {error}"


def package(order: Order, log: str, model: bytes | None) -> Files:
    """Make model.pt where the workload saves."""
    process.redirect_output(Path(log))
    workload = process.prepare(order.workload, order.gpus)
    if model is None:
        return {}, ["its model cannot be pickled, so it is not kept"]
    problems = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        try:
            if workload.save:
                workload.save(cloudpickle.loads(model), workload.build(order.values), folder / "model.pt")
        except (Exception, SystemExit) as error:
            traceback.print_exc()
            problems.append(f"save raised {type(error).__name__}: {error}")
        made = sorted(path for path in folder.rglob("*") if path.is_file())
        return {str(path.relative_to(folder)): path.read_bytes() for path in made}, problems


def draw_all(order: Order, log: str, shots: list[Shot], *models: Any) -> list[Drawn]:
    """Draw shots whose models are numbers of these: pickled models, and checkpoints by epoch."""
    process.redirect_output(Path(log))

    def model_of(shot: Shot) -> Any:
        model = models[shot.model]
        pickled = model[shot.epoch] if shot.epoch else model
        return None if pickled is None else cloudpickle.loads(pickled)

    return draw(process.prepare(order.workload, order.gpus), shots, model_of)


def draw(workload: Workload, shots: Sequence[Shot], models: Callable[[Shot], Any]) -> list[Drawn]:
    """Draw what can be drawn in the time, in this order; `models` returns a shot's model, None where there is none."""
    return list(_draw(workload, shots, models))


def _draw(workload: Workload, shots: Sequence[Shot], models: Callable[[Shot], Any]) -> Iterator[Drawn]:
    from search.views import images  # noqa: F401 - imports matplotlib: not while a trial could be trained

    worked = time.process_time()
    begin = time.monotonic()
    told = set()
    for number, shot in enumerate(shots):
        is_late = time.process_time() - worked > WORK_S or time.monotonic() - begin > CLOCK_S
        if is_late and number and not shot.whole:
            yield Drawn()
            continue
        try:
            model = models(shot)
            yield Drawn(problem=UNPICKLED) if model is None else _draw_one(workload, shot, model)
        except (Exception, SystemExit) as error:
            problem = f"plot raised {type(error).__name__}: {error}"
            if problem not in told:
                traceback.print_exc()
            told.add(problem)
            yield Drawn(problem=problem)


def _draw_one(workload: Workload, shot: Shot, model: Any) -> Drawn:
    from search.views import images

    assert workload.plot is not None
    with process.time_limit(WHOLE_PICTURE_S if shot.whole else PICTURE_S):
        figure = images.figure_of(workload.plot(model, workload.build(shot.values)))
        drawn = Drawn(images.render(figure), images.png(figure) if shot.whole else b"")
        images.close(figure)
    return drawn

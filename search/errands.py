"""What retraining has worker processes do: train a config in full, test its model, make files of it, draw it.

A workload that raises costs its run, or its files, and says so; nothing here raises what a workload raises.
"""

import dataclasses
import sys
import tempfile
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from search import journal, worker
from search.checkpoints import Checkpoints
from search.drawing import Drawn, Shot, draw

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
    checkpoints: tuple[int, ...] = ()
    """The epochs of which there is one."""

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


class Copies:
    """Pickled copies of a run's live model: at its best epoch, and on its way where that will be drawn."""

    def __init__(self, order: worker.Order) -> None:
        self.best: bytes | None = None
        self.checkpoints = Checkpoints()
        self._order = order
        self._value: float | None = None

    def take(self, training: worker.Training, result: Mapping[str, Any]) -> None:
        """Copy the model after a pull, where it is the best so far or one to be drawn."""
        improved, self._value = result["best"] != self._value, result["best"]
        wanted = bool(result["epochs"]) and self._wants(result["epoch"], training.config.epochs)
        copied = _pickle(training.model) if improved or wanted else None
        if improved:
            self.best = copied
        if wanted:
            self.checkpoints.add(result["epoch"], copied)

    def _wants(self, epoch: int, epochs: int) -> bool:
        is_drawn = worker.prepare(self._order.workload, self._order.gpus).plot is not None
        return is_drawn and self.checkpoints.want(epoch, epochs)


def train(order: worker.Order, log: str, keep: bool) -> tuple[Record, bytes | None, dict[int, bytes]]:
    """Train a config; return its record and, to `keep`, pickled models: that of its best epoch, and others by epoch."""
    worker.redirect_output(Path(log))
    training, copies = worker.Training(order), Copies(order)
    epochs: list[tuple[dict[str, float], float | None]] = []
    while True:
        result = training.advance(seconds=0)
        epochs += [(metrics, reached) for _, metrics, reached in result["epochs"]]
        if keep:
            copies.take(training, result)
        if result["ended"]:
            break
    config = _plain(dataclasses.asdict(training.config)) if training.config else None
    training.close()
    failure = result.get("failure", "")
    if failure:
        print(result["traceback"] or failure, file=sys.stderr)
    checkpoints = copies.checkpoints.models
    ended, best = worker.ending(result), result["best"]
    record = Record(ended, config, tuple(epochs), best, failure, training.where, tuple(checkpoints))
    return record, copies.best, checkpoints


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


def test(order: worker.Order, log: str, model: bytes | None) -> Scores:
    """Return the metrics of a pickled model on data that nobody has looked at."""
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


def package(order: worker.Order, log: str, model: bytes | None) -> Files:
    """Make model.pt where the workload saves."""
    worker.redirect_output(Path(log))
    workload = worker.prepare(order.workload, order.gpus)
    if model is None:
        return {}, ["its model cannot be pickled, so it is not kept"]
    problems = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        try:
            if workload.save:
                workload.save(_unpickle(model), workload.build(order.values), folder / "model.pt")
        except (Exception, SystemExit) as error:
            traceback.print_exc()
            problems.append(f"save raised {type(error).__name__}: {error}")
        made = sorted(path for path in folder.rglob("*") if path.is_file())
        return {str(path.relative_to(folder)): path.read_bytes() for path in made}, problems


def draw_all(order: worker.Order, log: str, shots: list[Shot], *models: Any) -> list[Drawn]:
    """Draw shots whose models are numbers of these: pickled models, and checkpoints by epoch."""
    worker.redirect_output(Path(log))

    def model_of(shot: Shot) -> Any:
        pickled = models[shot.model][shot.epoch] if shot.epoch else models[shot.model]
        return None if pickled is None else _unpickle(pickled)

    return draw(worker.prepare(order.workload, order.gpus), shots, model_of)


def _unpickle(model: bytes) -> Any:
    from ray import cloudpickle

    return cloudpickle.loads(model)

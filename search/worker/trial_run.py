"""A trial run of a config in a worker process: a few epochs, timed and weighed."""

import os
import platform
import time
from pathlib import Path

from search.analysis.tried import Tried, place_in
from search.worker import checkpoints, footprint, process, training
from search.worker.guard import Guard
from search.worker.training import Order, Training

ENOUGH_S = 1.0
"""Time of the epochs after the first that is enough to know how long one takes."""
LONG_S = 60.0
"""Time of a first epoch after which no second one is trained."""
MOST_WITHOUT_S = 20.0
"""Time in which the metric of the objective must come, else no further epoch is waited for."""


def train(order: Order, log: str) -> tuple[Tried, bytes | None]:
    """Train an epoch of a config, more where it is short; return what it showed, and its pickled model."""
    process.redirect_output(Path(log))
    began = time.time()
    import_s = _import(order)
    run = Training(order)
    metrics: list[dict[str, float]] = []
    elapsed_s: list[float] = []
    notes: list[str] = []
    resident_bytes: list[int] = []
    children_bytes = 0
    # Train until it is known how long an epoch takes, and whether the objective's metric comes.
    while True:
        result = run.advance(seconds=0)
        for _, numbers, _ in result["epochs"]:
            elapsed_s.append(numbers.pop("elapsed_s"))
            metrics.append(numbers)
        notes += result.get("notes", [])
        resident_bytes.append(footprint.resident_bytes())
        children_bytes = max(children_bytes, footprint.children_bytes())
        if result["ended"] or _is_enough(elapsed_s, has_value=result["value"] is not None):
            break
    # What is left of it: the model, and whatever it leaves behind.
    has_model = run.model is not None
    pickled, unpickled = checkpoints.pickle(run.model)
    peak_bytes = footprint.peak_bytes()
    gpu_bytes = footprint.gpu_bytes()
    values = run.values
    notes += run.settle(result)
    left = run.close()
    tried = Tried(
        values=values,
        metrics=tuple(metrics),
        elapsed_s=tuple(elapsed_s),
        best=result["best"],
        import_s=import_s,
        began=began,
        process=(platform.node(), os.getpid()),
        has_ended=result["ended"],
        has_diverged=training.ending(result) == "diverged",
        notes=tuple(notes),
        failure=result.get("failure", ""),
        is_infeasible=bool(result.get("infeasible")),
        place=place_in(result.get("traceback", "")),
        left=left,
        peak_bytes=peak_bytes,
        grown_bytes=resident_bytes[-1] - resident_bytes[0],
        children_bytes=children_bytes,
        gpu_bytes=gpu_bytes,
        model_bytes=len(pickled) if pickled and has_model else 0,
        unpickled=unpickled,
    )
    return tried, pickled


def _import(order: Order) -> float:
    """Import the workload; return the seconds that took. Where it raises, so does the training, which tells of it."""
    begin = time.perf_counter()
    with Guard():
        process.prepare(order.workload, order.gpus)
    return time.perf_counter() - begin


def _is_enough(elapsed_s: list[float], *, has_value: bool) -> bool:
    """Return whether no further epoch is needed, after epochs that ended so many seconds after the begin."""
    if elapsed_s[0] >= LONG_S:
        return True
    if not has_value:
        return elapsed_s[-1] >= MOST_WITHOUT_S
    return len(elapsed_s) > 1 and elapsed_s[-1] - elapsed_s[0] >= ENOUGH_S

"""Trains with a trainer of this folder in every way in which a trial can end, in one process; prints what was seen.

python -m tests.trainers.drive lightning_net
"""

import faulthandler
import gc
import importlib
import json
import logging
import os
import signal
import sys
import threading
import warnings
import weakref
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from types import ModuleType
from typing import Any

import cloudpickle
import psutil

from search.spec.objective import Objective
from search.worker.training import Order, Training, ending

PATIENCE_S = 300
"""Time after which the process prints where it hangs, and ends."""
LIMIT_S = 1.0
"""Time limit of an epoch after the first."""
TRIALS = 5
"""Trials after which the objects that are left behind are counted."""

Seen = dict[str, Any]


def observe(module: ModuleType, pulls: int = 99, limited: bool = False, **values: Any) -> Seen:
    """Train a config as a worker does, at most so many epochs; return what was seen of it and of what it left behind.

    With a time limit, that of the first epoch is long, as that takes its time on a slow machine.
    """
    before = _signal_handlers()
    order = Order(module.__name__, 0, Objective("loss", "min"), values)
    training = Training(order)
    models: list[weakref.ref[Any]] = []
    losses: list[float] = []
    workers = 0
    # Train, as a worker does.
    for pull in range(pulls):
        if limited:
            training._order = replace(order, timeout=LIMIT_S if pull else PATIENCE_S)
        result = training.pull()
        if result["epoch"] > len(losses):
            losses.append(result["metrics"]["loss"])
        if result["ended"]:
            break
        models.append(weakref.ref(training.model))
        copied = cloudpickle.loads(cloudpickle.dumps(training.model))  # as the retraining keeps it
        assert type(copied) is type(training.model)
        del copied
        workers = max(workers, len(_children()))
    seen: Seen = {"losses": losses, "ending": ending(result), "workers": workers}
    seen["failure"], seen["traceback"] = result.get("failure", ""), result.get("traceback", "")
    # Close, and look at what is left.
    seen["left"] = training.close()
    seen["models"] = sum(model() is not None for model in models)
    seen["children"] = [child.name() for child in _children()]
    seen["threads"] = [thread.name for thread in threading.enumerate() if thread is not threading.main_thread()]
    after = _signal_handlers()
    seen["signals"] = [signal.Signals(number).name for number in before if after[number] != before[number]]
    return seen


def _children() -> list[psutil.Process]:
    return psutil.Process().children(recursive=True)


def _signal_handlers() -> dict[int, Any]:
    fixed = {signal.SIGKILL, signal.SIGSTOP}
    return {int(number): signal.getsignal(number) for number in signal.valid_signals() - fixed}


def alone(module: ModuleType, **values: Any) -> list[float]:
    """Return the losses of a trainer that is run to its end without us."""
    losses: list[float] = []

    def report(metrics: Any, model: Any = None) -> None:
        losses.append(float(metrics["loss"]))

    module.train(module.Config(**values), report)
    return losses


def growth(trial: Callable[[], object]) -> int:
    """Return how many objects more there are after TRIALS of these than after the first."""
    trial()
    gc.collect()
    before = len(gc.get_objects())
    for _ in range(TRIALS):
        trial()
    gc.collect()
    return len(gc.get_objects()) - before


def everything(module: ModuleType) -> dict[str, Any]:
    """Return what was seen, by case."""
    seen: dict[str, Any] = {
        "alone": alone(module),
        "complete": observe(module),
        "stopped": observe(module, pulls=2),
        "stopped in time": observe(module, pulls=2, limited=True),
        "diverged": observe(module, fault="diverge"),
        "raises": observe(module, fault="raise"),
        "hangs": observe(module, fault="hang", limited=True),
        "interrupted": observe(module, fault="interrupt"),
        "swallows": observe(module, fault="swallow", pulls=2),
    }
    faulthandler.dump_traceback_later(PATIENCE_S, exit=True)  # again, as the time limit has cancelled it
    if hasattr(module.Config(), "workers"):
        seen["stopped with workers"] = observe(module, pulls=2, workers=2)
        seen["raises with workers"] = observe(module, fault="raise", workers=2)
        seen["hangs with workers"] = observe(module, fault="hang", workers=2, limited=True)
    seen["again"] = observe(module)
    seen["growth"] = growth(partial(observe, module, pulls=2))
    seen["growth alone"] = growth(partial(alone, module))
    seen["goes on"] = observe(module, fault="swallow", pulls=2, epochs=9)  # the last one, as it spoils the process
    return seen


def main(name: str, fault: str = "") -> None:
    """Print what was seen as JSON; with a fault, only train with that."""
    faulthandler.dump_traceback_later(PATIENCE_S, exit=True)
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    module = importlib.import_module(f"tests.trainers.{name}")
    seen = observe(module, fault=fault) if fault else everything(module)
    print("\n" + json.dumps(seen), flush=True)
    os._exit(0)  # a trainer that goes on may do so at exit, too


if __name__ == "__main__":
    main(*sys.argv[1:])

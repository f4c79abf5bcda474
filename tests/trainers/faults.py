"""What goes wrong in the workloads of this folder: where their trainers compute, and in their callbacks."""

import math
import os
import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

WAIT_S = 60.0
"""Time that a trainer hangs at most: a test that ends it sooner is right."""


def misbehave(fault: str, epoch: int) -> None:
    """Do what `fault` says in the second epoch, counted from 1."""
    if epoch != 2:
        return
    if fault == "raise":
        raise RuntimeError("the model broke")
    if fault == "hang":
        threading.Event().wait(WAIT_S)
    if fault == "interrupt":
        os.kill(os.getpid(), signal.SIGINT)
    if fault == "terminate":
        os.kill(os.getpid(), signal.SIGTERM)


def faulty(report: Callable[..., None], fault: str) -> Callable[..., None]:
    """Return a `report` that ignores whatever it raises, or whose loss is NaN from the second epoch on."""
    epochs = 0

    def careless(metrics: Any, model: Any = None) -> None:
        with suppress(BaseException):
            report(metrics, model)

    def diverging(metrics: Any, model: Any = None) -> None:
        nonlocal epochs
        epochs += 1
        report({**metrics, "loss": math.nan} if epochs >= 2 else metrics, model)

    return {"swallow": careless, "diverge": diverging}.get(fault, report)

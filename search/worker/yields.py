"""What a workload yields, an epoch at a time, whatever the form of its `train`."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from search.errors import shown
from search.spec.workload import Workload
from search.worker.push import Pushed
from search.worker.script import Script

FORMS = "yield metrics, or (metrics, model), once an epoch, or call report(metrics, model)"


def of(workload: Workload, config: Any, folder: Path | None) -> Iterator[Any]:
    """Begin to train a config; return an iterator over what it yields, or reports, an epoch.

    Raises TypeError where `train` returns nothing to iterate over.
    """
    if workload.command:
        values = {**dict(workload.command.defaults), **workload.values_of(config)}  # which leaves a default list out
        return Script(workload.command, values, folder)
    if "report" in workload.gets:
        return Pushed(lambda report: workload.call(config, {"folder": folder, "report": report}))
    returned = workload.call(config, {"folder": folder})
    if not hasattr(returned, "__iter__") or hasattr(returned, "items") or isinstance(returned, str | bytes):
        raise TypeError(f"train must {FORMS}, but it returned {shown(returned)}")
    return iter(returned)


def settle(yields: Iterator[Any] | None) -> str:
    """Let what is iterated over run from its last epoch to its own end; return what is wrong with that, as text."""
    if isinstance(yields, Script):
        return yields.settle()
    if yields is not None and next(yields, None) is not None:
        return "train goes on after its last epoch, where the trial ends: it yields more often than epochs says"
    return ""


def close(yields: Iterator[Any] | None) -> str:
    """End what is iterated over where it stands; return what could not be ended, as text. Raises what it raises."""
    if yields is None or not hasattr(yields, "close"):
        return ""
    left = yields.close()
    return left if isinstance(left, str) else ""


def unpack(yielded: Any) -> tuple[Any, Any]:
    """Return the metrics and the model of what was yielded; None for no model.

    Raises TypeError where it is anything else.
    """
    if _are_metrics(yielded):
        return yielded, None
    why = f"got {shown(yielded)}"
    if isinstance(yielded, tuple | list):
        if len(yielded) == 2 and _are_metrics(yielded[0]):
            return yielded[0], yielded[1]
        if len(yielded) == 2 and yielded[1] is None:
            why = f"got {shown(yielded[0])}"
        elif len(yielded) == 2 and _are_metrics(yielded[1]):
            why = f"got them the other way round: {shown(yielded)}"
        elif len(yielded) != 2:
            why = f"got {len(yielded)} values: {shown(yielded)}"
    raise TypeError(f"train must yield or report metrics, a mapping of numbers by name, and a model or none, but {why}")


def _are_metrics(value: Any) -> bool:
    """Return whether a value is a mapping, and no model that can be gone through like one, as torch's ModuleDict."""
    return hasattr(value, "items") and not callable(value)

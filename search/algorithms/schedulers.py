"""The schedulers by name: each says at which epochs trials are compared, and which of them go on there."""

from collections.abc import Mapping
from dataclasses import MISSING, asdict, fields
from typing import Any, Protocol

from search.algorithms.asha import ASHA
from search.algorithms.hyperband import Hyperband
from search.algorithms.median import MedianStopping
from search.errors import UserError, suggestion


class Rule(Protocol):
    """Which trials of one search go on, by the losses that the rule has been told of at the scheduler's rungs.

    A resume tells a new rule of all that the journal holds, trial by trial. So the answer must not depend on the order
    in which it was told, on a clock or on chance. Between rungs the rule is asked now and then: it returns True there,
    and takes nothing in. A trial that comes to a rung again, after its process died, went on there before.
    """

    def goes_on(self, trial: int, epoch: int, loss: float) -> bool:
        """Take in the best loss so far of a trial at an epoch, counted from 1; return whether the trial goes on.

        The loss is finite, and lower is better: a metric that is to be maximized comes with its sign turned.
        """
        ...


class Scheduler(Protocol):
    """The options of a scheduler: a frozen dataclass that checks its fields and raises UserError."""

    def rungs(self, epochs: int) -> list[int]:
        """Return the epochs at which trials of so many epochs are compared, lowest first."""
        ...

    def chances(self, epochs: int) -> list[float]:
        """Return with what chance a trial goes on at each rung, before anything is known: for the time left."""
        ...

    def rule(self, epochs: int) -> Rule:
        """Return the rule for a new search whose full trials train so many epochs."""
        ...


SCHEDULERS: dict[str, type[Any]] = {"asha": ASHA, "hyperband": Hyperband, "median": MedianStopping}
"""Every scheduler; each value is a Scheduler."""
DEFAULT = "asha"
NONE = "none"
"""Stands for null: every trial is trained to its end."""


def make(asked: Any) -> Scheduler | None:
    """Return the scheduler of a config: a name, {name, option: value, ...}, a Scheduler, or None or "none" for none.

    Without a name it is ASHA. Raises UserError where there is no such scheduler or it has no such option.
    """
    if asked in (NONE, {"name": NONE}):
        return None
    if asked is None or type(asked) in SCHEDULERS.values():
        scheduler: Scheduler | None = asked
        return scheduler
    options = {"name": asked} if isinstance(asked, str) else asked
    if not isinstance(options, Mapping):
        raise UserError(f"scheduler must be a name, {{name: ..., OPTION: ...}} or null, but got {asked!r}")
    name = options.get("name", DEFAULT)
    if name not in [*SCHEDULERS]:
        if name == NONE:
            raise UserError(f"scheduler none must stand without options, but got {dict(options)!r}; remove them")
        raise UserError(f"unknown scheduler {name!r}, {suggestion(str(name), [*SCHEDULERS, NONE])}")
    kind = SCHEDULERS[name]
    known = [item.name for item in fields(kind)]
    for option in options:
        if option not in ["name", *known]:
            raise UserError(f"unknown setting 'scheduler.{option}', {suggestion(str(option), [*known, 'name'])}")
    for item in fields(kind):
        if item.default is MISSING and item.name not in options:
            raise UserError(f"scheduler.{item.name} must be given: {{name: {name}, {item.name}: ...}}")
    made: Scheduler = kind(**{option: value for option, value in options.items() if option != "name"})
    return made


def options_of(scheduler: Scheduler | None) -> dict[str, Any] | None:
    """Return what `make` makes the same scheduler of, as plain values."""
    if scheduler is None:
        return None
    names = {kind: name for name, kind in SCHEDULERS.items()}
    made: Any = scheduler
    return {"name": names[type(scheduler)], **asdict(made)}

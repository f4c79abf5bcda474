"""The schedulers by name: each says at which epochs trials are compared, and which of them go on there."""

from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any, Protocol

from search.algorithms.asha import ASHA
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

    @property
    def reduction_factor(self) -> int:
        """At a rung about one trial in so many goes on: what the time left is reckoned with at the start."""
        ...

    def rungs(self, epochs: int) -> list[int]:
        """Return the epochs at which trials of so many epochs are compared, lowest first."""
        ...

    def rule(self, epochs: int) -> Rule:
        """Return the rule for a new search whose full trials train so many epochs."""
        ...


SCHEDULERS: dict[str, type[Any]] = {"asha": ASHA}
"""Every scheduler; each value is a Scheduler."""
DEFAULT = "asha"


def make(asked: Any) -> Scheduler | None:
    """Return the scheduler of a config: a name, {name, option: value, ...}, a Scheduler, or None for none.

    Without a name it is ASHA. Raises UserError where there is no such scheduler or it has no such option.
    """
    if asked is None or type(asked) in SCHEDULERS.values():
        scheduler: Scheduler | None = asked
        return scheduler
    options = {"name": asked} if isinstance(asked, str) else asked
    if not isinstance(options, Mapping):
        raise UserError(f"scheduler must be of type mapping or null, but got {asked!r}")
    name = options.get("name", DEFAULT)
    if name not in [*SCHEDULERS]:
        raise UserError(f"unknown scheduler {name!r}, {suggestion(str(name), SCHEDULERS)}")
    kind = SCHEDULERS[name]
    known = [item.name for item in fields(kind)]
    for option in options:
        if option not in ["name", *known]:
            raise UserError(f"unknown setting 'scheduler.{option}', {suggestion(str(option), known)}")
    made: Scheduler = kind(**{option: value for option, value in options.items() if option != "name"})
    return made


def options_of(scheduler: Scheduler | None) -> dict[str, Any] | None:
    """Return what `make` makes the same scheduler of, as plain values."""
    if scheduler is None:
        return None
    names = {kind: name for name, kind in SCHEDULERS.items()}
    made: Any = scheduler
    return {"name": names[type(scheduler)], **asdict(made)}

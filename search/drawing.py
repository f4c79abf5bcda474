"""In a worker process: what a workload's `plot` makes of models, as small images, within a few seconds."""

import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from search import worker
from search.workload import Workload

WORK, CLOCK = 3.0, 10.0
"""Seconds of work, and by the clock, which others slow down, after which a process begins no further picture."""
LONGEST, LONGEST_WHOLE = 5.0, 60.0
"""Seconds that one may take; the winner's own is waited for."""
UNPICKLED = "its model cannot be pickled"


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


def draw(workload: Workload, shots: Sequence[Shot], models: Callable[[Shot], Any]) -> list[Drawn]:
    """Draw what can be drawn in the time, in this order; `models` returns a shot's model, None where there is none."""
    return list(_draw(workload, shots, models))


def _draw(workload: Workload, shots: Sequence[Shot], models: Callable[[Shot], Any]) -> Iterator[Drawn]:
    from search import images  # noqa: F401 - imports matplotlib: not while a trial could be trained

    worked, begin, told = time.process_time(), time.monotonic(), set()
    for number, shot in enumerate(shots):
        is_late = time.process_time() - worked > WORK or time.monotonic() - begin > CLOCK
        if is_late and number and not shot.whole:
            yield Drawn()
            continue
        try:
            model = models(shot)
            yield Drawn(problem=UNPICKLED) if model is None else _one(workload, shot, model)
        except (Exception, SystemExit) as error:
            problem = f"plot raised {type(error).__name__}: {error}"
            if problem not in told:
                traceback.print_exc()
            told.add(problem)
            yield Drawn(problem=problem)


def _one(workload: Workload, shot: Shot, model: Any) -> Drawn:
    from search import images

    assert workload.plot is not None
    with worker.time_limit(LONGEST_WHOLE if shot.whole else LONGEST, "it took longer than {:g} s"):
        figure = images.figure_of(workload.plot(model, workload.build(shot.values)))
        drawn = Drawn(images.render(figure), images.png(figure) if shot.whole else b"")
        images.close(figure)
    return drawn

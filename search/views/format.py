"""Numbers, values and time spans as a person writes and looks at them, and the colours of trials."""

import itertools
import math
from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from search.analysis.quotes import quoted
from search.spec.objective import deviation, mean

T = TypeVar("T")

MIN_DRAWN = 1e-150
MAX_DRAWN = 1e150
"""The least and the greatest number, without its sign, at which anything is drawn."""
MAX_RUNGS = 9
"""Rungs that are drawn each by itself; of more the first one is, or some of them."""
MAX_CHOICE_LENGTH = 18
"""Characters of a choice that are written out."""
STATE_COLOURS = {
    "complete": "#2a7f62",
    "stopped": "#8c9bb0",
    "diverged": "#e07b00",
    "failed": "#2b2b2b",
    "running": "#7b5ea7",
}
FRONT_COLOUR = "#d1173a"
"""Of the trial that stands out: the winner, or the best."""


def values(params: Mapping[str, Any]) -> str:
    """Return hyperparameters as a line of text."""
    return ", ".join(f"{name} {number(value)}" for name, value in params.items())


def infeasible(by_config: int, by_train: int) -> str:
    """Return how many configurations were infeasible, as text; empty where none was."""
    if not by_config and not by_train:
        return ""
    parts = [f"{many} refused by {name}" for many, name in ((by_config, "Config"), (by_train, "train")) if many]
    return f"{by_config + by_train} infeasible, which count as no trials: {', '.join(parts)}"


def outside(trials: int) -> str:
    """Return how many trials do not lie in the space, as text; empty where all do."""
    if not trials:
        return ""
    do = "1 trial does" if trials == 1 else f"{trials} trials do"
    return f"{do} not lie in the space as it was changed: counted, and none of them can win"


def number(value: Any) -> str:
    """Return a value as a person writes it: four digits of a float, a text that looks like a number in quotes."""
    if isinstance(value, float):
        return f"{value:.4g}"
    return _plain(value)


def _plain(value: object) -> str:
    if isinstance(value, str):
        return quoted(value)
    return str(value)


def span(seconds: float) -> str:
    """Return a time span as text: 42 s, 3 min 20 s, 1 h 05 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02} min"


def plus_minus(value: float, error: float | None) -> str:
    """Return a value with its error: two digits of the error, and as many places of the value."""
    if error is None or not 0 < error < math.inf:
        return number(value)
    places = max(0, 1 - math.floor(math.log10(error)))
    if places > 8 or abs(value) >= 1e6:
        return f"{value:.4g} ± {error:.2g}"
    return f"{value:.{places}f} ± {error:.{places}f}"


def spans_decades(values: Collection[float]) -> bool:
    """Return whether values are to be shown on a logarithmic scale: positive, and more than a factor of ten apart."""
    return bool(values) and min(values) > 0 and max(values) > 10 * min(values)


def drawn(value: float) -> float:
    """Return where a value stands in charts and pictures: itself, or the nearest number that they can still draw.

    They multiply and divide what they draw: near the ends of what a float holds that gives infinity, or nothing.
    """
    if 0 < abs(value) < MIN_DRAWN:
        return math.copysign(MIN_DRAWN, value)
    if abs(value) > MAX_DRAWN:
        return math.copysign(MAX_DRAWN, value)
    return value


def epochs_of(numbers: Sequence[int]) -> str:
    """Return the numbers of epochs, lowest first, as text: epoch 3, epochs 3, 9, epochs 3 to 29, every second."""
    listed = ", ".join(map(str, numbers))
    if len(numbers) > MAX_RUNGS:
        listed = f"{numbers[0]} to {numbers[-1]}"
        steps = {after - before for before, after in itertools.pairwise(numbers)}
        if len(steps) == 1 and steps != {1}:
            listed += f" in steps of {steps.pop()}"
    return f"epoch {listed}" if len(numbers) == 1 else f"epochs {listed}"


def rungs_drawn(rungs: Sequence[int]) -> Sequence[int]:
    """Return the rungs that are drawn as lines: where there are too many, the first."""
    return rungs if len(rungs) <= MAX_RUNGS else rungs[:1]


def rungs_named(rungs: Sequence[int]) -> str:
    """Return what the lines of `rungs_drawn` are, as text: rung (epochs 3, 9), first rung of epochs 3 to 29."""
    if len(rungs) > MAX_RUNGS:
        return f"first rung of {epochs_of(rungs)}"
    return f"rung ({epochs_of(rungs)})"


def some_of(rungs: Sequence[int]) -> list[int]:
    """Return at most MAX_RUNGS of the rungs, spread evenly, the first and the last among them."""
    if len(rungs) <= MAX_RUNGS:
        return list(rungs)
    return [rungs[at * (len(rungs) - 1) // (MAX_RUNGS - 1)] for at in range(MAX_RUNGS)]


def short(value: object) -> str:
    """Return a choice as text that fits at an axis."""
    text = _plain(value)
    if len(text) <= MAX_CHOICE_LENGTH:
        return text
    return f"{text[: MAX_CHOICE_LENGTH - 1]}…"


def correlation(value: float) -> str:
    """Return a rank correlation as text; a dash where there is no order."""
    if not math.isfinite(value):
        return "-"
    return f"{value:.3f}"


def first_that_fits(attempts: Iterable[Callable[[], bytes]], limit: int) -> bytes:
    """Return the first of these, tried in order, that has at most so many bytes; where none has, the last."""
    content = b""
    for attempt in attempts:
        content = attempt()
        if len(content) <= limit:
            break
    return content


def spread(values: list[float]) -> str:
    """Return 'mean ± standard deviation' over seeds, as text for a person."""
    if not values:
        return "-"
    center = mean(values)
    if len(values) == 1 or not all(map(math.isfinite, values)):
        return f"{center:.5g}"
    error = deviation(values)
    if 1e-4 <= abs(center) < 1e4:
        return f"{center:.5f} ± {error:.5f}"
    return f"{center:.4g} ± {error:.2g}"


def line_width(trials: int) -> float:
    """Return how wide the line of a trial is drawn: thinner where there are many."""
    if trials <= 60:
        return 1.4
    return 0.7


def evenly(items: Sequence[T]) -> list[T]:
    """Return the last, the first, then what halves the gaps: the first few are then spread over all."""
    last = len(items) - 1
    if last <= 0:
        return list(items)
    order = [last, 0]
    gaps = deque([(0, last)])
    while gaps:
        low, high = gaps.popleft()
        if high - low > 1:
            middle = (low + high) // 2
            order.append(middle)
            gaps += [(low, middle), (middle, high)]
    return [items[number] for number in order]

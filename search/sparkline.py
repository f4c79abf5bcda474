"""The values of a search as one line of a terminal: whether it still improves, and how good is what it tries."""

import itertools
import math
from collections.abc import Callable, Mapping

from rich.text import Text

from search.words import spans_decades

BLOCKS, ASCII = "▁▂▃▄▅▆▇█", ".:-=+x#@"
"""Heights, the lowest first; of a terminal that cannot show the first ones the second."""
BEST = "*"
"""Stands for the best trial, with and without colour: its height is the lowest or the highest."""
LEAST = 10
"""Columns of the line itself, however narrow the terminal."""


def draw(found: Mapping[int, float], mode: str, width: int, is_ascii: bool) -> Text:
    """Return a column a trial in the order of proposal, behind the lowest and the highest value.

    `found` are the finite values of trials by number, at least one. Where there are more than fit into the width,
    neighbours share a column, which shows the best of them.
    """
    values = [value for _, value in sorted(found.items())]
    heights = ASCII if is_ascii else BLOCKS
    low, high = min(values), max(values)
    is_log = spans_decades(values)
    legend = f"{heights[0]} {low:.3g} {heights[-1]} {high:.3g}{' log' if is_log else ''} "
    chosen = min if mode == "min" else max
    best = values.index(chosen(values))
    columns = min(len(values), max(width - len(legend), LEAST))
    edges = [column * len(values) // columns for column in range(columns + 1)]
    line = Text(legend, style="dim", no_wrap=True, overflow="crop")
    for begin, end in itertools.pairwise(edges):
        if begin <= best < end:
            line.append(BEST, style="not dim bold green")
        else:
            place = _place(chosen(values[begin:end]), low, high, math.log if is_log else float)
            line.append(heights[min(int(place * len(heights)), len(heights) - 1)], style="not dim cyan")
    return line


def _place(value: float, low: float, high: float, scale: Callable[[float], float]) -> float:
    """Return where a value lies between two others, in [0, 1]; in the middle where those are equal."""
    value, low, high = (scale(each) / 2 for each in (value, low, high))  # a half of each, since a span may overflow
    return (value - low) / (high - low) if high > low else 0.5

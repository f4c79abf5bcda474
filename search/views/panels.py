"""Panels side by side in matplotlib's pictures, and in each a point a trial, in the colour of its state."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from search.views.format import STATE_COLOURS


def scatter(axes: Axes, table: pd.DataFrame, x: str, y: str = "value") -> None:
    """Draw a point a row, in the colour of its state."""
    for state, colour in STATE_COLOURS.items():
        part = table[table["state"] == state]
        if len(part):
            axes.scatter(part[x], part[y], color=colour, s=22, alpha=0.85, label=state, linewidth=0)


def panels_of(figure: Figure, count: int, columns: int, *, sharex: bool, sharey: bool = True) -> list[Axes]:
    """Return so many panels in rows of so many columns; what is left of the last row stays blank."""
    rows = -(-count // columns)
    panels: list[Axes] = list(figure.subplots(rows, columns, squeeze=False, sharex=sharex, sharey=sharey).ravel())
    for axes in panels[count:]:
        axes.set_axis_off()
    return panels[:count]


def legend_below(figure: Figure, axes: Axes, columns: int) -> None:
    """Put the legend of one of the panels below all of them, in at most so many columns; none of nothing."""
    handles, labels = axes.get_legend_handles_labels()
    if handles:
        figure.legend(handles, labels, loc="outside lower center", ncols=columns)

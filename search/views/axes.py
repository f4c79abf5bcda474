"""How the axes of matplotlib's pictures are scaled, labelled and written."""

from typing import Literal

from matplotlib.axes import Axes
from matplotlib.axis import Axis as MatplotlibAxis
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from search.spec.axes import Axis
from search.views.format import drawn, short, spans_decades

MARGIN_SHARE = 0.03
"""Of a range, free on each side of it."""
FEW_DECADES = 500
"""The ratio of the ends of a logarithmic axis below which 2 and 5 of each decade are written too."""


def plain(name: str) -> str:
    """Return a user's name as matplotlib writes it as it stands, and not as a formula."""
    return name.replace("$", r"\$")


def scale_metric(axes: Axes, metric: str, values: list[float], side: Literal["x", "y"] = "y") -> None:
    """Label the axis of a metric; logarithmic where the values are positive and span more than a factor of ten."""
    if not values:
        axes.text(0.5, 0.5, "no finite value", ha="center", va="center", transform=axes.transAxes)
    elif spans_decades(list(map(drawn, values))):
        axes.set(**{f"{side}scale": "log"})
        _write_plainly(axes.xaxis if side == "x" else axes.yaxis)
    axes.set(**{f"{side}label": plain(metric)})


def scale_parameter(axes: Axes, name: str, axis: Axis) -> None:
    """Label the x axis; show the whole range that was searched, on its scale."""
    axes.set_xlabel(plain(name))
    low = drawn(axis.low)
    high = drawn(axis.high)
    if axis.choices:
        names = [plain(short(choice)) for choice in axis.choices]
        axes.set_xticks(range(len(names)), names, rotation=30, ha="right", rotation_mode="anchor")
        axes.set_xlim(-0.5, len(names) - 0.5)
    elif axis.is_log:
        axes.set_xscale("log")
        factor = (high / low) ** MARGIN_SHARE
        _show(axes, low / factor, high * factor)
        _write_plainly(axes.xaxis)
    else:
        margin = (high - low) * MARGIN_SHARE
        _show(axes, low - margin, high + margin)
        axes.xaxis.set_major_locator(MaxNLocator(integer=axis.is_integer))


def _show(axes: Axes, left: float, right: float) -> None:
    """Show this range of x; matplotlib's own choice where all of it is drawn at one place."""
    if left < right:
        axes.set_xlim(left, right)


def _write_plainly(axis: MatplotlibAxis) -> None:
    """Write 0.01 rather than 10⁻² at a logarithmic axis, and 0.02 and 0.05 too where it spans few decades."""
    low, high = axis.get_view_interval()
    multiples: tuple[float, ...] = (1.0,)
    if 0 < low <= high < FEW_DECADES * low:
        multiples = (1.0, 2.0, 5.0)
    axis.set_major_locator(LogLocator(subs=multiples))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())

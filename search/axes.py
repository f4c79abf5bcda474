"""The axes of a picture: scales and labels that fit a metric or a hyperparameter."""

from typing import Literal

from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from search.words import short, spans_decades

STYLE = "seaborn-v0_8-whitegrid"
"""Of every picture: seaborn's, which matplotlib ships; seaborn itself takes a second to import."""


def plain(name: str) -> str:
    """Return a user's name as matplotlib writes it as it stands, and not as a formula."""
    return name.replace("$", r"\$")


def scale_metric(axes: Axes, metric: str, values: list[float], side: Literal["x", "y"] = "y") -> None:
    """Label the axis of a metric; logarithmic where the values are positive and span more than a factor of ten."""
    if not values:
        axes.text(0.5, 0.5, "no finite value", ha="center", va="center", transform=axes.transAxes)
    elif spans_decades(values):
        axes.set(**{f"{side}scale": "log"})
        _write_plainly(axes.xaxis if side == "x" else axes.yaxis)
    axes.set(**{f"{side}label": plain(metric)})


def scale_parameter(axes: Axes, name: str, distribution: BaseDistribution) -> None:
    """Label the x axis; show the whole range that was searched, on its scale."""
    axes.set_xlabel(plain(name))
    if isinstance(distribution, CategoricalDistribution):
        names = [plain(short(choice)) for choice in distribution.choices]
        axes.set_xticks(range(len(names)), names, rotation=30, ha="right", rotation_mode="anchor")
        axes.set_xlim(-0.5, len(names) - 0.5)
        return
    assert isinstance(distribution, FloatDistribution | IntDistribution)
    low, high = distribution.low, distribution.high
    if distribution.log:
        axes.set_xscale("log")
        margin = (high / low) ** 0.03
        axes.set_xlim(low / margin, high * margin)
        _write_plainly(axes.xaxis)
    else:
        margin = (high - low) * 0.03
        axes.set_xlim(low - margin, high + margin)
        axes.xaxis.set_major_locator(MaxNLocator(integer=isinstance(distribution, IntDistribution)))


def _write_plainly(axis: Axis) -> None:
    """Write 0.01 rather than 10⁻² at a logarithmic axis, and 0.02 and 0.05 too where it spans few decades."""
    low, high = axis.get_view_interval()
    few = 0 < low <= high < 500 * low
    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if few else (1.0,)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())

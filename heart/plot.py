"""Pictures of the problem and of what a network made of it."""

from collections.abc import Mapping, Sequence

import matplotlib.style
import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter, PercentFormatter

from heart.data import PointDataset, curve
from heart.model import MLP

OUTSIDE, INSIDE, BOUNDARY, TRUTH = "#4c72b0", "#c44e52", "#ffe04d", "#222222"
PROBABILITY = LinearSegmentedColormap.from_list("probability", ["#5482d9", "#f2f1f1", "#e55050"])
STYLE = "seaborn-v0_8-whitegrid"
"""Seaborn's, which matplotlib ships; seaborn itself takes half a second to import, which a search does without."""
GRID = 200


def _figure(width: float, height: float) -> Figure:
    with matplotlib.style.context(STYLE):
        return Figure(figsize=(width, height), layout="constrained")


def _plane(axes: Axes, title: str) -> None:
    axes.set(xlim=(-2, 2), ylim=(-2, 2), aspect="equal", xlabel="x", ylabel="y", title=title)


def points(data: PointDataset) -> Figure:
    """Draw the labelled points."""
    import seaborn as sns

    figure = _figure(6.4, 6)
    with matplotlib.style.context(STYLE):
        axes = figure.add_subplot()
    frame = pd.DataFrame(data.points.cpu().numpy(), columns=["x", "y"])
    frame["point"] = np.where(data.labels.cpu().numpy()[:, 0] > 0.5, "inside", "outside")
    palette = {"outside": OUTSIDE, "inside": INSIDE}
    sns.scatterplot(frame, x="x", y="y", hue="point", palette=palette, s=3, linewidth=0, ax=axes, rasterized=True)
    _plane(axes, f"{len(data):,} labelled points, {data.labels.mean():.1%} inside")
    axes.legend(loc="upper right", markerscale=4, title=None)
    return figure


def curves(rows: Sequence[Mapping[str, float]], best_epoch: int) -> Figure:
    """Draw loss and accuracy over the epochs, and which epoch was kept."""
    import seaborn as sns

    frame = pd.DataFrame(rows)
    figure = _figure(10, 4)
    with matplotlib.style.context(STYLE):
        loss, accuracy = figure.subplots(1, 2)
    long = frame.melt("epoch", ["train_loss", "val_loss"], "part", "loss")
    long["part"] = long["part"].map({"train_loss": "training", "val_loss": "validation"})
    sns.lineplot(long, x="epoch", y="loss", hue="part", marker="o", markersize=4, ax=loss)
    loss.set(title="Loss", ylabel="binary cross-entropy (nats)", yscale="log")
    sns.lineplot(frame, x="epoch", y="val_accuracy", marker="o", markersize=4, ax=accuracy, color="C1")
    accuracy.set(title="Validation accuracy", ylabel="share of points right")
    loss.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    loss.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    loss.yaxis.set_minor_formatter(NullFormatter())
    accuracy.yaxis.set_major_formatter(PercentFormatter(1))
    for axes in (loss, accuracy):
        axes.axvline(best_epoch, color=TRUTH, linestyle="--", linewidth=1, label=f"kept: epoch {best_epoch}")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.legend()
    return figure


def _draw_boundary(axes: Axes, model: MLP) -> None:
    side = np.linspace(-2, 2, GRID)
    x, y = np.meshgrid(side, side)
    grid = torch.from_numpy(np.stack([x.ravel(), y.ravel()], axis=1))
    parts = [model.probability(part) for part in grid.split(2000)]  # whose activations stay in the core's cache
    inside = torch.cat(parts).numpy().reshape(GRID, GRID)
    extent = (-2, 2, -2, 2)
    axes.imshow(inside, PROBABILITY, extent=extent, origin="lower", vmin=0, vmax=1, interpolation="bilinear")
    if inside.min() < 0.5 < inside.max():
        axes.contour(x, y, inside, levels=[0.5], colors=BOUNDARY, linewidths=2.5)
    axes.contour(x, y, curve(x, y), levels=[0], colors=TRUTH, linewidths=1, linestyles="--")
    axes.grid(False)


def boundary(model: MLP, title: str = "What the network learned") -> Figure:
    """Draw the network's probability over the plane and its decision boundary over the true curve."""
    figure = Figure(figsize=(7, 6))  # laid out by hand: a search draws dozens, and constraints take half the time
    axes = figure.add_axes((0.085, 0.085, 0.74, 0.74 * 7 / 6))
    _draw_boundary(axes, model)
    _plane(axes, title)
    axes.set(xticks=range(-2, 3), yticks=range(-2, 3))
    place = figure.add_axes((0.85, 0.15, 0.03, 0.74))
    figure.colorbar(axes.images[0], place, label="probability of lying inside", ticks=[0, 0.25, 0.5, 0.75, 1])
    lines = [Line2D([], [], color=BOUNDARY, linewidth=2, label="decision boundary (0.5)")]
    lines.append(Line2D([], [], color=TRUTH, linestyle="--", label="true curve"))
    axes.legend(handles=lines, loc="upper right")
    return figure


def contact_sheet(snapshots: Mapping[int, MLP]) -> Figure:
    """Draw the boundary at each of the given epochs, so that one sees the heart appear."""
    columns = min(4, len(snapshots))
    rows = -(-len(snapshots) // columns)
    figure = _figure(2.6 * columns, 2.8 * rows)
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes in panels:
        axes.set_axis_off()
    for axes, (epoch, model) in zip(panels, snapshots.items(), strict=False):
        _draw_boundary(axes, model)
        _plane(axes, f"epoch {epoch}")
    return figure


def predictions(table: pd.DataFrame) -> Figure:
    """Draw the points of a table with columns x, y and probability in the colour of their probability."""
    figure = _figure(7, 6)
    axes = figure.add_subplot()
    drawn = axes.scatter(table["x"], table["y"], c=table["probability"], cmap=PROBABILITY, vmin=0, vmax=1, s=12)
    inside = int((table["probability"] >= 0.5).sum())
    axes.set(xlabel="x", ylabel="y", title=f"{inside:,} of {len(table):,} points predicted inside", aspect="equal")
    side = np.linspace(-2, 2, GRID)
    x, y = np.meshgrid(side, side)
    axes.contour(x, y, curve(x, y), levels=[0], colors=TRUTH, linewidths=1, linestyles="--")
    figure.colorbar(drawn, ax=axes, label="probability of lying inside", shrink=0.85)
    return figure

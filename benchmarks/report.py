"""What the runs of a benchmark come to, as tables and a picture."""

import math

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from benchmarks.phases import PHASES

OURS = "ours"
FORMATS = {
    "ours / it": ".2f",
    "val_loss": ".5f",
    "test_loss": ".5f",
    "driver_mb": ".0f",
    "workers_mb": ".0f",
    "busy": ".0%",
}


def comparison(runs: pd.DataFrame) -> pd.DataFrame:
    """Return a row for each number of trials and arm: medians, also of our time over the arm's in the same round."""
    mine = runs[runs["arm"] == OURS].set_index(["trials", "seed"])["seconds"]
    rounds = pd.MultiIndex.from_frame(runs[["trials", "seed"]])
    runs = runs.assign(**{"ours / it": mine.reindex(rounds).to_numpy() / runs["seconds"]})
    found = runs.groupby(["trials", "arm"], sort=False).median(numeric_only=True).reset_index()
    found["runs"] = runs.groupby(["trials", "arm"], sort=False).size().to_numpy()
    found["epochs a trial"] = found["epochs"] / found["trials"]
    columns = ["trials", "arm", "runs", "seconds", "ours / it", "epochs a trial", "val_loss", "test_loss"]
    return found[[*columns, "driver_mb", "workers_mb"]]


def where_it_goes(runs: pd.DataFrame) -> pd.DataFrame:
    """Return a row for each number of trials: the medians of the seconds of each of our phases, and of `busy`."""
    mine = runs[runs["arm"] == OURS].reindex(columns=["trials", "seconds", *PHASES, "busy"])
    return mine.groupby("trials", sort=False).median().reset_index()


def markdown(found: pd.DataFrame) -> str:
    """Return a table as Markdown; seconds and epochs with one digit."""
    lines = ["| " + " | ".join(found.columns) + " |", "|---" * len(found.columns) + "|"]
    for row in found.to_dict("records"):
        texts = [_text(str(name), value) for name, value in row.items()]
        lines.append("| " + " | ".join(texts) + " |")
    return "\n".join(lines) + "\n"


def _text(name: str, value: object) -> str:
    if isinstance(value, float):
        return "" if math.isnan(value) else format(value, FORMATS.get(name, ".1f"))
    return str(value)


def picture(found: pd.DataFrame) -> Figure:
    """Draw seconds against trials."""
    figure = Figure(figsize=(8, 4.8), layout="constrained")
    axes = figure.add_subplot()
    rivals = iter(("#4c72b0", "#8c9bb0", "#2a7f62", "#7b5ea7"))
    for arm, part in found.groupby("arm", sort=False):
        width, colour = (2.5, "#d1173a") if arm == OURS else (1.3, next(rivals))
        axes.plot(part["trials"], part["seconds"], marker="o", label=arm, linewidth=width, color=colour)
    axes.set(xscale="log", yscale="log", xlabel="trials", ylabel="seconds, whole process")
    axes.set_title("The same search: from the command to the retrained winner")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axis.set_minor_formatter(NullFormatter())
    axes.set_xticks(sorted(found["trials"].unique()), minor=False)
    axes.legend()
    return figure

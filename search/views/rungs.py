"""The picture of an audit: what the rungs saw of the final order."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from search.analysis import tables
from search.analysis.snapshot import Snapshot
from search.errors import count
from search.views.axes import plain, scale_metric
from search.views.format import FRONT_COLOUR, correlation, drawn, some_of
from search.views.panels import legend_below, panels_of, scatter
from search.views.pictures import FAINT_COLOUR


def audit(snapshot: Snapshot, table: pd.DataFrame) -> Figure:
    """Draw a panel a rung: the final value of every trial that has one against its value at the rung.

    Where there are very many, some of them.
    """
    correlation_of_all = tables.correlations(table)
    correlation_at = {rung: correlation_of_all[rung] for rung in some_of([*correlation_of_all])}
    full = table.dropna(subset=["final_value"])
    values_at = full.select_dtypes(float).columns  # the rungs, and the end
    full = full.assign(**full[values_at].map(drawn))
    columns = min(len(correlation_at), 3)
    rows = -(-len(correlation_at) // columns)
    figure = Figure(figsize=(max(6.0, 4.2 * columns), 3.8 * rows + 0.7), layout="constrained")
    panels = panels_of(figure, len(correlation_at), columns, sharex=True)
    # All panels have the same axes: those of the values at all rungs and of the final ones.
    metric = snapshot.config.metric
    values = full["final_value"].to_list()
    for rung in correlation_at:
        values += full[f"{tables.RUNG}{rung}"].to_list()
    for at, (axes, rung) in enumerate(zip(panels, correlation_at, strict=True)):
        _scatter_rung(axes, full, f"{tables.RUNG}{rung}")
        scale_metric(axes, metric, values, "x")
        scale_metric(axes, metric, values)
        axes.set_xlabel(f"best {plain(metric)} up to epoch {rung}")
        axes.set_ylabel("" if at % columns else f"final best {plain(metric)}")
        axes.set_title(f"epoch {rung}: rank correlation {correlation(correlation_at[rung])}")
        axes.tick_params(labelbottom=True)
    legend_below(figure, panels[0], 2 * columns)
    figure.suptitle(f"What the rungs saw of the final order of {count(len(full), 'trial')}")
    return figure


def _scatter_rung(axes: Axes, full: pd.DataFrame, rung: str) -> None:
    """Draw the final values of an audit's table against the column of a rung, and a ring around the true best."""
    scatter(axes, full, rung, "final_value")
    best = tables.true_best(full, "complete", "stopped")
    if best is None:
        return
    label = f"the true best, trial {best['trial']}"
    axes.scatter(best[rung], best["final_value"], s=110, facecolor="none", edgecolor=FRONT_COLOUR, label=label)
    both = full[["final_value", rung]].to_numpy()
    ends = [both.min(), both.max()]
    axes.plot(ends, ends, color=FAINT_COLOUR, linestyle=":", linewidth=1, label="not improved after the rung")

"""Pictures of a study, made from its journal.

python -m search.plot results/NAME
"""

import math
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import optuna
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances

from search import journal, outcome, program
from search.study import Study, direction

COLOURS = {
    "complete": "#2a7f62",
    "stopped": "#8c9bb0",
    "diverged": "#e07b00",
    "failed": "#2b2b2b",
    "running": "#7b5ea7",
}
FRONT = "#d1173a"
SPACE = "space."
"""Before a hyperparameter's name, which may be 'value' too."""


def draw(study: Study) -> list[Path]:
    """Write every picture of a study into its folder plots/; return their paths."""
    trials = study.trials()
    pictures: dict[str, Callable[[Study, list[journal.Trial]], Figure]] = {
        "curves": curves,
        "history": history,
        "hyperparameters": hyperparameters,
        "importances": importances,
    }
    paths = []
    (study.folder / "plots").mkdir(exist_ok=True)
    for name, picture in pictures.items():
        path = study.folder / "plots" / f"{name}.png"
        with sns.axes_style("whitegrid"):
            picture(study, trials).savefig(path, dpi=120)
        paths.append(path)
    return paths


def curves(study: Study, trials: list[journal.Trial]) -> Figure:
    """Draw the metric of every trial over the epochs, the rungs, and the winner in front."""
    figure = Figure(figsize=(9, 5), layout="constrained")
    axes = figure.add_subplot()
    winner, word = _front(study, trials)
    shown: set[str] = set()
    drawn: list[float] = []
    for trial in sorted(trials, key=lambda trial: trial.number == winner):
        values = [row.get(study.config.metric, math.nan) for row in trial.epochs]
        drawn += [value for value in values if math.isfinite(value)]
        front = trial.number == winner
        colour = FRONT if front else COLOURS[trial.ending]
        width = 2.5 if front else 1.4 if len(trials) <= 60 else 0.7
        label = f"{word}, trial {trial.number}" if front else trial.ending
        name = label if label not in shown else None
        marker = "o" if len(values) == 1 else None
        epochs = range(1, len(values) + 1)
        axes.plot(epochs, values, label=name, color=colour, lw=width, marker=marker, ms=3, alpha=0.8)
        shown.add(label)
    rungs = _rungs(study)
    for rung in rungs:
        axes.axvline(rung, color="#555555", linestyle=":", linewidth=1)
    _value_axis(axes, study, drawn, "y")
    title = f"Learning curves of {study.config.workload}, trials: {len(trials)}"
    axes.set(xlabel="epoch", xlim=(1, max(2, study.epochs)), title=title)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    handles, names = axes.get_legend_handles_labels()
    if rungs:
        handles.append(Line2D([], [], color="#555555", linestyle=":"))
        names.append(f"rung (epochs {', '.join(map(str, rungs))})")
    if handles:
        figure.legend(handles, names, loc="outside right upper")
    return figure


def history(study: Study, trials: list[journal.Trial]) -> Figure:
    """Draw the value of each trial against its number, and the best so far."""
    figure = Figure(figsize=(9, 4.5), layout="constrained")
    axes = figure.add_subplot()
    frame = _frame(trials)
    _scatter(axes, frame, "trial")
    best, front = [], None
    for trial in trials:
        if trial.ending in ("complete", "stopped") and trial.value is not None:
            front = trial.value if journal.better(trial.value, front, study.config.mode) else front
        best.append(math.nan if front is None else front)
    axes.step(range(len(best)), best, where="post", color=FRONT, linewidth=1.5, label="best so far")
    _value_axis(axes, study, list(frame["value"]), "y")
    last = max(1, len(trials) - 1)
    axes.set(xlabel="trial", xlim=(-0.02 * last, 1.02 * last), title="Best value of each trial, in order of proposal")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    figure.legend(loc="outside right upper")
    return figure


def hyperparameters(study: Study, trials: list[journal.Trial]) -> Figure:
    """Draw the value of each trial against each hyperparameter."""
    names = list(study.space)
    columns = min(len(names), 2 if len(names) in (2, 4) else 3)
    rows = -(-len(names) // columns)
    figure = Figure(figsize=(4.2 * columns, 3.4 * rows + 0.5), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False, sharey=True).ravel()
    frame = _frame(trials)
    for axes in panels[len(names) :]:
        axes.set_axis_off()
    for at, (axes, name) in enumerate(zip(panels, names, strict=False)):
        column = f"{SPACE}{name}"
        if isinstance(study.space[name], CategoricalDistribution) and column in frame:
            frame = frame.assign(**{column: frame[column].map(str)})
        _scatter(axes, frame, column)
        _parameter_axis(axes, study.space[name])
        _value_axis(axes, study, list(frame["value"]), "y")
        axes.set_xlabel(name)
        if at % columns:
            axes.set_ylabel("")
    handles, labels = panels[0].get_legend_handles_labels()
    if handles:
        figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))
    figure.suptitle("Best value of each trial against each hyperparameter")
    return figure


def importances(study: Study, trials: list[journal.Trial]) -> Figure:
    """Draw how much each hyperparameter decides whether a trial is among the best (PED-ANOVA).

    Every trial with a finite value counts with its best one, stopped ones too: few are trained to their end, and
    what is asked is only what sets the best apart.
    """
    figure = Figure(figsize=(8, 1.2 + 0.5 * len(study.space)), layout="constrained")
    axes = figure.add_subplot()
    able = [trial for trial in trials if trial.ending in ("complete", "stopped") and trial.value is not None]
    found = _importances(study, able)
    axes.set_title(f"What sets the best trials apart (PED-ANOVA over {len(able)} trials)")
    axes.set_xlabel("importance (shares of 1)")
    if found:
        names = list(found)
        axes.barh(names[::-1], [found[name] for name in names[::-1]], color="#4c72b0")
        for at, name in enumerate(names[::-1]):
            axes.text(found[name], at, f" {found[name]:.2f}", va="center")
        axes.set_xlim(0, max(1e-9, *found.values()) * 1.15)
        axes.grid(False, axis="y")
    else:
        message = "at least 4 trials with different finite values are needed"
        axes.text(0.5, 0.5, message, ha="center", va="center", transform=axes.transAxes)
        axes.set(yticks=[], xticks=[])
    return figure


def _importances(study: Study, trials: list[journal.Trial]) -> dict[str, float]:
    if len({trial.value for trial in trials}) < 4:
        return {}
    scratch = optuna.create_study(direction=direction(study.config.mode))
    for trial in trials:
        made = optuna.create_trial(params=trial.params, distributions=study.space, value=trial.value)
        scratch.add_trial(made)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = get_param_importances(scratch, evaluator=PedAnovaImportanceEvaluator())
    return {name: value for name, value in found.items() if math.isfinite(value)}


def _front(study: Study, trials: list[journal.Trial]) -> tuple[int | None, str]:
    """Return the trial that won the retraining, else the best one, and what it is."""
    found = outcome.newest(study)
    if found and found.winner:
        return int(found.winner.name.removeprefix("trial ")), "winner"
    able = [trial for trial in trials if trial.ending == "complete" and trial.value is not None]
    chosen = min if study.config.mode == "min" else max
    return (chosen(able, key=lambda trial: trial.value or 0.0).number if able else None), "best"


def _rungs(study: Study) -> list[int]:
    halving = study.config.scheduler
    return halving.rungs(study.epochs) if halving else []


def _frame(trials: list[journal.Trial]) -> pd.DataFrame:
    rows = [
        {"trial": trial.number, "value": trial.value, "state": trial.ending}
        | {f"{SPACE}{name}": value for name, value in trial.params.items()}
        for trial in trials
    ]
    frame = pd.DataFrame(rows, columns=None if rows else ["trial", "value", "state"])
    return frame.astype({"value": float}).dropna(subset=["value"])


def _scatter(axes: Axes, frame: pd.DataFrame, x: str) -> None:
    for state, colour in COLOURS.items():
        part = frame[frame["state"] == state]
        if len(part):
            axes.scatter(part[x], part["value"], color=colour, s=22, alpha=0.85, label=state, linewidth=0)


def _value_axis(axes: Axes, study: Study, values: list[float], which: str) -> None:
    """Label the axis of the metric; logarithmic where the values are positive and span more than a factor of ten."""
    positive = [value for value in values if value > 0]
    if positive and len(positive) == len(values) and max(positive) / min(positive) > 10:
        axes.set_yscale("log")
        _plain_log(axes, which)
    axes.set_ylabel(study.config.metric)


def _parameter_axis(axes: Axes, distribution: BaseDistribution) -> None:
    """Show the whole range that was searched, on its scale."""
    if not isinstance(distribution, FloatDistribution | IntDistribution):
        axes.tick_params(axis="x", rotation=30)
        for label in axes.get_xticklabels():
            label.set(ha="right", rotation_mode="anchor")
        return
    low, high = distribution.low, distribution.high
    if distribution.log:
        axes.set_xscale("log")
        margin = (high / low) ** 0.03
        axes.set_xlim(low / margin, high * margin)
        _plain_log(axes, "x")
    else:
        margin = (high - low) * 0.03
        axes.set_xlim(low - margin, high + margin)
        axes.xaxis.set_major_locator(MaxNLocator(integer=isinstance(distribution, IntDistribution)))


def _plain_log(axes: Axes, which: str) -> None:
    """Write 0.01 rather than 10⁻² at a logarithmic axis, and 0.02 and 0.05 too where it spans few decades."""
    axis = axes.xaxis if which == "x" else axes.yaxis
    low, high = axis.get_view_interval()
    few = 0 < low <= high < 3000 * low
    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if few else (1.0,)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def main(arguments: list[str] | None = None) -> int:
    """Draw a study again; return the exit code."""
    console = program.console()

    def prepare() -> int:
        study = program.named_study("search.plot", "Draw a study again, from its journal.", arguments)
        for path in draw(study):
            console.print(str(path))
        return 0

    return program.guarded(prepare)


if __name__ == "__main__":
    sys.exit(main())

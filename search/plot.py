"""Pictures of a study, made from its journal; the program derives the tables again, too.

python -m search.plot results/NAME
"""

import math
import warnings
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import matplotlib.style
import optuna
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances

from search import journal, outcome, program
from search.axes import STYLE, plain, position, scale_metric, scale_parameter
from search.outcome import Outcome
from search.study import Study, direction, load

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


def draw(study: Study, found: Outcome | None = None) -> list[Path]:
    """Write every picture of a study into its folder plots/; return their paths.

    `found` is what its newest retraining found, where the journal does not say so yet.
    """
    trials, found = study.trials(), found or outcome.newest(study)
    pictures: dict[str, Callable[[Study, list[journal.Trial]], Figure]] = {
        "curves": lambda study, trials: curves(study, trials, found),
        "history": history,
        "hyperparameters": hyperparameters,
        "importances": importances,
    }
    paths = []
    (study.folder / "plots").mkdir(exist_ok=True)
    for name, picture in pictures.items():
        path = study.folder / "plots" / f"{name}.png"
        with matplotlib.style.context(STYLE):
            picture(study, trials).savefig(path, dpi=120)
        paths.append(path)
    return paths


def curves(study: Study, trials: list[journal.Trial], found: Outcome | None) -> Figure:
    """Draw the metric of every trial over the epochs, the rungs, and the winner in front."""
    figure = Figure(figsize=(9, 5), layout="constrained")
    axes = figure.add_subplot()
    winner, word = _front(study, trials, found)
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
    scale_metric(axes, study.config.metric, drawn)
    margin = 0.5 if study.epochs == 1 else 0.01 * study.epochs
    title = f"Learning curves of {study.config.workload}, trials: {len(trials)}"
    axes.set(xlabel="epoch", xlim=(1 - margin, study.epochs + margin), title=title)
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
    frame = _frame(study, trials)
    _scatter(axes, frame, "trial")
    best, front = [], None
    for trial in trials:
        if trial.may_win and trial.value is not None:
            front = trial.value if journal.better(trial.value, front, study.config.mode) else front
        best.append(math.nan if front is None else front)
    axes.step(range(len(best)), best, where="post", color=FRONT, linewidth=1.5, label="best so far")
    scale_metric(axes, study.config.metric, list(frame["value"]))
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
    figure = Figure(figsize=(max(7.0, 4.2 * columns), 3.4 * rows + 0.5), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False, sharey=True).ravel()
    frame = _frame(study, trials)
    for axes in panels[len(names) :]:
        axes.set_axis_off()
    for at, (axes, name) in enumerate(zip(panels, names, strict=False)):
        column = f"{SPACE}{name}"
        _scatter(axes, frame, column)
        scale_parameter(axes, name, study.space[name])
        scale_metric(axes, study.config.metric, list(frame["value"]))
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
    able = [trial for trial in trials if trial.may_win]
    found = _importances(study, able)
    axes.set_title(f"What sets the best trials apart (PED-ANOVA over {len(able)} trials)")
    axes.set_xlabel("importance (shares of 1)")
    if found:
        names = list(found)
        axes.barh([plain(name) for name in names[::-1]], [found[name] for name in names[::-1]], color="#4c72b0")
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


def _front(study: Study, trials: list[journal.Trial], found: Outcome | None) -> tuple[int | None, str]:
    """Return the trial that won the retraining, else the best one, and what it is."""
    if found and found.winner:
        return int(found.winner.name.removeprefix("trial ")), "winner"
    able = [trial for trial in trials if trial.ending == "complete" and trial.value is not None]
    chosen = min if study.config.mode == "min" else max
    return (chosen(able, key=lambda trial: trial.value or 0.0).number if able else None), "best"


def _rungs(study: Study) -> list[int]:
    halving = study.config.scheduler
    return halving.rungs(study.epochs) if halving else []


def _frame(study: Study, trials: list[journal.Trial]) -> pd.DataFrame:
    rows = [
        {"trial": trial.number, "value": trial.value, "state": trial.ending}
        | {f"{SPACE}{name}": position(study.space[name], value) for name, value in trial.params.items()}
        for trial in trials
    ]
    frame = pd.DataFrame(rows, columns=None if rows else ["trial", "value", "state"])
    return frame.astype({"value": float}).dropna(subset=["value"])


def _scatter(axes: Axes, frame: pd.DataFrame, x: str) -> None:
    for state, colour in COLOURS.items():
        part = frame[frame["state"] == state]
        if len(part):
            axes.scatter(part[x], part["value"], color=colour, s=22, alpha=0.85, label=state, linewidth=0)


def main(arguments: list[str] | None = None) -> int:
    """Draw a study again; return the exit code."""
    console = program.Terminal()

    def prepare(holding: ExitStack) -> Callable[[], int]:
        parser = program.study_parser("search.plot", "Draw a study and derive its tables again.")
        study = load(parser.parse_args(arguments).study)

        def action() -> int:
            study.write_tables()
            console.print("\n".join(map(str, draw(study))))
            return 0

        return action

    return program.guarded(prepare)


if __name__ == "__main__":
    program.leave(main())

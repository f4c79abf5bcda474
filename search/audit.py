"""What early stopping cost: the stopped trials of a study, trained to their end afterwards.

python -m search.audit results/NAME

A search never learns whether a trial that it stopped would have won. The audit trains each with the search's own seed,
so that its curve repeats what the search saw and then goes on. It trains only what no earlier audit has trained to its
end; the runs are the studies `NAME/audit 1`, `2`, ... in the journal, from which the table and the picture are derived.
"""

import math
import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table

from search import cluster, journal, plot, program, provenance
from search.axes import plain, scale_metric
from search.cluster import Share
from search.session import Session
from search.study import AUDIT, Study, write
from search.tasks import Tasks
from search.workload import load

LISTED = 5
"""Trials that the terminal tells something of; the table has all."""
RUNG = "rung_"


@dataclass(frozen=True)
class Pair:
    """A trial as it ended in the search, and as an audit trained it."""

    trial: journal.Trial
    run: journal.Trial | None
    """None where it was not stopped, or is still to be trained."""

    @property
    def full(self) -> journal.Trial | None:
        """Return the one that was trained to its end; its curve is taken throughout, so that none is of two."""
        return next((each for each in (self.trial, self.run) if each and each.ending == "complete"), None)

    def best_at(self, epoch: int, metric: str, mode: str) -> float | None:
        """Return the best value up to an epoch, also where it ended by itself before; None where it is unknown."""
        bests = (self.full or self.trial).bests(metric, mode)
        if epoch > len(bests) and not self.full:
            return None
        return bests[min(epoch, len(bests)) - 1]

    @property
    def compared(self) -> bool:
        """Return whether it was trained again; a run that failed has not said all that it would."""
        return self.run is not None and self.run.ending != "failed"

    def difference(self, metric: str) -> str | None:
        """Return the first number that the run does not repeat to the last bit, as text; None where it repeats all.

        Of an epoch the metric is looked at first; the seconds that it took are no part of the answer.
        """
        again = self.run.epochs if self.run else ()
        for epoch, then in enumerate(self.trial.epochs, 1):
            now = again[epoch - 1] if epoch <= len(again) else {}
            for name in sorted({*then, *now} - {"elapsed_s"}, key=lambda name: (name != metric, name)):
                old, new = (repr(each.get(name)) for each in (then, now))  # as text, nan is nan and -0.0 is not 0.0
                if old != new:
                    return f"epoch {epoch}, {name} {old} then, {new} now"
        return None


def pairs(study: Study) -> list[Pair]:
    """Return every trial of the search beside its run in the audits, by number; a run cut short is none."""
    runs = [run for each in study.others(AUDIT) for run in journal.read(each, study.config.metric)]
    ended = {run.attributes["trial"]: run for run in runs if run.ending != "running"}
    return [Pair(trial, ended.get(trial.number)) for trial in study.trials()]


def remaining(study: Study) -> list[journal.Trial]:
    """Return the stopped trials that no audit has trained to their end."""
    return [pair.trial for pair in pairs(study) if pair.trial.ending == "stopped" and not pair.run]


def train(study: Study, share: Share, report: Callable[[str], None]) -> None:
    """Train what remains on the running Ray, into a new audit in the journal; `report` takes a line a run."""
    trials, config = remaining(study), study.config
    jobs = [{**study.defaults, **config.fixed, **trial.params, "seed": config.seed} for trial in trials]
    audit = study.add(AUDIT, **provenance.describe())
    runs = [journal.OpenTrial(audit, audit.ask()) for _ in jobs]
    for run, trial, values in zip(runs, trials, jobs, strict=True):
        run.note("trial", trial.number)
        run.note("config", values)
    tasks = Tasks(study, share, "audit")
    for done, (at, record, _) in enumerate(tasks.train(jobs, keep=False), 1):
        record.write(runs[at])
        report(f"trial {trials[at].number}: {record.came_to(config.metric)}  [{done}/{len(jobs)}]")


def tabulate(study: Study, found: list[Pair]) -> pd.DataFrame:
    """Return a row a trial: trial, state, epochs, rung_3, rung_9, ..., final_value, final_rank, repeats.

    state and epochs are those of the search, rung_N is the best value up to epoch N, final_value that over all epochs,
    final_rank 1 for the best; they are empty where they are unknown, as repeats is where nothing was trained again.
    The rungs are those of the scheduler and, as it may have been another before, all at which a trial was stopped.
    """
    config = study.config
    table = pd.DataFrame([(each.trial.number, each.trial.ending, len(each.trial.epochs)) for each in found])
    table.columns = pd.Index(["trial", "state", "epochs"])
    rungs = {*table["epochs"][table["state"] == "stopped"]}
    for rung in sorted(rungs.union(config.scheduler.rungs(study.epochs) if config.scheduler else [])):
        values = [each.best_at(rung, config.metric, config.mode) for each in found]
        table[f"{RUNG}{rung}"] = pd.Series(values, dtype=float)
    table["final_value"] = pd.Series([each.full.value if each.full else None for each in found], dtype=float)
    ranks = table["final_value"].rank(method="min", ascending=config.mode == "min")
    table["final_rank"] = ranks.astype("Int64")
    repeats = [each.difference(config.metric) is None if each.compared else None for each in found]
    table["repeats"] = pd.Series(repeats, dtype="boolean")
    return table


def correlations(table: pd.DataFrame) -> dict[int, float]:
    """Return Spearman's rank correlation of every rung with the final order; NaN where there is no order.

    Over the trials with a final value. It is Pearson's of the ranks, since pandas' own needs scipy.
    """
    full = table.dropna(subset=["final_value"])
    columns = [name for name in map(str, full.columns) if name.startswith(RUNG)]
    return {int(name.removeprefix(RUNG)): full[name].rank().corr(full["final_value"].rank()) for name in columns}


def best(table: pd.DataFrame, *states: str) -> "pd.Series[Any] | None":
    """Return the row with the best final value among the trials of these states; of equals, a complete one."""
    able = table[table["state"].isin(states)].dropna(subset=["final_value"])
    return None if able.empty else able.sort_values(["final_rank", "state", "trial"]).iloc[0]


def draw(study: Study, table: pd.DataFrame) -> Figure:
    """Draw a panel a rung: the final value of every trial that has one against its value at the rung."""
    found, full, metric = correlations(table), table.dropna(subset=["final_value"]), study.config.metric
    label, columns = plain(metric), min(len(found), 3)
    rows = -(-len(found) // columns)
    figure = Figure(figsize=(max(6.0, 4.2 * columns), 3.8 * rows + 0.7), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True).ravel()
    for axes in panels[len(found) :]:
        axes.set_axis_off()
    finals, at_rungs = [*full["final_value"]], full[[f"{RUNG}{rung}" for rung in found]].to_numpy().ravel().tolist()
    for at, (axes, (rung, correlation)) in enumerate(zip(panels, found.items(), strict=False)):
        _scatter(axes, full, f"{RUNG}{rung}")
        scale_metric(axes, metric, finals + at_rungs, "x")
        scale_metric(axes, metric, finals + at_rungs)
        axes.set(xlabel=f"best {label} up to epoch {rung}", ylabel="" if at % columns else f"final best {label}")
        axes.set_title(f"epoch {rung}: rank correlation {_number(correlation)}")
        axes.tick_params(labelbottom=True)
    handles, names = panels[0].get_legend_handles_labels()
    if handles:
        figure.legend(handles, names, loc="outside lower center", ncols=2 * columns)
    figure.suptitle(f"What the rungs saw of the final order of {len(full)} trials")
    return figure


def _scatter(axes: Axes, full: pd.DataFrame, rung: str) -> None:
    for state in ("stopped", "complete"):
        part, colour = full[full["state"] == state], plot.COLOURS[state]
        if len(part):
            axes.scatter(part[rung], part["final_value"], color=colour, s=22, alpha=0.85, label=state, linewidth=0)
    first = best(full, "complete", "stopped")
    if first is not None:
        label = f"the true best, trial {first['trial']}"
        axes.scatter(first[rung], first["final_value"], s=110, facecolor="none", edgecolor=plot.FRONT, label=label)
        both = full[["final_value", rung]].to_numpy()
        ends = [both.min(), both.max()]
        axes.plot(ends, ends, color="#555555", linestyle=":", linewidth=1, label="not improved after the rung")


def show(console: Console, study: Study) -> int:
    """Derive the table and the picture from the journal, and print what they say; return the exit code."""
    found = pairs(study)
    if running := sum(pair.trial.ending == "running" for pair in found):
        again = f"go on with it first: python -m search.run --resume {study.folder}"
        console.print(f"cut off in the search, and left out here: {running} trials; {again}")
    if not any(pair.trial.ending == "stopped" for pair in found):
        console.print(f"no trial of {study.name} was stopped early: there is nothing to audit")
        return 0
    table = tabulate(study, found)
    file, picture = study.folder / "audit.csv", study.folder / "plots" / "audit.png"
    picture.parent.mkdir(exist_ok=True)
    write(file, table.to_csv(index=False))
    with sns.axes_style("whitegrid"):
        draw(study, table).savefig(picture, dpi=120)
    _order(console, study, table)
    _runs(console, study, found)
    console.print(f"every trial is in {file}, the rungs against the end in {picture}")
    return 0


def _order(console: Console, study: Study, table: pd.DataFrame) -> None:
    """Say whether the true best was stopped, what that cost, and what each rung knew of the final order."""
    first, kept = best(table, "complete", "stopped"), best(table, "complete")
    if first is not None:
        fate = f"was stopped at epoch {first['epochs']}" if first["state"] == "stopped" else "was not stopped"
        value = f"{study.config.metric} {first['final_value']:.5g}"
        console.print(f"the true best of {study.name} is trial {first['trial']}, {value}, which {fate}")
        if kept is None:
            console.print("no trial was trained to its end in the search")
        elif kept["trial"] != first["trial"]:
            lost = abs(kept["final_value"] - first["final_value"])
            console.print(
                f"the best that was not is trial {kept['trial']}, {kept['final_value']:.5g}: {lost:.3g} worse"
            )
    rungs = Table("rung", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    rungs.add_column("stopped there", justify="right")
    rungs.add_column(f"rank correlation with the final order of {table['final_value'].count()} trials")
    stopped = table["epochs"][table["state"] == "stopped"]
    for rung, correlation in correlations(table).items():
        rungs.add_row(f"epoch {rung}", str((stopped == rung).sum()), _number(correlation))
    console.print(rungs)


def _runs(console: Console, study: Study, found: list[Pair]) -> None:
    """Say what was saved, whether the search's numbers came again, and which runs have no final value."""
    full = len(found) * study.epochs
    trained = sum(len(pair.trial.epochs) for pair in found)
    saved = sum(study.epochs - len(pair.trial.epochs) for pair in found if pair.trial.ending == "stopped")
    audited = sum(len(pair.run.epochs) for pair in found if pair.run)
    shares = f"{trained} of {full} epochs trained in the search, stopping early saved {saved / full:.0%}"
    console.print(f"{shares}; the audit trained {audited}")
    told = {pair.trial.number: pair.difference(study.config.metric) for pair in found if pair.compared}
    differing = {number: text for number, text in told.items() if text}
    same = f"{len(told) - len(differing)} of {len(told)} trained again repeat their epochs to the last bit"
    console.print(same + ("; on another machine or a GPU the others may differ:" if differing else ""))
    _list(console, differing)
    runs = [(pair.trial.number, pair.run) for pair in found if pair.run and pair.run.ending != "complete"]
    if runs:
        console.print(f"trained again, and without a final value: {len(runs)}")
    _list(
        console, {number: run.attributes.get("failure", f"diverged at epoch {len(run.epochs)}") for number, run in runs}
    )


def _list(console: Console, told: dict[int, str]) -> None:
    for number in [*told][:LISTED]:
        console.print(f"  trial {number}: {told[number].splitlines()[0]}")
    if len(told) > LISTED:
        console.print(f"  and trials {', '.join(map(str, [*told][LISTED:]))}")


def _number(correlation: float) -> str:
    return f"{correlation:.3f}" if math.isfinite(correlation) else "-"


def main(arguments: list[str] | None = None) -> int:
    """Audit a study; return the exit code."""
    console = program.Terminal()

    def prepare(holding: ExitStack) -> Callable[[], int]:
        parser = program.study_parser("search.audit", "Train the stopped trials to their end: what did stopping cost?")
        made = program.opened(parser.parse_args(arguments).study, holding)
        if not remaining(made):
            return lambda: show(console, made)
        made.config.check(load(made.config.workload))
        nodes = cluster.nodes(made.config.ray_address)
        share = cluster.share_out(made.config, nodes)
        cluster.check_home()
        session = Session(made, share, nodes[0], console, f"python -m search.audit {made.folder}")
        return lambda: _audit(session, console)

    return program.guarded(prepare)


def _audit(session: Session, console: Console) -> int:
    study, share = session.study, session.share
    if share.note:
        console.print(share.note)
    left = len(remaining(study))
    console.print(f"training the stopped trials of {study.name} to their end: {left}, {share.concurrent} at once")
    with session.working():
        train(study, share, lambda line: console.print(f"  {line}"))
    return show(console, study)


if __name__ == "__main__":
    sys.exit(main())

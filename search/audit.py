"""What early stopping cost: the stopped trials of a study, trained to their end afterwards.

python -m search.audit results/NAME

A search never learns whether a trial that it stopped would have won. The audit trains each with the search's own seed,
so that its curve repeats what the search saw and then goes on. It trains only what no earlier audit has trained to its
end; the runs are the studies `NAME/audit 1`, `2`, ... in the journal, from which the table and the picture are derived.
"""

from collections.abc import Callable
from contextlib import ExitStack

import matplotlib.style
import pandas as pd
from rich.console import Console
from rich.table import Table

from search import cluster, files, hindsight, journal, program, provenance
from search.axes import STYLE
from search.session import Session
from search.share import Share
from search.study import AUDIT, Study
from search.tasks import Tasks
from search.workload import load

LISTED = 5
"""Trials that the terminal tells something of; the table has all."""


def remaining(study: Study) -> list[journal.Trial]:
    """Return the stopped trials that no audit has trained to their end."""
    return [pair.trial for pair in hindsight.pairs(study) if pair.trial.ending == "stopped" and not pair.run]


def train(study: Study, share: Share, report: Callable[[str], None]) -> None:
    """Train what remains on the running Ray, into a new audit in the journal; `report` takes a line a run."""
    trials, config = remaining(study), study.config
    jobs = [{**study.defaults, **config.fixed, **trial.params, "seed": config.seed} for trial in trials]
    audit = study.add(AUDIT, **provenance.describe())
    with study.storage.together():
        runs = [journal.OpenTrial(audit, audit.ask()) for _ in jobs]
        for run, trial, values in zip(runs, trials, jobs, strict=True):
            run.note("trial", trial.number)
            run.note("config", values)
    tasks = Tasks(study, share, "audit")
    for done, (at, record, _) in enumerate(tasks.train(jobs, keep=False), 1):
        with study.storage.together():
            record.write(runs[at])
        report(f"trial {trials[at].number}: {record.came_to(config.metric)}  [{done}/{len(jobs)}]")


def show(console: Console, study: Study) -> int:
    """Derive the table and the picture from the journal, and print what they say; return the exit code."""
    found = hindsight.pairs(study)
    if running := sum(pair.trial.ending == "running" for pair in found):
        again = f"go on with it first: python -m search.run --resume {study.folder}"
        console.print(f"cut off in the search, and left out here: {running} trials; {again}")
    if not any(pair.trial.ending == "stopped" for pair in found):
        console.print(f"no trial of {study.name} was stopped early: there is nothing to audit")
        return 0
    table = hindsight.tabulate(study, found)
    file, picture = study.folder / "audit.csv", study.folder / "plots" / "audit.png"
    picture.parent.mkdir(exist_ok=True)
    files.write(file, table.to_csv(index=False))
    with matplotlib.style.context(STYLE):
        hindsight.draw(study, table).savefig(picture, dpi=120)
    _order(console, study, table)
    _runs(console, study, found)
    console.print(f"every trial is in {file}, the rungs against the end in {picture}")
    return 0


def _order(console: Console, study: Study, table: pd.DataFrame) -> None:
    """Say whether the true best was stopped, what that cost, and what each rung knew of the final order."""
    first, kept = hindsight.best(table, "complete", "stopped"), hindsight.best(table, "complete")
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
    for rung, correlation in hindsight.correlations(table).items():
        rungs.add_row(f"epoch {rung}", str((stopped == rung).sum()), hindsight.number(correlation))
    console.print(rungs)


def _runs(console: Console, study: Study, found: list[hindsight.Pair]) -> None:
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


def main(arguments: list[str] | None = None) -> int:
    """Audit a study; return the exit code."""
    console = program.Terminal()

    def prepare(holding: ExitStack) -> Callable[[], int]:
        parser = program.study_parser("search.audit", "Train the stopped trials to their end: what did stopping cost?")
        made = program.opened(parser.parse_args(arguments).study, holding)
        if not remaining(made):
            return lambda: show(console, made)
        made.config.check(load(made.config.workload))
        share, here = cluster.share_of(made.config)
        session = Session(made, share, here, console, f"python -m search.audit {made.folder}")
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
    program.leave(main())

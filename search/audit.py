"""What early stopping cost: the stopped trials of a study, trained to their end afterwards.

python -m search.audit results/NAME

A search never learns whether a trial that it stopped would have won. The audit trains each with the search's own seed,
so that its curve repeats what the search saw and then goes on. It trains only what no earlier audit has trained to its
end; the runs are the studies `NAME/audit 1`, `2`, ... in the journal, from which the table and the picture are derived.

python -m search.audit results/NAME --ablation

asks of the winner which of its hyperparameters made it better than the defaults.
"""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict

from rich.console import Console

from search import cli, continuation, study
from search.analysis import tables
from search.analysis.ablation import CHANGED
from search.errors import count
from search.journal import provenance
from search.journal.trial import Trial
from search.retraining import ablation, runs
from search.retraining.runs import Job
from search.session import Session
from search.spec import files
from search.study import AUDIT, Study
from search.tune.pool import WorkerPool
from search.tune.resources import Share
from search.views import ablation as ablation_view
from search.views import audit as audit_view
from search.views import fonts, images, pictures, rungs

LOG = "audit"


def remaining(made: Study) -> list[Trial]:
    """Return the stopped trials that no audit has trained to their end."""
    pairs = tables.pairs(made.snapshot())
    return [pair.trial for pair in pairs if pair.trial.ending == "stopped" and not pair.run]


def train(made: Study, share: Share, report: Callable[[str], None], check: Callable[[], None] = lambda: None) -> None:
    """Train what remains on the running Ray, into a new audit in the journal; `report` takes a line a run.

    `check` is called now and then, and what it raises is raised.
    """
    jobs = []
    configs = continuation.configs_of(made)
    for trial in remaining(made):
        values = continuation.config_in(configs, trial.number).values(trial.params)
        jobs.append(Job({"trial": trial.number}, {**made.defaults, **values}))
    audit = made.add(AUDIT, **provenance.describe())
    pool = WorkerPool(made, share, LOG, check=check)
    ended = runs.train(made, audit, jobs, pool, report, keep=False)
    for done, run in enumerate(ended, 1):
        came_to = run.record.came_to(made.config.metric)
        report(f"trial {run.job.notes['trial']}: {came_to}  [{done}/{len(jobs)}]")


def show(console: Console, made: Study) -> int:
    """Derive the table and the picture from the journal, and print what they say; return the exit code."""
    snapshot = made.snapshot()
    pairs = tables.pairs(snapshot)
    if running := snapshot.endings["running"]:
        again = f"go on with it first: {cli.resume_command(made.folder)}"
        console.print(f"cut off in the search, and left out here: {count(running, 'trial')}; {again}")
    if not snapshot.endings["stopped"]:
        console.print(f"no trial of {made.name} was stopped early: there is nothing to audit")
        return 0
    table = tables.audit(snapshot, pairs)
    file = made.folder / "audit.csv"
    files.write(file, table.to_csv(index=False))
    picture = made.folder / "plots" / "audit.png"
    files.make_folder(picture.parent)
    texts = pictures.texts(snapshot)
    with fonts.style(pictures.STYLE, texts):
        files.write(picture, images.png(rungs.audit(snapshot, table)))
    audit_view.show(console, snapshot, pairs, table)
    console.print(f"every trial is in {file}, the rungs against the end in {picture}")
    lacking = fonts.lacking(texts)
    if lacking:
        console.print(lacking)
    return 0


def main(arguments: list[str] | None = None) -> int:
    """Audit a study; return the exit code."""
    console = cli.Terminal()

    def prepare(holding: ExitStack) -> Callable[[], int]:
        parser = cli.study_parser("search.audit", "Train the stopped trials to their end: what did stopping cost?")
        parser.add_argument("--ablation", action="store_true", help="instead, go from the defaults to the winner")
        flags = parser.parse_args(arguments)
        made = study.open_to_write(flags.study, holding)
        if flags.ablation:
            return _prepare_ablation(made, console)
        if not remaining(made):
            return lambda: show(console, made)
        session = cli.session_of(made, console, "search.audit")
        return lambda: _audit(session)

    return cli.guarded(prepare)


def _audit(session: Session) -> int:
    made = session.study
    console = session.console
    if session.share.note:
        console.print(session.share.note)
    left = len(remaining(made))
    at_once = f"{session.share.concurrent} at once"
    console.print(f"training the stopped trials of {made.name} to their end: {left}, {at_once}")
    with session.working():
        train(made, session.share, lambda line: console.print(f"  {line}"), session.check)
    return show(console, made)


def _prepare_ablation(made: Study, console: Console) -> Callable[[], int]:
    """Return what trains the ablation of a study, as far as it is not trained, and says what it came to."""
    ends = ablation.ends_of(made)
    session = cli.session_of(made, console, "search.audit")

    def run() -> int:
        opened = ablation.open_one(made, ends)
        way = ablation.Way(made, ends, opened)
        if jobs := way.next():
            if session.share.note:
                console.print(session.share.note)
            console.print(f"training what lies between the defaults and {ends.winner}, in rounds of one change each")
            with session.working():
                pool = WorkerPool(made, session.share, LOG, check=session.check)
                for done in runs.train(made, opened, jobs, pool, console.print, keep=False, more=way.more):
                    changed = ", ".join(done.job.notes[CHANGED])
                    console.print(f"  with the winner's {changed}: {done.record.came_to(made.config.metric)}")
        steps = way.steps()
        files.write(made.folder / "ablation.csv", tables.csv(tables.frame([asdict(step) for step in steps], ["name"])))
        verdict = made.snapshot().verdict
        ablation_view.show(console, made.config.metric, ends, steps, verdict.noise if verdict else None)
        console.print(f"the same is in {made.folder / 'ablation.csv'}; search.report shows it, too")
        return 0

    return run


if __name__ == "__main__":
    cli.leave(main())

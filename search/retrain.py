"""The best configurations, trained again with several seeds; the winner; its score on data nobody looked at.

python -m search.retrain results/NAME

A search's best is the best of many noisy ones, so its value flatters it. What decides is the mean over seeds that the
search did not use. The reference is the workload's defaults under the same fixed values; it cannot win.
"""

import json
import math
import shutil
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from rich.console import Console

from search import cluster, gallery, journal, outcome, program, summary
from search.config import StudyConfig
from search.gallery import Pictures
from search.outcome import Candidate, Outcome, finalists
from search.session import Session
from search.study import FINISHED, RETRAINING, Study
from search.tasks import Kept, Tasks
from search.workload import Workload, load

LOG = "retraining"
"""Of what the workload prints: logs/retraining.log."""
Report = Callable[[str], None]


@dataclass(frozen=True)
class Job:
    """One run: a candidate with one seed."""

    candidate: str
    values: dict[str, Any]


def plan(study: Study, workload: Workload) -> list[Job]:
    """Return the runs of a retraining: each finalist, then the reference, with the seeds after the search's."""
    config = study.config
    chosen = {
        f"trial {trial.number}": {**workload.defaults(), **config.fixed, **trial.params}
        for trial in finalists(study.trials(), config.finalists, config.mode)
    }
    if chosen and set(workload.names()) <= {*workload.defaults(), *config.fixed, "seed"}:
        chosen[outcome.REFERENCE] = {**workload.defaults(), **config.fixed}
    seeds = range(config.seed + 1, config.seed + 1 + config.seeds)
    return [Job(name, {**values, "seed": seed}) for name, values in chosen.items() for seed in seeds]


def current(study: Study, workload: Workload) -> Outcome | None:
    """Return what the newest retraining found, where it is the one that would be made now."""
    made = study.others(RETRAINING)
    if not made or not made[-1].user_attrs.get(FINISHED) or made[-1].user_attrs["jobs"] != _told(plan(study, workload)):
        return None
    return outcome.of(made[-1], study.config.metric, study.config.mode)


def _told(jobs: list[Job]) -> list[list[Any]]:
    return [[job.candidate, job.values] for job in jobs]


def retrain(
    study: Study,
    workload: Workload,
    tasks: Tasks,
    report: Report,
    meanwhile: Callable[[Outcome], None] = lambda found: None,
) -> Outcome | None:
    """Train every run on the running Ray, judge, write best/ and best.yaml; `report` takes a line a run.

    `meanwhile` is called when all is judged, while processes make the winner's files and draw. The winner is kept
    whatever it does, and where somebody wishes the end, without pictures then.
    Returns None where no trial of the search can be a finalist.
    """
    jobs = plan(study, workload)
    if not jobs:
        return None
    retraining, kept = _train(study, jobs, tasks, report)
    found = outcome.of(retraining, study.config.metric, study.config.mode)
    if found.winner and workload.test:
        _test(retraining, found, kept, tasks, report)
        found = outcome.of(retraining, study.config.metric, study.config.mode)
    keep = _keeping(study, found.winner, kept, tasks, report) if found.winner else lambda made: None
    drawn = gallery.begin(study, found, kept, tasks) if workload.plot else Pictures
    made = Pictures()
    try:
        meanwhile(found)
        made = drawn()
    finally:
        keep(made)
        study.finish(retraining, _best(found.winner, study.config) if found.winner else None)
        gallery.hang(study, made)
    for line in made.lines():
        report(f"{line}, see {tasks.log}")
    return found


def _train(study: Study, jobs: list[Job], tasks: Tasks, report: Report) -> tuple[optuna.Study, dict[int, Kept]]:
    """Train every run into a new retraining in the journal; return that, and what is kept of each run by its number."""
    retraining = study.add(RETRAINING, jobs=_told(jobs))
    with study.storage.together():
        trials = [journal.OpenTrial(retraining, retraining.ask()) for _ in jobs]
        for job, trial in zip(jobs, trials, strict=True):
            trial.note("candidate", job.candidate)
            trial.note("config", job.values)
    kept: dict[int, Kept] = {}
    leading: dict[str, tuple[float, int]] = {}
    sign = 1 if study.config.mode == "min" else -1
    for at, record, copies in tasks.train([job.values for job in jobs]):
        with study.storage.together():
            record.write(trials[at])
        number, candidate = trials[at].number, jobs[at].candidate
        kept[number] = copies
        standing = (math.inf if record.best is None else sign * record.best, number)
        _drop_checkpoints(kept, leading, candidate, standing)
        report(f"{candidate}, seed {jobs[at].values['seed']}: {record.came_to(study.config.metric)}")
    return retraining, kept


def _drop_checkpoints(
    kept: dict[int, Kept], leading: dict[str, tuple[float, int]], candidate: str, standing: tuple[float, int]
) -> None:
    """Let go of the checkpoints of all runs but the best of each candidate that may win: no other will be drawn."""
    before = leading.get(candidate, standing)
    leading[candidate] = min(before, standing)
    behind = max(before, standing)
    if candidate == outcome.REFERENCE or behind != leading[candidate]:
        kept[behind[1]] = Kept(kept[behind[1]].model)


def _test(retraining: optuna.Study, found: Outcome, kept: dict[int, Kept], tasks: Tasks, report: Report) -> None:
    """Judge every seed of the winner and the reference on data that nobody has looked at."""
    judged = [candidate for candidate in (found.winner, found.reference) if candidate]
    runs = [run for candidate in judged for run in candidate.runs if run.ending == "complete"]
    results = tasks.test([(kept[run.number].model, run.attributes["config"]) for run in runs])
    for run, (scores, problem) in zip(runs, results, strict=True):
        retraining.set_user_attr(f"test {run.number}", {name: journal.to_json(value) for name, value in scores.items()})
        if problem:
            report(f"{run.attributes['candidate']}: {problem}, see {tasks.log}")


def _keeping(
    study: Study, winner: Candidate, kept: dict[int, Kept], tasks: Tasks, report: Report
) -> Callable[[Pictures], None]:
    """Have a process make the winner's files; return what waits for them and keeps them, with its pictures."""
    best = winner.best_run(study.config.mode)
    packaged = tasks.package(kept[best.number].model, best.attributes["config"])

    def keep(made: Pictures) -> None:
        files, problems = packaged()
        for problem in problems:
            report(f"{winner.name}: {problem}, see {tasks.log}")
        _keep(study, winner, best, {**files, **made.of_winner()})

    return keep


def _keep(study: Study, winner: Candidate, run: journal.Trial, files: dict[str, bytes]) -> None:
    """Write the winner's folder as a whole, in the place of an earlier one."""
    from search import tables  # imports pandas: not while a trial could be trained

    kept = run.epochs[run.best_epoch - 1]
    metrics = {
        "configuration": winner.name,
        "best_epoch": run.best_epoch,
        "validation": {name: journal.to_json(value) for name, value in kept.items() if name != "elapsed_s"},
        "over_seeds": {
            name: [journal.to_json(value) for value in values]
            for name, values in {study.config.metric: winner.values, **winner.tests}.items()
        },
        "config": run.attributes["config"],
    }
    with tempfile.TemporaryDirectory(dir=study.folder, prefix=".best-") as parent:
        made = Path(parent) / "best"
        for name, content in files.items():
            (made / name).parent.mkdir(parents=True, exist_ok=True)
            (made / name).write_bytes(content)
        made.mkdir(exist_ok=True)
        (made / "metrics.json").write_text(json.dumps(metrics, indent=2) + "\n", encoding="utf-8")
        tables.curves([run]).drop(columns="trial").to_csv(made / "curves.csv", index=False)
        shutil.rmtree(study.folder / "best", ignore_errors=True)
        made.replace(study.folder / "best")


def _best(winner: Candidate, config: StudyConfig) -> tuple[dict[str, Any], str]:
    """Return what best.yaml says of the winner: its full config, and what it came to."""
    best = winner.best_run(config.mode)
    scores = "".join(f", {name} {outcome.spread(values)}" for name, values in winner.tests.items())
    seeds = f"over {len(winner.runs)} seeds {outcome.spread(winner.values)}"
    return best.attributes["config"], f"{config.metric} {best.value:.6g} ({winner.name}); {seeds}{scores}"


def main(arguments: list[str] | None = None) -> int:
    """Retrain a study's finalists again; return the exit code."""
    console = program.Terminal()

    def prepare(holding: ExitStack) -> Callable[[], int]:
        parser = program.study_parser("search.retrain", "Retrain a study's best and judge them again.")
        made = program.opened(parser.parse_args(arguments).study, holding)
        workload = load(made.config.workload)
        made.config.check(workload)
        share, here = cluster.share_of(made.config)
        session = Session(made, share, here, console, f"python -m search.retrain {made.folder}")
        return lambda: _again(session, workload, console)

    return program.guarded(prepare)


def _again(session: Session, workload: Workload, console: Console) -> int:
    with session.working():
        found = retrain(session.study, workload, Tasks(session.study, session.share, LOG), console.print)
    console.print(f"the report is of before; python -m search.report {session.study.folder} writes it anew")
    best = session.study.folder / "best.yaml"
    return summary.show(console, session.study, found, workload.is_program, best)


if __name__ == "__main__":
    program.leave(main())

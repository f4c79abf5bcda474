"""The best configurations, trained again with several seeds; the winner; its score on data nobody looked at.

python -m search.retrain results/NAME

A search's best is the best of many noisy ones, so its value flatters it. What decides is the mean over seeds that the
search did not use. The reference is the workload's defaults under the same fixed values; it cannot win.
"""

import json
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from rich.console import Console

from search import cluster, journal, outcome, program, summary
from search.cluster import Share
from search.interruption import Interruption
from search.outcome import Candidate, Outcome
from search.study import Study, curves_table
from search.tasks import Record, Tasks
from search.workload import Workload, load

Report = Callable[[str], None]


@dataclass(frozen=True)
class Job:
    """One run: a candidate with one seed."""

    candidate: str
    values: dict[str, Any]


def finalists(trials: list[journal.Trial], count: int, mode: str) -> list[journal.Trial]:
    """Return the complete trials by value, then stopped ones to fill up; never a diverged or a failed one."""
    sign = 1 if mode == "min" else -1
    able = [trial for trial in trials if trial.may_win]
    able.sort(key=lambda trial: (trial.ending != "complete", sign * (trial.value or 0.0)))
    return able[:count]


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


def retrain(study: Study, workload: Workload, share: Share, report: Report) -> Outcome | None:
    """Train every run on the running Ray, judge, write best/ and best.yaml; `report` takes a line a run.

    Returns None where no trial of the search can be a finalist.
    """
    jobs = plan(study, workload)
    if not jobs:
        return None
    retraining = study.new_retraining()
    trials = [journal.OpenTrial(retraining, retraining.ask()) for _ in jobs]
    for job, trial in zip(jobs, trials, strict=True):
        trial.note("candidate", job.candidate)
        trial.note("config", job.values)
    tasks = Tasks(study, share)
    models: dict[int, Any] = {}
    for at, record, model in tasks.train([job.values for job in jobs]):
        _write(trials[at], record)
        models[trials[at].number] = model
        report(f"{jobs[at].candidate}, seed {jobs[at].values['seed']}: {_came(record, study.config.metric)}")
    found = outcome.of(retraining, study.config.metric, study.config.mode)
    if found.winner and workload.test:
        _test(retraining, found, models, tasks, report)
    retraining.set_user_attr("finished", True)
    found = outcome.of(retraining, study.config.metric, study.config.mode)
    if found.winner:
        best = found.winner.best_run(study.config.mode)
        files, problems = tasks.package(models[best.number], best.attributes["config"])
        for problem in problems:
            report(f"{found.winner.name}: {problem}, see {tasks.log}")
        _keep(study, found.winner, best, files)
    return found


def _write(trial: journal.OpenTrial, record: Record) -> None:
    if record.config:
        trial.note("config", record.config)
    if record.failure:
        trial.note("failure", record.failure)
    for epoch, (metrics, best) in enumerate(record.epochs, 1):
        trial.add(epoch, metrics, best)
    trial.end(record.ending)


def _came(record: Record, metric: str) -> str:
    """Return what a run came to, as text."""
    if record.failure:
        return f"{record.ending}, {record.failure}"
    return f"{record.ending}, best {metric} {'none' if record.best is None else format(record.best, '.5g')}"


def _test(retraining: optuna.Study, found: Outcome, models: dict[int, Any], tasks: Tasks, report: Report) -> None:
    """Judge every seed of the winner and the reference on data that nobody has looked at."""
    judged = [candidate for candidate in (found.winner, found.reference) if candidate]
    runs = [run for candidate in judged for run in candidate.runs if run.ending == "complete"]
    results = tasks.test([(models[run.number], run.attributes["config"]) for run in runs])
    for run, (scores, problem) in zip(runs, results, strict=True):
        retraining.set_user_attr(f"test {run.number}", {name: journal.to_json(value) for name, value in scores.items()})
        if problem:
            report(f"{run.attributes['candidate']}: {problem}, see {tasks.log}")


def _keep(study: Study, winner: Candidate, run: journal.Trial, files: dict[str, bytes]) -> None:
    """Write the winner's folder as a whole, in the place of an earlier one, and best.yaml."""
    metric, config = study.config.metric, run.attributes["config"]
    kept = run.epochs[run.best_epoch - 1]
    metrics = {
        "configuration": winner.name,
        "best_epoch": run.best_epoch,
        "validation": {name: journal.to_json(value) for name, value in kept.items() if name != "elapsed_s"},
        "over_seeds": {
            name: [journal.to_json(value) for value in values]
            for name, values in {metric: winner.values, **winner.tests}.items()
        },
        "config": config,
    }
    with tempfile.TemporaryDirectory(dir=study.folder, prefix=".best-") as parent:
        made = Path(parent) / "best"
        for name, content in files.items():
            (made / name).parent.mkdir(parents=True, exist_ok=True)
            (made / name).write_bytes(content)
        made.mkdir(exist_ok=True)
        (made / "metrics.json").write_text(json.dumps(metrics, indent=2) + "\n", encoding="utf-8")
        curves_table([run]).drop(columns="trial").to_csv(made / "curves.csv", index=False)
        shutil.rmtree(study.folder / "best", ignore_errors=True)
        made.replace(study.folder / "best")
    scores = "".join(f", {name} {outcome.spread(values)}" for name, values in winner.tests.items())
    note = f"{metric} {run.value:.6g} ({winner.name}); over {len(winner.runs)} seeds {outcome.spread(winner.values)}"
    study.write_best(study.folder / "best.yaml", config, note + scores)


def main(arguments: list[str] | None = None) -> int:
    """Retrain a study's finalists again; return the exit code."""
    console = program.Terminal()

    def prepare() -> Callable[[], int]:
        study = program.named_study("search.retrain", "Retrain a study's best and judge them again.", arguments)
        workload = load(study.config.workload)
        study.config.check(workload)
        share = cluster.share_out(study.config, cluster.count_cpus(), cluster.count_gpus())
        cluster.check_home()
        journal.mend(study.folder / "journal.log")
        return lambda: _again(study, workload, share, console)

    return program.guarded(prepare)


def _again(study: Study, workload: Workload, share: Share, console: Console) -> int:
    interruption = Interruption()
    try:
        with interruption.listening(), cluster.running(cluster.count_cpus(), cluster.count_gpus(), study.logs):
            interruption.listen()
            found = retrain(study, workload, share, console.print)
    except KeyboardInterrupt:
        print("interrupted; the study is as it was", file=sys.stderr)
        return interruption.exit_code
    return summary.show(console, study, found, workload.is_program, study.folder / "best.yaml")


if __name__ == "__main__":
    sys.exit(main())

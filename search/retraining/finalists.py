"""The best configurations, trained again with several seeds; the winner; its score on data nobody looked at.

A search's best is the best of many noisy ones, so its value flatters it. What decides is the mean over seeds that the
search did not use. The reference is the workload's defaults under the same fixed values; it cannot win.
"""

import json
import math
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna

from search.journal import outcome
from search.journal.outcome import REFERENCE, Candidate, Outcome, finalists
from search.journal.records import to_json
from search.journal.trial import Trial
from search.retraining import gallery, runs
from search.retraining.gallery import Pictures
from search.retraining.runs import Job, Run
from search.spec.objective import Objective
from search.spec.workload import Workload
from search.study import FINISHED, RETRAINING, Study
from search.tune.pool import Kept, WorkerPool
from search.views.format import spread

LOG = "retraining"
"""Of what the workload prints: logs/retraining.log."""
Report = Callable[[str], None]


def plan(study: Study, workload: Workload) -> list[Job]:
    """Return the runs of a retraining: each finalist, then the reference, with the seeds after the search's."""
    config = study.config
    params: dict[str, dict[str, Any]] = {}
    for trial in finalists(study.trials(), config.finalists, study.objective):
        params[outcome.name_of(trial)] = trial.params
    has_defaults = set(workload.names()) <= {*study.defaults, *config.fixed, "seed"}
    if params and has_defaults:
        params[REFERENCE] = {}
    seeds = range(config.seed + 1, config.seed + 1 + config.seeds)
    jobs: list[Job] = []
    for candidate, sampled in params.items():
        jobs += [Job({"candidate": candidate}, study.values(sampled, seed)) for seed in seeds]
    return jobs


def current(study: Study, workload: Workload) -> Outcome | None:
    """Return what the newest retraining found, where it is the one that would be made now."""
    retrainings = study.others(RETRAINING)
    if not retrainings:
        return None
    newest = retrainings[-1].user_attrs
    if not newest.get(FINISHED) or newest["jobs"] != _as_recorded(plan(study, workload)):
        return None
    return outcome.judge(retrainings[-1], study.objective)


def _as_recorded(jobs: list[Job]) -> list[list[Any]]:
    return [[job.notes["candidate"], job.values] for job in jobs]


def retrain(
    study: Study,
    workload: Workload,
    pool: WorkerPool,
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
    # Train every finalist and the reference with every seed.
    retraining = study.add(RETRAINING, jobs=_as_recorded(jobs))
    kept = Models(study.objective)
    for run in runs.train(study, retraining, jobs, pool, keep=True):
        kept.add(run)
        came_to = run.record.came_to(study.config.metric)
        report(f"{run.job.notes['candidate']}, seed {run.job.values['seed']}: {came_to}")
    # The winner is chosen; only then are test metrics computed.
    found = outcome.judge(retraining, study.objective)
    if found.winner and workload.test:
        _test(retraining, found, kept, pool, report)
        found = outcome.judge(retraining, study.objective)
    # Processes make the winner's files, and draw.
    keep = _keeping(study, found.winner, kept, pool, report) if found.winner else lambda pictures: None
    drawn = gallery.begin(study, found, kept.of_run, pool) if workload.plot else Pictures
    pictures = Pictures()
    try:
        meanwhile(found)
        pictures = drawn()
    finally:
        keep(pictures)
        study.finish(retraining, best_of(found.winner, study.objective) if found.winner else None)
        gallery.hang(study, pictures)
    for line in pictures.lines():
        report(f"{line}, see {pool.log}")
    return found


class Models:
    """What Ray keeps of each run: of all but the best run of each candidate that may win, the model alone.

    No other run's checkpoints will be drawn.
    """

    def __init__(self, objective: Objective) -> None:
        self.of_run: dict[int, Kept] = {}
        """By the run's number."""
        self._objective = objective
        self._leading: dict[str, tuple[float, int]] = {}
        """The loss and the number of each candidate's best run so far."""

    def add(self, run: Run) -> None:
        """Keep a run's models, and let go of the checkpoints that are behind."""
        self.of_run[run.number] = run.kept
        best = run.record.best
        standing = (math.inf if best is None else self._objective.sign * best, run.number)
        candidate = run.job.notes["candidate"]
        leading = self._leading.get(candidate, standing)
        self._leading[candidate] = min(leading, standing)
        behind = max(leading, standing)
        if candidate == REFERENCE or behind != self._leading[candidate]:
            _, number = behind
            self.of_run[number] = Kept(self.of_run[number].model)


def _test(retraining: optuna.Study, found: Outcome, kept: Models, pool: WorkerPool, report: Report) -> None:
    """Judge every seed of the winner and the reference on data that nobody has looked at."""
    judged = []
    for candidate in (found.winner, found.reference):
        if candidate:
            judged += [run for run in candidate.runs if run.ending == "complete"]
    results = pool.test([(kept.of_run[run.number].model, run.attributes["config"]) for run in judged])
    for run, (scores, problem) in zip(judged, results, strict=True):
        # At the retraining's study: Optuna takes no attributes of a trial that has been told.
        plain = {name: to_json(value) for name, value in scores.items()}
        retraining.set_user_attr(outcome.scores_key(run.number), plain)
        if problem:
            report(f"{run.attributes['candidate']}: {problem}, see {pool.log}")


def _keeping(
    study: Study, winner: Candidate, kept: Models, pool: WorkerPool, report: Report
) -> Callable[[Pictures], None]:
    """Have a process make the winner's files; return what waits for them and keeps them, with its pictures."""
    best = winner.best_run(study.objective)
    packaged = pool.package(kept.of_run[best.number].model, best.attributes["config"])

    def keep(pictures: Pictures) -> None:
        files, problems = packaged()
        for problem in problems:
            report(f"{winner.name}: {problem}, see {pool.log}")
        _keep(study, winner, best, {**files, **pictures.of_winner()})

    return keep


def _keep(study: Study, winner: Candidate, run: Trial, files: dict[str, bytes]) -> None:
    """Write the winner's folder as a whole, in the place of an earlier one."""
    from search.analysis import tables  # imports pandas: not while a trial could be trained

    best_epoch = run.epochs[run.best_epoch - 1]
    over_seeds = {study.config.metric: winner.values, **winner.tests}
    metrics = {
        "configuration": winner.name,
        "best_epoch": run.best_epoch,
        "validation": {name: to_json(value) for name, value in best_epoch.items() if name != "elapsed_s"},
        "over_seeds": {name: list(map(to_json, values)) for name, values in over_seeds.items()},
        "config": run.attributes["config"],
    }
    with tempfile.TemporaryDirectory(dir=study.folder, prefix=".best-") as parent:
        made = Path(parent) / "best"
        made.mkdir()
        for name, content in files.items():
            (made / name).parent.mkdir(parents=True, exist_ok=True)
            (made / name).write_bytes(content)
        (made / "metrics.json").write_text(json.dumps(metrics, indent=2) + "\n", encoding="utf-8")
        tables.curves([run]).drop(columns="trial").to_csv(made / "curves.csv", index=False)
        shutil.rmtree(study.folder / "best", ignore_errors=True)
        made.replace(study.folder / "best")


def best_of(winner: Candidate, objective: Objective) -> tuple[dict[str, Any], str]:
    """Return what best.yaml says of the winner: its full config, and what it came to."""
    best = winner.best_run(objective)
    scores = "".join(f", {name} {spread(values)}" for name, values in winner.tests.items())
    seeds = f"over {len(winner.runs)} seeds {spread(winner.values)}"
    return best.attributes["config"], f"{objective.metric} {best.value:.6g} ({winner.name}); {seeds}{scores}"

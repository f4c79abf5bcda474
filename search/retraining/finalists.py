"""Retraining: the best configurations are trained again with several seeds, and the winner is tested and kept.

The best value of a search is the best of many noisy ones, so it is optimistic. What decides is the mean over seeds that
the search did not use. The reference is the workload's defaults under the same fixed values, and may win.
"""

import json
import math
import shutil
import tempfile
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import optuna

from search import best_file
from search.errors import count, one_line
from search.journal import outcome
from search.journal.outcome import MAY_WIN, REFERENCE, Candidate, Outcome, finalists, label_of
from search.journal.records import to_json
from search.journal.trial import Trial
from search.retraining import gallery, runs
from search.retraining.gallery import Pictures
from search.retraining.runs import FOLDER, Job, Report, Run
from search.spec.files import replace_folder
from search.spec.objective import Objective
from search.spec.workload import Workload
from search.study import FINISHED, RETRAINING, Study
from search.tune.pool import Kept, WorkerPool
from search.views.format import spread

LOG = "retraining"
"""The name of the log of what the workload prints: logs/retraining.log."""


def plan(study: Study, workload: Workload, *, may_win: bool = True) -> list[Job]:
    """Return the runs of a retraining: each finalist, then the reference, with the seeds after the search's.

    There are none where no trial of the search can be a finalist, or none is asked for, and there is no reference where
    the workload's Config lacks a default. A trial of the defaults is no finalist beside the reference, unless that
    cannot win, as in a retraining of before.
    """
    config = study.config
    trials = study.within(study.trials())
    if config.finalists == 0 or not any(trial.may_win for trial in trials):
        return []
    has_defaults = not workload.arguments.missing(config.values({}))
    reference = study.default_params if has_defaults and may_win else None
    # The candidates by name, each with the hyperparameters that it does not share with all others.
    params: dict[str, dict[str, Any]] = {}
    for trial in finalists(trials, config.finalists, study.objective, reference):
        params[outcome.name_of(trial)] = trial.params
    if has_defaults:
        params[REFERENCE] = {}
    # Each of them with every seed.
    seeds = range(config.seed + 1, config.seed + 1 + config.seeds)
    jobs: list[Job] = []
    for candidate, sampled in params.items():
        jobs += [Job({"candidate": candidate}, study.values(sampled, seed)) for seed in seeds]
    return jobs


def current(study: Study, workload: Workload) -> Outcome | None:
    """Return the outcome of the newest retraining, where it has ended and `plan` would ask for the same runs now."""
    retrainings = study.others(RETRAINING)
    if not retrainings:
        return None
    newest = retrainings[-1].user_attrs
    planned = _as_recorded(plan(study, workload, may_win=bool(newest.get(MAY_WIN))))
    if not newest.get(FINISHED) or _as_text(newest["jobs"]) != _as_text(planned):
        return None
    return outcome.judge(retrainings[-1], study.objective)


def was_cut_off(study: Study) -> bool:
    """Return whether the newest retraining has not finished."""
    retrainings = study.others(RETRAINING)
    return bool(retrainings) and not retrainings[-1].user_attrs.get(FINISHED)


def _as_recorded(jobs: list[Job]) -> list[list[Any]]:
    """Return jobs as they are recorded with the retraining: candidate and config of each, as JSON can hold them."""
    return [[job.notes["candidate"], job.values] for job in jobs]


def _as_text(jobs: list[list[Any]]) -> str:
    """Return recorded jobs as text to compare: a NaN in a config differs from itself."""
    return json.dumps(jobs, sort_keys=True)


def retrain(
    study: Study,
    workload: Workload,
    pool: WorkerPool,
    report: Report,
    meanwhile: Callable[[Outcome], None] = lambda outcome: None,
) -> Outcome | None:
    """Train every run on the running Ray, choose and test the winner, write best/ and best.yaml.

    `report` is called with a line for each run and each problem. `meanwhile` is called with the outcome, while
    processes save and draw the winner. The winner is kept also where `meanwhile` raises or the user interrupts, then
    without pictures; the exception is raised again.
    Returns None where no trial of the search can be a finalist.
    """
    jobs = plan(study, workload)
    if not jobs:
        return None
    # Train every finalist and the reference with every seed.
    retraining = study.add(RETRAINING, jobs=_as_recorded(jobs), **{MAY_WIN: True})
    models = Models(study.objective)
    for run in runs.train(study, retraining, jobs, pool, report, keep=True):
        models.add(run)
        came_to = run.record.came_to(study.config.metric)
        report(f"{label_of(run.job.notes['candidate'])}, seed {run.job.values['seed']}: {came_to}")
    # Choose the winner; only then compute test metrics.
    judged = outcome.judge(retraining, study.objective)
    if judged.winner and workload.test:
        _test(retraining, judged, models, pool, report)
        judged = outcome.judge(retraining, study.objective)
    # Have processes save the winner's files and draw, and keep what they return.
    keep = _save_winner(study, judged.winner, models, pool, report) if judged.winner else _keep_nothing
    wait_for_pictures = gallery.begin(study, judged, models.of_run, pool) if workload.plot else Pictures
    pictures = Pictures()
    try:
        meanwhile(judged)
        pictures = wait_for_pictures()
    except BaseException:
        if workload.plot:
            retraining.set_user_attr(gallery.UNDRAWN, True)
        raise
    finally:
        keep(pictures)
        best = best_of(judged.winner, study.objective) if judged.winner else None
        best_file.finish(study, retraining, best)
        gallery.hang(study, pictures)
    for line in pictures.lines():
        report(f"{line}, see {pool.log}")
    return judged


class Models:
    """The models of each run, as references, and the checkpoints of each candidate's best run so far.

    Only the winner's best run is drawn over its epochs: Ray can drop the checkpoints of a run that another seed of its
    candidate has beaten.
    """

    def __init__(self, objective: Objective) -> None:
        self.of_run: dict[int, Kept] = {}
        """By the number of the run's trial in the journal."""
        self.objective = objective
        self._leading: dict[str, tuple[float, int]] = {}
        """The loss and the number of each candidate's best run so far."""

    def add(self, run: Run) -> None:
        """Keep a run's models, and drop the checkpoints of the run that is no longer, or not, its candidate's best."""
        self.of_run[run.number] = run.kept
        loss = math.inf
        if run.record.best is not None:
            loss = self.objective.sign * run.record.best
        standing = (loss, run.number)
        candidate = run.job.notes["candidate"]
        leading = self._leading.get(candidate, standing)
        self._leading[candidate] = min(leading, standing)
        behind = max(leading, standing)
        if behind != self._leading[candidate]:
            _, number = behind
            self.of_run[number] = Kept(self.of_run[number].model)


def _test(retraining: optuna.Study, judged: Outcome, models: Models, pool: WorkerPool, report: Report) -> None:
    """Compute and record the test metrics of every complete seed of the winner and of what it is held against."""
    tested: list[Trial] = []
    for candidate in (judged.winner, judged.opponent(models.objective)):
        if candidate:
            tested += [run for run in candidate.runs if run.ending == "complete"]
    work = [(models.of_run[run.number].model, run.attributes["config"]) for run in tested]
    told = set()
    for run, (metrics, problem) in zip(tested, pool.test(work), strict=True):
        # At the retraining's study: Optuna takes no attributes of a trial that has been told.
        plain = {}
        for name, value in metrics.items():
            plain[_score_name(name, metrics, models.objective.metric)] = to_json(value)
        retraining.set_user_attr(outcome.scores_key(run.number), plain)
        line = f"{label_of(run.attributes['candidate'])}: {problem}, see {pool.log}"
        if problem and line not in told:  # most problems are those of every seed
            report(line)
        told.add(line)


def _score_name(name: str, scores: Collection[str], metric: str) -> str:
    """Return the name of a score of `test`: its own, unless that is the metric's, for which it would then stand."""
    free = name
    while free == metric or (free != name and free in scores):
        free = f"test_{free}"
    return free


def _keep_nothing(pictures: Pictures) -> None:
    """Stand in for `keep` of `_save_winner` where there is no winner."""


def _save_winner(
    study: Study, winner: Candidate, models: Models, pool: WorkerPool, report: Report
) -> Callable[[Pictures], None]:
    """Have a process save the winner's model; return a function that waits for its files and writes best/."""
    best = winner.best_run(study.objective)
    wait_for_files = pool.package(models.of_run[best.number].model, best.attributes["config"])

    def keep(pictures: Pictures) -> None:
        files, problems = wait_for_files()
        for problem in problems:
            report(f"{winner.label}: {problem}, see {pool.log}")
        for line in _keep(study, winner, best, {**files, **pictures.of_winner()}):
            report(line)

    return keep


def _keep(study: Study, winner: Candidate, run: Trial, files: dict[str, bytes]) -> list[str]:
    """Write the winner's folder best/ as a whole, and replace an earlier one; return lines on what is not kept."""
    from search.analysis import tables  # imports pandas: not while a trial could be trained

    metrics = _metrics(winner, run, study.config.metric)
    with tempfile.TemporaryDirectory(dir=study.folder, prefix=".best-") as parent:
        folder = Path(parent) / "best"
        folder.mkdir()
        for name, content in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)
        problems = []
        if FOLDER in run.attributes:
            own = study.folder_of(run.attributes[FOLDER])
            try:
                shutil.copytree(own, folder / "folder", symlinks=True, ignore=_special_files)
            except OSError as error:
                problems.append(f"not all of {own} is kept: {one_line(str(error), 200)}")
        (folder / "metrics.json").write_text(json.dumps(metrics, indent=2) + "\n", encoding="utf-8")
        tables.curves([run]).drop(columns="trial").to_csv(folder / "curves.csv", index=False)
        replace_folder(study.folder / "best", folder, Path(parent) / "before")
    return problems


def _special_files(folder: str, names: list[str]) -> list[str]:
    """Return which of these are no file, link or folder: a FIFO or a socket, which only live in a trial's process."""
    kept = []
    for name in names:
        path = Path(folder) / name
        if path.is_symlink() or path.is_file() or path.is_dir():
            kept.append(name)
    return [name for name in names if name not in kept]


def _metrics(winner: Candidate, run: Trial, metric: str) -> dict[str, Any]:
    """Return what metrics.json says of the winner: the best epoch of its best run, and every seed's values."""
    validation = {name: to_json(value) for name, value in run.epochs[run.best_epoch - 1].items()}
    validation.pop("elapsed_s", None)
    over_seeds = {metric: winner.values, **winner.tests}
    return {
        "configuration": winner.label,
        "best_epoch": run.best_epoch,
        "validation": validation,
        "over_seeds": {name: list(map(to_json, values)) for name, values in over_seeds.items()},
        "config": run.attributes["config"],
    }


def best_of(winner: Candidate, objective: Objective) -> tuple[dict[str, Any], str]:
    """Return what best.yaml says of the winner: its full config, and a line with its values and test metrics."""
    best = winner.best_run(objective)
    scores = "".join(f", {name} {spread(values)}" for name, values in winner.tests.items())
    seeds = f"over {count(len(winner.runs), 'seed')} {spread(winner.values)}"
    name = "the defaults: no trial was better" if winner.name == REFERENCE else winner.name
    return best.attributes["config"], f"{objective.metric} {best.value:.6g} ({name}); {seeds}{scores}"

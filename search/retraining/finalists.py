"""Retraining: the best configurations are trained again with several seeds, and the winner is tested and kept.

The best value of a search is the best of many noisy ones, so it is optimistic. What counts is the mean over seeds that
neither the search nor the choice of a finalist has used. The reference is the workload's defaults under the same fixed
values, and may win.
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
from search.journal.outcome import CHOOSES, MAY_WIN, RACE, REFERENCE, Outcome, label_of
from search.journal.records import to_json
from search.journal.trial import Trial
from search.retraining import gallery, race, runs
from search.retraining.gallery import Pictures
from search.retraining.race import CANDIDATE
from search.retraining.runs import FOLDER, Job, Report, Run
from search.spec.files import replace_folder
from search.spec.objective import Objective
from search.spec.workload import Workload
from search.study import FINISHED, RETRAINING, Study
from search.tune.pool import Kept, WorkerPool
from search.views.chosen import chosen_among
from search.views.format import spread

LOG = "retraining"
"""The name of the log of what the workload prints: logs/retraining.log."""


def current(study: Study, workload: Workload) -> Outcome | None:
    """Return the outcome of the newest retraining, where it has ended and the same runs would be asked for now."""
    retrainings = study.others(RETRAINING)
    if not retrainings:
        return None
    newest = retrainings[-1].user_attrs
    if RACE in newest:
        now = race.of(study, workload)
        planned = now.first() if now else []
        is_same = now is not None and newest[RACE] == now.as_recorded()
    else:
        planned = race.jobs_of_before(study, workload, may_win=bool(newest.get(MAY_WIN)))
        is_same = True
    if not newest.get(FINISHED) or not is_same or _as_text(newest["jobs"]) != _as_text(_as_recorded(planned)):
        return None
    return outcome.judge(retrainings[-1], study.config.aims)


def was_cut_off(study: Study) -> bool:
    """Return whether the newest retraining has not finished."""
    retrainings = study.others(RETRAINING)
    return bool(retrainings) and not retrainings[-1].user_attrs.get(FINISHED)


def _as_recorded(jobs: list[Job]) -> list[list[Any]]:
    """Return jobs as they are recorded with the retraining: candidate and config of each, as JSON can hold them."""
    return [[job.notes[CANDIDATE], job.values] for job in jobs]


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
    """Train the race's runs on the running Ray, test the winner, write best/ and best.yaml.

    `report` is called with a line for each run and each problem. `meanwhile` is called with the outcome, while
    processes save and draw the winner. The winner is kept also where `meanwhile` raises or the user interrupts, then
    without pictures; the exception is raised again.
    Returns None where no trial of the search can be a finalist.
    """
    runners = race.of(study, workload)
    if not runners:
        return None
    # Train every finalist once, then the best of them and the reference with every seed that judges.
    jobs = runners.first()
    retraining = study.add(RETRAINING, jobs=_as_recorded(jobs), **{MAY_WIN: True, RACE: runners.as_recorded()})
    models = Models(study.objective)
    course = race.Course(runners, study.config.aims)
    for run in runs.train(study, retraining, jobs, pool, report, keep=True, more=course.more):
        models.add(run)
        came_to = run.record.came_to(study.config.metric)
        report(f"{label_of(run.job.notes[CANDIDATE])}, seed {run.job.values['seed']}: {came_to}")
    # Look who won; only then compute test metrics.
    judged = outcome.judge(retraining, study.config.aims)
    if judged.winner and workload.test:
        _test(retraining, judged, models, pool, report)
        judged = outcome.judge(retraining, study.config.aims)
    # Have processes save the winner's files and draw, and keep what they return.
    keep = _save_winner(study, judged, models, pool, report) if judged.winner else _keep_nothing
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
        best = best_of(judged, study.objective) if judged.winner else None
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
        if run.job.notes.get(CHOOSES):
            self.of_run[run.number] = Kept(run.kept.model)  # whoever wins is drawn by a run that judges it
            return
        self.of_run[run.number] = run.kept
        loss = math.inf
        if run.record.best is not None:
            loss = self.objective.sign * run.record.best
        standing = (loss, run.number)
        candidate = run.job.notes[CANDIDATE]
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
    study: Study, judged: Outcome, models: Models, pool: WorkerPool, report: Report
) -> Callable[[Pictures], None]:
    """Have a process save the winner's model; return a function that waits for its files and writes best/."""
    winner = judged.winner
    assert winner is not None
    best = winner.best_run(study.objective)
    wait_for_files = pool.package(models.of_run[best.number].model, best.attributes["config"])

    def keep(pictures: Pictures) -> None:
        files, problems = wait_for_files()
        for problem in problems:
            report(f"{winner.label}: {problem}, see {pool.log}")
        metrics = _metrics(judged, best, study.config.metric)
        for line in _keep(study, best, metrics, {**files, **pictures.of_winner()}):
            report(line)

    return keep


def _keep(study: Study, run: Trial, metrics: dict[str, Any], files: dict[str, bytes]) -> list[str]:
    """Write the winner's folder best/ as a whole, and replace an earlier one; return lines on what is not kept."""
    from search.analysis import tables  # imports pandas: not while a trial could be trained

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


def _metrics(judged: Outcome, run: Trial, metric: str) -> dict[str, Any]:
    """Return what metrics.json says of the winner: the best epoch of its best run, and the values of what judged it."""
    winner = judged.winner
    assert winner is not None
    validation = {name: to_json(value) for name, value in run.epochs[run.best_epoch - 1].items()}
    validation.pop("elapsed_s", None)
    over_seeds = {metric: winner.values, **winner.tests}
    return {
        "configuration": winner.label,
        "best_epoch": run.best_epoch,
        "validation": validation,
        "over_seeds": {name: list(map(to_json, values)) for name, values in over_seeds.items()},
        "finalists": len(judged.finalists),
        "chosen_by": judged.chosen_by,
        "judged_by": list(judged.judged_by),
        "config": run.attributes["config"],
    }


def best_of(judged: Outcome, objective: Objective) -> tuple[dict[str, Any], str]:
    """Return what best.yaml says of the winner: its full config, and a line with its values and test metrics.

    The config is that of its best run, whose own value is the least of several: a race tells it last.
    """
    winner = judged.winner
    assert winner is not None
    best = winner.best_run(objective)
    config = best.attributes["config"]
    scores = "".join(f", {name} {spread(values)}" for name, values in winner.tests.items())
    name = "the defaults: no trial was better" if winner.name == REFERENCE else winner.name
    seeds = f"over {count(len(winner.runs), 'seed')}"
    if not judged.is_race:
        return config, f"{objective.metric} {best.value:.6g} ({name}); {seeds} {spread(winner.values)}{scores}"
    if chosen := chosen_among(judged):
        name += f", {chosen}"
    mean = f"{objective.metric} {spread(winner.values)} {seeds}{scores}"
    return config, f"{mean} ({name}); with this seed {best.value:.6g}"

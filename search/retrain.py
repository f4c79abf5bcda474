"""The best configurations, trained again with several seeds; the winner; its score on data nobody looked at.

python -m search.retrain results/NAME

A search's best is the best of many noisy ones, so its value flatters it. What decides is the mean over seeds that the
search did not use. The reference is the workload's defaults under the same fixed values; it cannot win.
"""

import copy
import dataclasses
import json
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from search import cluster, journal, outcome, program, summary, worker
from search.cluster import Share
from search.outcome import Candidate, Outcome
from search.study import Study
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
    able = [trial for trial in trials if trial.ending in ("complete", "stopped") and trial.value is not None]
    able.sort(key=lambda trial: (trial.ending != "complete", sign * (trial.value or 0.0)))
    return able[:count]


def plan(study: Study, workload: Workload) -> list[Job]:
    """Return the runs of a retraining: each finalist, then the reference, with the seeds after the search's."""
    config = study.config
    chosen = {
        f"trial {trial.number}": {**config.fixed, **trial.params}
        for trial in finalists(study.trials(), config.finalists, config.mode)
    }
    if chosen and set(workload.names()) <= {*workload.defaults(), *config.fixed, "seed"}:
        chosen[outcome.REFERENCE] = dict(config.fixed)
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
    remote = _Remote(study, share)
    models: dict[int, Any] = {}
    for at, record, model in remote.train([job.values for job in jobs]):
        _write(trials[at], record)
        models[trials[at].number] = model
        came = record["failure"] or f"best {study.config.metric} {_text(record['best'])}"
        report(f"{jobs[at].candidate}, seed {jobs[at].values['seed']}: {record['ending']}, {came}")
    found = outcome.of(retraining, study.config.metric, study.config.mode)
    if found.winner and workload.test:
        judged = [found.winner, *([found.reference] if found.reference else [])]
        runs = [run for candidate in judged for run in candidate.runs if run.ending == "complete"]
        for run, scores in zip(runs, remote.test([(models[run.number], _config(run)) for run in runs]), strict=True):
            retraining.set_user_attr(f"test {run.number}", scores)
    retraining.set_user_attr("finished", True)
    found = outcome.of(retraining, study.config.metric, study.config.mode)
    if found.winner:
        best = found.winner.best_run(study.config.mode)
        files = remote.package(models[best.number], _config(best))
        _keep(study, found.winner, best, files)
    return found


def _write(trial: journal.OpenTrial, record: dict[str, Any]) -> None:
    if record["config"]:
        trial.note("config", record["config"])
    if record["failure"]:
        trial.note("failure", record["failure"])
    for epoch, (metrics, best) in enumerate(record["epochs"], 1):
        trial.add(epoch, metrics, best)
    trial.end(record["ending"])


def _keep(study: Study, winner: Candidate, run: journal.Trial, files: dict[str, bytes]) -> None:
    """Write the winner's folder as a whole, in the place of an earlier one, and best.yaml."""
    metric, best = study.config.metric, study.folder / "best"
    kept = run.epochs[run.best_epoch - 1]
    metrics = {
        "configuration": winner.name,
        "best_epoch": run.best_epoch,
        "validation": {name: value for name, value in kept.items() if name != "elapsed_s"},
        "over_seeds": {metric: winner.values, **winner.tests},
        "config": _config(run),
    }
    with tempfile.TemporaryDirectory(dir=study.folder, prefix=".best-") as made:
        for name, content in files.items():
            (Path(made) / name).write_bytes(content)
        (Path(made) / "metrics.json").write_text(json.dumps(metrics, indent=2) + "\n", encoding="utf-8")
        curve = [{"epoch": epoch, **row} for epoch, row in enumerate(run.epochs, 1)]
        pd.DataFrame(curve).to_csv(Path(made) / "curves.csv", index=False)
        best.mkdir(exist_ok=True)
        for old in best.iterdir():
            old.unlink()
        for new in Path(made).iterdir():
            new.replace(best / new.name)
    scores = "".join(f", {name} {outcome.spread(values)}" for name, values in winner.tests.items())
    note = f"{metric} {run.value:.6g} ({winner.name}); over {len(winner.runs)} seeds {outcome.spread(winner.values)}"
    study.write_best(study.folder / "best.yaml", _config(run), note + scores)


def _config(run: journal.Trial) -> dict[str, Any]:
    return dict(run.attributes["config"])


def _text(value: float | None) -> str:
    return "none" if value is None else f"{value:.5g}"


class _Remote:
    """The functions below as tasks of Ray, in processes with a trial's share of the machine."""

    def __init__(self, study: Study, share: Share) -> None:
        import ray

        self._ray = ray
        self._share = share
        config = study.config
        log = str((study.logs / "retraining.log").absolute())
        self._run = (config.workload, share.gpus, log)
        self._goal = (config.metric, config.mode)

    def _task(self, function: Callable[..., Any], **options: Any) -> Any:
        wanted = {"num_cpus": self._share.cpus, "num_gpus": self._share.gpus, "max_retries": 1, **options}
        return self._ray.remote(**wanted)(function)

    def train(self, values: list[dict[str, Any]]) -> Iterator[tuple[int, dict[str, Any], Any]]:
        """Yield (index, record, reference to the best epoch's model), as they end."""
        task = self._task(_train, num_returns=2)
        pending = {}
        for at, each in enumerate(values):
            record, model = task.remote(*self._run, each, *self._goal)
            pending[record] = (at, model)
        while pending:
            (ended,), _ = self._ray.wait(list(pending))
            at, model = pending.pop(ended)
            try:
                yield at, self._ray.get(ended), model
            except self._ray.exceptions.RayError as error:
                yield at, _lost(error), model

    def test(self, work: list[tuple[Any, dict[str, Any]]]) -> list[dict[str, float]]:
        """Return the test metrics of each model."""
        task = self._task(_test)
        scores: list[dict[str, float]] = self._ray.get([task.remote(*self._run, *each) for each in work])
        return scores

    def package(self, model: Any, values: dict[str, Any]) -> dict[str, bytes]:
        """Return the files that the workload makes of a model."""
        files: dict[str, bytes] = self._ray.get(self._task(_package).remote(*self._run, model, values))
        return files


def _prepare(name: str, gpus: float, log: str) -> Workload:
    worker.redirect_output(Path(log))
    return worker.prepare(name, gpus)


def _train(
    name: str, gpus: float, log: str, values: dict[str, Any], metric: str, mode: str
) -> tuple[dict[str, Any], Any]:
    """Train one config to its end; return its record and a copy of the model at its best epoch."""
    training = worker.Training(_prepare(name, gpus, log), values, metric, mode)
    epochs: list[tuple[dict[str, float], float | None]] = []
    model, best = None, None
    while True:
        result = training.pull()
        if result["epoch"] > len(epochs):
            epochs.append(({**result["metrics"], "elapsed_s": result["elapsed_s"]}, result["best"]))
        if result["best"] != best:
            model, best = copy.deepcopy(training.model), result["best"]
        if result["ended"]:
            break
    config = dataclasses.asdict(training.config) if training.config else None
    training.close()
    failure = result.get("failure")
    if failure:
        print(result["traceback"] or failure, file=sys.stderr)
    record = {"config": config, "epochs": epochs, "best": best, "failure": failure, "ending": worker.ending(result)}
    return record, model


def _lost(error: Exception) -> dict[str, Any]:
    failure = f"its process was lost: {str(error).strip().splitlines()[-1]}"
    return {"config": None, "epochs": [], "best": None, "failure": failure, "ending": "failed"}


def _test(name: str, gpus: float, log: str, model: Any, values: dict[str, Any]) -> dict[str, float]:
    workload = _prepare(name, gpus, log)
    assert workload.test is not None
    return {key: float(value) for key, value in workload.test(model, workload.build(values)).items()}


def _package(name: str, gpus: float, log: str, model: Any, values: dict[str, Any]) -> dict[str, bytes]:
    """Return model.pt where the workload saves, plot.png where it plots."""
    workload = _prepare(name, gpus, log)
    config = workload.build(values)
    with tempfile.TemporaryDirectory() as folder:
        if workload.save:
            workload.save(model, config, Path(folder) / "model.pt")
        if workload.plot:
            workload.plot(model, config).savefig(Path(folder) / "plot.png", dpi=120)
        return {path.name: path.read_bytes() for path in sorted(Path(folder).iterdir())}


def main(arguments: list[str] | None = None) -> int:
    """Retrain a study's finalists again; return the exit code."""
    console = program.console()

    def prepare() -> int:
        study = program.named_study("search.retrain", "Retrain a study's best and judge them again.", arguments)
        workload = load(study.config.workload)
        cpus, gpus = cluster.count_cpus(), cluster.count_gpus()
        share = cluster.share_out(study.config, cpus, gpus)
        cluster.check_home()
        with cluster.running(cpus, gpus, study.logs):
            found = retrain(study, workload, share, lambda line: console.print(line, markup=False))
        best = study.folder / "best.yaml"
        return summary.show(console, study, found, workload.is_program, best)

    return program.guarded(prepare)


if __name__ == "__main__":
    sys.exit(main())

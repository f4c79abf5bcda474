"""Studies of the toy whose journal a test writes itself, without a search."""

import math
import sys
from collections.abc import Mapping
from pathlib import Path
from random import Random
from typing import Any

import optuna
from optuna.samplers import RandomSampler

from search import best_file, creation
from search.algorithms.proposals import ask
from search.algorithms.schedulers import Scheduler
from search.journal.outcome import CHOOSES, MAY_WIN, RACE, REFERENCE
from search.journal.records import OpenTrial
from search.journal.trial import Ending, Where
from search.spec.config import StudyConfig
from search.spec.fit import Fit
from search.spec.objective import Objective
from search.spec.workload import Workload, load
from search.study import RETRAINING, Study
from search.tune import tuner
from tests.programs import TOY

SHARE = {"cpus": 1.0, "gpus": 0.0, "concurrent": 2, "note": ""}


def new(values: Mapping[str, Any], workload: Workload | None = None) -> Study:
    """Return a new study of a config as YAML gives it."""
    config = StudyConfig.of(values)
    loaded = workload or load(config.source)
    return creation.create(config, loaded, Fit(config, loaded).epochs)


def judge(options: Scheduler | None, epochs: int, mode: str = "min", metric: str = "loss") -> tuner.Scheduler:
    """Return a scheduler as a search asks it: a rule in its seat in Tune."""
    return tuner.Scheduler(options.rule(epochs) if options else None, Objective(metric, mode))


def create(folder: Path, name: str, workload: Workload | None = None, **settings: Any) -> Study:
    """Return a new study without a trial, of the toy unless it is of another workload."""
    values = {**TOY, "num_samples": 1, "name": name, "output": str(folder), **settings}
    made = new(values, workload)
    made.begin_session(SHARE, {})
    made.search.sampler = RandomSampler(seed=0)
    return made


def add(
    made: Study,
    values: list[float],
    ending: Ending | None,
    failure: str = "",
    traceback: str = "",
    where: Where | None = None,
) -> OpenTrial:
    """Record a trial with these values of the metric, an epoch each; None leaves it running."""
    trial = OpenTrial(made.search, ask(made.search, made.space))
    with made.storage.together():
        if where:
            trial.place(where)
        _record(trial, values, made.objective)
        if failure:
            trial.note("failure", failure)
        if traceback:
            made.log_of(trial.number).write_text(traceback, encoding="utf-8")
        if ending:
            trial.end(ending)
    return trial


def retrain(
    made: Study, values: dict[str, list[float]], tests: dict[str, list[float]], metric: str, *, may_win: bool = True
) -> None:
    """Record a finished retraining: by candidate a value a seed, and of those that were tested a test value a seed.

    Without `may_win` it is one of before, in which the reference could not win.
    """
    retraining = made.add(RETRAINING, jobs=[], **({MAY_WIN: True} if may_win else {}))
    for name, seeds in values.items():
        for seed, value in enumerate(seeds, 1):
            notes = _notes(made, name, seed)
            worse = value * 1.5 if made.config.mode == "min" else value / 1.5
            number = run(made, retraining, notes, [worse, value], "complete").number
            if name in tests:
                retraining.set_user_attr(f"test {number}", {metric: tests[name][seed - 1]})
    best_file.finish(made, retraining, None)


def race(made: Study, choosing: dict[str, float], judging: dict[str, list[float]]) -> None:
    """Record a finished race: what each finalist came to with the seed that chooses, and a value a seed that judges."""
    first = made.config.seed + 1
    judges = [*range(first + bool(choosing), first + bool(choosing) + len(next(iter(judging.values()))))]
    seed = first if choosing else None
    retraining = made.add(RETRAINING, jobs=[], **{MAY_WIN: True, RACE: [seed, judges]})
    for name, value in choosing.items():
        run(made, retraining, {**_notes(made, name, first), CHOOSES: True}, [value], "complete")
    for name, values in judging.items():
        for seed, value in zip(judges, values, strict=True):
            run(made, retraining, _notes(made, name, seed), [value], "complete" if math.isfinite(value) else "diverged")
    best_file.finish(made, retraining, None)


def _notes(made: Study, name: str, seed: int) -> dict[str, Any]:
    """Return the notes of a run of a candidate with a seed."""
    params = {} if name == REFERENCE else made.trials()[int(name.removeprefix("trial "))].params
    return {"candidate": name, "config": made.values(params, seed)}


def diverge(made: Study, candidate: str) -> None:
    """Record a finished retraining of one run, which diverges."""
    retraining = made.add(RETRAINING, jobs=[])
    notes = {"candidate": candidate, "config": {**made.defaults, **made.trials()[0].params, "seed": 1}}
    run(made, retraining, notes, [math.nan], "diverged")
    best_file.finish(made, retraining, None)


def run(made: Study, retraining: optuna.Study, notes: dict[str, Any], values: list[float], ending: Ending) -> OpenTrial:
    """Record a run of a retraining with these values of the metric, an epoch each; return it."""
    trial = OpenTrial(retraining, retraining.ask())
    for name, value in notes.items():
        trial.note(name, value)
    _record(trial, values, made.objective)
    trial.end(ending)
    return trial


def _record(trial: OpenTrial, values: list[float], objective: Objective) -> None:
    for epoch, (value, best) in enumerate(zip(values, objective.running_best(values), strict=True), 1):
        trial.add(epoch, {objective.metric: value, "elapsed_s": 0.01 * epoch}, best)


EXTREME_SPACE = {
    "x": {"distribution": "log_uniform", "low": 5e-324, "high": 1},
    "y": {"distribution": "uniform", "low": 0, "high": 1e-320},
    "limit": {"distribution": "uniform", "low": -9.2e18, "high": 9.2e18},
}
EXTREMES = {
    "denormal": [1e-320, 2e-320, 3e-320],
    "wide": [5e-324, 1e-320, 1.0, 1e300, sys.float_info.max],
    "huge": [sys.float_info.max, -sys.float_info.max, 0.0, 1e308],
}
"""Values near the ends of what a float holds: of a linear scale, a logarithmic one, and with both signs."""


def extreme(folder: Path, name: str) -> Study:
    """Return a study, retrained, with the values of one of EXTREMES, in a space of the like."""
    chance = Random(0)
    made = create(folder, name, num_samples=9, space=EXTREME_SPACE)
    for number in range(9):
        add(made, chance.choices(EXTREMES[name], k=9), "complete" if number % 3 else "stopped")
    values = {candidate: chance.choices(EXTREMES[name], k=3) for candidate in ("trial 1", "trial 2", REFERENCE)}
    retraining = made.add(RETRAINING, jobs=[])
    for candidate, seeds in values.items():
        for seed, value in enumerate(seeds, 1):
            notes = {"candidate": candidate, "config": {**made.defaults, **made.trials()[0].params, "seed": seed}}
            run(made, retraining, notes, [value, value], "complete")
    best_file.finish(made, retraining, None)
    return made


def curve(depth: float, epochs: int, diverges: bool = False) -> list[float]:
    """Return values that fall towards a depth; the last is NaN where it diverges."""
    found = [depth * (1 + 1 / epoch) for epoch in range(1, epochs + 1)]
    return [*found[:-1], math.nan] if diverges else found

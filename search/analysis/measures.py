"""What trial runs say of a search: what its workload is, its metrics and costs, whether it repeats, and its time."""

import dataclasses
import inspect
import math
from collections.abc import Sequence
from typing import Any

from search.algorithms.forecast import Forecast
from search.algorithms.survival import Survival
from search.analysis.checkup import Cost, Metrics, Range, Repeats, Taken, Times
from search.analysis.tried import Tried, differences, in_used_processes
from search.spec import paths
from search.spec.arguments import OWN
from search.spec.config import StudyConfig
from search.spec.objective import Objective
from search.spec.objectives import Objectives
from search.spec.workload import OPTIONAL, Workload

BETWEEN_S = 0.02
"""Seconds that pass in a process from one trial to the next."""
PROCESS_S = 2.0
"""Seconds until a new process is there."""


def taken(workload: Workload) -> Taken:
    """Return what a workload was taken for."""
    functions = [name for name in OPTIONAL if _has(workload, name)]
    return Taken(
        kind=_kind(workload),
        name=workload.name,
        form=_form(workload),
        hyperparameters=[name for name in workload.names() if name not in OWN],
        functions=functions,
    )


def _kind(workload: Workload) -> str:
    if workload.command:
        return "command"
    return "file" if paths.is_file(workload.name) else "module"


def _form(workload: Workload) -> str:
    """Return what its `train` was taken for."""
    if _kind(workload) == "command":
        return "a process a trial"
    taken = "its keywords" if workload.takes_keywords else "config"
    call = f"train({', '.join([taken, *workload.gets])})"
    if "report" in workload.gets:
        return f"{call}, which owns its loop and reports"
    if inspect.isgeneratorfunction(workload.train):
        return f"{call}, a generator"
    return f"{call}, which returns what is iterated over"


def _has(workload: Workload, function: str) -> bool:
    default = {name.name: name.default for name in dataclasses.fields(Workload)}[function]
    return getattr(workload, function) is not default


def metrics(runs: Sequence[Tried], aims: Objectives) -> Metrics:
    """Return the metrics of some runs."""
    objective = aims.first
    further = {each.metric: each.mode for each in aims.all[1:]}
    names: dict[str, None] = {}
    for run in runs:
        for epoch in run.metrics:
            names |= dict.fromkeys(epoch)
    others = [name for name in names if name not in aims.names]
    missing = [name for name in further if name not in names]
    return Metrics(objective.metric, objective.mode, objective.metric in names, others, further, missing)


def cost(runs: Sequence[Tried]) -> Cost:
    """Return what an epoch of some runs took."""
    timed = timed_of(runs)
    used = in_used_processes(runs)
    later = [run.setup_s for run in timed if run.is_timed and run in used]
    growth = [run.grown_bytes / (len(run.elapsed_s) - 1) for run in timed if run.is_timed]
    return Cost(
        epoch_s=_range([run.epoch_s for run in timed]),
        is_timed=any(run.is_timed for run in timed),
        import_s=max((run.import_s for run in runs), default=0.0),
        process_s=max((run.setup_s for run in timed), default=0.0),
        trial_s=max(later) if later else None,
        peak_mb=_most_mb(run.peak_bytes for run in runs),
        growth_mb=max([0.0, *growth]) / 1e6,
        children_mb=_most_mb(run.children_bytes for run in runs),
        gpu_mb=_most_mb(run.gpu_bytes for run in runs),
    )


def timed_of(runs: Sequence[Tried]) -> list[Tried]:
    """Return the runs that tell how long an epoch takes: those with a second one, where there are any."""
    trained = [run for run in runs if run.elapsed_s]
    return [run for run in trained if run.is_timed] or trained


def _range(values: Sequence[float]) -> Range | None:
    return (min(values), max(values)) if values else None


def _most_mb(sizes: Any) -> float:
    return max(sizes, default=0) / 1e6


def repeats(what: str, first: Tried, second: Tried, objective: Objective) -> Repeats:
    """Return whether two runs of one config came to the same."""
    found = differences(first, second)
    decides = found.pop(objective.metric, 0.0)
    return Repeats(
        what=what,
        is_same=decides == 0,
        difference=decides if math.isfinite(decides) else None,
        others=[name for name, difference in found.items() if difference],
        epochs=min(len(first.metrics), len(second.metrics)),
        is_two_processes=first.process != second.process,
    )


def times(
    config: StudyConfig,
    runs: Sequence[Tried],
    trials: int | None,
    epochs: int,
    at_once: int,
    candidates: int,
    chosen_from: int,
    start_s: float,
) -> Times:
    """Return how long search and retraining will take.

    Args:
        config: Of the study.
        runs: Of which each was trained for an epoch or more, or failed.
        trials: That will be searched; None for any number.
        epochs: Of a full trial.
        at_once: How many trials run at once.
        candidates: Configurations that are retrained.
        chosen_from: How many of those run once, to choose one of them; 0 where there is nothing to choose.
        start_s: Seconds from the command until a process is there.

    """
    timed = timed_of(runs)
    if not timed:
        return Times(trials, epochs, None, candidates, chosen_from, config.seeds, None)
    found = cost(runs)
    fresh_s = found.import_s + found.process_s
    between_s = BETWEEN_S + (found.process_s if found.trial_s is None else found.trial_s)
    if any(run.left for run in runs):  # a process a trial
        between_s = PROCESS_S + fresh_s
    # The search: by what became of others' trials, of which each epoch took what these took.
    survival = Survival.under(config.scheduler, epochs)
    forecast = Forecast(survival, trials, config.sampler.learns, clock=lambda: 0.0)  # no time goes by here
    forecast.suppose([(run.epoch_s, 1) for run in timed], between_s, min(at_once, trials or at_once))
    forecast.look()
    search = _limited(forecast.left, config, [run.epoch_s / at_once for run in timed])
    # The retraining: full runs, as many at once; those of the reference fill up the last round of those that choose.
    judged = candidates - max(0, chosen_from - 1)
    first = math.ceil(chosen_from / at_once)
    left = judged * config.seeds - min(first * at_once - chosen_from, max(0, judged - 1) * config.seeds)
    rounds = first + math.ceil(left / at_once)
    speeds = [run.epoch_s for run in timed]
    retraining = [rounds * (epochs * speed + between_s) for speed in (min(speeds), max(speeds))]
    before_s = start_s + fresh_s
    return Times(
        trials=trials,
        epochs=epochs,
        search_s=(before_s + search[0], before_s + search[1]) if search else None,
        candidates=candidates,
        chosen_from=chosen_from,
        seeds=config.seeds,
        retraining_s=(retraining[0], retraining[1]),
    )


def _limited(search: Range | None, config: StudyConfig, epoch_s: Sequence[float]) -> Range | None:
    """Return between which seconds a search ends, of all its trials or of what its limits leave; None if unknown.

    `epoch_s` are the seconds that each of a few epochs took, over the trials at once.
    """
    ranges = [search] if search else []
    if config.time_budget is not None:
        ranges.append((config.time_budget, config.time_budget))
    if config.epoch_budget is not None:
        ranges.append((config.epoch_budget * min(epoch_s), config.epoch_budget * max(epoch_s)))
    if not ranges:
        return None
    low = min(begin for begin, _ in ranges)
    if config.patience is not None or config.target is not None:
        low = 0.0
    return low, min(end for _, end in ranges)

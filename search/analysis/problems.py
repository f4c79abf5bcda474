"""What is wrong with what `search.check` found, and what one should know, each with its fix."""

from collections.abc import Mapping, Sequence
from typing import Any

from search.analysis.checkup import Cost, Machine, Metrics, Model, Problem, Repeats, Taken
from search.analysis.tried import Tried, in_used_processes
from search.errors import suggestion
from search.spec.config import StudyConfig
from search.spec.objective import Objective

Runs = Mapping[str, Tried]
"""By what was trained, as text: the defaults, proposal 1, ..."""
FRESH = "that was in a process that had trained another before: set fresh_process: true"


def of_failures(runs: Runs) -> list[Problem]:
    """Return what failed: an error where all did."""
    failed = {name: run for name, run in runs.items() if run.failure}
    if len(failed) == len(runs) and not all(run.is_infeasible for run in runs.values()):
        first = next(iter(runs.values()))
        return [Problem(f"every trial that was tried failed: {_failure(first)}", is_error=True)]
    of_failure: dict[str, list[str]] = {}
    for name, run in failed.items():
        of_failure.setdefault(run.failure, []).append(name)
    fix = f"; {FRESH}" if _is_of_used_process(runs) else ""
    problems = []
    for names in of_failure.values():
        run = failed[names[0]]
        which = "the first with" if len(names) > 1 else "with"
        what = "infeasible, so a search would propose others" if run.is_infeasible else "failed"
        problems.append(Problem(f"{', '.join(names)} {what}, {which} {_values(run.values)}: {_failure(run)}{fix}"))
    return problems


def _is_of_used_process(runs: Runs) -> bool:
    """Return whether a config that was trained to an end has failed in a process that had trained one before."""
    used = in_used_processes(runs.values())
    done = [run.values for run in runs.values() if not run.failure]
    return any(run.failure and run in used and run.values in done for run in runs.values())


def _failure(run: Tried) -> str:
    """Return why a run failed, where, and what may help."""
    text = run.failure
    if run.place:
        text += f" ({run.place})"
    if "epoch_timeout" in run.failure:
        text += "; raise epoch_timeout, or make an epoch shorter"
    elif run.failure.startswith("train yields no"):
        text += "; the config's metric must be one that train yields"
    return text


def _values(values: Mapping[str, Any]) -> str:
    texts = []
    for name, value in values.items():
        texts.append(f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}")
    return ", ".join(texts)


def of_metrics(metrics: Metrics, runs: Runs, objective: Objective) -> list[Problem]:
    """Return what is wrong with the metrics: the one that decides is not there, or not finite; others are left out."""
    trained = {name: run for name, run in runs.items() if run.metrics and not run.failure}
    problems = []
    notes = dict.fromkeys(note for run in runs.values() for note in run.notes)
    if trained and not metrics.is_there:
        epochs = max(len(run.metrics) for run in trained.values())
        meant = suggestion(metrics.decides, metrics.others)
        first = f"the first {epochs} epochs" if epochs > 1 else "the first epoch"
        rule = f"metric must be one that train yields, but no {metrics.decides!r} came in {first}"
        problems.append(Problem(f"{rule}; {meant}", is_error=True))
        notes = dict.fromkeys(note for note in notes if repr(metrics.decides) not in note)
    for name in metrics.missing if trained else ():
        rule = f"objectives must be metrics that train yields, but no {name!r} came"
        problems.append(Problem(f"{rule}; {suggestion(name, metrics.others)}", is_error=True))
    problems += [Problem(note) for note in notes]
    diverged = [name for name, run in trained.items() if run.has_diverged]
    if diverged and len(diverged) == len(trained):
        text = f"every trial that was tried diverged: {objective.metric} was not finite; search smaller steps, as of lr"
        problems.append(Problem(text, is_error=True))
    elif "the defaults" in diverged:
        problems.append(Problem(f"the defaults diverge: their {objective.metric} is not finite"))
    return problems


def of_repeats(repeats: Repeats | None, metric: str) -> list[Problem]:
    """Return that the same seed does not give the same numbers."""
    if not repeats or repeats.is_same or not repeats.epochs:
        return []
    by = "" if repeats.difference is None else f", by {repeats.difference:.1g} of it"
    return [
        Problem(
            f"{repeats.what} came to another {metric} the second time{by}, with the same seed: seed all that is random "
            f"with config.seed, else no trial can be repeated"
        )
    ]


def of_model(taken: Taken, model: Model, jobs: Sequence[Problem]) -> list[Problem]:
    """Return what is wrong with the model; `jobs` are the problems of test, save and plot with it."""
    if model.unpickled:
        lost = [name for name in ("test", "save", "plot") if name in taken.functions]
        if not lost:
            return []
        text = (
            f"the model must be one that can be pickled, but: {model.unpickled}; "
            f"without that {', '.join(lost)} cannot have it: yield its weights, as state_dict() gives them"
        )
        return [Problem(text, is_error=lost != ["plot"])]
    if model.pickled_bytes:
        return list(jobs)
    hint = "; train yields no model beside its metrics"
    return [Problem(f"{job.text}{hint}", job.is_error) for job in jobs]


def of_process(runs: Sequence[Tried], cost: Cost, machine: Machine, config: StudyConfig, epochs: int) -> list[Problem]:
    """Return what a process leaves behind, holds too long, or holds too much of."""
    costs = "so each trial gets a new process, which costs its start and imports: end it in train, in a finally:"
    left = dict.fromkeys(run.left for run in runs if run.left)
    problems = [Problem(f"a trial leaves {what} behind, {costs}") for what in left]
    first_s = max((run.import_s + run.first_s for run in runs if run.elapsed_s), default=0.0)
    waits = config.epoch_timeout
    if waits and waits / 2 < first_s < waits:
        problems.append(
            Problem(f"the first epoch of a process took {first_s:.1f} s of the {waits:g} of epoch_timeout; raise that")
        )
    if not machine.address and not machine.gpus_per_trial:
        problems += _of_memory(cost, machine, epochs)
    return problems


def _of_memory(cost: Cost, machine: Machine, epochs: int) -> list[Problem]:
    most_mb = machine.at_once * (cost.peak_mb + cost.children_mb)
    grown_mb = machine.at_once * cost.growth_mb * epochs
    has = f"of the {machine.memory_mb / 1000:.0f} GB of this machine"
    fix = "train fewer at once, by a greater cpus_per_trial"
    if most_mb > machine.memory_mb:
        return [Problem(f"{machine.at_once} trials at once may take {most_mb / 1000:.0f} GB {has}; {fix}")]
    if most_mb + grown_mb > machine.memory_mb:
        text = f"a process grows by {cost.growth_mb:.0f} MB an epoch: {machine.at_once} trials at once may come to take"
        return [Problem(f"{text} {(most_mb + grown_mb) / 1000:.0f} GB {has}; keep less of each epoch, or {fix}")]
    return []


def of_plan(config: StudyConfig, trials: int | None, epochs: int, no_reference: str) -> list[Problem]:
    """Return what one should know of the search that is asked for."""
    problems = []
    if trials is not None and config.num_samples is not None and trials < config.num_samples:
        problems.append(
            Problem(f"the space has {trials} configurations, fewer than the {config.num_samples} trials asked for")
        )
    if config.scheduler and epochs > 1 and not config.scheduler.rungs(epochs):
        problems.append(
            Problem(
                f"no trial would be stopped early: the scheduler compares none before the last of {epochs} epochs; "
                f"lower its grace_period"
            )
        )
    if no_reference:
        problems.append(Problem(f"the winner has no defaults beside it to compare with: {no_reference}"))
    return problems

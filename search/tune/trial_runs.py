"""The trial runs of `search.check`: a few epochs of some configs in worker processes, then all that needs a model."""

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from search.algorithms.proposals import ask
from search.algorithms.space import Takes
from search.analysis.checkup import Model, Problem
from search.analysis.tried import Tried, place_in
from search.spec.workload import Workload
from search.study import Study
from search.tune.pool import WorkerPool
from search.tune.proposing import proposer_of
from search.tune.resources import Share
from search.worker.jobs import Shot

PROPOSALS = 2
"""Configs that the sampler is asked for."""
LEFT_OUT = "; left out"
"""Ends what is said of a test of which some metrics are no numbers, and the others stand."""
Use = Callable[[], tuple[dict[str, Any], list[Problem]]]
"""Waits for what becomes of a model; returns what that changes in a Model, and what went wrong."""
Pool = Callable[[str], WorkerPool]
"""Returns a pool of worker processes whose log has this name."""


@dataclass
class TrialRuns:
    """What was trained, by name, and what became of the model of the first that had one."""

    runs: dict[str, Tried]
    again: list[Tried]
    """The first of them, trained a second time, and where all others have failed a third."""
    model: Model
    problems: list[Problem] = field(default_factory=list)
    """Of test, save and plot."""

    def all(self) -> list[Tried]:
        """Return every run."""
        return [*self.runs.values(), *self.again]


def proposals(study: Study, takes: Takes) -> dict[str, dict[str, Any]]:
    """Return the full configs that the study's sampler proposes first, by name."""
    config = study.config
    study.search.sampler = proposer_of(study, takes, begins=False)
    found = {}
    for number in range(1, min(PROPOSALS, PROPOSALS if study.wanted is None else study.wanted) + 1):
        params = ask(study.search, study.space).params
        found[f"proposal {number}"] = config.values(params)
    return found


def run(study: Study, workload: Workload, share: Share, configs: Mapping[str, dict[str, Any]], pool: Pool) -> TrialRuns:
    """Train some epochs of each config, and of the first one twice; then test, save and draw a model.

    The second time is in another process, where there are two: so it comes right after the first, else at the end.
    Where only the others fail, it may be that their processes had trained one before: the first is tried in such, too.
    """
    names = list(configs)
    order = [*names, names[0]]
    if share.concurrent > 1:
        order = [names[0], *names]
    again = order.index(names[0], 1)
    values = [configs[name] for name in order]
    tried: dict[int, Tried] = {}
    models: dict[int, Any] = {}
    for index, run, model in pool("trial-runs").try_out(values, study.folder / "trials"):
        tried[index] = run if run.values else dataclasses.replace(run, values=values[index])
        models[index] = model
    runs = {name: tried[index] for index, name in enumerate(order) if index != again}
    result = TrialRuns(runs, [tried[again]], Model(0, ""))
    others = [run.failure for name, run in runs.items() if name != names[0]]
    if others and all(others) and not (tried[0].failure or tried[again].failure):
        result.again += [run for _, run, _ in pool("trial-runs").try_out(values[:1], study.folder / "trials")]
    # Use the model of the first run that has not failed.
    for index in sorted(tried):
        if not tried[index].failure:
            _use_model(result, workload, tried[index], models[index], pool)
            break
    return result


def _use_model(result: TrialRuns, workload: Workload, tried: Tried, model: Any, pool: Pool) -> None:
    """Have processes test, save and draw a model, as at the end of a search; each has a log of its own."""
    result.model = Model(tried.model_bytes, tried.unpickled)
    if tried.unpickled:
        return
    # Each begins, or is queued, before one is waited for.
    values = dict(tried.values)
    uses: list[Use] = []
    if workload.save:
        uses.append(_save(model, values, pool("save")))
    if workload.plot:
        uses.append(_draw(model, values, pool("plot")))
    if workload.test:
        uses.append(_test(model, values, pool("test")))
    for wait in uses:
        changes, problems = wait()
        result.model = dataclasses.replace(result.model, **changes)
        result.problems += problems


def _test(model: Any, values: dict[str, Any], pool: WorkerPool) -> Use:
    def wait() -> tuple[dict[str, Any], list[Problem]]:
        ((scores, problem),) = pool.test([(model, values)])
        if not scores:
            problem = problem or "test must return metrics by name, but returned none"
        is_error = not (scores or problem.endswith(LEFT_OUT))
        return {"scores": list(scores)}, _problems(pool, problem, is_error=is_error)

    return wait


def _save(model: Any, values: dict[str, Any], pool: WorkerPool) -> Use:
    wait_for_files = pool.package(model, values)

    def wait() -> tuple[dict[str, Any], list[Problem]]:
        files, problems = wait_for_files()
        problem = "; ".join(problems)
        if not files:
            problem = problem or "save must write to the path that it is given, but wrote nothing there"
        sizes = {name: len(content) for name, content in files.items()}
        return {"files": sizes}, _problems(pool, problem, is_error=True)

    return wait


def _draw(model: Any, values: dict[str, Any], pool: WorkerPool) -> Use:
    wait_for_pictures = pool.draw([Shot(values, model, whole=True)])

    def wait() -> tuple[dict[str, Any], list[Problem]]:
        (drawn,) = wait_for_pictures()
        return {"is_drawn": bool(drawn.image)}, _problems(pool, drawn.problem, is_error=False)

    return wait


def _problems(pool: WorkerPool, problem: str, *, is_error: bool) -> list[Problem]:
    """Return a problem, if there is one, with the place that the pool's log tells of."""
    if not problem:
        return []
    place = ""
    if pool.log.exists():
        place = place_in(pool.log.read_text(encoding="utf-8", errors="replace"))
    return [Problem(f"{problem} ({place})" if place else problem, is_error)]

"""The trial runs of `search.check`: a few epochs of some configs in worker processes, then all that needs a model."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from search.algorithms.proposals import Proposer, Takes
from search.algorithms.samplers import SAMPLERS
from search.analysis.checkup import Model, Problem
from search.analysis.tried import Tried, place_in
from search.spec.workload import Workload
from search.study import Study
from search.tune.pool import WorkerPool
from search.tune.resources import Share
from search.worker.jobs import Shot

PROPOSALS = 2
"""Configs that the sampler is asked for."""
LEFT_OUT = "; left out"
"""Ends what is said of a test of which some metrics are no numbers, and the others stand."""
Check = Callable[[], None]
"""Is called while there is nothing to do but to wait; raises where somebody wishes the end."""


@dataclass
class TrialRuns:
    """What was trained, by name, and what became of the model of the first that had one."""

    runs: dict[str, Tried]
    again: Tried
    """The first of them, trained a second time."""
    model: Model
    problems: list[Problem] = field(default_factory=list)
    """Of test, save and plot."""

    def all(self) -> list[Tried]:
        """Return every run."""
        return [*self.runs.values(), self.again]


def proposals(study: Study, takes: Takes) -> dict[str, dict[str, Any]]:
    """Return the full configs that the study's sampler proposes first, by name."""
    config = study.config
    study.search.sampler = Proposer(SAMPLERS[config.sampler].make, config.seed, study.space, takes)
    found = {}
    for number in range(1, min(PROPOSALS, study.wanted) + 1):
        params = study.search.ask(fixed_distributions=study.space).params
        found[f"proposal {number}"] = config.values(params)
    return found


def run(
    study: Study, workload: Workload, share: Share, configs: Mapping[str, dict[str, Any]], check: Check
) -> TrialRuns:
    """Train some epochs of each config, and of the first one twice; then test, save and draw a model.

    The second time is in another process, where there are two: so it comes right after the first, else at the end.
    """
    names = list(configs)
    order = [*names, names[0]]
    if share.concurrent > 1:
        order = [names[0], *names]
    again = order.index(names[0], 1)
    pool = WorkerPool(study, share, "trial-runs", check=check)
    tried: dict[int, Tried] = {}
    models: dict[int, Any] = {}
    for index, run, model in pool.try_out([configs[name] for name in order], study.folder / "trials"):
        tried[index] = run
        models[index] = model
    runs = {name: tried[index] for index, name in enumerate(order) if index != again}
    result = TrialRuns(runs, tried[again], Model(0, ""))
    # Use the model of the first run that has not failed.
    for index in sorted(tried):
        if not tried[index].failure:
            _use_model(result, study, workload, share, tried[index], models[index], check)
            break
    return result


def _use_model(
    result: TrialRuns, study: Study, workload: Workload, share: Share, tried: Tried, model: Any, check: Check
) -> None:
    """Have processes test, save and draw a model, as at the end of a search; each has a log of its own."""
    result.model = Model(tried.model_bytes, tried.unpickled)
    if tried.unpickled:
        return
    values = dict(tried.values)
    pools = {name: WorkerPool(study, share, name, check=check) for name in ("test", "save", "plot")}

    def tell(name: str, problem: str, *, is_error: bool) -> None:
        place = ""
        if pools[name].log.exists():
            place = place_in(pools[name].log.read_text(encoding="utf-8", errors="replace"))
        result.problems.append(Problem(f"{problem} ({place})" if place else problem, is_error))

    # All of them begin, then each is waited for.
    wait_for_files = pools["save"].package(model, values) if workload.save else None
    wait_for_pictures = None
    if workload.plot:
        wait_for_pictures = pools["plot"].draw([Shot(values, model, whole=True)])
    if workload.test:
        ((scores, problem),) = pools["test"].test([(model, values)])
        result.model.scores.extend(scores)
        if problem:
            tell("test", problem, is_error=not problem.endswith(LEFT_OUT))
        elif not scores:
            tell("test", "test must return metrics by name, but it returned none", is_error=False)
    if wait_for_files:
        files, problems = wait_for_files()
        result.model.files.update({name: len(content) for name, content in files.items()})
        for problem in problems:
            tell("save", problem, is_error=True)
        if not (files or problems):
            tell("save", "save must write to the path that it is given, but wrote nothing there", is_error=True)
    if wait_for_pictures:
        (drawn,) = wait_for_pictures()
        result.model = Model(**{**vars(result.model), "is_drawn": bool(drawn.image)})
        if drawn.problem:
            tell("plot", drawn.problem, is_error=False)

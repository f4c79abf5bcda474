"""The race of a retraining: one run of each finalist chooses, and further seeds judge that one and the reference.

The least of several noisy values flatters the one that has it. So what is reported is of seeds that have chosen no
finalist; and most runs go into more finalists, as those differ by more than the seeds of one do.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from search.errors import count
from search.journal import front, outcome
from search.journal.front import Point
from search.journal.outcome import CHOOSES, REFERENCE
from search.retraining.runs import Job, Run
from search.spec.objectives import Objectives
from search.spec.workload import Workload
from search.study import Study

CANDIDATE = "candidate"
"""The attribute of a run that names its candidate."""


@dataclass(frozen=True)
class Race:
    """Who runs, and with which seeds."""

    study: Study
    params: Mapping[str, dict[str, Any]]
    """Of each finalist by its name, the best first: the hyperparameters that it does not share with all others."""
    has_reference: bool

    @property
    def is_choice(self) -> bool:
        """Return whether there are several finalists to choose from: a single one is judged at once."""
        return len(self.params) > 1

    @property
    def chooses(self) -> int | None:
        """Return the seed that chooses: the one after the search's; None where there is nothing to choose."""
        return self.study.config.seed + 1 if self.is_choice else None

    @property
    def judges(self) -> list[int]:
        """Return the seeds that judge: those after the search's, and after the one that chooses."""
        first = self.study.config.seed + 1 + self.is_choice
        return [*range(first, first + self.study.config.seeds)]

    def first(self) -> list[Job]:
        """Return the runs that are known from the start: those that choose, and the reference's."""
        jobs: list[Job] = []
        for name, params in self.params.items():
            if self.is_choice:
                jobs.append(Job({CANDIDATE: name, CHOOSES: True}, self.study.values(params, self.chooses)))
            else:
                jobs += self.judging(name)
        if self.has_reference:
            jobs += self.judging(REFERENCE)
        return jobs

    def judging(self, name: str) -> list[Job]:
        """Return the runs that judge a candidate."""
        params = self.params.get(name, {})
        return [Job({CANDIDATE: name}, self.study.values(params, seed)) for seed in self.judges]

    def as_recorded(self) -> list[Any]:
        """Return the seeds as they are recorded with the retraining."""
        return [self.chooses, self.judges]

    def announcement(self, *, again: bool) -> str:
        """Return in a line what is about to be trained; `again` where that was cut off before."""
        cut_off = " again, as that was cut off," if again else ""
        runs = len(self.first()) + len(self.judges) * self.is_choice
        in_all = f": {count(runs, 'run')} of up to {count(self.study.epochs, 'epoch')}"
        beside = " and the defaults" if self.has_reference else ""
        if not self.params:
            return f"retraining the defaults{cut_off} with {count(len(self.judges), 'other seed')}{in_all}"
        if not self.is_choice:
            return f"retraining the best{beside}{cut_off} with {count(len(self.judges), 'other seed')}{in_all}"
        judged = f"then the best of them{beside} with {count(len(self.judges), 'more seed')}"
        if len(self.judges) > 1:
            judged = judged.replace("more seeds", "more")
        return f"retraining the best {len(self.params)}{cut_off} with another seed, {judged}{in_all}"


def of(study: Study, workload: Workload) -> Race | None:
    """Return the race of a study's best; None where no trial can be a finalist, or none is asked for.

    There is no reference where the workload's Config lacks a default.
    """
    config = study.config
    trials = study.within(study.trials())
    if config.finalists == 0 or not any(trial.may_win for trial in trials):
        return None
    has_reference = has_defaults(study, workload)
    reference = study.default_params if has_reference else None
    chosen = outcome.finalists(trials, config.finalists, config.aims, reference)
    params = {outcome.name_of(trial): trial.params for trial in chosen}
    if not params and not has_reference:
        return None
    return Race(study, params, has_reference)


def has_defaults(study: Study, workload: Workload) -> bool:
    """Return whether the workload's Config has a default of all that is not fixed."""
    return not workload.arguments.missing(study.config.values({}))


def jobs_of_before(study: Study, workload: Workload, *, may_win: bool) -> list[Job]:
    """Return the runs of a retraining of before, no race: each finalist, then the reference, with all seeds.

    A trial of the defaults is no finalist beside the reference, unless that cannot win.
    """
    config = study.config
    trials = study.within(study.trials())
    if config.finalists == 0 or not any(trial.may_win for trial in trials):
        return []
    has_reference = has_defaults(study, workload)
    reference = study.default_params if has_reference and may_win else None
    # The candidates by name, each with the hyperparameters that it does not share with all others.
    params: dict[str, dict[str, Any]] = {}
    for trial in outcome.finalists(trials, config.finalists, config.aims, reference, is_race=False):
        params[outcome.name_of(trial)] = trial.params
    if has_reference:
        params[REFERENCE] = {}
    # Each of them with every seed.
    seeds = range(config.seed + 1, config.seed + 1 + config.seeds)
    jobs: list[Job] = []
    for candidate, sampled in params.items():
        jobs += [Job({CANDIDATE: candidate}, study.values(sampled, seed)) for seed in seeds]
    return jobs


class Course:
    """The course of a race: is told of each run that has ended, and tells what is to be trained next."""

    def __init__(self, race: Race, objectives: Objectives) -> None:
        self._race = race
        self._objectives = objectives
        self._points: dict[str, Point | None] = {}
        """What each finalist came to in the run that chooses; None where it did not train to its end."""
        self._judged: str | None = None
        self._left: Counter[str] = Counter()
        """How many of a candidate's judging runs have not ended."""
        self._unsound: set[str] = set()

    def more(self, run: Run) -> list[Job]:
        """Take in a run; return those that it asks for: of the best finalist, when all of them have run.

        Where that one diverges or fails with a seed, it is the turn of the next.
        """
        name = run.job.notes[CANDIDATE]
        record = run.record
        is_sound = record.ending == "complete" and record.best is not None
        if run.job.notes.get(CHOOSES):
            epochs = [metrics for metrics, _ in record.epochs]
            self._points[name] = front.point_of(epochs, record.best, self._objectives) if is_sound else None
        else:
            self._left[name] -= 1
            if not is_sound:
                self._unsound.add(name)
        return self._next()

    def _next(self) -> list[Job]:
        """Return the runs that judge the next finalist; none as long as others must end first, and where one held."""
        if not self._race.is_choice or len(self._points) < len(self._race.params):
            return []
        if self._judged and (self._left[self._judged] > 0 or self._judged not in self._unsound):
            return []
        # The best by the seed that chooses, of those that have not failed to hold; of equals the one predicted best.
        points: dict[str, Point] = {}
        for name in self._race.params:
            point = self._points[name]
            if point and name not in self._unsound:
                points[name] = point
        if not points:
            return []
        self._judged = list(points)[self._objectives.chosen(list(points.values()))]
        jobs = self._race.judging(self._judged)
        self._left[self._judged] = len(jobs)
        return jobs

"""The runs of an ablation: in a round each hyperparameter left takes the winner's value, and the best keeps it."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import optuna

from search.analysis.ablation import ABLATION, CHANGED, ENDS, Changed, Ends, Step, read_ends, steps, values_of
from search.errors import UserError, command
from search.journal.outcome import Candidate
from search.journal.trial import Trial
from search.retraining.runs import Job, Run
from search.spec.objective import Objective
from search.study import Study


def ends_of(made: Study) -> Ends:
    """Return the defaults and the winner of a study. Raises UserError where the one or the other was not retrained."""
    outcome = made.outcome()
    rule = "an ablation goes from the defaults to the winner"
    if not outcome or not outcome.winner:
        raise UserError(f"{rule}, but {made.name} has none; retrain it first: {command('search.retrain', made.folder)}")
    if outcome.defaults_win:
        raise UserError(f"{rule}, but in {made.name} the defaults win: there is nothing between them")
    if not outcome.reference:
        raise UserError(f"{rule}, but {made.config.title} has no default of all that it needs")
    pair = _with_one_seed(outcome.reference, outcome.winner)
    if pair is None:
        raise UserError(f"an ablation compares runs of one seed, but none of {made.name} trained defaults and winner")
    reference, winner = pair
    old = reference.attributes["config"]
    new = winner.attributes["config"]
    # By what Config is given: a list changes as a whole, and what only decides which others are on is not given at all.
    names = [name for name in made.config.space if name in old and old[name] != new[name]]
    assert reference.value is not None
    assert winner.value is not None
    return Ends(
        winner=outcome.winner.name,
        seed=new["seed"],
        first=reference.value,
        last=winner.value,
        before={name: old[name] for name in names},
        after={name: new[name] for name in names},
    )


def _with_one_seed(reference: Candidate, winner: Candidate) -> tuple[Trial, Trial] | None:
    """Return a run of each with the same seed, both trained to their ends."""
    for one in reference.runs:
        for other in winner.runs:
            is_same = one.attributes["config"]["seed"] == other.attributes["config"]["seed"]
            if is_same and one.ending == other.ending == "complete" and None not in (one.value, other.value):
                return one, other
    return None


def open_one(made: Study, ends: Ends) -> optuna.Study:
    """Return the newest ablation, where it has the same ends; else a new one."""
    before = made.others(ABLATION)
    if before and read_ends(before[-1]) == ends:
        return before[-1]
    return made.add(ABLATION, **{ENDS: asdict(ends)})


class Way:
    """What is left to be trained of an ablation: is told of each run, and asks for the next round at the end of one."""

    def __init__(self, made: Study, ends: Ends, ablation: optuna.Study) -> None:
        self._ends = ends
        self._objective: Objective = made.objective
        outcome = made.outcome()
        assert outcome is not None
        assert outcome.reference is not None
        defaults: Mapping[str, Any] = outcome.reference.config
        self._values = {**defaults, "seed": ends.seed}
        self.values: dict[Changed, float] = values_of(ablation, made.objective)
        """Of the runs that have ended."""
        self._asked: set[Changed] = set(self.values)

    def steps(self) -> list[Step]:
        """Return the way so far."""
        return steps(self._ends, self.values, self._objective)

    def next(self) -> list[Job]:
        """Return the runs that the present round lacks; none where it is not over, or the last."""
        done = tuple(step.name for step in self.steps())
        left = [name for name in self._ends.before if name not in done]
        jobs = []
        for name in left if len(left) > 1 else []:
            changed = (*done, name)
            if changed not in self._asked:
                self._asked.add(changed)
                values = {**self._values, **{each: self._ends.after[each] for each in changed}}
                jobs.append(Job({CHANGED: list(changed)}, values))
        return jobs

    def more(self, run: Run) -> Sequence[Job]:
        """Take in a run; return those that it asks for."""
        value = run.record.best if run.record.ending == "complete" else None
        self.values[tuple(run.job.notes[CHANGED])] = float("nan") if value is None else value
        return self.next()

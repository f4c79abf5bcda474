"""Which finalist a race judges, and that what it says of it flatters nobody."""

import math
from pathlib import Path
from random import Random
from statistics import fmean, stdev
from typing import Any

import pytest

from search.journal.outcome import REFERENCE, Candidate
from search.journal.trial import Ending
from search.retraining.race import CANDIDATE, Course, Race
from search.retraining.runs import Job, Run
from search.spec.objective import Objective
from search.spec.objectives import Objectives
from search.study import Study
from search.tune.pool import Kept
from search.worker.jobs import Record
from tests import studies
from tests.studies import curve


@pytest.fixture
def made(tmp_path: Path) -> Study:
    study = studies.create(tmp_path, "s", num_samples=9, finalists=3, seeds=2, seed=7)
    for depth in (5.0, 3.0, 4.0):
        studies.add(study, curve(depth, 9), "complete")
    return study


def runners(made: Study, **change: Any) -> Race:
    params = {f"trial {trial.number}": trial.params for trial in made.trials()}
    return Race(**{"study": made, "params": params, "has_reference": True, **change})


def ended(job: Job, value: float, ending: Ending = "complete") -> Run:
    best = value if math.isfinite(value) else None
    return Run(job, 0, Record(ending, best=best), Kept(None))


def names(jobs: list[Job]) -> list[str]:
    return [job.notes[CANDIDATE] for job in jobs]


@pytest.mark.parametrize(("mode", "best"), [("min", "trial 1"), ("max", "trial 2")])
def test_the_best_by_the_seed_that_chooses_is_judged_when_all_have_run(made: Study, mode: str, best: str) -> None:
    course = Course(runners(made), Objectives.of_one(Objective("loss", mode)))
    first = runners(made).first()
    asked = [course.more(ended(job, value)) for job, value in zip(first, [0.3, 0.2, 0.4, 0.1, 0.1], strict=True)]
    assert asked[:2] == [[], []]
    assert names(asked[2]) == [best, best]
    assert [job.values["seed"] for job in asked[2]] == [9, 10]
    assert asked[3:] == [[], []]
    assert [course.more(ended(job, 0.9)) for job in asked[2]] == [[], []]


def test_where_the_chosen_one_does_not_hold_with_every_seed_it_is_the_turn_of_the_next(made: Study) -> None:
    course = Course(runners(made), made.config.aims)
    first = runners(made).first()
    _, _, judged = [course.more(ended(job, value)) for job, value in zip(first[:3], [0.3, 0.2, 0.4], strict=True)]
    assert course.more(ended(judged[0], math.nan, "diverged")) == []
    next_judged = course.more(ended(judged[1], 0.2))
    assert names(next_judged) == ["trial 0", "trial 0"]
    course.more(ended(next_judged[0], 0.3))
    last = course.more(ended(next_judged[1], 0.3, "failed"))
    assert names(last) == ["trial 2", "trial 2"]
    assert course.more(ended(last[0], math.nan, "diverged")) == []
    assert course.more(ended(last[1], 0.4)) == []


def test_one_that_does_not_hold_with_the_seed_that_chooses_is_not_judged(made: Study) -> None:
    course = Course(runners(made), made.config.aims)
    first = runners(made).first()
    endings: list[tuple[float, Ending]] = [(0.3, "complete"), (math.nan, "diverged"), (0.1, "failed")]
    asked = [course.more(ended(job, *how)) for job, how in zip(first[:3], endings, strict=True)]
    assert names(asked[-1]) == ["trial 0", "trial 0"]
    none_holds = Course(runners(made), made.config.aims)
    assert [none_holds.more(ended(job, math.nan, "diverged")) for job in first[:3]] == [[]] * 3


def test_of_equal_ones_that_is_judged_which_was_predicted_to_end_best(made: Study) -> None:
    """As of a workload without a seed, and of one whose metric is a count."""
    course = Course(runners(made), made.config.aims)
    asked = [course.more(ended(job, 0.5)) for job in runners(made).first()[:3]]
    assert names(asked[-1]) == ["trial 0", "trial 0"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({}, "retraining the best 3 with another seed, then the best of them and the defaults with 2 more: 7 runs"),
        (
            {"has_reference": False},
            "retraining the best 3 with another seed, then the best of them with 2 more: 5 runs",
        ),
        ({"params": {"trial 0": {}}}, "retraining the best and the defaults with 2 other seeds: 4 runs"),
        ({"params": {}}, "retraining the defaults with 2 other seeds: 2 runs"),
    ],
)
def test_what_will_be_trained_is_announced(change: dict[str, Any], said: str, made: Study) -> None:
    told = runners(made, **change)
    assert told.announcement(again=False) == f"{said} of up to 9 epochs"
    assert " again, as that was cut off, with " in told.announcement(again=True)


def test_the_winner_is_told_by_seeds_that_have_not_chosen_it(made: Study) -> None:
    studies.race(made, {"trial 1": 0.1, "trial 0": 0.2}, {REFERENCE: [0.6, 0.7], "trial 1": [0.3, 0.5]})
    found = made.outcome()
    assert found is not None
    assert found.winner is not None
    assert (found.winner.name, found.winner.values, found.winner.is_judged) == ("trial 1", [0.3, 0.5], True)
    assert [run.value for run in found.winner.all_runs] == [0.1, 0.3, 0.5]
    assert (found.chosen_by, found.judged_by) == (8, (9, 10))
    ranked = found.ranked(made.objective)
    assert [candidate.name for candidate in ranked] == ["trial 1", "trial 0", REFERENCE]
    assert [candidate.values for candidate in ranked] == [[0.3, 0.5], [0.2], [0.6, 0.7]]


def test_one_that_was_not_judged_cannot_win_nor_be_what_the_defaults_are_held_against(made: Study) -> None:
    studies.race(made, {"trial 1": 0.1, "trial 0": 0.2}, {REFERENCE: [0.6, 0.7], "trial 1": [0.8, 0.9]})
    found = made.outcome()
    assert found is not None
    assert found.defaults_win
    opponent = found.opponent(made.objective)
    assert opponent is not None
    assert opponent.name == "trial 1"


def test_of_one_that_did_not_hold_the_next_that_was_judged_wins(made: Study) -> None:
    chosen = {"trial 1": 0.1, "trial 0": 0.2, "trial 2": 0.15}
    studies.race(made, chosen, {"trial 1": [0.1, math.nan], "trial 2": [0.3, 0.4]})
    found = made.outcome()
    assert found is not None
    assert found.winner is not None
    assert found.winner.name == "trial 2"
    assert [candidate.name for candidate in found.ranked(made.objective)] == ["trial 2", "trial 0", "trial 1"]


def test_a_finalist_that_the_seed_that_chose_does_not_tell_from_the_winner_is_a_rival(made: Study) -> None:
    """The winner's own seeds lie 0.1 apart, by a deviation of 0.07: two values of one seed each by up to 0.2."""
    chosen = {"trial 1": 1.0, "trial 0": 1.1, "trial 2": 1.3}
    studies.race(made, chosen, {REFERENCE: [2.0, 2.1], "trial 1": [1.0, 1.1]})
    verdict = made.snapshot().verdict
    assert verdict is not None
    assert [rival.name for rival in verdict.rivals] == ["trial 0"]


def test_what_a_race_says_of_its_winner_is_what_the_winner_comes_to(made: Study) -> None:
    """Six finalists that differ by less than their seeds: the least of what chose is too good, what judged is not."""
    chance = Random(0)
    finalists = runners(made, params={f"trial {at}": {} for at in range(6)})
    chose: list[float] = []
    judged: list[float] = []
    for _ in range(2000):
        depths = {name: chance.gauss(1.0, 0.05) for name in finalists.params}
        course = Course(finalists, made.config.aims)
        asked: list[Job] = []
        least = math.inf
        for job in finalists.first()[:6]:
            value = chance.gauss(depths[job.notes[CANDIDATE]], 0.1)
            least = min(least, value)
            asked += course.more(ended(job, value))
        (name,) = set(names(asked))
        chose.append(least - depths[name])
        judged.append(fmean(chance.gauss(depths[name], 0.1) for _ in asked) - depths[name])
    error = stdev(judged) / math.sqrt(len(judged))
    assert abs(fmean(judged)) < 3 * error
    assert fmean(chose) < -0.1


def test_candidates_of_a_retraining_of_before_were_all_judged(made: Study) -> None:
    studies.retrain(made, {"trial 1": [0.1, 0.2], "trial 0": [0.3, 0.4]}, {}, "test_loss")
    found = made.outcome()
    assert found is not None
    assert not found.is_race
    assert all(candidate.is_judged for candidate in found.candidates)
    assert Candidate("trial 0", (), {}).all_runs == ()


def test_a_race_runs_without_a_reference_or_without_a_finalist(made: Study) -> None:
    assert names(runners(made, has_reference=False).first()) == ["trial 0", "trial 1", "trial 2"]
    assert [job.values["seed"] for job in runners(made, params={}).first()] == [8, 9]

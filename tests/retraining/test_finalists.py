"""What a retraining is made of, and when it is the one that would be made now."""

from pathlib import Path
from typing import Any

import pytest

from search import best_file, study
from search.journal.outcome import MAY_WIN, REFERENCE
from search.journal.records import OpenTrial
from search.retraining import finalists
from search.spec.workload import Workload, load
from search.study import FINISHED, RETRAINING, Study
from tests import studies
from tests.studies import curve


@pytest.fixture
def toy() -> Workload:
    return load("tests.toy")


def create(folder: Path, **change: Any) -> Study:
    made = studies.create(folder, "s", num_samples=9, **{"finalists": 2, "seeds": 2, "seed": 7, **change})
    for depth in (5.0, 3.0, 4.0):
        studies.add(made, curve(depth, 9), "complete")
    return made


def retrained(made: Study, workload: Workload) -> Study:
    """Return the study with a retraining of what would be retrained now, which has finished."""
    jobs = [[job.notes["candidate"], job.values] for job in finalists.plan(made, workload)]
    retraining = made.add(RETRAINING, jobs=jobs, **{MAY_WIN: True})
    for candidate, values in jobs:
        run = OpenTrial(retraining, retraining.ask())
        run.note("candidate", candidate)
        run.note("config", values)
        run.add(1, {"loss": 1.0, "elapsed_s": 0.1}, 1.0)
        run.end("complete")
    best_file.finish(made, retraining, None)
    return made


def test_each_finalist_then_the_defaults_are_trained_with_the_seeds_after_the_searchs(
    toy: Workload, tmp_path: Path
) -> None:
    made = create(tmp_path, fixed={"limit": 2.0})
    jobs = finalists.plan(made, toy)
    assert [(job.notes["candidate"], job.values["seed"]) for job in jobs] == [
        *(("trial 1", 8), ("trial 1", 9), ("trial 2", 8), ("trial 2", 9), (REFERENCE, 8), (REFERENCE, 9))
    ]
    params = [made.trials()[1].params, made.trials()[2].params, {}]
    for at, job in enumerate(jobs):
        assert job.values == {**toy.defaults(), "limit": 2.0, **params[at // 2], "seed": job.values["seed"]}


def test_a_retraining_is_not_made_again_where_it_would_be_the_same(toy: Workload, tmp_path: Path) -> None:
    made = retrained(create(tmp_path), toy)
    found = finalists.current(study.load(made.folder), toy)
    assert found is not None
    assert [each.name for each in found.candidates] == ["trial 1", "trial 2", REFERENCE]
    studies.add(made, curve(6.0, 9), "complete")  # no finalist
    assert finalists.current(made, toy) is not None


def test_a_study_that_was_extended_by_a_better_trial_is_retrained(toy: Workload, tmp_path: Path) -> None:
    made = retrained(create(tmp_path), toy)
    studies.add(made, curve(1.0, 9), "complete")
    assert finalists.current(made, toy) is None


@pytest.mark.parametrize("change", [{"finalists": 1}, {"seeds": 3}])
def test_other_finalists_or_seeds_than_were_retrained_are_retrained(
    change: dict[str, int], toy: Workload, tmp_path: Path
) -> None:
    made = retrained(create(tmp_path), toy)
    other = study.load(made.folder)
    object.__setattr__(other.config, *next(iter(change.items())))
    assert finalists.current(other, toy) is None


def test_a_retraining_that_was_cut_short_is_made_again(toy: Workload, tmp_path: Path) -> None:
    """Also where one before it has finished, that was of the same."""
    made = retrained(create(tmp_path), toy)
    cut = made.add(RETRAINING, jobs=made.others(RETRAINING)[0].user_attrs["jobs"])
    assert finalists.current(made, toy) is None
    cut.set_user_attr(FINISHED, True)
    assert finalists.current(made, toy) is not None


def with_defaults(folder: Path, depth: float, **change: Any) -> Study:
    """Return a study whose trial 0 is the workload's defaults, and came to this value."""
    made = studies.create(folder, "s", num_samples=9, **{"finalists": 2, "seeds": 1, **change})
    made.search.enqueue_trial({"x": 0.0, "y": 0.0})
    for each in (depth, 5.0, 3.0, 4.0):
        studies.add(made, curve(each, 9), "complete")
    return made


@pytest.mark.parametrize("depth", [1.0, 3.5, 9.0])
def test_a_trial_of_the_defaults_is_retrained_once_and_as_the_reference(
    depth: float, toy: Workload, tmp_path: Path
) -> None:
    """The finalists are as many others, wherever it stands among them."""
    made = with_defaults(tmp_path, depth)
    jobs = finalists.plan(made, toy)
    assert [job.notes["candidate"] for job in jobs] == ["trial 2", "trial 3", REFERENCE]
    retrained(made, toy)
    assert study.load(made.folder).snapshot().is_current
    assert finalists.current(made, toy) is not None


def test_where_only_the_trial_of_the_defaults_may_win_the_reference_is_retrained_alone(
    toy: Workload, tmp_path: Path
) -> None:
    made = studies.create(tmp_path, "s", num_samples=2, seeds=2)
    made.search.enqueue_trial({"x": 0.0, "y": 0.0})
    studies.add(made, curve(1.0, 9), "complete")
    studies.add(made, [], "failed", failure="boom")
    assert [job.notes["candidate"] for job in finalists.plan(made, toy)] == [REFERENCE, REFERENCE]
    retrained(made, toy)
    assert study.load(made.folder).snapshot().defaults_win


def test_no_finalists_asked_for_is_nothing_to_retrain(toy: Workload, tmp_path: Path) -> None:
    assert finalists.plan(create(tmp_path, finalists=0), toy) == []


def test_a_retraining_of_before_is_the_one_that_would_have_been_made_then(toy: Workload, tmp_path: Path) -> None:
    """In which the defaults were a finalist and the reference: it is not made again for that."""
    made = with_defaults(tmp_path, 1.0)
    jobs = [[job.notes["candidate"], job.values] for job in finalists.plan(made, toy, may_win=False)]
    assert [name for name, _ in jobs] == ["trial 0", "trial 2", REFERENCE]
    values = {name: [1.0] for name, _ in jobs}
    studies.retrain(made, values, {}, "test_loss", may_win=False)
    made.finished()[-1].set_user_attr("jobs", jobs)
    found = finalists.current(study.load(made.folder), toy)
    assert found is not None
    assert found.winner is not None
    assert found.winner.name == "trial 0"
    assert study.load(made.folder).snapshot().is_current


def test_a_study_without_a_finalist_has_nothing_to_retrain(toy: Workload, tmp_path: Path) -> None:
    made = studies.create(tmp_path, "s", num_samples=1)
    studies.add(made, curve(1.0, 3, diverges=True), "diverged")
    assert finalists.plan(made, toy) == []
    assert finalists.current(made, toy) is None


def test_a_score_that_has_the_metrics_name_gets_another_that_no_score_has() -> None:
    scores = ["loss", "test_loss", "accuracy"]
    assert [finalists._score_name(name, scores, "loss") for name in scores] == [
        "test_test_loss",
        "test_loss",
        "accuracy",
    ]
    assert finalists._score_name("loss", ["loss"], "loss") == "test_loss"
    assert finalists._score_name("test_loss", ["test_loss"], "val_loss") == "test_loss"

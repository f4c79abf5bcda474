"""What a retraining is made of, and when it is the one that would be made now."""

from pathlib import Path
from typing import Any

import pytest

from search import best_file, study
from search.journal.outcome import MAY_WIN, RACE, REFERENCE
from search.journal.records import OpenTrial
from search.retraining import finalists, race
from search.retraining.runs import Job
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


def planned(made: Study, workload: Workload) -> list[Job]:
    """Return the runs of a retraining of now that are known from its start."""
    runners = race.of(made, workload)
    assert runners is not None
    return runners.first()


def retrained(made: Study, workload: Workload) -> Study:
    """Return the study with a retraining of what would be retrained now, which has finished."""
    runners = race.of(made, workload)
    assert runners is not None
    jobs = runners.first()
    recorded = [[job.notes["candidate"], job.values] for job in jobs]
    retraining = made.add(RETRAINING, jobs=recorded, **{MAY_WIN: True, RACE: runners.as_recorded()})
    chosen = runners.judging(next(iter(runners.params))) if runners.is_choice else []
    for job in [*jobs, *chosen]:
        run = OpenTrial(retraining, retraining.ask())
        for name, note in job.notes.items():
            run.note(name, note)
        run.note("config", job.values)
        run.add(1, {"loss": 1.0, "elapsed_s": 0.1}, 1.0)
        run.end("complete")
    best_file.finish(made, retraining, None)
    return made


def test_the_seed_after_the_searchs_chooses_and_those_after_it_judge(toy: Workload, tmp_path: Path) -> None:
    made = create(tmp_path, fixed={"limit": 2.0})
    jobs = planned(made, toy)
    assert [(job.notes["candidate"], job.values["seed"]) for job in jobs] == [
        *(("trial 1", 8), ("trial 2", 8), (REFERENCE, 9), (REFERENCE, 10))
    ]
    params = [made.trials()[1].params, made.trials()[2].params, {}, {}]
    for job, own in zip(jobs, params, strict=True):
        assert job.values == {**toy.defaults(), "limit": 2.0, **own, "seed": job.values["seed"]}
    assert [job.notes.get("chooses") for job in jobs] == [True, True, None, None]


def test_a_single_finalist_is_judged_at_once_by_the_seeds_after_the_searchs(toy: Workload, tmp_path: Path) -> None:
    jobs = planned(create(tmp_path, finalists=1), toy)
    assert [(job.notes, job.values["seed"]) for job in jobs] == [
        *(({"candidate": "trial 1"}, seed) for seed in (8, 9)),
        *(({"candidate": REFERENCE}, seed) for seed in (8, 9)),
    ]


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
    before = made.others(RETRAINING)[0].user_attrs
    cut = made.add(RETRAINING, jobs=before["jobs"], **{RACE: before[RACE]})
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
    assert [job.notes["candidate"] for job in planned(made, toy)] == ["trial 2", "trial 3", REFERENCE]
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
    assert [job.notes["candidate"] for job in planned(made, toy)] == [REFERENCE, REFERENCE]
    retrained(made, toy)
    assert study.load(made.folder).snapshot().defaults_win


def test_no_finalists_asked_for_is_nothing_to_retrain(toy: Workload, tmp_path: Path) -> None:
    assert race.of(create(tmp_path, finalists=0), toy) is None


def test_a_retraining_of_before_is_the_one_that_would_have_been_made_then(toy: Workload, tmp_path: Path) -> None:
    """In which the defaults were a finalist and the reference: it is not made again for that."""
    made = with_defaults(tmp_path, 1.0)
    jobs = [[job.notes["candidate"], job.values] for job in race.jobs_of_before(made, toy, may_win=False)]
    assert [name for name, _ in jobs] == ["trial 0", "trial 2", REFERENCE]
    values = {name: [1.0] for name, _ in jobs}
    studies.retrain(made, values, {}, "test_loss", may_win=False)
    made.finished()[-1].set_user_attr("jobs", jobs)
    found = finalists.current(study.load(made.folder), toy)
    assert found is not None
    assert found.winner is not None
    assert found.winner.name == "trial 0"
    assert study.load(made.folder).snapshot().is_current


def test_a_retraining_of_all_finalists_with_all_seeds_is_not_made_again_as_a_race(
    toy: Workload, tmp_path: Path
) -> None:
    """Nor where a stopped trial would be a finalist now: those of before were the complete ones first."""
    made = create(tmp_path, finalists=3)
    studies.add(made, curve(2.0, 3), "stopped")
    jobs = [[job.notes["candidate"], job.values] for job in race.jobs_of_before(made, toy, may_win=True)]
    assert [name for name, _ in jobs[::2]] == ["trial 1", "trial 2", "trial 0", REFERENCE]
    assert "trial 3" in [job.notes["candidate"] for job in planned(made, toy)]
    studies.retrain(made, {name: [1.0, 2.0] for name, _ in jobs}, {}, "test_loss")
    made.finished()[-1].set_user_attr("jobs", jobs)
    assert finalists.current(study.load(made.folder), toy) is not None
    assert study.load(made.folder).snapshot().is_current


def test_a_study_without_a_finalist_has_nothing_to_retrain(toy: Workload, tmp_path: Path) -> None:
    made = studies.create(tmp_path, "s", num_samples=1)
    studies.add(made, curve(1.0, 3, diverges=True), "diverged")
    assert race.of(made, toy) is None
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


def test_what_is_handed_over_without_a_retraining_is_the_best_value_of_a_stopped_trial_too(tmp_path: Path) -> None:
    """With eight workers the only complete trial of an interrupted search may be a hopeless one."""
    made = studies.create(tmp_path, "s", num_samples=9)
    studies.add(made, [9.0, 8.0, 7.0], "complete")
    studies.add(made, [5.0], "stopped")
    best_file.write_interim(made)
    text = (made.folder / "best.yaml").read_text(encoding="utf-8")
    assert ": loss 5 (trial 1, stopped at epoch 1); not retrained\n" in text
    assert made.best_config() == made.own(made.values(made.trials()[1].params))

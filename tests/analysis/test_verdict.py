"""What is made of a retraining: oracles worked out by hand."""

import dataclasses
import math
import sys
from pathlib import Path
from typing import Any

import pytest

from search import continuation, study
from search.analysis import verdict
from search.analysis.snapshot import Snapshot
from search.journal.outcome import Candidate, Outcome
from search.journal.trial import Trial
from search.spec.objective import Objective, mean
from search.spec.objectives import Objectives
from search.views.format import spread
from search.views.page import advice, answers, timeline
from tests import studies

MAX = sys.float_info.max

LOSS = Objectives.of_one(Objective("loss"))


def judged(folder: Path, values: dict[str, list[float]], tests: dict[str, list[float]], **settings: Any) -> Snapshot:
    made = studies.create(folder, "s", num_samples=4, **settings)
    for depth in (1.0, 2.0, 3.0, 4.0):
        studies.add(made, studies.curve(depth, 9), "complete")
    studies.retrain(made, values, tests, "test_loss")
    return made.snapshot()


VALUES = {
    "trial 0": [1.0, 1.2, 1.1],
    "trial 1": [1.1, 1.3, 1.2],
    "trial 2": [2.0, 2.4, 2.2],
    "reference": [3.0, 3.1, 3.2],
}
TESTS = {"trial 0": [1.5, 1.7, 1.6], "reference": [2.6, 2.7, 2.5]}


def test_the_gain_and_what_survived_of_it_are_those_worked_out_by_hand(tmp_path: Path) -> None:
    found = judged(tmp_path, VALUES, TESTS).verdict
    assert found is not None
    assert found.validation is not None
    assert found.test is not None
    assert found.validation.value == pytest.approx(2.0)
    assert found.test.value == pytest.approx(1.0)
    assert found.survived == pytest.approx(0.5)
    assert found.validation.error == pytest.approx(math.sqrt(0.01 / 3 + 0.01 / 3))
    assert found.validation.is_sure


def test_the_noise_is_the_winners_own(tmp_path: Path) -> None:
    found = judged(tmp_path, {**VALUES, "trial 2": [2.0, 9.0, 30.0], "reference": [3.0, 9.0, 30.0]}, TESTS).verdict
    assert found is not None
    assert found.noise == pytest.approx(0.1)


def test_a_finalist_within_the_noise_is_a_rival_and_one_far_from_it_is_none(tmp_path: Path) -> None:
    found = judged(tmp_path, VALUES, TESTS).verdict
    assert found is not None
    assert [each.name for each in found.rivals] == ["trial 1"]


def test_where_more_is_better_a_gain_is_up(tmp_path: Path) -> None:
    values = {"trial 3": [5.0, 6.0], "reference": [2.0, 3.0]}
    found = judged(tmp_path, values, {"trial 3": [4.0, 5.0], "reference": [2.0, 3.0]}, mode="max").verdict
    assert found is not None
    assert found.validation is not None
    assert found.validation.value == pytest.approx(3.0)
    assert found.survived == pytest.approx(2 / 3)


def test_a_gain_that_the_seeds_may_have_made_is_not_shared_out(tmp_path: Path) -> None:
    values = {"trial 0": [1.0, 3.0], "reference": [1.1, 3.1]}
    snapshot = judged(tmp_path, values, {"trial 0": [1.0, 1.0], "reference": [2.0, 2.0]})
    assert snapshot.verdict is not None
    assert snapshot.verdict.validation is not None
    assert snapshot.verdict.validation.is_sure is False
    assert snapshot.verdict.survived is None
    assert any("do not tell the winner from the defaults" in line for line in advice.advice(snapshot))


def test_a_single_seed_says_nothing_of_the_noise(tmp_path: Path) -> None:
    found = judged(tmp_path, {"trial 0": [1.0], "reference": [2.0]}, {}).verdict
    assert found is not None
    assert (found.noise, found.rivals, found.test) == (None, [], None)
    assert found.validation is not None
    assert found.validation.is_sure is None


@pytest.mark.parametrize(
    ("metric", "tests", "found"),
    [
        ("val_loss", ["test_accuracy", "test_loss"], "test_loss"),
        ("loss", ["test_loss"], "test_loss"),
        ("loss/val", ["loss/test", "mae/test"], "loss/test"),
        ("val_loss", ["test_accuracy"], None),
        ("Val_Loss", ["loss", "test_loss"], None),  # either may be meant
        ("validity", ["idity", "test_validity"], "test_validity"),
    ],
)
def test_the_test_metric_that_stands_for_the_searchs_is_found_by_its_name(
    metric: str, tests: list[str], found: str | None
) -> None:
    assert verdict.counterpart(metric, tests) == found


def test_every_advice_rests_on_the_trials(tmp_path: Path) -> None:
    made = studies.create(tmp_path, "late", num_samples=12)
    for number in range(12):
        depth = 20.0 - number
        if number % 4 == 3:
            studies.add(made, [], "failed", failure="boom")
        elif number % 4 == 1:
            studies.add(made, studies.curve(depth, 4, diverges=True), "diverged")
        else:
            studies.add(made, studies.curve(depth, 9), "complete")
    said = " ".join(advice.advice(made.snapshot()))
    assert "3 of 12 trials failed" in said
    assert "3 of 12 trials diverged" in said
    assert "in trial 10 of 12" in said
    assert "in its last epoch, 9" in said


def test_a_study_that_asks_for_nothing_is_told_so_and_one_of_few_trials_is_not(tmp_path: Path) -> None:
    space = {"fault": {"distribution": "choice", "values": ["", "x"]}}
    made = studies.create(tmp_path, "calm", num_samples=20, space=space)
    for number in range(20):
        studies.add(made, [*studies.curve(1.0 + number, 8), 9.0 + number], "complete")
    assert advice.advice(made.snapshot()) == ["Nothing yet: too few trials, or none of them judged."]
    values = {"trial 0": [1.0, 1.1, 1.05], "reference": [3.0, 3.1, 3.2]}
    studies.retrain(made, values, values, "test_loss")
    (only,) = advice.advice(made.snapshot())
    assert only.startswith("Nothing in these trials asks")


def test_a_low_end_of_zero_is_taken_for_a_natural_one(tmp_path: Path) -> None:
    space = {"x": {"distribution": "uniform", "low": 0, "high": 0.5}}
    made = studies.create(tmp_path, "edge", num_samples=1, space=space)
    made.search.enqueue_trial({"x": 0.0})
    studies.add(made, studies.curve(0.5, 9), "complete")
    assert "end of its range" not in " ".join(advice.advice(made.snapshot()))


def test_the_end_of_a_range_is_named_where_the_best_lies_there(tmp_path: Path) -> None:
    space = {"x": {"distribution": "uniform", "low": -5, "high": 5}}
    made = studies.create(tmp_path, "edge", num_samples=9, space=space)
    made.search.enqueue_trial({"x": 4.95})
    studies.add(made, studies.curve(0.5, 9), "complete")
    for _ in range(8):
        studies.add(made, studies.curve(5.0, 9), "complete")
    assert any(line.startswith("x 4.95 of the best is at the high end") for line in advice.advice(made.snapshot()))


@pytest.mark.parametrize(
    "values",
    [[1e200, 3e200], [1.7e308, 1.7e308], [MAX] * 3, [-MAX] * 5, [5e-324, 5e-324]],
)
def test_values_at_the_ends_of_what_a_float_holds_are_judged(values: list[float], tmp_path: Path) -> None:
    found = judged(tmp_path, {"trial 0": [1.0, 2.0], "reference": values}, {}).verdict
    assert found is not None
    assert found.validation is not None
    assert found.validation.error is not None


def test_the_mean_of_equal_values_is_that_value_where_their_sum_would_be_infinite() -> None:
    for count in (2, 3, 5, 7):
        assert mean([MAX] * count) == MAX


def test_a_test_score_that_is_no_number_is_shown_and_judges_nothing(tmp_path: Path) -> None:
    snapshot = judged(tmp_path, VALUES, {**TESTS, "trial 0": [math.nan, 1.0, 1.0]})
    assert snapshot.verdict is not None
    assert (snapshot.verdict.test, snapshot.verdict.survived) == (None, None)
    assert spread([math.nan, 1.0]) == "nan"


def test_a_loss_within_the_noise_is_no_loss(tmp_path: Path) -> None:
    snapshot = judged(tmp_path, {"trial 0": [1.1, 3.1], "reference": [1.0, 3.0]}, {})
    assert "The defaults are better than the winner" not in " ".join(advice.advice(snapshot))


def test_where_the_defaults_win_the_gain_is_theirs_over_the_best_trial_and_nothing_survives_of_it(
    tmp_path: Path,
) -> None:
    values = {"trial 0": [2.0, 2.2, 2.1], "trial 1": [2.5, 2.6, 2.4], "reference": [1.0, 1.1, 1.2]}
    tests = {"trial 0": [3.0, 3.0, 3.3], "reference": [1.0, 1.0, 1.0]}
    snapshot = judged(tmp_path, values, tests)
    found = snapshot.verdict
    assert found is not None
    assert found.over is not None
    assert found.over.name == "trial 0"
    assert found.validation is not None
    assert found.test is not None
    assert found.validation.value == pytest.approx(1.0)
    assert found.test.value == pytest.approx(2.1)
    assert (found.survived, found.rivals) == (None, [])
    won, trust, *_ = answers.cards(snapshot, [])
    assert won.lines[:2] == ["the defaults", "no trial was better over 3 seeds"]
    assert won.lines[3] == "x 0, y 0"
    assert trust.lines[0] == "better than trial 0 by 1.000 ± 0.082"
    assert advice.advice(snapshot)[0].startswith("No trial was better than the defaults")
    assert any(note.startswith("Gain of the defaults over trial 0: loss 1.000") for note in answers.notes(snapshot))


def test_where_the_defaults_win_within_the_noise_more_seeds_are_advised_and_no_longer_search(tmp_path: Path) -> None:
    snapshot = judged(tmp_path, {"trial 0": [1.1, 3.1], "reference": [1.0, 3.0]}, {})
    assert snapshot.defaults_win
    told = " ".join(advice.advice(snapshot))
    assert "do not tell trial 0 from the winner: more seeds would" in told
    assert "better than the defaults" not in told


BEFORE = {"trial 0": [2.0, 2.2], "reference": [1.0, 1.2]}


@pytest.mark.parametrize(
    ("values", "is_said"),
    [
        (BEFORE, True),
        ({"trial 0": [2.0, 2.2], "reference": [1.9, 2.2]}, False),
        ({"trial 0": [2.0], "reference": [1.0]}, False),
    ],
)
def test_of_a_retraining_of_before_the_defaults_are_called_better_beyond_the_noise_alone(
    values: dict[str, list[float]], is_said: bool, tmp_path: Path
) -> None:
    made = studies.create(tmp_path, "s", num_samples=1)
    studies.add(made, studies.curve(1.0, 9), "complete")
    studies.retrain(made, values, {}, "test_loss", may_win=False)
    assert made.snapshot().winner is not None
    told = " ".join(advice.advice(made.snapshot()))
    assert ("The defaults are better than the winner" in told) == is_said


def test_a_retraining_in_which_no_seed_held_says_so(tmp_path: Path) -> None:
    made = studies.create(tmp_path, "s", num_samples=4)
    for depth in (1.0, 2.0, 3.0, 4.0):
        studies.add(made, studies.curve(depth, 9), "complete")
    studies.retrain(made, {"trial 0": [], "trial 1": []}, {}, "test_loss")
    studies.diverge(made, "trial 0")
    snapshot = made.snapshot()
    assert answers.progress(snapshot) == "4 trials, retrained: no configuration trained to its end with every seed."
    assert advice.advice(snapshot)[0].startswith("No finalist trained to its end")


def test_a_verdict_on_the_best_of_fewer_trials_says_so(tmp_path: Path) -> None:
    snapshot = judged(tmp_path, {"trial 0": [1.0, 1.1], "trial 1": [2.0, 2.1], "reference": [3.0, 3.1]}, {})
    assert answers.progress(snapshot) == "4 trials, retrained and judged."
    made = study.load(tmp_path / "s")
    studies.add(made, studies.curve(0.1, 9), "complete")
    continuation.continued(made, dataclasses.replace(made.config, num_samples=5), made.epochs, made.defaults)
    assert answers.progress(study.load(made.folder).snapshot()).startswith(
        "5 trials; the verdict is on the best of fewer"
    )


def test_time_that_no_process_trains_in_is_told_from_time_in_which_there_was_none(tmp_path: Path) -> None:
    made = studies.create(tmp_path, "s", num_samples=4)
    for number in range(4):
        studies.add(made, studies.curve(1.0, 9), "complete", where=(f"node{number}", number, 0.0))
    (stretch,) = timeline.stretches(made.snapshot())
    assert len({bar["lane"] for bar in stretch}) == 4
    assert all(bar["end"] >= bar["start"] >= 0 for bar in stretch)
    share = timeline.busy(
        [{**bar, "start": 10.0 * at, "end": 10.0 * at + 4, "worked": 3.0} for at, bar in enumerate(stretch)]
    )
    assert share == pytest.approx(0.75)


def test_no_finalist_is_a_rival_by_a_single_seed_or_by_seeds_of_which_one_failed() -> None:
    def candidate(name: str, *values: float | None) -> Candidate:
        runs = [
            Trial(number, "failed" if value is None else "complete", value, 1, {}, (), {}, 0.0, 0.0)
            for number, value in enumerate(values)
        ]
        return Candidate(name, tuple(runs), {})

    def rivals(*candidates: Candidate) -> list[str]:
        found = verdict.judge(Outcome(candidates, candidates[0], None), LOSS)
        return [each.name for each in found.rivals]

    assert rivals(candidate("trial 1", 1.0), candidate("trial 2", 1.0)) == []
    wide = candidate("trial 1", 1.0, 2.0, 3.0)
    assert rivals(wide, candidate("trial 2", 1.1, 2.1, 3.1)) == ["trial 2"]
    assert rivals(wide, candidate("trial 2", 1.1, 2.1, None)) == []


def test_against_a_reference_of_which_a_seed_failed_no_gain_is_said() -> None:
    """Its mean would be that of the seeds that went well."""
    runs = [Trial(at, "complete" if at < 5 else "failed", 1.0, 1, {}, (), {}, 0.0, 0.0) for at in range(6)]
    winner, reference = Candidate("trial 1", tuple(runs[:3]), {}), Candidate("reference", tuple(runs[3:]), {})
    assert verdict.judge(Outcome((winner, reference), winner, reference), LOSS).validation is None
    other = Candidate("reference", winner.runs, {})
    assert verdict.judge(Outcome((winner, other), winner, other), LOSS).validation is not None

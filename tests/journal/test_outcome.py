"""Who is retrained, and who wins."""

import math
from fractions import Fraction
from pathlib import Path

import optuna
import pytest

from search.journal import outcome
from search.journal.outcome import REFERENCE, Candidate, finalists
from search.journal.records import OpenTrial
from search.journal.storage import Storage
from search.journal.trial import Ending, Trial
from search.spec.objective import Objective, mean
from search.spec.objectives import Objectives
from search.views.format import spread

MIN = Objective("loss")
ONE = Objectives.of_one(MIN)
MAX = Objective("loss", "max")


def trial(number: int, ending: Ending, value: float | None, x: float | None = None) -> Trial:
    params = {"x": number if x is None else x}
    return Trial(number, ending, value, 1, params, (), {}, 0.0, 0.0)


def test_no_two_finalists_have_the_same_configuration() -> None:
    """Their runs would be the same ones, and a spread over them would be of nothing."""
    trials = [trial(0, "complete", 2.0, x=5), trial(1, "complete", 1.0, x=5), trial(2, "stopped", 0.5, x=5)]
    assert [each.number for each in finalists([*trials, trial(3, "complete", 3.0, x=6)], 3, ONE)] == [2, 3]


def test_finalists_of_before_are_the_complete_by_value_then_the_stopped_to_fill_up() -> None:
    trials = [
        trial(0, "stopped", 0.1),
        trial(1, "complete", 3.0),
        trial(2, "diverged", 0.01),
        trial(3, "complete", 2.0),
        trial(4, "failed", 0.02),
        trial(5, "stopped", 0.5),
        trial(6, "complete", None),
    ]
    for count, objective, of_before, now in (
        (2, MIN, [3, 1], [0, 5]),
        (9, MIN, [3, 1, 0, 5], [0, 5, 3, 1]),
        (9, MAX, [1, 3, 5, 0], [1, 3, 5, 0]),
    ):
        chosen = finalists(trials, count, Objectives.of_one(objective), is_race=False)
        assert [each.number for each in chosen] == of_before
        assert [each.number for each in finalists(trials, count, Objectives.of_one(objective))] == now
    assert finalists(trials[2:3], 3, ONE) == []


def retraining(folder: Path, mode: str, runs: list[tuple[str, Ending, float]]) -> optuna.Study:
    """Return a retraining in a journal, of one-epoch runs of (candidate, ending, value)."""
    storage = Storage(folder / "j.log")
    made = optuna.create_study(study_name="r", storage=storage, direction=Objective("loss", mode).direction)
    for candidate, ending, value in runs:
        run = OpenTrial(made, made.ask())
        run.note("candidate", candidate)
        run.note("config", {})
        run.add(1, {"loss": value}, value if math.isfinite(value) else None)
        run.end(ending)
    return made


def test_the_best_mean_over_seeds_wins_not_the_best_seed(tmp_path: Path) -> None:
    runs: list[tuple[str, Ending, float]] = [
        ("trial 1", "complete", 0.1),
        ("trial 1", "complete", 0.9),
        ("trial 2", "complete", 0.3),
        ("trial 2", "complete", 0.4),
        ("reference", "complete", 0.0),
        ("reference", "complete", 0.0),
    ]
    for mode, name in (("min", "trial 2"), ("max", "trial 1")):
        (tmp_path / mode).mkdir()
        found = outcome.judge(retraining(tmp_path / mode, mode, runs), Objectives.of_one(Objective("loss", mode)))
        assert found.winner is not None
        assert found.reference is not None
        assert (found.winner.name, found.reference.name) == (name, "reference")
    assert [run.value for run in found.candidates[0].runs] == [0.1, 0.9]
    assert found.candidates[0].best_run(MIN).value == 0.1
    assert found.candidates[0].best_run(MAX).value == 0.9


RUNS: list[tuple[str, Ending, float]] = [
    ("trial 1", "complete", 0.1),
    ("trial 1", "complete", 0.9),
    ("trial 2", "complete", 0.3),
    ("trial 2", "complete", 0.4),
    (REFERENCE, "complete", 0.2),
    (REFERENCE, "complete", 0.1),
]


def test_a_reference_with_the_best_mean_wins_and_is_held_against_the_best_finalist(tmp_path: Path) -> None:
    for mode, winner, ranked in (
        ("min", REFERENCE, [REFERENCE, "trial 2", "trial 1"]),
        ("max", "trial 1", ["trial 1", "trial 2", REFERENCE]),
    ):
        (tmp_path / mode).mkdir()
        objective = Objective("loss", mode)
        made = retraining(tmp_path / mode, mode, RUNS)
        made.set_user_attr(outcome.MAY_WIN, True)
        found = outcome.judge(made, Objectives.of_one(objective))
        assert found.winner is not None
        assert found.winner.name == winner
        assert found.defaults_win == (mode == "min")
        assert [candidate.name for candidate in found.ranked(objective)] == ranked
        opponent = found.opponent(objective)
        assert opponent is not None
        assert opponent.name == ("trial 2" if found.defaults_win else REFERENCE)


def test_in_a_retraining_of_before_the_reference_cannot_win(tmp_path: Path) -> None:
    """Its best.yaml and best/ are those of a finalist."""
    found = outcome.judge(retraining(tmp_path, "min", RUNS), ONE)
    assert found.winner is not None
    assert found.winner.name == "trial 2"
    assert not found.defaults_win


@pytest.mark.parametrize(
    ("runs", "winner", "opponent"),
    [
        ([("trial 1", "diverged", math.nan), (REFERENCE, "complete", 9.0)], REFERENCE, None),
        ([(REFERENCE, "complete", 9.0)], REFERENCE, None),
        ([("trial 1", "complete", 9.0), (REFERENCE, "failed", 0.1)], "trial 1", REFERENCE),
        ([("trial 1", "complete", 9.0), (REFERENCE, "complete", 9.0)], "trial 1", REFERENCE),
        ([("trial 1", "failed", 9.0), (REFERENCE, "diverged", math.nan)], None, REFERENCE),
    ],
)
def test_a_reference_wins_only_where_all_its_seeds_held_and_no_finalist_was_as_good(
    runs: list[tuple[str, Ending, float]], winner: str | None, opponent: str | None, tmp_path: Path
) -> None:
    made = retraining(tmp_path, "min", runs)
    made.set_user_attr(outcome.MAY_WIN, True)
    found = outcome.judge(made, ONE)
    assert (found.winner and found.winner.name) == winner
    held_against = found.opponent(MIN)
    assert (held_against and held_against.name) == opponent


def test_the_trial_of_the_reference_is_no_finalist_beside_it() -> None:
    """Its configuration is trained once, and the finalists are others."""
    trials = [trial(0, "complete", 1.0, x=5), trial(1, "complete", 2.0), trial(2, "complete", 3.0)]
    assert [each.number for each in finalists(trials, 2, ONE)] == [0, 1]
    assert [each.number for each in finalists(trials, 2, ONE, {"x": 5})] == [1, 2]


@pytest.mark.parametrize("ending", ["diverged", "failed"])
def test_a_configuration_with_an_unsound_seed_cannot_win(ending: Ending, tmp_path: Path) -> None:
    runs: list[tuple[str, Ending, float]] = [
        ("trial 1", "complete", 0.1),
        ("trial 1", ending, math.nan),
        ("trial 2", "complete", 0.5),
        ("trial 2", "complete", 0.5),
    ]
    found = outcome.judge(retraining(tmp_path, "min", runs), ONE)
    assert found.winner is not None
    assert found.winner.name == "trial 2"
    (tmp_path / "again").mkdir()
    assert outcome.judge(retraining(tmp_path / "again", "min", runs[:2]), ONE).winner is None


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ([], "-"),
        ([0.123456789], "0.12346"),
        ([1.0, 2.0, 3.0], "2.00000 ± 1.00000"),
        ([1e-7, 3e-7], "2e-07 ± 1.4e-07"),
        ([-0.5, -0.5], "-0.50000 ± 0.00000"),
    ],
)
def test_a_spread_is_the_mean_and_the_standard_deviation_of_a_sample(values: list[float], text: str) -> None:
    assert spread(values) == text


def test_of_finalists_with_equal_means_the_one_that_the_search_had_before_wins(tmp_path: Path) -> None:
    runs: list[tuple[str, Ending, float]] = [(name, "complete", 0.5) for name in ("trial 7", "trial 2", "trial 9")]
    for mode in ("min", "max"):
        (tmp_path / mode).mkdir()
        found = outcome.judge(retraining(tmp_path / mode, mode, runs), Objectives.of_one(Objective("loss", mode)))
        assert found.winner is not None
        assert found.winner.name == "trial 7"


def test_a_configuration_with_a_seed_without_a_value_is_not_sound() -> None:
    runs = (trial(0, "complete", 1.0), trial(1, "complete", None))
    assert Candidate("trial 0", runs[:1], {}).is_sound
    assert not Candidate("trial 0", runs, {}).is_sound


def test_test_metrics_are_those_of_the_seeds_that_have_them(tmp_path: Path) -> None:
    """One seed could not be tested, and of one only a part is there."""
    runs: list[tuple[str, Ending, float]] = [("trial 1", "complete", 0.5)] * 3
    made = retraining(tmp_path, "min", runs)
    for number, scores in ((0, {"test_loss": 1.0, "test_acc": "nan"}), (1, {}), (2, {"test_loss": 2.0})):
        made.set_user_attr(f"test {number}", scores)
    (candidate,) = outcome.judge(made, ONE).candidates
    assert candidate.tests == {"test_loss": [1.0, 2.0], "test_acc": pytest.approx([math.nan], nan_ok=True)}


@pytest.mark.parametrize("values", [[1.7e308, 1.7e308], [1.7e308, -1.7e308, 0.0], [1.0, 2.0, 6.0], [5e-324]])
def test_a_mean_of_values_near_the_largest_that_there_is_is_found(values: list[float]) -> None:
    exact = sum(map(Fraction, values)) / len(values)
    assert mean(values) == pytest.approx(float(exact))

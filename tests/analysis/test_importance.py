"""How much each hyperparameter decides, held against Optuna's own evaluation of a study of the same trials."""

import random
import subprocess
import sys
import warnings
from collections.abc import Mapping, Sequence

import numpy as np
import optuna
import pytest
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.importance import PedAnovaImportanceEvaluator

from search.algorithms.space import Space
from search.analysis import importance
from search.analysis.importance import Importance, importances
from search.journal.trial import Trial
from search.spec.objective import Objective

SPACE = Space(
    {
        "lr": FloatDistribution(0.001, 1, log=True),
        "width": IntDistribution(1, 64),
        "kind": CategoricalDistribution(["a", "b", None]),
    }
)


def trial(number: int, params: Mapping[str, object], value: float) -> Trial:
    return Trial(number, "complete", value, 1, dict(params), (), {}, 0.0, 0.0)


def drawn(count: int, seed: int) -> list[Trial]:
    """Return random trials of SPACE; the rate decides most, the width a bit."""
    chance = random.Random(seed)
    found = []
    for number in range(count):
        rate, width = 10 ** chance.uniform(-3, 0), chance.randint(1, 64)
        params = {"lr": rate, "width": width, "kind": chance.choice(["a", "b", None])}
        found.append(trial(number, params, abs(np.log10(rate) + 2) + width / 100 + chance.random() / 10))
    return found


def optunas(trials: Sequence[Trial], mode: str, space: dict[str, BaseDistribution]) -> dict[str, float]:
    """Return the shares of Optuna's evaluation of a study of its own."""
    study = optuna.create_study(direction="minimize" if mode == "min" else "maximize")
    study.add_trials(
        [
            optuna.create_trial(
                params=each.params, distributions={name: space[name] for name in each.params}, value=each.value
            )
            for each in trials
        ]
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a sample that is mostly one trial
        found = PedAnovaImportanceEvaluator().evaluate(study)
    total = sum(found.values())
    return {name: value / total if total else 1 / len(space) for name, value in found.items()}


def shares(found: list[Importance]) -> dict[str, float]:
    return {each.name: each.share for each in found}


@pytest.mark.parametrize("mode", ["min", "max"])
@pytest.mark.parametrize(("count", "seed"), [(5, 1), (20, 2), (21, 3), (60, 4)])
def test_the_shares_are_optunas_of_a_study_of_the_same_trials(count: int, seed: int, mode: str) -> None:
    trials = drawn(count, seed)
    found = importances(trials, SPACE, Objective("loss", mode))
    assert shares(found) == pytest.approx(optunas(trials, mode, dict(SPACE)))
    assert [each.share for each in found] == sorted((each.share for each in found), reverse=True)


SQUARE = Space({"x": FloatDistribution(0, 1), "y": FloatDistribution(0, 1)})


def test_what_sets_the_best_apart_is_another_thing_where_more_is_better() -> None:
    """On a grid of 10 by 10 the ten lowest values are those of the lowest x, the ten highest those of the highest y."""
    trials = []
    for number in range(100):
        x, y = number // 10, number % 10
        value = -1.0 if x == 0 else 1.0 if y == 9 else 0.0
        trials.append(trial(number, {"x": (x + 0.5) / 10, "y": (y + 0.5) / 10}, value + 0.001 * (x + y)))
    least, most = (
        importances(trials, SQUARE, Objective("loss", "min")),
        importances(trials, SQUARE, Objective("loss", "max")),
    )
    assert [each.name for each in least] == ["x", "y"]
    assert [each.name for each in most] == ["y", "x"]
    assert min(least[0].share, most[0].share) > 0.95


def test_the_lines_hold_four_fifths_of_the_bootstrap_samples() -> None:
    """The samples drawn once more, and each a study of Optuna's."""
    trials = drawn(12, 0)
    found, chance = importances(trials, SPACE, Objective("loss", "min")), random.Random(0)
    samples = [
        optunas(chance.choices(trials, k=12), "min", dict(SPACE)) for _ in range(importance.bootstrap_samples(3))
    ]
    between = [each for each in found if each.low < each.share < each.high]
    assert between
    for each in between:
        values = np.array([sample[each.name] for sample in samples])
        assert np.mean(values < each.low) == pytest.approx(0.1, abs=0.011)
        assert np.mean(values > each.high) == pytest.approx(0.1, abs=0.011)


def test_the_lines_hold_the_share_also_where_it_is_beyond_most_of_the_samples() -> None:
    """Of such trials as these it is, for two of the three: a sample with replacement holds fewer different ones."""
    found = importances(drawn(12, 0), SPACE, Objective("loss", "min"))
    assert sum(each.share in (each.low, each.high) for each in found) == 2
    assert all(each.low <= each.share <= each.high for each in found)


def test_many_hyperparameters_are_estimated_less_often_each_but_never_less_than_twenty_times() -> None:
    assert [importance.bootstrap_samples(count) for count in (1, 4, 5, 10, 20, 1000)] == [100, 100, 80, 40, 20, 20]


def test_the_same_trials_have_the_same_importances() -> None:
    assert importances(drawn(20, 1), SPACE, Objective("loss", "min")) == importances(
        drawn(20, 1), SPACE, Objective("loss", "min")
    )


def test_of_fewer_than_four_different_values_nothing_is_said() -> None:
    trials = [trial(number, {"x": number / 10, "y": 0.5}, float(min(number, 2))) for number in range(10)]
    assert importances(trials, SQUARE, Objective("loss", "min")) == []
    assert importances([*trials, trial(10, {"x": 0.9, "y": 0.5}, 3.0)], SQUARE, Objective("loss", "min")) != []


def test_where_nothing_can_decide_the_shares_are_alike_and_sum_to_one() -> None:
    """A choice of one value is all that is searched, or all trials are in one place."""
    only = Space({name: CategoricalDistribution(["a"]) for name in ("x", "y", "z", "w")})
    trials = [trial(number, dict.fromkeys(only, "a"), float(number)) for number in range(10)]
    assert shares(importances(trials, only, Objective("loss", "min"))) == dict.fromkeys(only, 0.25)
    trials = [trial(number, {"x": 0.5, "y": 0.5}, float(number)) for number in range(10)]
    assert shares(importances(trials, SQUARE, Objective("loss", "min"))) == {"x": 0.5, "y": 0.5}


def test_scikit_learn_which_optuna_imports_where_there_is_one_waits_for_the_first_importances() -> None:
    code = "import sys, search.run; assert 'sklearn' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_a_hyperparameter_that_is_off_in_some_trials_is_weighed_by_those_of_the_best_that_have_it() -> None:
    """All of the best are of the left side, where x decides; on the right y decides, among trials that are none."""
    space = Space(
        {
            "side": CategoricalDistribution(["left", "right"]),
            "x": FloatDistribution(0, 1),
            "y": FloatDistribution(0, 1),
        },
        conditions={"x": {"side": ("left",)}, "y": {"side": ("right",)}},
    )
    trials = []
    for number in range(60):
        at = (number // 2 + 0.5) / 30
        own = {"side": "left", "x": at} if number % 2 else {"side": "right", "y": at}
        trials.append(trial(number, own, at if number % 2 else 2 + at))
    found = shares(importances(trials, space, Objective("loss", "min")))
    assert found == pytest.approx(optunas(trials, "min", dict(space)))
    assert found["x"] > 0.5
    assert found["y"] == 0


def test_the_values_of_an_ordinal_stand_in_their_order() -> None:
    """Optuna is given their positions: a kernel then reaches to the neighbours of a value, and no further."""
    values = [1, 2, 4, 8, 16, 32, 64, 128]
    kind = CategoricalDistribution(values)
    trials = [trial(number, {"batch": values[number % 8]}, abs(number % 8 - 4) + number / 100) for number in range(32)]
    ordered = Space({"batch": kind, "x": FloatDistribution(0, 1)}, ordinals=frozenset({"batch"}))
    frozen = importance._as_optuna(trials, ordered)
    assert frozen[4].distributions == {"batch": IntDistribution(0, 7)}
    assert [each.params["batch"] for each in frozen[:8]] == [*range(8)]
    assert shares(importances(trials, ordered, Objective("loss", "min"))) == {"batch": 1.0}

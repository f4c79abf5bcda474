"""The settings that end a search: what they may be, and what is said where they are not."""

from typing import Any

import pytest

from search.errors import UserError
from search.spec.config import StudyConfig
from search.spec.fit import Fit
from search.spec.workload import load
from tests.programs import LEAST


@pytest.mark.parametrize(
    ("given", "seconds"),
    [(90, 90), (0.5, 0.5), ("90", 90), ("90s", 90), ("10m", 600), (" 10 min ", 600), ("1.5h", 5400), ("2d", 172800)],
)
def test_a_time_is_seconds_or_a_number_with_a_unit(given: Any, seconds: float) -> None:
    config = StudyConfig.of({**LEAST, "time_budget": given})
    assert config.time_budget == seconds
    assert StudyConfig.of(config.as_mapping()) == config


@pytest.mark.parametrize(
    "given",
    [0, -1, "0s", "-10m", "10 parsecs", "10M", "m", "", "1:30", True, [10], "1e3s", "nan", "inf", 1e300, "99999d"],
)
def test_anything_else_is_refused_with_the_forms_that_there_are(given: Any) -> None:
    with pytest.raises(UserError) as caught:
        StudyConfig.of({**LEAST, "time_budget": given})
    rule = "time_budget must be a time above 0: seconds, or text such as 90s, 10m, 1.5h, 2d"
    assert str(caught.value) == f"{rule}, but got {given!r}"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"num_samples": -1},
            "num_samples must be >= 1, or null where time_budget, epoch_budget, patience or target ends",
        ),
        (
            {"num_samples": None},
            "num_samples may be null where something else ends the search, but nothing does; give t",
        ),
        ({"epoch_budget": 0}, "epoch_budget must be >= 1, or null for no such limit, but got 0"),
        ({"epoch_budget": "10m"}, "epoch_budget must be of type int or null, but got '10m'"),
        ({"patience": 0}, "patience must be >= 1, or null for no such limit, but got 0"),
        ({"patience": True}, "patience must be of type int or null, but got True"),
        ({"target": float("nan")}, "target must be finite, but got nan"),
        ({"target": float("-inf")}, "target must be finite, but got -inf"),
        ({"target": "low"}, "target must be of type float or null, but got 'low'"),
        ({"epoch_budget": 8}, "epoch_budget must be at least the 9 epochs of one trial, but got 8"),
    ],
)
def test_a_limit_that_cannot_be_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError) as caught:
        Fit(StudyConfig.of({**LEAST, **change}), load("tests.toy"))
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize("limit", [{"time_budget": "1m"}, {"epoch_budget": 9}, {"patience": 3}, {"target": 0}])
def test_with_any_other_limit_there_may_be_any_number_of_trials(limit: dict[str, Any]) -> None:
    config = StudyConfig.of({**LEAST, "num_samples": None, **limit})
    Fit(config, load("tests.toy")).first()
    assert StudyConfig.of(config.as_mapping()) == config
    assert config.as_mapping()["num_samples"] is None
    assert set(config.as_mapping()) - set(StudyConfig.of(LEAST).as_mapping()) == set(limit)  # the others are left out

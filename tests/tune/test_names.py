"""Names of metrics in trackers: each library takes them, and no two metrics become one."""

import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.tune.names import TUNES, Names, for_mlflow, for_tensorboard, for_wandb
from tests.tune.test_trackers import ODD

NAMES = st.lists(st.text(max_size=8) | st.text("a_@./: ", max_size=4) | st.sampled_from([*ODD, *TUNES]), unique=True)


@given(NAMES)
def test_mlflow_takes_every_name_as_another(names: list[str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from mlflow.utils.validation import _validate_metric

    told = Names(for_mlflow).of(dict.fromkeys(names, 0.0))
    assert len(told) == len(names)
    for name in told:
        _validate_metric(name, 0.0, 0, 1)  # type: ignore[no-untyped-call]


@given(NAMES)
def test_tensorboard_and_wandb_take_every_name_as_another(names: list[str]) -> None:
    from tensorboardX.summary import _clean_tag  # type: ignore[import-untyped]

    for clean in (for_tensorboard, for_wandb):
        told = Names(clean).of(dict.fromkeys(names, 0.0))
        assert len(told) == len(names)
        assert not told.keys() & TUNES
        for name in told:
            tag = f"ray/tune/{name}"
            assert clean is for_wandb or _clean_tag(tag) == tag
            assert name or clean is not for_wandb  # which drops a metric without a name


@pytest.mark.parametrize("clean", [for_mlflow, for_tensorboard, for_wandb])
def test_a_name_that_a_library_takes_stays_and_every_name_stays_the_same(clean: object) -> None:
    assert callable(clean)
    names = Names(clean)
    assert names.of({"recall@10": 1.0, "recall_at_10": 2.0, "val/loss-1.5": 3.0})["recall_at_10"] == 2.0
    assert names.of({"val/loss-1.5": 3.0}) == {"val/loss-1.5": 3.0}
    first = names.of({"_x": 1.0})
    assert names.of({"metric_x": 0.0, "_x": 1.0}).items() >= first.items()

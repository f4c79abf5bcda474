"""The objective: what a metric's name says of its mode."""

import pytest

from search.spec.objective import mode_of


@pytest.mark.parametrize("metric", ["loss", "val_loss", "test/mse", "valLoss", "error_rate", "RMSE", "eval.nll"])
def test_a_metric_whose_name_says_that_less_is_better_is_minimized(metric: str) -> None:
    assert mode_of(metric) == "min"


NOT_LOSSES = "acc val_accuracy auc f1 recall@10 r2 reward neg_mse neg_mean_squared_error loss_reduction closs 損失"


@pytest.mark.parametrize(
    "metric", ["", *NOT_LOSSES.split(), "-loss", "1-error", "1 - error", "no_error", "error_free", "cost_saved"]
)
def test_of_any_other_somebody_must_say_the_mode(metric: str) -> None:
    assert mode_of(metric) == ""

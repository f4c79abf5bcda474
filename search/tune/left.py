"""The time left of a study: a forecast that was told of the trials so far."""

from collections.abc import Callable, Iterable

from search.algorithms.forecast import Forecast
from search.algorithms.survival import Survival
from search.journal.trial import Trial
from search.study import Study


def forecast_of(study: Study, trials: Iterable[Trial], clock: Callable[[], float]) -> Forecast:
    """Return the forecast of a session that begins, with these trials of earlier ones."""
    config = study.config
    survival = Survival.under(config.scheduler, study.epochs)
    forecast = Forecast(survival, study.wanted, config.sampler.learns, clock)
    for trial in trials:
        if trial.ending not in ("running", "infeasible"):
            forecast.recall(len(trial.epochs))
    return forecast

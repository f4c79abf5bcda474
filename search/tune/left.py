"""The time left of a study: a forecast that was told of the trials so far."""

from collections.abc import Callable

from search.algorithms.forecast import Forecast
from search.algorithms.survival import Survival
from search.study import Study


def forecast_of(study: Study, clock: Callable[[], float]) -> Forecast:
    """Return the forecast of a session that begins."""
    config = study.config
    rungs = config.scheduler.rungs(study.epochs) if config.scheduler else []
    chances = config.scheduler.chances(study.epochs) if config.scheduler else []
    survival = Survival(rungs, study.epochs, chances)
    forecast = Forecast(survival, study.wanted, config.sampler.learns, clock)
    for trial in study.trials():
        if trial.ending not in ("running", "infeasible"):
            forecast.recall(len(trial.epochs))
    return forecast

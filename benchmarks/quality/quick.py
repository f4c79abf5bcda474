"""Optuna's TPE, nearly twice as fast: one function of it that goes through an array in Python is SciPy's instead.

Read from Optuna 5.0. Both give the same numbers but for rounding (tests/quality), for every contender alike.
"""

import optuna
from optuna.samplers._tpe import _truncnorm
from scipy.special import log_ndtr


def quickly() -> None:
    """Begin a process in which duels are played: Optuna is quick, and says nothing of each trial."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    _truncnorm._log_ndtr = log_ndtr

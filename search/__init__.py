"""A hyperparameter search on Ray Tune: Optuna proposes, ASHA stops the weak, the best are retrained and judged."""

__version__ = "0.1.0"

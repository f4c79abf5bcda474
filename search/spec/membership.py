"""Which plain values lie in a distribution, and how they are recorded there."""

import json
import math
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from search.algorithms.space import is_among, is_within, on_grid

YES = ("yes", "on", "y", "true")
NO = ("no", "off", "n", "false")
"""Texts that people write for true and false, as YAML 1.1 took some of them."""


def as_choice(value: Any) -> Any:
    """Return one of a choice's values as Optuna has it, which takes scalars alone: a list becomes its text in JSON."""
    return json.dumps(value, ensure_ascii=False) if isinstance(value, list) else value


def contains(distribution: BaseDistribution, value: Any) -> bool:
    """Return whether a plain value lies in a distribution; true is no number, and 2.0 is a whole one."""
    if isinstance(distribution, CategoricalDistribution):
        return is_among(as_choice(value), distribution.choices)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    if isinstance(value, float):
        is_whole_only = isinstance(distribution, IntDistribution)
        if not math.isfinite(value) or (is_whole_only and not value.is_integer()):
            return False
    assert isinstance(distribution, FloatDistribution | IntDistribution)
    return distribution.low <= value <= distribution.high and is_within(distribution, value)


def as_searched(distribution: BaseDistribution, value: Any) -> Any:
    """Return a value that lies in a distribution as the sampler would draw it."""
    if isinstance(distribution, CategoricalDistribution):
        return next(choice for choice in distribution.choices if is_among(as_choice(value), [choice]))
    if isinstance(distribution, IntDistribution):
        return int(value)
    return on_grid(distribution, float(value))


def described(distribution: BaseDistribution) -> str:
    """Return which values lie in a distribution, as text."""
    if isinstance(distribution, CategoricalDistribution):
        return f"one of {', '.join(map(repr, distribution.choices))}"
    assert isinstance(distribution, FloatDistribution | IntDistribution)
    kind = "a whole number" if isinstance(distribution, IntDistribution) else "a number"
    text = f"{kind} in [{distribution.low:g}, {distribution.high:g}]"
    if distribution.step is not None and (isinstance(distribution, FloatDistribution) or distribution.step > 1):
        text += f", a multiple of {distribution.step:g} above the lowest"
    return text


def boolean_meant(value: Any) -> str:
    """Return what is said where a text like on stands for a boolean; empty where it is no such text."""
    word = value.lower() if isinstance(value, str) else ""
    if word not in (*YES, *NO):
        return ""
    return f"booleans are true and false; got {value!r}, write {'true' if word in YES else 'false'}"

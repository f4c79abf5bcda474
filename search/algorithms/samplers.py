"""The samplers by name: Optuna's, made to propose what they would have proposed, had the search not been killed.

A proposal is a function of the study's seed, the trial's number and the history alone: not of the process's past, nor
of which parts of the proposal a killed writer had written.
"""

import importlib.util
from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any

from search.algorithms.cmaes import CMAES
from search.algorithms.gp import GP
from search.algorithms.grid import Grid
from search.algorithms.nsga2 import NSGA2
from search.algorithms.qmc import QMC
from search.algorithms.random_search import Random
from search.algorithms.sampler import Sampler
from search.algorithms.tpe import TPE
from search.errors import UserError, suggestion

SAMPLERS: dict[str, type[Sampler]] = {
    "tpe": TPE,
    "random": Random,
    "gp": GP,
    "cmaes": CMAES,
    "qmc": QMC,
    "grid": Grid,
    "nsga2": NSGA2,
}
"""Every sampler."""
DEFAULT = "tpe"


def make(asked: Any) -> Sampler:
    """Return the sampler of a config: a name, {name, option: value, ...}, or a Sampler.

    Without a name it is TPE. Raises UserError where there is no such sampler or it has no such option.
    """
    if isinstance(asked, Sampler):
        return asked
    options = {"name": asked} if isinstance(asked, str) else asked
    if not isinstance(options, Mapping):
        raise UserError(f"sampler must be a name ({', '.join(SAMPLERS)}), or a mapping with one, but got {asked!r}")
    name = options.get("name", DEFAULT)
    if name not in [*SAMPLERS]:
        raise UserError(f"unknown sampler {name!r}, {suggestion(str(name), SAMPLERS)}")
    for option in options:
        if option not in ["name", *_options(name)]:
            raise UserError(f"unknown setting 'sampler.{option}', {_meant(str(option), name)}")
    return SAMPLERS[name](**{option: value for option, value in options.items() if option != "name"})


def options_of(sampler: Sampler) -> dict[str, Any]:
    """Return what `make` makes the same sampler of, as plain values."""
    return {"name": name_of(sampler), **asdict(sampler)}


def name_of(sampler: Sampler) -> str:
    """Return the name of a sampler."""
    names = {kind: name for name, kind in SAMPLERS.items()}
    return names[type(sampler)]


def check_packages(sampler: Sampler) -> None:
    """Raise UserError where a package is not installed that a sampler imports when it proposes."""
    for package in sampler.packages:
        if importlib.util.find_spec(package) is None:
            name = name_of(sampler)
            raise UserError(
                f"sampler {name} must have the package {package}, but it is not installed: "
                f"pip install {package}, or take another sampler, as tpe"
            )


def _options(name: str) -> list[str]:
    return [item.name for item in fields(SAMPLERS[name])]


def _meant(option: str, name: str) -> str:
    """Return how an option may have been meant that a sampler has not."""
    others = [other for other in SAMPLERS if option in _options(other)]
    if others:
        names = ", ".join(others)
        return f"which is an option of {names}, not of {name}; remove it, or take {others[0]}"
    known = _options(name)
    if not known:
        return f"{name} has no options; remove it"
    return suggestion(option, [*known, "name"])

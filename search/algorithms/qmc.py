"""Quasi-Monte Carlo: points of a sequence that fills the space more evenly than random ones.

Bergstra and Bengio, Random Search for Hyper-Parameter Optimization, JMLR 13, 2012,
https://www.jmlr.org/papers/v13/bergstra12a.html; the scrambling: Owen, Scrambling Sobol' and Niederreiter-Xing Points,
Journal of Complexity 14, 1998, https://doi.org/10.1006/jcom.1998.0487.

Trial n has the nth point, whatever came before.
"""

import warnings
from dataclasses import dataclass
from typing import ClassVar

import optuna
from optuna.distributions import BaseDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, QMCSampler, RandomSampler
from optuna.trial import FrozenTrial

from search.algorithms.sampler import Sampler
from search.algorithms.space import Space
from search.errors import check_types, require

TYPES = "sobol", "halton"


@dataclass(frozen=True)
class QMC(Sampler):
    """The option of quasi-Monte Carlo. Raises UserError at a value that breaks its rule."""

    qmc_type: str = "sobol"
    """The sequence: sobol or halton."""

    learns: ClassVar[bool] = False
    reads_stopped: ClassVar[bool] = True
    packages: ClassVar[tuple[str, ...]] = ("scipy",)

    def __post_init__(self) -> None:
        check_types(self)
        require(self, "qmc_type", " or ".join(TYPES), self.qmc_type in TYPES)

    def make(self, seed: int, trial: int, space: Space) -> BaseSampler:
        """Return Optuna's sampler for the proposal of a trial."""
        return NumberedQMC(self, seed, trial, space)


class NumberedQMC(QMCSampler):
    """Optuna's sampler, which proposes the nth point for trial n: Optuna counts its proposals in the study."""

    def __init__(self, options: QMC, seed: int, trial: int, space: Space) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            super().__init__(
                qmc_type=options.qmc_type,
                scramble=True,
                seed=seed,
                independent_sampler=RandomSampler(seed=seed),
                warn_independent_sampling=False,
            )
        self._trial = trial
        self._together = space.searched

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Return all of the space, also what is off: each hyperparameter has its own dimension of the sequence."""
        return self._together

    def _find_sample_id(self, study: optuna.Study, search_space: dict[str, BaseDistribution]) -> int:
        """Return the place in the sequence."""
        return self._trial

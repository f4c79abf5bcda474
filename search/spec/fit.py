"""The fit of a search to its workload: which configurations of the space the workload's Config takes."""

import dataclasses
import io
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import redirect_stdout
from typing import Any

from search.errors import UserError, describe
from search.spec import annotations
from search.spec.config import StudyConfig
from search.spec.space import axis_of, corners, parse, scattered
from search.spec.workload import SCALAR, Workload, plain

TRIED = 200
"""Random points of a space that are tried beside its ends, before anything is trained."""
MOST_TRIED = 2000
"""The same where none of those fits, or none with a certain choice."""


@dataclasses.dataclass(frozen=True)
class Refusal:
    """A point of the space that Config refuses, and why."""

    params: Mapping[str, Any]
    why: str

    def __str__(self) -> str:
        return f"{self.why} (with {', '.join(f'{name} {value!r}' for name, value in self.params.items())})"


class Fit:
    """A config held against its workload: the epochs of a full trial, and which points of the space Config takes.

    Raises UserError where Config has no such field, refuses every point of the space that is tried, or every one with a
    certain choice.
    """

    def __init__(self, config: StudyConfig, workload: Workload) -> None:
        self.workload = workload
        self.note = ""
        """A line for the user on what Config refuses of the space; empty where nothing of it was found."""
        self._config = config
        self._space = parse(config.space)
        self._check_names()
        with redirect_stdout(io.StringIO()), warnings.catch_warnings():  # what Config prints, hundreds of times
            warnings.simplefilter("ignore")
            first = self._try_space()
        self.epochs: int = plain(first.epochs)
        """Of a full trial."""
        if type(self.epochs) is not int or not 1 <= self.epochs < 2**31:
            raise UserError(f"epochs of {workload.name} must be a whole number in [1, 2**31), but got {self.epochs!r}")

    def check_types(self) -> None:
        """Raise UserError where a value is of another type than its field; a study from before goes on as it began."""
        annotations.check(self.workload, self._space, self._config.fixed)

    def takes(self, params: Mapping[str, Any]) -> bool:
        """Return whether Config takes these hyperparameters beside what is fixed."""
        return not isinstance(self._built(params), Refusal)

    def _built(self, params: Mapping[str, Any]) -> Any:
        """Return the Config of these hyperparameters, or its Refusal. Raises UserError at a name that it lacks."""
        try:
            return self.workload.build(self._config.values(params))
        except (UserError, KeyboardInterrupt):
            raise
        except BaseException as error:  # a Config may refuse with an assert, too
            return Refusal(params, describe(error).removeprefix("ValueError: "))

    def _check_names(self) -> None:
        for name in ("seed", "epochs"):
            if name in self._space:
                raise UserError(f"{name!r} must not be searched: it is the same for every trial; remove it from space")
        if "seed" in self._config.fixed:
            raise UserError("'seed' must not stand in fixed: the study's own seed goes to every trial; set seed")

    def _try_space(self) -> Any:
        """Try the ends of the space and points within; return a Config that fits."""
        points = [*corners(self._space), *scattered(self._space, TRIED)]
        refusals: list[Refusal] = []
        fitting: list[Mapping[str, Any]] = []
        first: Any = None
        for params in points:
            built = self._built(params)
            if isinstance(built, Refusal):
                refusals.append(built)
                continue
            fitting.append(params)
            if first is None:
                first = built
        # Where none of these fits, some of many more may.
        name = self.workload.name
        if first is None:
            first = self._first_built(scattered(self._space, MOST_TRIED))
        if first is None:
            raise UserError(
                f"{name}.Config must take a point of the space, but refuses all that were tried: {refusals[0]}"
            )
        self._check_plain(first)
        self._check_choices(fitting)
        if refusals:
            share = len(refusals) / len(points)
            self.note = f"{name}.Config refuses {share:.0%} of the space, which is not searched: {refusals[-1]}"
        return first

    def _first_built(self, points: Iterable[Mapping[str, Any]]) -> Any:
        """Return the Config of the first of these points that fits; None where none does."""
        for params in points:
            built = self._built(params)
            if not isinstance(built, Refusal):
                return built
        return None

    def _check_choices(self, fitting: list[Mapping[str, Any]]) -> None:
        """Raise UserError where nothing fits with one of the choices: it would never be tried, without a word."""
        for name, choice in self._choices():
            if any(params[name] == choice for params in fitting):
                continue
            points = [{**params, name: choice} for params in scattered(self._space, MOST_TRIED)]
            if self._first_built(points) is None:
                raise UserError(
                    f"space.{name}.values must be ones that {self.workload.name}.Config takes, but of {choice!r} it "
                    f"says: {self._built(points[0])}"
                )

    def _choices(self) -> Iterator[tuple[str, Any]]:
        for name, distribution in self._space.items():
            for choice in axis_of(distribution).choices:
                yield name, choice

    def _check_plain(self, config: Any) -> None:
        for name in self.workload.names():
            value = getattr(config, name)
            if not isinstance(plain(value), SCALAR):
                raise UserError(f"{self.workload.name}.Config must hold plain values, but {name} is {value!r}")

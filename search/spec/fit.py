"""The fit of a search to its workload: which configurations of the space the workload's Config takes."""

import dataclasses
import io
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import redirect_stdout
from typing import Any, NamedTuple

from search.algorithms.space import Space
from search.errors import UserError, describe, shown
from search.spec import annotations, limits, start
from search.spec.axes import axes_of, corners, scattered
from search.spec.conditions import told
from search.spec.config import StudyConfig
from search.spec.start import Params
from search.spec.workload import Workload

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


class First(NamedTuple):
    """The configurations that a search tries first."""

    configurations: list[Params]
    """By trial, each whole or in part."""
    note: str
    """A line for the user that says which they are, and why the defaults are none of them; empty of nothing."""


class Fit:
    """A config held against its workload: the epochs of a full trial, and which points of the space Config takes.

    Raises UserError where Config has no such field, refuses every point of the space that is tried, or every one with a
    certain choice.
    """

    def __init__(self, config: StudyConfig, workload: Workload) -> None:
        self.workload = workload
        self.notes: list[str] = []
        """Lines for the user: on what is off, and on what Config refuses of the space, where that was found."""
        self._given = config
        self._config = annotations.settled(workload.arguments, config)
        """The same, with members of enums as they are recorded."""
        self._space = self._config.searched
        self._check_names()
        self._check_off()
        with redirect_stdout(io.StringIO()), warnings.catch_warnings():  # what Config prints, hundreds of times
            warnings.simplefilter("ignore")
            first = self._try_space()
        has_epochs = "epochs" in workload.names()
        self.epochs: Any = first.get("epochs") if has_epochs else config.epochs
        """Of a full trial."""
        if self.epochs is None and not has_epochs:
            rule = "the config must say how many epochs a trial has at most"
            raise UserError(f"{rule}, as {workload.arguments.owner} has no such field; write epochs: 30, say")
        if type(self.epochs) is not int or not 1 <= self.epochs < 2**31:
            raise UserError(f"epochs of {workload.name} must be a whole number in [1, 2**31), but got {self.epochs!r}")
        limits.check_epochs(config, self.epochs)

    @property
    def space(self) -> Space:
        """Return the space."""
        return self._space

    @property
    def config(self) -> StudyConfig:
        """Return the config with members of enums as they are recorded: each by its value, where that is plain."""
        return self._config

    def check_types(self) -> None:
        """Raise UserError where a value is of another type than its field; a study from before goes on as it began."""
        annotations.check(self.workload.arguments, self._config)

    def recorded(self, before: StudyConfig | None) -> StudyConfig:
        """Return the config of a study: one that goes on under what it had `before` keeps that to the letter."""
        if before and (self._given.space, self._given.fixed) == (before.space, before.fixed):
            return self._given
        return self._config

    def first(self) -> First:
        """Return the configurations to try first: the workload's defaults, then those under `start`.

        Raises UserError where Config refuses one of `start`, or there are more than trials.
        """
        with redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            defaults, why_not = self._defaults()
            entries = start.parse(self._config.start, self._space, self._config.fixed)
            for number, entry in enumerate(entries, 1):
                self._check_start(number, entry)
        configurations = start.without_repeats([defaults, *entries] if defaults else entries)
        most = self._config.num_samples
        if most is not None and len(configurations) > most:
            raise UserError(
                f"num_samples must be at least the {len(configurations)} configurations that are tried first, those of "
                f"start{' and the defaults' if defaults else ''}, but got {most}; ask for more "
                f"trials, or take some out of start"
            )
        return First(configurations, _note(configurations, entries, bool(defaults), why_not))

    def _defaults(self) -> tuple[Params, str]:
        """Return the defaults of what is searched, or an empty mapping and why they are not tried."""
        if not self._config.try_defaults:
            return {}, ""
        defaults, why_not = start.of_defaults(self.workload.defaults(self._config.space), self._space)
        if defaults:
            built = self._built(defaults)
            if isinstance(built, Refusal):
                return {}, f"{self.workload.arguments.owner} refuses them: {built.why}"
        return defaults, why_not

    def _check_start(self, number: int, entry: Params) -> None:
        """Raise UserError where Config refuses an entry of `start`: of a partial one, whatever completes it."""
        points = [entry]
        if not self._space.is_whole(entry):
            points = list(scattered(self._space, MOST_TRIED, entry))
        if self._first_built(points) is None:
            rule = f"start, entry {number}: must be a configuration that {self.workload.arguments.owner} takes"
            raise UserError(f"{rule}, but it says: {self._built(points[0])}")

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
        if "epochs" in self._config.fixed and self._config.epochs is not None:
            raise UserError("the epochs of a trial stand in epochs or in fixed.epochs, but are in both; remove one")
        if "seed" in self._config.fixed:
            raise UserError("'seed' must not stand in fixed: the study's own seed goes to every trial; set seed")

    def _check_off(self) -> None:
        """Raise UserError where what may be off has no default, which Config then keeps; note what keeps one."""
        items = {item for series in self._space.series.values() for item in series.items}
        conditions = {name: self._space.conditions[name] for name in self._space.conditions if name not in items}
        for name, series in self._space.series.items():
            if series.condition:
                conditions[name] = series.condition
        passed = [name for name in conditions if self._config.is_passed(name)]
        missing = self.workload.arguments.missing(self._config.values({}))
        for name in passed:
            if name in missing:
                where = "under defaults" if self.workload.command else "in the code"
                raise UserError(
                    f"space.{name} must have a default, which {self.workload.arguments.owner} keeps where it is off, "
                    f"but it has none; give it one {where}, or remove 'when'"
                )
        if passed:
            off = ", ".join(f"{name} (on where {told(conditions[name])})" for name in passed)
            self.notes.append(f"what is off keeps the default of {self.workload.arguments.owner}: {off}")

    def _try_space(self) -> dict[str, Any]:
        """Try the ends of the space and points within; return the values of a Config that fits, as plain values."""
        points = [*corners(self._space), *scattered(self._space, TRIED)]
        refusals: list[Refusal] = []
        fitting: list[Mapping[str, Any]] = []
        first: dict[str, Any] | None = None
        for params in points:
            built = self._built(params)
            if isinstance(built, Refusal):
                refusals.append(built)
                continue
            fitting.append(params)
            if first is None:
                first = self._values_of(built, params)
        # Where none of these fits, some of many more may.
        owner = self.workload.arguments.owner
        if first is None:
            first = self._first_built(scattered(self._space, MOST_TRIED))
        if first is None:
            raise UserError(f"{owner} must take a point of the space, but refuses all that were tried: {refusals[0]}")
        self._check_choices(fitting)
        if refusals:
            share = len(refusals) / len(points)
            self.notes.append(f"{owner} refuses {share:.0%} of the space, which is not searched: {refusals[-1]}")
        return first

    def _first_built(self, points: Iterable[Mapping[str, Any]]) -> dict[str, Any] | None:
        """Return the values of the Config of the first of these points that fits; None where none does."""
        for params in points:
            built = self._built(params)
            if not isinstance(built, Refusal):
                return self._values_of(built, params)
        return None

    def _values_of(self, built: Any, params: Mapping[str, Any]) -> dict[str, Any]:
        """Return the values of a Config of these hyperparameters, as plain values."""
        try:
            return self.workload.values_of(built, self._config.values(params))
        except TypeError:
            owner = self.workload.arguments.owner
            raise UserError(f"{owner} must make a config, but of {dict(params)} it made {shown(built)}") from None

    def _check_choices(self, fitting: list[Mapping[str, Any]]) -> None:
        """Raise UserError where nothing fits with one of the choices: it would never be tried, without a word."""
        for name, choice in self._choices():
            if any(name in params and params[name] == choice for params in fitting):
                continue
            points = list(scattered(self._space, MOST_TRIED, {name: choice}))
            if self._first_built(points) is None:
                owner = self.workload.arguments.owner
                why = self._built(points[0])
                raise UserError(f"space.{name}.values must be ones {owner} takes, but of {choice!r} it says: {why}")

    def _choices(self) -> Iterator[tuple[str, Any]]:
        for name, axis in axes_of(self._space).items():
            for choice in axis.choices:
                yield name, choice


def _note(configurations: list[Params], entries: list[Params], has_defaults: bool, why_not: str) -> str:
    """Return what is tried first, as a line; empty where nothing is."""
    parts = []
    if why_not:
        parts.append(f"the workload's defaults are not tried: {why_not}")
    elif has_defaults and not entries:
        parts.append("trial 0 is the workload's defaults")
    if entries:
        names = ["the workload's defaults"] if has_defaults else []
        tried = len(configurations) - len(names)
        names.append(f"{tried} of start")
        parts.append(f"tried first: {', then '.join(names)}")
        if tried < len(entries):
            parts.append(f"{len(entries) - tried} of start would repeat another")
    return "; ".join(parts)

"""Proposals: first those that are given, then what a sampler draws, and draws again where that is of no use.

Of no use is what is known already, and what the workload refuses.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, _get_single_value
from optuna.samplers import BaseSampler, RandomSampler
from optuna.trial import FrozenTrial

from search.algorithms.history import History, Several, Teller
from search.algorithms.prior import Prior, guided
from search.algorithms.sampler import Sampler
from search.algorithms.seeds import seeds_of
from search.algorithms.space import Params, Space, Takes

MOST_RANDOM_DRAWS = 2000
"""Random draws, after those of the sampler."""


class Proposer(BaseSampler):
    """The sampler of a search: what one by name draws, where it is new and the workload takes it.

    All values of a trial are drawn together. A further draw is that of a sampler with another seed, so a proposal stays
    a function of the study's seed, the trial's number and the history. Where the sampler only draws what is known or
    refused, random points are next, or of a small space those that are left; the last draw is proposed in any case.

    A sampler draws values as it is shown them (`Space.drawn`); a hyperparameter that is off is dropped.

    Of what a `prior` expects something, some proposals take a value around that. `earlier` are trials of other studies.

    `start` are the configurations to try first, by the trial's number: whole ones, or such of which the sampler draws
    what they lack. One that is known by then, or that nothing completes, gives way to a draw.
    """

    def __init__(
        self,
        sampler: Sampler,
        seed: int,
        space: Space,
        takes: Takes,
        start: Sequence[Params] = (),
        several: Several | None = None,
        earlier: Iterable[FrozenTrial] = (),
        prior: Prior | None = None,
    ) -> None:
        self._sampler = sampler
        self._seed = seed
        self._space = space
        self._takes = takes
        self._start = start
        self._prior = prior or {}
        self._teller = Teller(space, reads_stopped=sampler.reads_stopped, several=several, earlier=earlier)
        self.refused = 0
        """How many draws the workload refused before the newest proposal."""

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Return the whole space, of which a proposal has what is on."""
        return dict(self._space)

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Return all values of a trial; those that were recorded before a kill stay as they are."""
        self.refused = 0
        if self._space.is_whole(trial.params):
            return dict(trial.params)
        history = self._teller.tell(study, trial)
        drawn = self._proposed(study, trial, history, {})
        # Of one that a kill has cut short it is the same again; of one that was made otherwise, what it has.
        if not trial.params.items() <= drawn.items():
            drawn = self._proposed(study, trial, history, trial.params)
        # The sampler's notes on it go into the journal before its values do: a trial without them is not its own.
        for name in self._sampler.notes:
            if name in history.notes.of_trial and name not in trial.system_attrs:
                study._storage.set_trial_system_attr(trial._trial_id, name, history.notes.of_trial[name])
        return drawn

    def _proposed(self, study: optuna.Study, trial: FrozenTrial, history: History, recorded: Params) -> dict[str, Any]:
        """Return the first proposal that is of use, or the last draw; with what is recorded of it."""
        others = [other.params for other in study.get_trials(deepcopy=False) if other.number != trial.number]
        drawn: dict[str, Any] = {}
        # What is to be tried first.
        if trial.number < len(self._start):
            given = {**self._start[trial.number], **recorded}
            for drawn in self._completed(given, history, trial, others):
                if self._space.key(drawn) not in history.known and self._takes(drawn):
                    return drawn
        # What the sampler draws.
        for drawn in self._draws(history, trial, others, recorded):
            if self._space.key(drawn) in history.known:
                continue
            if self._takes(drawn):
                break
            self.refused += 1
        return drawn

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Return a value by itself; Optuna asks for none, as all of the space is drawn together."""
        history = self._teller.tell(study, trial)
        sampler = self._sampler.make(self._seed, trial.number, self._space)
        drawn = sampler.sample_independent(history, trial, param_name, self._space.drawn(param_name))
        return self._space.from_drawn(param_name, drawn)

    def _completed(
        self, given: Params, history: History, trial: FrozenTrial, others: Iterable[Params]
    ) -> Iterator[dict[str, Any]]:
        """Yield configurations that hold the given values; what is not given is drawn."""
        if self._space.is_whole(given):
            if self._sampler.notes:  # which it makes as it draws
                self._draw(history, trial, given, 0)
            yield {name: given[name] for name in self._space.active(given)}
            return
        yield from self._draws(history, trial, others, given)

    def _draws(
        self, history: History, trial: FrozenTrial, others: Iterable[Params], given: Params
    ) -> Iterator[dict[str, Any]]:
        """Yield draws, the later ones at random; of a small space with the given values only those that are left."""
        for count in range(self._sampler.draws):
            yield self._draw(history, trial, given, count)
        first, second = seeds_of(self._seed, trial.number, "another")
        if self._space.is_small:
            left = list(self._space.untried(others, self._takes, given))
            if left:
                yield left[first % len(left)]
            return
        sampler = RandomSampler(seed=second)
        for _ in range(MOST_RANDOM_DRAWS):
            yield self._filled(history, trial, given, sampler, {})

    def _draw(self, history: History, trial: FrozenTrial, given: Params, count: int) -> dict[str, Any]:
        """Return a draw, counted from 0, as Optuna makes it of a sampler: what is drawn together, then the rest."""
        seed = self._seed
        if count:
            seed, _ = seeds_of(self._seed, count, "draw")
        sampler = self._sampler.make(seed, trial.number, self._space)
        asked = sampler.infer_relative_search_space(history, trial)
        together = dict(sampler.sample_relative(history, trial, asked))
        for name in self._space:
            is_guided, value = guided(self._prior, name, self._space.drawn(name), seed, trial.number)
            if is_guided:
                together[name] = value
        return self._filled(history, trial, given, sampler, together)

    def _filled(
        self, history: History, trial: FrozenTrial, given: Params, sampler: BaseSampler, together: Params
    ) -> dict[str, Any]:
        """Return the values of all that is on: the given ones, those drawn together, and the rest drawn one by one."""
        params: dict[str, Any] = {}
        for name in self._space:
            if not self._space.is_on(name, params):
                continue
            distribution = self._space.drawn(name)
            if distribution.single():
                drawn = _get_single_value(distribution)
            elif name in together:
                drawn = together[name]
            else:
                drawn = sampler.sample_independent(history, trial, name, distribution)
            # What is given is drawn, too: the generator goes on as it would have without.
            params[name] = given[name] if name in given else self._space.from_drawn(name, drawn)
        return params


def ask(study: optuna.Study, space: Space) -> optuna.Trial:
    """Return a new trial of a study, with the values that its Proposer draws."""
    trial = study.ask()
    suggest(trial, space)
    return trial


def suggest(trial: optuna.Trial, space: Space) -> None:
    """Record the values of a trial that its study's Proposer draws, of all that is on; those that it has stay."""
    params: dict[str, Any] = {}
    for name, distribution in space.items():
        if space.is_on(name, params):
            params[name] = trial._suggest(name, distribution)

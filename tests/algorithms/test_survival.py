"""With what chance a trial goes on, and how many epochs that makes: held against what can be said without drawing."""

import numpy as np
import pytest

from search.algorithms.survival import DRAWS, Odds, Survival

NEVER, ALWAYS = 1e-6, 1 - 1e-6


def epochs(survival: Survival, at: list[float], chances: list[float], seed: int = 0) -> np.ndarray:
    """Return the epochs of trials [trials, draws] whose chances at the rungs and at the end are these."""
    one, share = np.tile(np.array(chances)[:, np.newaxis], DRAWS), np.full((len(chances), 1), 0.5)
    return survival.epochs(np.random.default_rng(seed), np.array(at)[:, np.newaxis], Odds(one, share))


def test_the_first_at_a_rung_goes_on_there_however_small_the_chance_is() -> None:
    """The rule keeps the best of those that came there, at least one, and the first is the best of one."""
    found = epochs(Survival([1, 3], 9, [1 / 3, 1 / 3]), [0.0, 0.0, 0.0, 0.0], [NEVER, NEVER, ALWAYS])
    assert (found[0] == 9).all()
    # The k-th passes a rung where it is the best of k, which is so in one case of k. At the second rung one in three
    # of those that came to the first is there, so that the trial after the first is the 4/3-th.
    passed = (found > 1).mean(axis=1)
    assert passed[1:] == pytest.approx([1 / 2, 1 / 3, 1 / 4], abs=4 * 0.5 / DRAWS**0.5)
    assert (found[1] > 3).sum() / (found[1] > 1).sum() == pytest.approx(3 / 4, abs=4 * 0.5 / (DRAWS / 2) ** 0.5)


def test_who_comes_to_a_rung_where_others_were_has_the_chance_that_they_had() -> None:
    survival = Survival([1], 9, [1 / 3])
    for _ in range(10_000):
        survival.learn(0, 1, has_ended=True)
    found = epochs(survival, [0.0], [NEVER, ALWAYS])
    assert (found == 0.5).mean() > 0.95  # half of the way to the rung, as `share` says


def test_the_best_of_few_may_yet_fail_on_its_way_to_the_end() -> None:
    """A trial's last part has no rung at its end, so that nobody is kept for being the best there."""
    found = epochs(Survival([1], 9, [1 / 3]), [0.0], [NEVER, NEVER])
    assert (found == 5).mean() > 0.95  # half of the way from the rung


def test_what_a_trial_has_trained_it_has_trained() -> None:
    found = epochs(Survival([1, 3], 9, [1 / 3, 1 / 3]), [2.0, 8.0], [NEVER, NEVER, NEVER])
    assert (found[0] >= 2).all()
    assert (found[1] == 8).mean() > 0.95

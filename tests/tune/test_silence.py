"""A trial that is silent for long is said on the screen, once, also where nothing ends it. The clock is the test's."""

from pathlib import Path

import pytest

from search.tune.searcher import OptunaSearcher
from tests.tune.test_searcher import create, result


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(
    ("timeout", "rule"),
    [(None, "epoch_timeout, which is off, would end it as failed"), (900.0, "epoch_timeout ends it after 900 s")],
)
def test_a_silent_trial_is_said_once_with_its_number_the_seconds_and_the_setting_that_would_end_it(
    timeout: float | None, rule: str, tmp_path: Path
) -> None:
    clock = Clock()
    searcher = OptunaSearcher(create(tmp_path, "s", epoch_timeout=timeout), 0, clock=clock)
    for name in "ab":
        searcher.suggest(name)
        searcher.on_trial_start(name)
    searcher.on_trial_result("a", result(1, 3.0, 3.0))
    clock.now = 59
    searcher.on_trial_result("b", result(1, 3.0, 3.0))
    searcher.look()
    assert searcher.progress.events == []
    for clock.now in (61, 62, 70):
        searcher.look()
    silent = f"trial 0 has reported nothing for 61 s, in epoch 2, where the slowest so far took 1 s; {rule}"
    assert searcher.progress.events == [(silent, True)]


def test_a_trial_whose_epochs_are_slow_may_be_silent_for_longer_and_one_without_a_process_for_ever(
    tmp_path: Path,
) -> None:
    clock = Clock()
    searcher = OptunaSearcher(create(tmp_path, "s"), 0, clock=clock)
    for name in "ab":
        searcher.suggest(name)
    searcher.on_trial_start("a")
    slow = result(1, 3.0, 3.0)
    slow["epochs"][0][1]["elapsed_s"] = 30.0
    searcher.on_trial_result("a", slow)
    clock.now = 299
    searcher.look()
    assert searcher.progress.events == []
    clock.now = 300
    searcher.look()
    ((sentence, _),) = searcher.progress.events
    assert sentence.startswith("trial 0 has reported nothing for 300 s, in epoch 2, where the slowest so far took 30 s")

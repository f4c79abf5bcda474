"""What a search makes of failures: of a used process, of one kind, and of trials that are trained again."""

import math
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from search import continuation, study
from search.algorithms import samplers
from search.algorithms.proposals import Proposer
from search.study import Study
from search.tune.failures import AlikeFailuresError, kind_of
from search.tune.searcher import OptunaSearcher
from search.tune.trainable import TRIAL
from tests import studies
from tests.tune.test_searcher import create, play, result

TRACEBACK = 'Traceback (most recent call last):\n  File "/w/train.py", line {}, in train\n    lsos\n{}: {}'


def failed(line: int = 7, name: str = "NameError", **more: Any) -> dict[str, Any]:
    """Return the last result of a trial that raised at a line of its own."""
    text = TRACEBACK.format(line, name, "no lsos")
    return result(1, math.nan, None, epochs=[], failure=f"{name}: no lsos", traceback=text, ended=True, **more)


GOOD = [result(1, 3.0, 3.0), result(2, 2.0, 2.0, ended=True)]


def suggested(searcher: OptunaSearcher, name: str) -> tuple[int, bool]:
    """Return the number of the next trial, and whether it is to have a fresh process; it is left running."""
    order = searcher.suggest(name)[TRIAL]
    return order.number, order.is_fresh


@pytest.fixture
def made(tmp_path: Path) -> Study:
    return create(tmp_path, "s")


def test_failures_are_of_a_kind_by_their_type_and_where_they_were_raised_else_by_their_text_without_numbers() -> None:
    text = TRACEBACK.format(7, "NameError", "lsos")
    assert kind_of("NameError: lsos", text) == "NameError at /w/train.py, line 7"
    assert kind_of("NameError: other", text) == kind_of("NameError: lsos", text)
    assert kind_of("ValueError: lsos", text) != kind_of("NameError: lsos", text)
    assert kind_of("it died, 2 times in all", "") == kind_of("it died, 17 times in all", "")


def test_a_trial_that_fails_in_a_used_process_is_tried_in_a_fresh_one_under_its_own_number_and_the_setting_is_named(
    made: Study,
) -> None:
    searcher = OptunaSearcher(made, 0)
    play(searcher, "a", GOOD)
    play(searcher, "b", [failed(used=True)])
    assert [trial.ending for trial in made.trials()] == ["complete", "running"]
    assert "it is tried once more in a fresh one (fresh_process: true " in searcher.progress.events[-1][0]
    assert suggested(searcher, "c") == (1, True)
    searcher.on_trial_complete("c", GOOD[-1])
    assert "trial 1 does not fail in a fresh process" in "".join(sentence for sentence, _ in searcher.progress.events)
    assert [trial.ending for trial in made.trials()] == ["complete", "complete"]
    assert suggested(searcher, "d") == (2, True)  # and so is every trial from here on, in a later session as well
    assert searcher.needs_fresh
    assert OptunaSearcher(study.load(made.folder), 0).needs_fresh
    assert "no lsos" in made.log_of(1).read_text(encoding="utf-8")


def test_a_trial_that_fails_in_a_fresh_process_too_has_failed_and_its_kind_is_not_tried_again(made: Study) -> None:
    searcher = OptunaSearcher(made, 0)
    play(searcher, "a", GOOD)
    play(searcher, "b", [failed(used=True)])
    play(searcher, "c", [failed(used=False)])
    play(searcher, "d", [failed(used=True)])
    assert [trial.ending for trial in made.trials()] == ["complete", "failed", "failed"]
    assert suggested(searcher, "e") == (3, False)
    play(searcher, "f", [failed(line=8, used=True)])
    assert made.trials()[4].ending == "running"


def test_a_trial_that_took_too_long_or_yields_no_metric_is_not_tried_again(made: Study) -> None:
    searcher = OptunaSearcher(made, 0)
    play(searcher, "a", [failed(name="TimeoutError", used=True)])
    play(searcher, "b", [result(1, math.nan, None, epochs=[], failure="train yields no 'loss'", used=True, ended=True)])
    assert [trial.ending for trial in made.trials()] == ["failed", "failed"]


def test_three_failures_of_a_kind_before_any_success_end_the_search(made: Study) -> None:
    searcher = OptunaSearcher(made, 0)
    for name, line in [("a", 7), ("b", 8), ("c", 7)]:
        play(searcher, name, [failed(line)])
        searcher.failures.check()
    play(searcher, "d", [failed(7)])
    with pytest.raises(AlikeFailuresError):
        searcher.failures.check()
    alike = study.load(made.folder).snapshot().failed_alike
    assert [trial.number for trial in alike] == [0, 2, 3]


@pytest.mark.parametrize("most", [3, None])
def test_a_search_in_which_a_trial_has_gone_well_or_without_a_limit_goes_on(most: int | None, tmp_path: Path) -> None:
    made = create(tmp_path, "s", max_same_failures=most)
    searcher = OptunaSearcher(made, 0)
    if most:
        play(searcher, "good", GOOD)
        searcher = OptunaSearcher(study.load(made.folder), 0)  # in an earlier session
    for name in "abcd":
        play(searcher, name, [failed()])
        searcher.failures.check()
    assert not study.load(made.folder).snapshot().failed_alike


def test_failed_trials_are_opened_again_under_their_own_numbers_and_the_journal_keeps_what_they_were(
    tmp_path: Path,
) -> None:
    made = studies.create(tmp_path, "s", num_samples=4)
    made.search.sampler = Proposer(samplers.make("cmaes"), 0, made.space, lambda params: True)
    studies.add(made, [3.0, 2.0], "complete")
    studies.add(made, [3.0], "failed", failure="NameError: lsos")
    studies.add(made, [1.0, 4.0], "stopped")
    before = (made.folder / "journal.log").read_bytes()
    params = made.trials()[1].params
    assert continuation.retry_failed(made) == 1
    for opened in (made, study.load(made.folder)):
        trial = opened.trials()[1]
        assert (trial.ending, trial.value, trial.epochs, trial.params) == ("running", None, (), params)
        assert trial.attributes == {"retries": 1}
        assert opened.search.trials[1].system_attrs == {"cma:generation": 0}  # and no constraint that it violates
    searcher = OptunaSearcher(study.load(made.folder), 0)
    assert suggested(searcher, "a") == (1, False)
    searcher.on_trial_complete("a", result(1, 2.5, 2.5, ended=True))
    assert (made.folder / "journal.log").read_bytes().startswith(before)
    again = study.load(made.folder)
    assert [trial.ending for trial in again.trials()] == ["complete", "complete", "stopped"]
    assert again.trials()[1].value == 2.5
    assert len(again.trials_dataframe()) == 3
    assert continuation.retry_failed(again) == 0


def test_a_trial_that_fails_again_can_be_tried_again(tmp_path: Path) -> None:
    made = studies.create(tmp_path, "s", num_samples=1)
    studies.add(made, [], "failed", failure="NameError: lsos")
    for retries in (1, 2):
        assert continuation.retry_failed(made) == 1
        searcher = OptunaSearcher(made, 0)
        play(searcher, "a", [failed()])
        (trial,) = study.load(made.folder).trials()
        assert (trial.ending, trial.attributes["retries"]) == ("failed", retries)
        assert trial.attributes["failure"] == "NameError: no lsos"


def test_optunas_own_reader_has_such_a_trial_as_it_was(tmp_path: Path) -> None:
    """Its dashboard, for one: it knows no trial that is opened again."""
    made = studies.create(tmp_path, "s", num_samples=1)
    studies.add(made, [], "failed", failure="NameError: lsos")
    continuation.retry_failed(made)
    play(OptunaSearcher(made, 0), "a", GOOD)
    assert made.trials()[0].ending == "complete"
    storage = JournalStorage(JournalFileBackend(str(made.folder / "journal.log")))
    theirs = optuna.load_study(study_name="s", storage=storage)
    assert [trial.state.name for trial in theirs.trials] == ["PRUNED"]

"""Searcher and rule together, on recorded curves; tests/replay.py plays Tune's part."""

import dataclasses
import math
import random
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from search import study
from search.journal import repair
from search.journal.trial import WHERE, Trial
from search.study import Study
from search.tune.searcher import OptunaSearcher
from search.tune.tuner import Scheduler
from tests import replay
from tests.replay import Event, Table
from tests.studies import judge

TRIALS = 32
SEEDS_AND_WORKERS = [(seed, workers) for seed in range(3) for workers in (1, 2, 7)]


def in_memory(folder: Path, seed: int, sampler: str = "tpe") -> Study:
    return replay.in_memory(replay.create(folder, seed, TRIALS, sampler))


def rungs_of(made: Study) -> Scheduler:
    return judge(made.config.scheduler, made.epochs, made.config.mode, made.config.metric)


def oracle(events: list[Event]) -> Iterator[str]:
    """Yield the verdict on each result, from nothing but the results that had arrived by then.

    What ASHA states, with the numbers of configs/search.yaml: at epochs 3, 9 and 27 goes on who has fewer
    than max(1, n // 3) better ones among the n that reached the rung so far. A value that is not finite is at no rung.
    """
    for at, event in enumerate(events):
        here = [each.best for each in events[: at + 1] if each.epoch == event.epoch and math.isfinite(each.best)]
        better = sum(best < event.best for best in here)
        if event.epoch == 30 or not math.isfinite(event.value):
            yield "ended"
        else:
            yield "stopped" if event.epoch in (3, 9, 27) and better >= max(1, len(here) // 3) else "goes on"


def diverging(table: Table, seed: int) -> Table:
    """Return the table where one configuration in three diverges, each at an epoch of its own.

    The best twenty do so at the last epoch only: until then each is the best that a search has seen.
    """
    generator = np.random.default_rng(seed)
    rows = generator.choice(len(table.loss), len(table.loss) // 3, replace=False)
    epochs = {int(row): int(generator.integers(1, 31)) for row in rows}
    return table.diverging({**epochs, **{int(row): 30 for row in table.loss.min(axis=1).argsort()[:20]}})


@pytest.mark.parametrize(("seed", "workers"), SEEDS_AND_WORKERS)
def test_the_rule_stops_and_keeps_what_it_says(seed: int, workers: int, tmp_path: Path) -> None:
    events = list(replay.search(in_memory(tmp_path, seed), replay.recorded(), workers))
    assert [event.verdict for event in events] == list(oracle(events))
    decided = {(event.epoch, event.verdict) for event in events}
    assert decided >= {(rung, verdict) for rung in (3, 9) for verdict in ("goes on", "stopped")}
    assert len({event.trial for event in events}) == TRIALS


def test_the_last_result_of_each_trial_and_all_before_it_are_in_the_journal(tmp_path: Path) -> None:
    made = in_memory(tmp_path, 0)
    events = list(replay.search(made, diverging(replay.recorded(), 0)))
    endings = {"stopped": "stopped", "ended": "complete"}
    for trial in made.trials():
        its = [event for event in events if event.trial == trial.number]
        np.testing.assert_array_equal([row["val_loss"] for row in trial.epochs], [event.value for event in its])
        assert trial.ending == (endings[its[-1].verdict] if math.isfinite(its[-1].value) else "diverged")


@pytest.mark.parametrize(("seed", "workers"), SEEDS_AND_WORKERS)
def test_the_rule_decides_as_though_no_nan_had_come(seed: int, workers: int, tmp_path: Path) -> None:
    """A trial that diverges later stays at the rungs that it reached; only its NaN is nothing to the others."""
    made = in_memory(tmp_path, seed)
    events = list(replay.search(made, diverging(replay.recorded(), seed), workers))
    finite = [event for event in events if math.isfinite(event.value)]
    assert len(finite) < len(events)
    assert [event.verdict for event in events] == list(oracle(events))
    untouched = rungs_of(made)
    for event in finite:
        if event.verdict != "ended":
            assert untouched.goes_on(event.trial, event.epoch, event.best) == (event.verdict == "goes on")


@pytest.mark.parametrize("seed", range(3))
def test_trials_that_diverge_at_once_leave_the_others_as_though_they_had_not_been_proposed(
    seed: int, tmp_path: Path
) -> None:
    """Random proposals and one worker: then neither what is proposed nor the order of arrival depends on the others."""
    table = replay.recorded()
    generator = np.random.default_rng(seed)
    dirty = table.diverging(dict.fromkeys(generator.choice(400, 130, replace=False).tolist(), 1))
    made = in_memory(tmp_path, seed, "random")
    events = [event for event in replay.search(made, dirty, workers=1) if math.isfinite(event.value)]
    others = [trial for trial in made.trials() if trial.ending != "diverged"]
    assert 0 < len(others) < TRIALS
    without = list(replay.play(Scripted(others), replay.ours(rungs_of(made)), table, 1, len(others)))
    assert len(events) == len(without)
    for event, other in zip(events, without, strict=True):
        assert (event.row, event.epoch, event.value, event.verdict) == (
            other.row,
            other.epoch,
            other.value,
            other.verdict,
        )


class Scripted(OptunaSearcher):
    """Proposes what others proposed, and takes no notes."""

    def __init__(self, trials: list[Trial]) -> None:
        self._trials = iter(trials)

    def suggest(self, trial_id: str) -> Any:
        return dict(next(self._trials).params)

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        pass

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        pass


@pytest.mark.parametrize("seed", range(3))
def test_a_diverged_trial_is_never_the_best_however_good_it_was(seed: int, tmp_path: Path) -> None:
    """The trial that leads after 29 epochs diverges at the 30th, above every rung, under random proposals.

    So nothing else of the search changes, and the best of the others must win.
    """
    table = replay.recorded()
    clean = list(replay.search(in_memory(tmp_path / "clean", seed, "random"), table))
    leader = min((event for event in clean if event.epoch == 29), key=lambda event: event.best)
    made = in_memory(tmp_path / "dirty", seed, "random")
    searcher = OptunaSearcher(made, 0)
    events = list(replay.play(searcher, replay.ours(rungs_of(made)), table.diverging({leader.row: 30})))
    others = min((event for event in events if event.row != leader.row), key=lambda event: event.best)
    assert leader.best < others.best
    assert made.trials()[leader.trial].ending == "diverged"
    assert (searcher.progress.best_trial, searcher.progress.best) == (others.trial, others.best)
    assert made.search.best_trial.number != leader.trial


class Disturbed(OptunaSearcher):
    """Meets global generators in another state at every proposal."""

    def suggest(self, trial_id: str) -> Any:
        np.random.seed(random.randrange(2**32))
        return super().suggest(trial_id)


def test_a_seed_and_the_order_of_arrival_settle_every_proposal_and_every_verdict(tmp_path: Path) -> None:
    table = replay.recorded()

    def played(name: str, seed: int, searcher: type[OptunaSearcher] = OptunaSearcher) -> list[Event]:
        made = in_memory(tmp_path / name, seed)
        return list(replay.play(searcher(made, 0), replay.ours(rungs_of(made)), table))

    first = played("first", 1)
    assert played("again", 1) == first
    assert played("disturbed", 1, Disturbed) == first
    assert {event.row for event in played("other", 2)} != {event.row for event in first}


def told(made: Study) -> dict[int, str]:
    """Return all that the journal holds of each trial but where and when; as text, in which NaN equals NaN."""
    found = {}
    for trial in made.trials():
        attributes = {name: value for name, value in trial.attributes.items() if name != WHERE}
        found[trial.number] = repr(dataclasses.replace(trial, attributes=attributes, started=0.0, seconds=0.0))
    return found


def killed(whole: Study, size: int, folder: Path) -> Study:
    """Return the study as a driver leaves it that is killed when its journal has so many bytes."""
    shutil.copytree(whole.folder, folder)
    with (folder / "journal.log").open("r+b") as file:
        file.truncate(size)
    repair.mend(folder)  # as a session begins
    return study.load(folder)


@pytest.fixture(scope="module", params=[1, 2], ids="{} workers".format)
def finished(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Study, list[Event], int]:
    """Return a study of 24 trials on the disk that is finished, its results, and its workers; some trials diverged."""
    made = replay.create(tmp_path_factory.mktemp("finished"), 3, 24)
    return made, list(replay.search(made, diverging(replay.recorded(), 3), request.param)), request.param


@pytest.mark.parametrize("cut", range(12))
def test_a_search_that_is_killed_at_any_byte_of_its_journal_goes_on(
    cut: int, finished: tuple[Study, list[Event], int], tmp_path: Path
) -> None:
    """With one worker as though nothing had been; with more, what had ended stays and every other trial ends once.

    The journal grows with every event of the search, so a byte is a moment: between two epochs, within an epoch,
    between a trial's number and its configuration, between the last epoch and the ending.
    """
    whole, events, workers = finished
    content = (whole.folder / "journal.log").read_bytes()
    begin = content.index(b"\n", content.index(b'"defaults"')) + 1
    made = killed(whole, int(np.random.default_rng(cut).integers(begin, len(content))), tmp_path / "killed")
    ended = {number: text for number, text in told(made).items() if made.trials()[number].ending != "running"}
    rest = list(replay.search(made, diverging(replay.recorded(), 3), workers))
    after = told(study.load(made.folder))
    assert len(after) == 24
    assert all(trial.ending != "running" for trial in made.trials())
    assert ended.items() <= after.items()
    if workers == 1:
        assert after == told(whole)
        assert [repr(event) for event in rest] == [repr(event) for event in events[len(events) - len(rest) :]]


@pytest.mark.parametrize("scheduler", ["hyperband", {"name": "median", "grace_period": 2, "min_trials": 2}])
def test_so_it_does_under_every_scheduler(scheduler: Any, tmp_path: Path) -> None:
    table = diverging(replay.recorded(), 3)
    whole = replay.create(tmp_path / "whole", 3, 12, "random", scheduler=scheduler)
    list(replay.search(whole, table, workers=1))
    stopped = [len(trial.epochs) for trial in whole.trials() if trial.ending == "stopped"]
    assert len(set(stopped)) > 1
    content = (whole.folder / "journal.log").read_bytes()
    for at, share in enumerate((0.4, 0.7)):
        made = killed(whole, int(share * len(content)), tmp_path / str(at))
        list(replay.search(made, table, workers=1))
        assert told(made) == told(whole)


@pytest.mark.parametrize(
    "sampler",
    [{"name": "cmaes", "popsize": 4}, {"name": "nsga2", "population_size": 4}],
    ids=["cmaes", "nsga2"],
)
def test_a_sampler_that_counts_generations_goes_on_with_them_after_a_kill(
    sampler: dict[str, Any], tmp_path: Path
) -> None:
    """In which generation a trial was proposed stands in the journal with it: stopped and diverged trials count."""
    table = diverging(replay.recorded(), 3)
    whole = replay.create(tmp_path / "whole", 3, 18, sampler)
    list(replay.search(whole, table, workers=1))
    generations = [value for trial in whole.search.trials for value in trial.system_attrs.values() if value != 1.0]
    content = (whole.folder / "journal.log").read_bytes()
    assert b"generation" in content
    assert b"optimizer" not in content
    assert max(generations) >= 3
    begin = content.index(b"\n", content.index(b'"defaults"')) + 1
    for cut in np.random.default_rng(0).integers(begin, len(content), 4):
        made = killed(whole, int(cut), tmp_path / str(cut))
        list(replay.search(made, table, workers=1))
        again = study.load(made.folder)
        assert told(again) == told(whole)
        assert [trial.system_attrs for trial in again.search.trials] == [
            trial.system_attrs for trial in whole.search.trials
        ]


def cuts(whole: Study, word: bytes) -> list[int]:
    """Return where each record of the journal ends that holds a word, in bytes."""
    content = (whole.folder / "journal.log").read_bytes()
    ends = [at + 1 for at, byte in enumerate(content) if byte == ord("\n")]
    return [end for begin, end in zip([0, *ends], ends, strict=False) if word in content[begin:end]]


def test_a_proposal_of_which_a_part_was_written_is_completed_as_it_would_have_been(tmp_path: Path) -> None:
    table = replay.recorded()
    whole = replay.create(tmp_path / "whole", 0, 2)
    list(replay.search(whole, table, workers=1))
    sizes = cuts(whole, b'"param_name"')
    assert len(sizes) == 8
    for size in sizes:
        made = killed(whole, size, tmp_path / str(size))
        list(replay.search(made, table, workers=1))
        assert told(made) == told(whole)


def test_a_search_goes_on_in_silence_that_was_killed_while_it_closed_a_diverged_trial(tmp_path: Path) -> None:
    table = replay.recorded().diverging(dict.fromkeys(range(400), 1))
    whole = replay.create(tmp_path / "whole", 0, 2)
    list(replay.search(whole, table, workers=1))
    made = killed(whole, cuts(whole, b"constraint")[0], tmp_path / "killed")
    list(replay.search(made, table, workers=1))
    assert told(made) == told(whole)


@pytest.fixture(scope="module")
def sixty(tmp_path_factory: pytest.TempPathFactory) -> list[list[Event]]:
    """Return the results of sixty searches of 32 trials, two workers each; about 6 s."""
    folder = tmp_path_factory.mktemp("sixty")
    return [list(replay.search(in_memory(folder, seed), replay.recorded())) for seed in range(60)]


def test_a_search_finds_for_its_epochs_what_random_search_in_full_does_not(sixty: list[list[Event]]) -> None:
    """On the mean of sixty seeds: what is handed over is at most 1.45 times the best recorded, for 46 % of the epochs.

    Measured over the seeds 1000 to 1399: 1.31 times, deviation 0.20, for 39.8 %, deviation 9.3 %. A mean of sixty drawn
    from those is above 1.420 or 45.0 % once in 100,000, so that, whatever the versions of the libraries, this fails by
    chance less often. With the rule upside down it is 2.87 times, with a rule that throws dice 2.30.
    """
    full = np.sort(replay.recorded().loss.min(axis=1))
    handed = [min(events, key=lambda event: event.best).full for events in sixty]
    share = np.mean([len(events) for events in sixty]) / (TRIALS * 30)
    assert np.mean(handed) / full[0] <= 1.45
    assert share <= 0.46
    alike = round(TRIALS * share)  # trials in full for the same epochs; of so many, the best of the table's rows
    draws = np.random.default_rng(0).permuted(np.tile(full, (20_000, 1)), axis=1)[:, :alike]
    assert np.mean(handed) < draws.min(axis=1).mean()


def test_the_later_proposals_are_good_ones(sixty: list[list[Event]]) -> None:
    """On the mean of sixty seeds 82 % of the last sixteen proposals are in the better half of the table.

    Measured over the seeds 1000 to 1399: 90 %, deviation 12 %. A mean of sixty drawn from those is below 82.1 % once in
    100,000. Of random proposals 45 % are, of those of a sampler that is told the opposite direction 74 %.
    """
    median = float(np.median(replay.recorded().loss.min(axis=1)))
    late = [{event.trial: event.full <= median for event in events if event.trial >= 16} for events in sixty]
    assert np.mean([np.mean(list(each.values())) for each in late]) >= 0.82

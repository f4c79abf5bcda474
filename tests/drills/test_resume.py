"""A study goes on after anything: killed writers, cut journals, locks left behind, more trials asked for."""

import importlib
import json
import os
import random
import re
import shutil
import signal
import socket
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from search import cli, continuation, session, study
from search.algorithms.proposals import ask
from search.analysis import tables
from search.errors import UserError
from search.journal import records
from search.journal.trial import Ending, Trial
from search.request import Asked
from search.retraining import finalists
from search.run import main, run
from search.spec.config import StudyConfig
from search.spec.fit import Fit
from search.spec.workload import load
from search.study import Study
from search.tune.searcher import OptunaSearcher
from search.tune.trainable import TRIAL
from search.tune.tuner import Scheduler
from search.worker.training import Training
from tests import studies, toy
from tests.programs import TOY, begin, resume, search, until, until_gone, write
from tests.shared import Finished
from tests.studies import judge, new

FINISHED = (1, 2, 3)
"""Optuna's numbers for COMPLETE, PRUNED and FAIL."""


def told(trials: list[Trial]) -> list[tuple[Any, ...]]:
    """Return what a study says of its trials, without clock times."""
    return [(trial.number, trial.ending, trial.params, [row["loss"] for row in trial.epochs]) for trial in trials]


def check_the_journal(made: Study) -> None:
    """Every trial finished once, in the search and in retrainings that finished, and nothing written after that."""
    finished: Counter[int] = Counter()
    created = 0
    for line in (made.folder / "journal.log").read_bytes().splitlines():
        record = json.loads(line)
        if record["op_code"] == 4:
            created += 1
        if "trial_id" in record:
            assert not finished[record["trial_id"]], record
            finished[record["trial_id"]] += record["op_code"] == 6 and record["state"] in FINISHED
    assert set(finished.values()) <= {0, 1}
    assert sum(finished.values()) >= len(made.trials())


def check_what_was_trained(trials: list[Trial]) -> None:
    for trial in trials:
        config = toy.Config(**trial.params)
        assert [row["loss"] for row in trial.epochs] == [toy.loss(config, at + 1) for at in range(len(trial.epochs))]
        assert (trial.ending, len(trial.epochs)) in [("complete", 9), ("stopped", 1), ("stopped", 3)]


def check_what_is_derived(made: Study) -> None:
    trials = made.trials()
    for name, table in (("trials", tables.trials(trials)), ("curves", tables.curves(trials))):
        assert (made.folder / f"{name}.csv").read_text(encoding="utf-8") == tables.csv(table)
    found = made.outcome()
    assert found is not None
    assert found.winner is not None
    _, note = finalists.best_of(found, made.objective)
    assert note in (made.folder / "best.yaml").read_text(encoding="utf-8")


def count_records(made: Path) -> int:
    file = made / "journal.log"
    return file.read_bytes().count(b"\n") if file.exists() else 0


def drill(folder: Path, temporary: Path, kills: int, asked: int, moments: random.Random, *flags: object) -> Study:
    """Kill a search's process group so many times after random numbers of new records; let the last go to its end."""
    write(folder, {**TOY, "num_samples": asked})
    killed = 0
    while killed < kills:
        made = folder / "results" / "s"
        begins = ["--resume", made.relative_to(folder)] if made.exists() else ["--config", "search.yaml", "--name", "s"]
        wanted = count_records(made) + moments.randint(1, 25 * asked // kills)
        with begin(folder, *begins, *flags, TMPDIR=str(temporary)) as process:
            until(lambda: count_records(made) >= wanted or process.poll() is not None)  # noqa: B023  # called at once
            was_alive = process.poll() is None
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
        killed += was_alive
        if not was_alive:
            assert process.returncode == 0
            break
    left = study.load(folder / "results" / "s")
    ended = sum(trial.ending != "running" or trial.settled(9, left.objective) is not None for trial in left.trials())
    done = resume(folder, *flags, TMPDIR=str(temporary))
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"going on with tests.toy: {ended} of {asked} trials have ended" in done.stdout
    assert ("trained again from" in done.stdout) == (ended < len(left.trials()))
    until_gone(temporary)
    return study.load(folder / "results" / "s")


def test_a_search_killed_at_random_moments_ends_as_an_uninterrupted_one(tmp_path: Path, temporary: Path) -> None:
    """One trial at a time: the same configurations, endings and epochs, to the last digit."""
    one = ["--cpus-per-trial", os.cpu_count()]
    whole = search(tmp_path / "whole", TOY, *one)
    assert whole.returncode == 0, whole.stderr
    made = drill(tmp_path / "killed", temporary, 2, 12, random.Random(5), *one)
    assert told(made.trials()) == told(study.load(tmp_path / "whole" / "results" / "s").trials())
    check_the_journal(made)
    check_what_is_derived(made)


@pytest.mark.full
def test_a_search_killed_twenty_times_ends_with_the_asked_trials_each_finished_once(
    tmp_path: Path, temporary: Path
) -> None:
    made = drill(tmp_path, temporary, 20, 60, random.Random(7))
    assert [trial.number for trial in made.trials()] == list(range(60))
    check_what_was_trained(made.trials())
    check_the_journal(made)
    check_what_is_derived(made)


def test_a_finished_study_is_extended_and_says_that_the_test_part_was_seen(
    tmp_path: Path, toy_search: Finished
) -> None:
    shutil.copytree(toy_search.folder, tmp_path / "results" / "s")
    before = told(study.load(tmp_path / "results" / "s").trials())
    again = resume(tmp_path)
    assert again.returncode == 0, again.stderr
    assert "trial 0 complete" not in again.stdout
    assert "seed 4: complete" not in again.stdout
    more = resume(tmp_path, "--num-samples", 17)
    assert more.returncode == 0, more.stdout + more.stderr
    assert "going on with tests.toy: 14 of 17 trials have ended; up to 9 epochs, " in more.stdout
    assert "the test part has been looked at before" in more.stdout
    made = study.load(tmp_path / "results" / "s")
    assert made.config.num_samples == 17
    assert told(made.trials())[:14] == before
    assert len(made.trials()) == 17
    check_the_journal(made)
    check_what_is_derived(made)


def test_a_second_writer_is_refused_with_the_firsts_pid_and_host(
    tmp_path: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    lock = tmp_path / "results" / "s" / "writer.lock"
    config = write(tmp_path, {**TOY, "num_samples": 10_000})
    with begin(tmp_path, "--config", config, "--name", "s", TMPDIR=str(temporary)) as process:
        until(lambda: (lock.parent / "study.yaml").exists() and lock.stat().st_size)
        for flags in ([], ["--num-samples", "10001"]):
            assert main(["--resume", "results/s", *flags]) == 2
            errors = capsys.readouterr().err
            assert f"results/s is written by pid {process.pid} on {socket.gethostname()}" in errors
            assert errors.count("\n") == 1
        assert process.poll() is None
    until_gone(temporary)


# From here on Tune's part is played by hand, one trial at a time: the journal's every byte can then be tried.


def create(folder: Path, **change: Any) -> Study:
    config = {**TOY, "num_samples": 7, "name": "s", "output": str(folder), **change}
    return new(config)


def play(made: Study) -> list[Trial]:
    """Search to the end as Tune does, in this process."""
    searcher = OptunaSearcher(made, 0)
    rungs = judge(made.config.scheduler, made.epochs, made.config.mode, made.config.metric)
    for trial in made.trials():
        rungs.recall([trial])
    for at in range(100):
        asked = searcher.suggest(str(at))
        if asked == OptunaSearcher.FINISHED:
            return made.trials()
        train(searcher, rungs, str(at), asked)
        searcher.check()
    raise AssertionError("the search has no end")


def train(searcher: OptunaSearcher, rungs: Scheduler, name: str, asked: dict[str, Any]) -> None:
    told = asked[TRIAL]
    training = Training(told.order)
    while True:
        result = training.advance(told.rungs, seconds=0)
        if result["ended"] or not rungs.goes_on(told.number, result["epoch"], result["value"]):
            searcher.on_trial_complete(name, result)
            break
        searcher.on_trial_result(name, result)
    training.close()


def cuts(lines: list[bytes]) -> list[int]:
    """Return lengths of a journal that a writer may leave: each record cut before, in, and before its end of line."""
    found, at = [], 0
    for line in lines:
        found += [at, at + 1, at + len(line) // 2, at + len(line) - 1]
        at += len(line)
    return [*found, at]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[tuple[Any, ...]], int]:
    """Return a folder with a finished search, what it says, and the records that stood before the first trial."""
    folder = tmp_path_factory.mktemp("whole")
    made = create(folder)
    before = count_records(made.folder)
    return made.folder, told(play(made)), before


def cut_and_go_on(whole: tuple[Path, list[tuple[Any, ...]], int], length: int, folder: Path) -> None:
    source, expected, _ = whole
    shutil.copytree(source, folder)
    journal_file = folder / "journal.log"
    os.truncate(journal_file, length)
    (folder / "journal.log.lock").symlink_to(journal_file)
    (folder / "writer.lock").write_text("pid 1 on nowhere\n", encoding="utf-8")
    with ExitStack() as holding:
        made = study.open_to_write(folder, holding)
        assert told(play(made)) == expected
        check_the_journal(made)
    shutil.rmtree(folder)


def test_a_journal_cut_anywhere_in_a_record_goes_on_to_the_same_end(
    whole: tuple[Path, list[tuple[Any, ...]], int], tmp_path: Path
) -> None:
    """Every kind of record; the locks of the killed writer are still there."""
    lines = (whole[0] / "journal.log").read_bytes().splitlines(keepends=True)
    possible = [length for length in cuts(lines) if length >= sum(map(len, lines[: whole[2]]))]
    for length in random.Random(3).sample(possible, 40):
        cut_and_go_on(whole, length, tmp_path / "s")


def test_a_last_record_of_which_a_power_cut_left_zeros_is_cut_off(
    whole: tuple[Path, list[tuple[Any, ...]], int], tmp_path: Path
) -> None:
    """A file may have grown on the disk without what was written there."""
    source, expected, _ = whole
    lines = (source / "journal.log").read_bytes().splitlines(keepends=True)
    for kept in (0, 1, 20):
        shutil.copytree(source, tmp_path / "s")
        zeros = lines[-1][:kept] + bytes(len(lines[-1]) - kept - 1) + b"\n"
        (tmp_path / "s" / "journal.log").write_bytes(b"".join(lines[:-1]) + zeros)
        with ExitStack() as holding:
            assert told(play(study.open_to_write(tmp_path / "s", holding))) == expected
        shutil.rmtree(tmp_path / "s")


def damage(whole: tuple[Path, list[tuple[Any, ...]], int], at: int, folder: Path) -> bytes:
    """Make a copy of the study with a line of a merge at a place in the middle of its journal; return the journal."""
    shutil.copytree(whole[0], folder)
    lines = (folder / "journal.log").read_bytes().splitlines(keepends=True)
    damaged = b"".join([*lines[:at], b"<<<<<<< HEAD\n", *lines[at:]])
    (folder / "journal.log").write_bytes(damaged)
    return damaged


@pytest.mark.parametrize(
    "name", ["search.plot", "search.report", "search.watch", "search.retrain", "search.audit", "search.run"]
)
def test_every_command_names_the_line_of_a_journal_that_is_damaged(
    name: str, whole: tuple[Path, list[tuple[Any, ...]], int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    damaged = damage(whole, 20, tmp_path / "a b")
    command = importlib.import_module(name)
    assert command.main([*(["--resume"] if name == "search.run" else []), str(tmp_path / "a b")]) == 2
    errors = capsys.readouterr().err
    assert errors.startswith(f"error: every line of {tmp_path}/a b/journal.log must be a record, but line 21 is '<<<<")
    assert errors.endswith(
        f" of 7 trials (those of retrainings included): python -m search.run --resume '{tmp_path}/a b' --repair\n"
    )
    assert errors.count("\n") == 1
    assert (tmp_path / "a b" / "journal.log").read_bytes() == damaged
    with pytest.raises(UserError, match="but line 21 is '<<<<<<< HEAD'; mend it by hand"):
        study.load(tmp_path / "a b")


def test_a_study_goes_on_without_what_was_damaged_to_the_same_end(
    whole: tuple[Path, list[tuple[Any, ...]], int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    damaged = damage(whole, 40, tmp_path / "s")
    flags = cli.search_parser("search.run", "").parse_args(["--resume", str(tmp_path / "s"), "--repair"])
    with ExitStack() as holding:
        opened = session.begin(cli.asked(vars(flags)), holding, cli.Terminal(), str)
        assert f"line 41 of {tmp_path}/s/journal.log and all behind it are gone, " in capsys.readouterr().out
        assert (tmp_path / "s" / "journal.log.broken").read_bytes() == damaged
        assert len(opened.study.trials()) < 7
        assert told(play(opened.study)) == whole[1]
        check_the_journal(opened.study)


CUT_OFF = [
    ([], "searching tests.toy: 3 trials of up to 9 epochs, "),
    ([None], "0 of 3 trials have ended, 1 that was cut off is trained again from its first epoch; up to 9"),
    (
        ["complete", None, None],
        "1 of 3 trials have ended, 2 that were cut off are trained again from their first epoch; ",
    ),
    (["complete", "failed"], "going on with tests.toy: 2 of 3 trials have ended; up to 9 epochs, "),
]


@pytest.mark.parametrize(("endings", "line"), CUT_OFF)
def test_a_study_that_goes_on_says_how_far_it_is_and_what_is_trained_again(
    endings: list[Ending | None], line: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = studies.create(tmp_path, "s", num_samples=3)
    for ending in endings:
        studies.add(made, [3.0, 2.0], ending)
    assert line in announced(made, capsys)


def test_a_trial_of_which_all_was_recorded_when_it_was_cut_off_has_ended(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = studies.create(tmp_path, "s", num_samples=3)
    studies.add(made, [1.0] * 9, None)
    assert "tests.toy: 1 of 3 trials have ended; up to 9 epochs, " in announced(made, capsys)


def announced(made: Study, capsys: pytest.CaptureFixture[str]) -> str:
    """Return what a session that goes on with a study says first."""
    with ExitStack() as holding:
        opened = session.begin(Asked(None, resume=made.folder), holding, cli.Terminal(), str)
        opened.announce()
    return capsys.readouterr().out.splitlines()[-1]


def test_a_study_that_is_new_has_nothing_to_repair(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["--config", str(write(tmp_path, TOY)), "--repair"]) == 2
    assert "repair is for the journal of a study that goes on, but got a new one" in capsys.readouterr().err
    with pytest.raises(UserError, match="repair is for the journal of a study that goes on"):
        run(TOY, repair=True)
    assert not (tmp_path / "results").exists()


def test_a_line_that_was_torn_is_named_to_who_only_reads_and_cut_off_by_who_writes(
    whole: tuple[Path, list[tuple[Any, ...]], int], tmp_path: Path
) -> None:
    shutil.copytree(whole[0], tmp_path / "s")
    lines = (tmp_path / "s" / "journal.log").read_bytes().splitlines(keepends=True)
    torn = [*lines[:-2], bytes(len(lines[-2]) - 1) + b"\n", lines[-1]]
    (tmp_path / "s" / "journal.log").write_bytes(b"".join(torn))
    with pytest.raises(
        UserError, match=rf"but line {len(lines) - 1} is .*; python -m search.run --resume .*/s cuts off"
    ):
        study.load(tmp_path / "s")
    with ExitStack() as holding:
        assert len(study.open_to_write(tmp_path / "s", holding).trials()) == 7


@pytest.mark.full
def test_a_journal_cut_at_every_record_goes_on_to_the_same_end(
    whole: tuple[Path, list[tuple[Any, ...]], int], tmp_path: Path
) -> None:
    lines = (whole[0] / "journal.log").read_bytes().splitlines(keepends=True)
    for length in cuts(lines):
        if length >= sum(map(len, lines[: whole[2]])):
            cut_and_go_on(whole, length, tmp_path / "s")


def test_a_trial_whose_epochs_are_all_recorded_is_closed_and_not_trained_again(tmp_path: Path) -> None:
    made = create(tmp_path, num_samples=1)
    play(made)
    lines = (made.folder / "journal.log").read_bytes().splitlines(keepends=True)
    (made.folder / "journal.log").write_bytes(b"".join(lines[:-1]))
    assert json.loads(lines[-1])["op_code"] == 6
    again = study.load(made.folder)
    assert [trial.ending for trial in again.trials()] == ["running"]
    assert OptunaSearcher(again, 0).is_done
    assert [(trial.ending, len(trial.epochs)) for trial in again.trials()] == [("complete", 9)]


def test_the_epochs_of_a_lost_process_are_written_over_by_the_next(tmp_path: Path) -> None:
    made = create(tmp_path, num_samples=1, scheduler=None)
    trial = records.OpenTrial(made.search, ask(made.search, made.space))
    for epoch in (1, 2, 3):
        trial.add(epoch, {"loss": 5.0}, 5.0)
    trial.lose()
    trial.add(1, {"loss": 4.0}, 4.0)
    trial.add(2, {"loss": 3.0}, 3.0)
    trial.end("complete")
    (read,) = made.trials()
    assert [row["loss"] for row in read.epochs] == [4.0, 3.0]
    assert (read.value, read.attributes["lost"]) == (3.0, 1)


@pytest.mark.parametrize(
    ("change", "difference"),
    [
        ({"workload": "tests.dirty"}, "workload was 'tests.toy' and is 'tests.dirty'"),
        ({"metric": "depth", "mode": "min"}, "metric was 'loss' and is 'depth'"),
        ({"mode": "max"}, "mode was 'min' and is 'max'"),
        ({"seed": 3}, "seed was 0 and is 3"),
        ({"fixed": {"limit": 1.0}}, "fixed.limit is new: 1.0"),
        ({"fixed": {"epochs": 4}}, "epochs was 9 and is 4"),
        ({"start": [{"x": 1.0}]}, "start was [] and is [{'x': 1.0}]"),
        ({"try_defaults": True}, "try_defaults was False and is True"),
        ({"num_samples": 6}, "num_samples must be at least the 7 trials of the study, but got 6"),
    ],
)
def test_what_would_make_the_history_meaningless_is_refused_with_the_difference(
    change: dict[str, Any], difference: str, whole: tuple[Path, list[tuple[Any, ...]], int]
) -> None:
    made = study.load(whole[0])
    before = (whole[0] / "journal.log").read_bytes()
    values = {**TOY, "num_samples": 7, "space": {"x": TOY["space"]["x"]} if "workload" in change else TOY["space"]}
    config = StudyConfig.of({**values, **change})
    workload = load(config.workload)
    with pytest.raises(ValueError, match=re.escape(difference)):
        continuation.continued(made, config, Fit(config, workload).epochs, workload.defaults())
    assert (whole[0] / "journal.log").read_bytes() == before


def test_a_change_of_the_workloads_own_defaults_is_refused(
    whole: tuple[Path, list[tuple[Any, ...]], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = study.load(whole[0])
    workload = load("tests.toy")
    monkeypatch.setattr(type(workload), "defaults", lambda self: {**made.defaults, "limit": 2.0})
    with pytest.raises(ValueError, match=r"defaults\.limit was -1000000000\.0 and is 2\.0"):
        continuation.continued(made, made.config, made.epochs, workload.defaults())

"""What early stopping cost, and whether a trial trained again gives the same numbers."""

import itertools
import math
import random
import shutil
from pathlib import Path
from typing import Any

import optuna
import pandas as pd
import pytest

from heart.config import Config
from heart.train import train
from search import audit, study
from search.analysis.tables import audit as tabulate
from search.analysis.tables import correlations, pairs
from search.analysis.tables import true_best as best
from search.audit import remaining
from search.cli import Terminal
from search.journal.records import OpenTrial
from search.journal.trial import Ending
from search.study import AUDIT, Study
from search.tune import cluster
from search.tune.resources import Node
from search.views import rungs
from tests import toy
from tests.programs import HEART, search, start
from tests.studies import new

X = {"distribution": "uniform", "low": -5, "high": 5}
FAULT = {"distribution": "choice", "values": ["", "raise", "nan"]}


def create(folder: Path, **change: Any) -> Study:
    """Return an empty study of the toy, of 4 epochs with rungs at 1 and 2."""
    values = {"workload": "tests.toy", "metric": "loss", "space": {"x": X, "fault": FAULT}, "fixed": {"epochs": 4}}
    halving = {"scheduler": {"grace_period": 1, "reduction_factor": 2}}
    return new({**values, **halving, "name": "s", "output": str(folder), **change})


def record(
    made: Study, losses: list[float], ending: Ending | None, into: optuna.Study | None = None, **notes: Any
) -> None:
    """Write a trial of the search with these losses, or of an audit; None leaves it open."""
    writer = into or made.search
    trial = OpenTrial(writer, writer.ask(fixed_distributions=None if into else dict(made.space)))
    for name, value in notes.items():
        trial.note(name, value)
    bests = made.objective.running_best(losses)
    for epoch, (loss, front) in enumerate(zip(losses, bests, strict=True), 1):
        trial.add(epoch, {"loss": loss, "epoch_seen": epoch, "elapsed_s": random.random()}, front)
    if ending:
        trial.end(ending)


@pytest.fixture
def made(tmp_path: Path) -> Study:
    """Return a study of which every trial has a full curve; the final values are 4, 3, 2, 1."""
    made = create(tmp_path)
    record(made, [5.0, 5.0, 4.0, 6.0], "complete")
    record(made, [6.0, 5.0, 5.0, 3.0], "complete")
    record(made, [7.0], "stopped")
    record(made, [8.0, 4.5], "stopped")
    first, second = made.add(AUDIT), made.add(AUDIT)
    record(made, [7.0, 6.0], None, first, trial=2)
    record(made, [8.0, 4.5, 9.0, 1.0], "complete", first, trial=3)
    record(made, [7.0, 6.0, 7.0, 2.0], "complete", second, trial=2)
    return made


def test_the_table_has_the_best_so_far_at_every_rung_and_the_final_order(made: Study) -> None:
    table = tabulate(made.snapshot(), pairs(made.snapshot()))
    columns = ["trial", "state", "epochs", "rung_1", "rung_2", "final_value", "final_rank", "repeats"]
    assert list(table.columns) == columns
    assert table["state"].to_list() == ["complete", "complete", "stopped", "stopped"]
    assert table["epochs"].to_list() == [4, 4, 1, 2]
    assert table["rung_1"].to_list() == [5.0, 6.0, 7.0, 8.0]
    assert table["rung_2"].to_list() == [5.0, 5.0, 6.0, 4.5]
    assert table["final_value"].to_list() == [4.0, 3.0, 2.0, 1.0]
    assert table["final_rank"].to_list() == [4, 3, 2, 1]
    assert table["repeats"].to_list() == [pd.NA, pd.NA, True, True]


def test_the_rank_correlation_is_the_one_counted_by_hand(made: Study) -> None:
    """At rung 2 the ranks are 2.5, 2.5, 4, 1 against 4, 3, 2, 1: covariance 1.5 over √(4.5 · 5)."""
    found = correlations(tabulate(made.snapshot(), pairs(made.snapshot())))
    assert found == {1: pytest.approx(-1.0), 2: pytest.approx(1.5 / math.sqrt(22.5))}


def test_without_ties_the_rank_correlation_is_spearmans_formula() -> None:
    for ranks in itertools.permutations(range(5)):
        table = pd.DataFrame({"rung_3": [math.exp(rank) for rank in ranks], "final_value": range(5)})
        squares = sum((rank - at) ** 2 for at, rank in enumerate(ranks))
        assert correlations(table) == {3: pytest.approx(1 - 6 * squares / (5 * 24))}


@pytest.mark.parametrize("values", [[], [1.0], [2.0, 2.0, 2.0]])
def test_where_nothing_can_be_ordered_the_rank_correlation_is_unknown(values: list[float]) -> None:
    table = pd.DataFrame({"rung_3": values, "final_value": values}, dtype=float)
    assert math.isnan(correlations(table)[3])


def told(made: Study, capsys: pytest.CaptureFixture[str]) -> str:
    assert audit.show(Terminal(), made) == 0
    return capsys.readouterr().out


def test_a_true_best_that_was_stopped_is_told_with_what_that_cost(
    made: Study, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = told(made, capsys).splitlines()
    assert lines[0] == "the true best of s is trial 3, loss 1, which was stopped at epoch 2"
    assert lines[1] == "the best that was not is trial 1, 3: 2 worse"
    assert lines[2].split("  ")[-1] == "rank correlation with the final order of 4 trials"
    assert [line.split() for line in lines[3:5]] == [["epoch", "1", "1", "-1.000"], ["epoch", "2", "1", "0.316"]]
    assert lines[5] == "11 of 16 epochs trained in the search, stopping early saved 31%; the audit trained 8"
    assert lines[6] == "2 of 2 trained again repeat their epochs to the last bit"
    assert len(lines) == 8


def test_in_mode_max_the_greatest_is_the_true_best(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = create(tmp_path, mode="max")
    record(made, [3.0, 1.0, 2.0, 4.0], "complete")
    record(made, [2.0], "stopped")
    record(made, [2.0, 1.0, 1.0, 1.0], "complete", made.add(AUDIT), trial=1)
    table = tabulate(made.snapshot(), pairs(made.snapshot()))
    assert table["rung_2"].to_list() == [3.0, 2.0]
    assert table["final_rank"].to_list() == [1, 2]
    assert correlations(table) == {1: pytest.approx(1.0), 2: pytest.approx(1.0)}
    assert told(made, capsys).startswith("the true best of s is trial 0, loss 4, which was not stopped\nrung")
    record(made, [1.0], "stopped")
    record(made, [1.0, 6.0], "complete", made.add(AUDIT), trial=2)
    lines = told(made, capsys).splitlines()
    assert lines[0] == "the true best of s is trial 2, loss 6, which was stopped at epoch 1"
    assert lines[1] == "the best that was not is trial 0, 4: 2 worse"


def test_of_two_equal_ones_the_true_best_is_the_one_that_was_not_stopped(tmp_path: Path) -> None:
    made = create(tmp_path)
    record(made, [2.0], "stopped")
    record(made, [1.0] * 4, "complete")
    record(made, [2.0, 1.0, 1.0, 1.0], "complete", made.add(AUDIT), trial=0)
    table = tabulate(made.snapshot(), pairs(made.snapshot()))
    first = best(table, "complete", "stopped")
    assert first is not None
    assert first["trial"] == 1
    assert table["final_rank"].to_list() == [1, 1]


def test_a_trial_without_a_full_finite_curve_has_no_final_value_and_is_in_no_order(tmp_path: Path) -> None:
    made = create(tmp_path)
    record(made, [3.0, 2.0, 2.0, 2.0], "complete")
    record(made, [4.0], "complete")  # ended by itself
    record(made, [1.0, 1.0, math.nan], "diverged")
    record(made, [5.0], "failed")
    record(made, [0.5, 0.5, 0.5], None)
    for loss in (7.0, 8.0, 9.0):
        record(made, [loss], "stopped")
    runs = made.add(AUDIT)
    record(made, [7.0, 6.0, math.nan], "diverged", runs, trial=5)
    record(made, [8.0, 7.0], "failed", runs, trial=6, failure="broke")
    record(made, [9.0, 8.0, 8.0], None, runs, trial=7)
    table = tabulate(made.snapshot(), pairs(made.snapshot()))
    assert table["final_value"].dropna().to_dict() == {0: 2.0, 1: 4.0}
    assert table["rung_1"].to_list() == [3.0, 4.0, 1.0, 5.0, 0.5, 7.0, 8.0, 9.0]
    assert table["rung_2"].dropna().to_dict() == {0: 2.0, 1: 4.0, 2: 1.0, 4: 0.5}
    assert table["repeats"].dropna().to_dict() == {5: True}
    assert correlations(table) == {1: pytest.approx(1.0), 2: pytest.approx(1.0)}


def test_only_a_stopped_trial_is_trained_and_only_until_it_has_ended_once(made: Study) -> None:
    assert remaining(made) == []
    for ending in ("diverged", "failed", None, "stopped"):
        record(made, [1.0], ending)
    assert [trial.number for trial in remaining(made)] == [7]
    record(made, [1.0, 2.0], None, made.add(AUDIT), trial=7)
    made.add(AUDIT).ask()  # killed before it could say of which trial it is
    assert [trial.number for trial in remaining(made)] == [7]
    record(made, [1.0, 2.0], "failed", made.add(AUDIT), trial=7, failure="broke")
    assert remaining(made) == []


NEAR = math.nextafter(2.0, 3.0)


@pytest.mark.parametrize(
    ("then", "now", "difference"),
    [
        ([2.0, math.nan], [2.0, math.nan, 1.0], None),
        ([1.0, 2.0], [1.0, NEAR, 1.0], f"epoch 2, loss 2.0 then, {NEAR!r} now"),
        ([0.0], [-0.0], "epoch 1, loss 0.0 then, -0.0 now"),
        ([1.0, 2.0], [1.0], "epoch 2, loss 2.0 then, None now"),
    ],
)
def test_a_run_repeats_its_trial_where_no_bit_differs_but_those_of_the_seconds(
    then: list[float], now: list[float], difference: str | None, tmp_path: Path
) -> None:
    made = create(tmp_path)
    record(made, then, "stopped")
    record(made, now, "complete", made.add(AUDIT), trial=0)
    (pair,) = pairs(made.snapshot())
    assert pair.difference("loss") == difference


def test_many_that_differ_are_a_few_lines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = create(tmp_path)
    runs = made.add(AUDIT)
    for number in range(8):
        record(made, [1.0], "stopped")
        record(made, [2.0] * 4, "complete", runs, trial=number)
    lines = told(made, capsys).splitlines()
    at = lines.index(
        "0 of 8 trained again repeat their epochs to the last bit; on another machine or a GPU the others may differ:"
    )
    assert lines[at + 1] == "  trial 0: epoch 1, loss 1.0 then, 2.0 now"
    assert lines[at + 6] == "  and trials 5, 6, 7"
    assert "no trial was trained to its end in the search" in lines


def test_the_table_and_the_picture_are_derived_from_the_journal(
    made: Study, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.rmtree(made.folder / "plots")
    first = told(made, capsys)
    picture = made.folder / "plots" / "audit.png"
    assert picture.read_bytes().startswith(b"\x89PNG")
    written = pd.read_csv(made.folder / "audit.csv", dtype={"final_rank": "Int64", "repeats": "boolean"})
    pd.testing.assert_frame_equal(
        written, tabulate(made.snapshot(), pairs(made.snapshot())), check_exact=True, check_dtype=False
    )
    assert told(study.load(made.folder), capsys) == first


def test_the_picture_shows_every_final_value_at_every_rung(made: Study) -> None:
    table = tabulate(made.snapshot(), pairs(made.snapshot()))
    left, right = rungs.audit(made.snapshot(), table).get_axes()
    for axes, rung in ((left, "rung_1"), (right, "rung_2")):
        shown = [tuple(point) for drawn in axes.collections for point in drawn.get_offsets().tolist()]  # type: ignore[union-attr]
        points = list(zip(table[rung], table["final_value"], strict=True))
        assert sorted(shown) == sorted([*points, points[3]])  # the true best has a ring


def test_a_study_in_which_no_run_has_ended_well_can_still_be_told_of(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = create(tmp_path)
    record(made, [math.nan], "diverged")
    record(made, [1.0], "stopped")
    record(made, [1.0, math.nan], "diverged", made.add(AUDIT), trial=1)
    text = told(made, capsys)
    assert "the true best" not in text
    assert "trained again, and without a final value: 1\n  trial 1: diverged at epoch 2\n" in text


def test_rungs_of_an_earlier_scheduler_are_those_at_which_trials_were_stopped(tmp_path: Path) -> None:
    made = create(tmp_path, scheduler=None)
    record(made, [1.0, 1.0, 1.0], "stopped")
    record(made, [2.0] * 4, "complete")
    assert list(correlations(tabulate(made.snapshot(), pairs(made.snapshot())))) == [3]


def refuse(address: str | None) -> list[Node]:
    raise AssertionError("no Ray is needed")


def test_where_nothing_was_stopped_it_says_so_and_starts_no_ray(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "nodes", refuse)
    made = create(tmp_path, scheduler=None)
    record(made, [1.0] * 4, "complete")
    assert audit.main([str(made.folder)]) == 0
    assert capsys.readouterr().out == "no trial of s was stopped early: there is nothing to audit\n"
    record(made, [1.0], None)
    assert audit.main([str(made.folder)]) == 0
    assert capsys.readouterr().out.startswith(
        "cut off in the search, and left out here: 1 trial; go on with it first: "
    )
    assert not (made.folder / "audit.csv").exists()


def test_a_folder_that_is_no_study_is_one_line_and_exit_code_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert audit.main([str(tmp_path)]) == 2
    assert capsys.readouterr().err == f"error: a study is a folder with a journal.log, but {tmp_path} has none\n"


def of_the_toy(made: Study, x: float, fault: str, ended: int, ending: Ending | None) -> None:
    made.search.enqueue_trial({"x": x, "fault": fault})
    config = toy.Config(x=x, epochs=4, seed=3)
    record(made, [toy.loss(config, epoch) for epoch in range(1, ended + 1)], ending)


def test_what_was_stopped_is_trained_to_its_end_and_never_twice(tmp_path: Path) -> None:
    """The toy reaches (x - 1)² + 0.1 + 0.003 times 1 + 1/4 at its end; trial 3's record is not the toy's own."""
    made = create(tmp_path, seed=3)
    of_the_toy(made, 3.0, "", 4, "complete")
    of_the_toy(made, 1.0, "", 1, "stopped")
    of_the_toy(made, -4.0, "", 2, "stopped")
    made.search.enqueue_trial({"x": 2.0, "fault": ""})
    record(made, [0.25], "stopped")
    of_the_toy(made, 4.0, "raise", 1, "stopped")
    of_the_toy(made, 5.0, "nan", 2, "stopped")
    of_the_toy(made, 0.0, "raise", 1, "failed")
    of_the_toy(made, 0.0, "", 2, None)
    record(made, [0.0], None, made.add(AUDIT), trial=1)

    done = start("search.audit", "s", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    again = "go on with it first: python -m search.run --resume s"
    lines = done.stdout.splitlines()
    assert lines[0].startswith("training the stopped trials of s to their end: 5, ")
    assert all(line.startswith("  trial ") for line in lines[1:6])
    assert f"  trial 1: complete, best loss {0.103 * 1.25:.5g}  [" in done.stdout
    assert lines[6:9] == [
        f"cut off in the search, and left out here: 1 trial; {again}",
        "the true best of s is trial 1, loss 0.12875, which was stopped at epoch 1",
        f"the best that was not is trial 0, {toy.loss(toy.Config(x=3.0, seed=3), 4):.5g}: 5 worse",
    ]
    assert lines[12:] == [
        "14 of 32 epochs trained in the search, stopping early saved 41%; the audit trained 17",
        "3 of 4 trained again repeat their epochs to the last bit; on another machine or a GPU the others may differ:",
        f"  trial 3: epoch 1, loss 0.25 then, {toy.loss(toy.Config(x=2.0, seed=3), 1)!r} now",
        "trained again, and without a final value: 2",
        "  trial 4: RuntimeError: the toy broke",
        "  trial 5: diverged at epoch 4",
        "every trial is in s/audit.csv, the rungs against the end in s/plots/audit.png",
    ]
    table = pd.read_csv(made.folder / "audit.csv").set_index("trial")
    finals = {number: ((x - 1) ** 2 + 0.103) * 1.25 for number, x in enumerate((3.0, 1.0, -4.0, 2.0))}
    assert table["final_value"].dropna().to_dict() == pytest.approx(finals)
    assert table["final_rank"].dropna().to_dict() == {0: 3, 1: 1, 2: 4, 3: 2}

    journal_before = (made.folder / "journal.log").read_bytes()
    second = start("search.audit", "s", cwd=tmp_path)
    assert second.returncode == 0, second.stderr
    assert second.stdout.splitlines() == lines[6:]
    assert (made.folder / "journal.log").read_bytes() == journal_before


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """Return a real search of the heart, in which trials were stopped."""
    cwd = tmp_path_factory.mktemp("searched")
    halving = {"scheduler": {"grace_period": 1, "reduction_factor": 2}, "num_samples": 10, "seeds": 1}
    done = search(cwd, {**HEART, **halving})
    assert done.returncode == 0, done.stdout + done.stderr
    return study.load(cwd / "results" / "s")


@pytest.mark.parametrize("ending", ["complete", "stopped"])
@pytest.mark.parametrize("seed", [0, 1])
def test_a_trial_trained_alone_and_outside_ray_gives_the_same_curve_to_the_last_bit(
    ending: str, seed: int, searched: Study
) -> None:
    trial = random.Random(seed).choice([trial for trial in searched.trials() if trial.ending == ending])
    values = {**searched.config.fixed, **trial.params, "seed": searched.config.seed}
    alone = [metrics for metrics, _ in itertools.islice(train(Config(**values, device="cpu")), len(trial.epochs))]
    recorded = [{name: value for name, value in row.items() if name != "elapsed_s"} for row in trial.epochs]
    assert recorded == alone
    assert set(recorded[0]) == {"train_loss", "val_loss", "val_accuracy"}

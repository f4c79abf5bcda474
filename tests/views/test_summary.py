"""What a person is told at the end of a search: of one that nothing won the rule, what happened, and what to do."""

import io
import math
import re
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from search import best_file, retrain
from search.journal.outcome import MAY_WIN, REFERENCE
from search.journal.trial import Ending
from search.retraining import finalists
from search.study import RETRAINING, Study
from search.views import no_winner, summary
from search.views.comparison import compare
from search.views.page import answers, page, rows
from tests import studies

DIVERGED = [1.0, math.nan]
ELSEWHERE = "search another space (of a learning rate, for one, lower values)"
FINITE = "a winner must train with a finite loss"
ENDINGS: dict[str, Ending] = {"c": "complete", "d": "diverged", "f": "failed"}
Told = list[tuple[list[float], Ending | None]]


def create(folder: Path, trials: Told, asked: int = 0) -> Study:
    """Return a study with trials of these values and endings, of a search for as many or for more."""
    made = studies.create(folder, "s", num_samples=asked or len(trials))
    for values, ending in trials:
        studies.add(made, values, ending, failure="boom" if ending == "failed" else "")
    return made


def retrained(folder: Path, endings: dict[str, str], *, may_win: bool = False) -> Study:
    """Return a study whose retraining has ended: by candidate the initial of its ending for each seed."""
    made = create(folder, [([2.0, 1.0], "complete")] * 9)
    retraining = made.add(RETRAINING, jobs=[], **{MAY_WIN: may_win})
    for candidate, seeds in endings.items():
        for seed, initial in enumerate(seeds, 1):
            notes = {"candidate": candidate, "config": {**made.defaults, **made.trials()[0].params, "seed": seed}}
            studies.run(made, retraining, notes, [1.0] if initial == "c" else [math.nan], ENDINGS[initial])
    best_file.finish(made, retraining, None)
    return made


def shown(made: Study) -> tuple[int, list[str]]:
    """Return the exit code of the summary, and its lines."""
    written = io.StringIO()
    console = Console(file=written, width=300, highlight=False, soft_wrap=True, markup=False)
    code = summary.show(console, made.snapshot(), True, made.folder / "best.yaml")
    return code, written.getvalue().splitlines()


@pytest.mark.parametrize(
    ("trials", "why"),
    [
        ([(DIVERGED, "diverged")] * 3, f"{FINITE}, but of 3 trials 3 diverged, at epoch 2; {ELSEWHERE}"),
        (
            [([math.nan], "diverged"), (DIVERGED, "diverged")],
            f"{FINITE}, but of 2 trials 2 diverged, at epochs 1 to 2; {ELSEWHERE}",
        ),
        ([([], "failed")], f"{FINITE}, but of 1 trial 1 failed; mend what failed"),
        (
            [(DIVERGED, "diverged"), ([3.0], "failed"), (DIVERGED, "diverged")],
            f"{FINITE}, but of 3 trials 1 failed and 2 diverged, at epoch 2; mend what failed, and {ELSEWHERE}",
        ),
    ],
)
def test_where_no_trial_can_win_it_is_told_how_they_ended(trials: Told, why: str, tmp_path: Path) -> None:
    made = create(tmp_path, trials)
    code, lines = shown(made)
    assert code == 1
    assert f"no winner: {why}" in lines
    assert ("trial 1 failed: boom" in lines) == (len(trials) == 3 and trials[1][1] == "failed")
    snapshot = made.snapshot()
    won, trust, *_ = answers.cards(snapshot, [])
    assert won.lines == ["nothing", why]
    assert trust.lines[0] == "no"
    assert answers.progress(snapshot).endswith("of which none can win.")
    assert "retrain" not in " ".join([*won.lines, *trust.lines])
    assert "No trial may win." in page.render(snapshot).decode()


def test_where_the_search_has_not_ended_it_is_told_to_go_on(tmp_path: Path) -> None:
    begun: dict[str, Told] = {"none": [], "some": [(DIVERGED, "diverged"), ([1.0], None)]}
    for name, trials in begun.items():
        made = create(tmp_path / name, trials, asked=5)
        code, lines = shown(made)
        assert code == 1
        assert f"no winner: {FINITE}, but no trial has ended so yet; go on with --resume" in lines
        assert answers.cards(made.snapshot(), [])[0].lines[0] == "nothing yet"


@pytest.mark.parametrize(
    ("endings", "why"),
    [
        (
            {"trial 2": "cd", "trial 0": "dd", "reference": "cc"},
            "of trial 2 1 of 2 seeds diverged, of trial 0 2 of 2 seeds diverged; "
            "keep the space away from where they diverge, or retrain more finalists",
        ),
        (
            {"trial 1": "f"},
            "of trial 1 1 of 1 seed failed; mend what failed (see logs/retraining.log), or retrain more finalists",
        ),
        (
            {"trial 1": "cfd", "trial 2": "ccd", "trial 3": "ddd", "trial 4": "ccf", "trial 5": "ddc"},
            "of trial 1 1 of 3 seeds failed, 1 of 3 seeds diverged, of trial 2 1 of 3 seeds diverged, "
            "of trial 3 3 of 3 seeds diverged, 2 more are like them; mend what failed (see logs/retraining.log), "
            "or keep the space away from where they diverge, or retrain more finalists",
        ),
    ],
)
def test_where_no_finalist_held_it_is_told_what_became_of_their_seeds(
    endings: dict[str, str], why: str, tmp_path: Path
) -> None:
    made = retrained(tmp_path, endings)
    code, lines = shown(made)
    assert code == 1
    whole = f"a winner must train to its end with every seed, but {why}"
    assert f"no winner: {whole}" in lines
    assert answers.cards(made.snapshot(), [])[0].lines == ["nothing", whole]


def test_more_finalists_are_advised_only_where_there_are_more(tmp_path: Path) -> None:
    made = retrained(tmp_path, {f"trial {number}": "d" for number in range(9)})
    assert no_winner.why(made.snapshot()).endswith("6 more are like them; keep the space away from where they diverge")


def test_where_the_retraining_was_cut_short_the_report_says_how_to_go_on(tmp_path: Path) -> None:
    made = create(tmp_path, [([2.0, 1.0], "complete")] * 4)
    made.add(RETRAINING, jobs=[])
    assert answers.progress(made.snapshot()) == "4 trials, not retrained to the end yet: --resume does that."
    assert "no winner: a winner must be retrained, but no retraining has ended; go on with --resume" in shown(made)[1]


def test_where_there_is_nothing_to_retrain_no_ray_is_started_for_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = create(tmp_path, [(DIVERGED, "diverged")] * 2)
    assert retrain.main([str(made.folder)]) == 1
    printed = capsys.readouterr()
    assert f"no winner: {FINITE}, but of 2 trials 2 diverged, at epoch 2; {ELSEWHERE}\n" in printed.out
    assert "the report is of before" not in printed.out
    assert printed.err == ""
    assert made.others(RETRAINING) == []
    assert not (made.logs / "ray.log").exists()


def judged(folder: Path, values: dict[str, list[float]], tests: dict[str, list[float]], **settings: Any) -> Study:
    """Return a study of the toy, trial 0 of which is the defaults, retrained with these values by candidate."""
    made = studies.create(folder, "s", num_samples=3, **settings)
    made.search.enqueue_trial({"x": 0.0, "y": 0.0})
    for depth in (1.0, 2.0, 3.0):
        studies.add(made, studies.curve(depth, 9), "complete")
    studies.retrain(made, values, tests, "test_loss")
    return made


def test_where_the_defaults_win_the_summary_says_so_and_shows_the_best_trial_beside_them(tmp_path: Path) -> None:
    values = {"trial 1": [2.0, 2.1], "trial 2": [3.0, 3.1], REFERENCE: [1.0, 1.1]}
    made = judged(tmp_path, values, {"trial 1": [2.0, 2.0], REFERENCE: [1.0, 1.0]})
    code, lines = shown(made)
    assert code == 0
    assert lines[1] == "the defaults win in s: no trial was better over 2 seeds"
    table = [line.split() for line in lines[2:7]]
    assert table[0] == ["defaults", "trial", "1"]
    assert [row[:2] for row in table[1:]] == [["x", "0"], ["y", "0"], ["loss", "1.05000"], ["test_loss", "1.00000"]]
    assert not any("better than the winner" in line or "do not tell" in line for line in lines)
    snapshot = made.snapshot()
    assert snapshot.front is snapshot.winning_trial is snapshot.trials[0]
    assert compare(snapshot).title == "The defaults, which win, beside the best trial"


def test_where_the_defaults_win_within_the_noise_the_summary_says_that_too(tmp_path: Path) -> None:
    _, lines = shown(judged(tmp_path, {"trial 1": [2.0, 1.0], REFERENCE: [1.9, 1.0]}, {}))
    assert "the seeds do not tell trial 1 from them: more seeds would" in lines


def test_a_single_seed_is_one_seed(tmp_path: Path) -> None:
    _, lines = shown(judged(tmp_path, {"trial 1": [1.0], REFERENCE: [2.0]}, {}))
    assert lines[1] == "the winner is trial 1 of s, by its mean over 1 seed"


def raced(folder: Path, choosing: dict[str, float], judging: dict[str, list[float]]) -> Study:
    """Return a study of three trials and a race between them."""
    made = create(folder, [([depth], "complete") for depth in (1.0, 2.0, 3.0)])
    studies.race(made, choosing, judging)
    return made


def test_of_a_race_it_is_told_which_seed_chose_and_which_judged_and_a_single_value_has_no_deviation(
    tmp_path: Path,
) -> None:
    judging = {"trial 2": [1.0, 1.1, 1.2], REFERENCE: [2.0, 2.1, 2.2]}
    made = raced(tmp_path, {"trial 2": 0.5, "trial 1": 0.6, "trial 0": 1.9}, judging)
    _, lines = shown(made)
    assert lines[1] == "the winner is trial 2 of s, chosen among 3 by seed 1, judged on seeds 2 to 4"
    snapshot = made.snapshot()
    lead, trust, *_ = answers.cards(snapshot, [])
    told = ["trial 2", "loss 1.10000 ± 0.10000 over 3 seeds", "chosen among 3 by seed 1, judged on seeds 2 to 4"]
    assert lead.lines[:3] == told
    assert trust.lines[-1] == "not told apart from it: trial 1"
    seeds = "Mean ± standard deviation over 3 seeds, none of which the search used, nor the choice among the finalists."
    assert answers.notes(snapshot)[0] == seeds
    chart = [(row["candidate"], row["part"], row["value"]) for row in rows.candidates(snapshot)]
    validation = [("1. trial 2", "validation", value) for value in judging["trial 2"]]
    assert chart[:4] == [("1. trial 2", "choosing", 0.5), *validation]
    assert chart[4:6] == [("2. trial 1", "choosing", 0.6), ("3. trial 0", "choosing", 1.9)]
    assert "validation, seed 1, which chose" in page.render(snapshot).decode()
    found = made.outcome()
    assert found is not None
    _, note = finalists.best_of(found, made.objective)
    of_three = "loss 1.10000 ± 0.10000 over 3 seeds"
    assert note == f"{of_three} (trial 2, chosen among 3 by seed 1, judged on seeds 2 to 4); with this seed 1"


def test_where_the_defaults_win_a_race_it_is_told_which_finalist_was_not_better(tmp_path: Path) -> None:
    made = raced(tmp_path, {"trial 2": 0.5, "trial 1": 0.6}, {REFERENCE: [1.0, 1.1], "trial 2": [1.1, 1.2]})
    _, lines = shown(made)
    assert lines[1] == "the defaults win in s: trial 2, the best of 2 by seed 1, was not better on seeds 2 and 3"
    assert "These seeds decided between the two as well, which flatters the better one a little." in answers.notes(
        made.snapshot()
    )


def test_a_race_of_one_finalist_and_one_seed_has_neither_choice_nor_deviation(tmp_path: Path) -> None:
    made = raced(tmp_path, {}, {"trial 1": [0.5], REFERENCE: [0.6]})
    _, lines = shown(made)
    assert lines[1] == "the winner is trial 1 of s, judged on seed 1"
    assert not [line for line in lines if "±" in line]
    found = made.outcome()
    assert found is not None
    _, note = finalists.best_of(found, made.objective)
    assert note == "loss 0.5 over 1 seed (trial 1, judged on seed 1); with this seed 0.5"


def test_the_defaults_win_also_where_no_other_configuration_held(tmp_path: Path) -> None:
    code, lines = shown(retrained(tmp_path / "held", {"trial 1": "cd", REFERENCE: "cc"}, may_win=True))
    assert (code, lines[1]) == (0, "the defaults win in s: no finalist trained to its end with every seed")
    code, lines = shown(judged(tmp_path / "alone", {REFERENCE: [1.0]}, {}))
    assert (code, lines[1]) == (0, "the defaults win in s: no other trial could be retrained")


def test_where_neither_finalists_nor_defaults_held_it_is_told_of_both(tmp_path: Path) -> None:
    code, lines = shown(retrained(tmp_path, {"trial 1": "d", REFERENCE: "f"}, may_win=True))
    assert code == 1
    assert "but of trial 1 1 of 1 seed diverged, of defaults 1 of 1 seed failed; mend what failed" in lines[1]


def test_best_is_called_a_model_only_where_one_was_saved(tmp_path: Path) -> None:
    made = judged(tmp_path, {"trial 1": [1.0], REFERENCE: [2.0]}, {})
    best = made.folder / "best"
    best.mkdir()
    for name in ("metrics.json", "curves.csv", "plot.png"):
        (best / name).touch()
    end = "pictures in plots/, tables in *.csv"
    place = f"everything is in {made.folder}: "
    assert f"{place}the winner's metrics in best/ (no model was saved), {end}" in shown(made)[1]
    (best / "model.pt").touch()
    assert f"{place}the winner in best/, {end}" in shown(made)[1]


def test_a_search_that_is_not_retrained_shows_its_best_trial_and_claims_no_model(tmp_path: Path) -> None:
    made = studies.create(tmp_path, "s", num_samples=2, finalists=0)
    assert shown(made)[0] == 1
    studies.add(made, studies.curve(2.0, 9), "complete")
    assert shown(made)[0] == 1
    studies.add(made, studies.curve(1.0, 9), "complete")
    code, lines = shown(made)
    assert code == 0
    assert lines[1] == "the best is trial 1 of s; with finalists: 0 it is not retrained, so not judged"
    assert f"everything is in {made.folder}: the best trial's config in best.yaml, pictures in plots/, " in lines[-3]
    assert lines[-2] == "train the best trial again with"
    snapshot = made.snapshot()
    assert answers.progress(snapshot) == "2 trials, not retrained: finalists is 0."
    won, trust, *_ = answers.cards(snapshot, [])
    assert (won.lines[0], trust.lines[0]) == ("trial 1", "nobody knows")


def test_one_of_a_thing_is_never_called_several(tmp_path: Path) -> None:
    """Of a search of one trial of one epoch, retrained with one seed; and of one that has only begun."""
    texts = []
    for name, ending in (("ended", "complete"), ("begun", None)):
        made = studies.create(tmp_path, name, num_samples=1, fixed={"epochs": 1}, scheduler=None, finalists=1, seeds=1)
        studies.add(made, [1.0], ending)  # type: ignore[arg-type]
        if ending:
            studies.retrain(made, {"trial 0": [1.0], REFERENCE: [2.0]}, {}, "test_loss")
        texts += shown(made)[1]
        texts += page.render(made.snapshot()).decode().split("<script nonce")[:1]
    wrong = re.compile(r"(?<![\d.])1 (epochs|seeds|trials|configurations|trainings|processes|CPUs|GPUs)\b|epochs? 1, ")
    assert [found[0] for text in texts for found in wrong.finditer(text)] == []
    assert "1 of 1 epoch trained" in "".join(texts)

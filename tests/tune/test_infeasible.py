"""Configurations that the workload refuses when it is to train them: they count as no trials, and are told."""

import io
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from optuna.trial import TrialState
from rich.console import Console

from search import session, study
from search.errors import EndedError, UserError
from search.journal.limits import POSSIBLE
from search.spec.objective import Objective
from search.tune.infeasible import MOST_IN_A_ROW
from search.tune.searcher import OptunaSearcher
from search.tune.trainable import TRIAL
from search.views import pictures, summary
from search.views.display import Display
from search.views.format import infeasible
from search.views.page import page, rows
from search.worker import jobs
from search.worker.training import Order, Training, ending
from tests import studies
from tests.programs import CONFIG, X, resume, search
from tests.tune.test_searcher import create, result

REFUSED = {"value": float("nan"), "ended": True, "failure": "ValueError: too far", "traceback": "Trace"}


def refusal() -> dict[str, Any]:
    """Return the result of a configuration that `train` has refused."""
    return {**REFUSED, "epoch": 0, "epochs": [], "best": None, "where": ("vm", 7, 1.5), "infeasible": True}


def play(searcher: OptunaSearcher, count: int, *, is_refused: Any) -> list[dict[str, Any]]:
    """Return the params of so many proposals, each of which is trained for an epoch, or refused."""
    proposed = []
    for _ in range(count):
        name = str(len(searcher._study.search.trials))
        config = searcher.suggest(name)
        assert isinstance(config, dict)
        values = config[TRIAL].order.values
        proposed.append(values)
        loss = abs(values["x"])
        searcher.on_trial_complete(name, refusal() if is_refused(values) else result(1, loss, loss, ended=True))
        assert searcher.error is None
    return proposed


def is_far(values: dict[str, Any]) -> bool:
    return bool(values["x"] > 1)


def test_an_infeasible_configuration_counts_as_no_trial_and_another_is_proposed(tmp_path: Path) -> None:
    made = create(tmp_path, "s", num_samples=10)
    searcher = OptunaSearcher(made, 0)
    proposed = []
    while not searcher.is_done:
        proposed += play(searcher, 1, is_refused=is_far)
    refused = sum(map(is_far, proposed))
    assert refused
    assert (made.ended(), made.wanted, len(made.trials())) == (10, 10, 10 + refused)
    assert (searcher.progress.done, searcher.progress.endings["infeasible"]) == (10, refused)
    snapshot = study.load(made.folder).snapshot()
    assert (len(snapshot.trials), len(snapshot.infeasible), snapshot.ended) == (10, refused, 10)
    assert all(trial.params["x"] <= 1 for trial in snapshot.trials)
    assert snapshot.numbered(snapshot.trials[-1].number) is snapshot.trials[-1]
    assert made.log_of(snapshot.infeasible[0].number).read_text(encoding="utf-8") == "Trace\n"
    frame = made.trials_dataframe()
    assert list(frame["state"]).count("infeasible") == refused
    again = OptunaSearcher(study.load(made.folder), 0)
    assert again.is_done
    assert again.progress.done == 10


def test_it_is_told_to_the_sampler_as_a_violated_constraint(tmp_path: Path) -> None:
    made = create(tmp_path, "s")
    proposed = play(OptunaSearcher(made, 0), 60, is_refused=is_far)
    for frozen, values in zip(made.search.trials, proposed, strict=True):
        assert frozen.constraints == ({"infeasible": 1.0} if is_far(values) else {})
        assert frozen.state == (TrialState.PRUNED if is_far(values) else TrialState.COMPLETE)
    assert sum(map(is_far, proposed[20:])) <= 10  # at random 16, had nothing been learned


def test_so_many_in_a_row_end_the_search_and_any_other_ending_begins_anew(tmp_path: Path) -> None:
    searcher = OptunaSearcher(create(tmp_path, "s"), 0)
    play(searcher, MOST_IN_A_ROW - 1, is_refused=lambda values: True)
    searcher.check()
    play(searcher, 1, is_refused=lambda values: False)
    play(searcher, MOST_IN_A_ROW - 1, is_refused=lambda values: True)
    searcher.check()
    play(searcher, 1, is_refused=lambda values: True)
    with pytest.raises(EndedError, match="100 in a row were refused before that, the last with ValueError: too far; "):
        searcher.check()


def test_a_small_space_has_room_for_fewer_trials_with_each_that_is_infeasible(tmp_path: Path) -> None:
    space = {"x": {"distribution": "choice", "values": [0, 1, 2, 3]}, "y": {"distribution": "choice", "values": [0, 1]}}
    made = create(tmp_path, "s", space=space, num_samples=30)
    made.search.set_user_attr(POSSIBLE, 8)
    searcher = OptunaSearcher(made, 0)
    proposed = []
    while not searcher.is_done:
        proposed += play(searcher, 1, is_refused=is_far)
    assert len({(values["x"], values["y"]) for values in proposed}) == len(proposed) == 8
    assert (made.ended(), made.wanted, searcher.progress.wanted) == (4, 4, 4)
    fit: Any = SimpleNamespace(takes=lambda params: True)
    session._count_possible(made, fit)
    assert made.wanted == 4


def test_a_kill_between_the_reason_and_the_ending_leaves_an_infeasible_one(tmp_path: Path) -> None:
    made = create(tmp_path, "s", num_samples=2)
    trial = studies.add(made, [], None)
    trial.refuse("ValueError: too far")
    searcher = OptunaSearcher(study.load(made.folder), 0)
    assert [each.ending for each in made.trials()] == ["infeasible"]
    play(searcher, 2, is_refused=lambda values: False)
    assert searcher.is_done


def test_what_config_refused_before_a_proposal_is_counted(tmp_path: Path) -> None:
    made = create(tmp_path, "s")
    searcher = OptunaSearcher(made, 0, lambda params: params["y"] <= params["x"])
    play(searcher, 10, is_refused=lambda values: False)
    assert made.snapshot().refused == searcher._proposer.refused + sum(
        trial.attributes.get("refused", 0) for trial in made.trials()[:-1]
    )
    assert made.snapshot().refused > 0
    assert infeasible(3, 0) == "3 infeasible, which count as no trials: 3 refused by Config"
    assert infeasible(3, 2) == "5 infeasible, which count as no trials: 3 refused by Config, 2 refused by train"
    assert infeasible(0, 0) == ""


def test_a_study_with_infeasible_ones_is_drawn_and_summed_up_without_them(tmp_path: Path) -> None:
    """Their numbers are taken: the best trial here is the ninth of six that count."""
    made = studies.create(tmp_path, "s", num_samples=6)
    for number in range(9):
        if number % 3 == 1:
            studies.add(made, [], "infeasible")
        else:
            studies.add(made, [2.0, 1.0 - number / 10], "complete")
    studies.retrain(made, {"trial 8": [0.1, 0.2], "trial 6": [0.3, 0.3]}, {}, "loss")
    snapshot = study.load(made.folder).snapshot()
    assert snapshot.front is not None
    assert (snapshot.front.number, snapshot.last) == (8, 8)
    assert (snapshot.ended, snapshot.wanted, snapshot.full) == (6, 6, 12)  # those that are complete had two
    assert rows.best_so_far(snapshot)[-1] == {"trial": 8, "value": pytest.approx(0.2)}
    assert set(pictures.draw(snapshot)) == {"curves", "history", "hyperparameters", "importances"}
    text = page.render(snapshot).decode()
    assert "6 trials, retrained and judged." in text
    written = io.StringIO()
    summary.show(Console(file=written, width=200), snapshot, is_program=False, best=tmp_path / "best.yaml")
    line = "3 infeasible, which count as no trials: 3 refused by train"
    assert line in text
    assert f"\n6 trials: 6 complete, 0 stopped early, 0 diverged, 0 failed\n{line}\n" in written.getvalue()


@pytest.mark.parametrize("refused", ["many", [3], 0.5, -1, None])
def test_a_foreign_journal_that_counts_refusals_in_anything_but_numbers_is_refused(
    refused: object, tmp_path: Path
) -> None:
    made = studies.create(tmp_path, "s")
    trial = studies.add(made, [], None)
    trial.note("refused", refused)
    with pytest.raises(UserError, match=r"journal\.log must be the journal of a search"):
        study.load(made.folder)


def test_a_live_display_counts_them_where_there_are_any(tmp_path: Path) -> None:
    searcher = OptunaSearcher(create(tmp_path, "s", num_samples=9), 0)
    written = io.StringIO()
    console = Console(file=written, width=200, force_terminal=True)
    display = Display(console, 9, searcher.progress, searcher.forecast)
    play(searcher, 1, is_refused=lambda values: False)
    console.print(display._render())
    assert "infeasible" not in written.getvalue()
    play(searcher, 2, is_refused=lambda values: True)
    console.print(display._render())
    assert "2 infeasible" in written.getvalue()
    assert "1/9 trials" in written.getvalue()


REFUSALS = f"""{CONFIG}
    how: str = ""

    def __post_init__(self):
        if self.how == "config":
            raise AssertionError("never")

class Odd(ValueError):
    pass

def resolve(config):
    if config.how == "resolve":
        raise ValueError("no such device")
    return config

def train(config):
    if config.how == "at once":
        raise ValueError("too far")
    if config.how == "of a kind":
        raise Odd("too far")
    if config.how == "another":
        raise TypeError("a mistake")
    if config.how == "no metrics":
        yield 3
    yield {{"loss": 1.0}}
    if config.how == "later":
        raise ValueError("too far")
    yield {{"loss": 1.0}}
"""


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ("at once", "infeasible"),
        ("of a kind", "infeasible"),
        ("config", "infeasible"),
        ("resolve", "failed"),
        ("another", "failed"),
        ("no metrics", "failed"),
        ("later", "failed"),
    ],
)
def test_what_config_and_train_refuse_before_the_first_epoch_is_infeasible_and_all_else_has_failed(
    how: str, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "refusals", raising=False)
    (tmp_path / "refusals.py").write_text(REFUSALS, encoding="utf-8")
    order = Order("refusals", 0, Objective("loss"), {"x": 0.5, "how": how})
    training = Training(order)
    last = training.advance(seconds=60)
    training.close()
    assert ending(last) == expected
    record, _, _ = jobs.train(order, str(tmp_path / "log"), keep=False)
    assert record.ending == "failed"  # of a retraining each seed counts


REFUSING = f"""{CONFIG}
from pathlib import Path

def train(config):
    if config.x > float(Path("limit").read_text()):
        raise ValueError("x is too far")
    for epoch in range(config.epochs):
        yield {{"loss": config.x ** 2 + 1 / (epoch + 1)}}
"""


def test_a_search_says_how_many_were_infeasible(tmp_path: Path) -> None:
    (tmp_path / "refusing.py").write_text(REFUSING, encoding="utf-8")
    (tmp_path / "limit").write_text("1", encoding="utf-8")
    settings = {"workload": "refusing", "metric": "loss", "space": {"x": X}, "num_samples": 5, "seeds": 1}
    done = search(tmp_path, settings)
    assert done.returncode == 0, done.stderr
    made = study.load(tmp_path / "results" / "s")
    count = len(made.trials()) - 5
    assert count > 0
    line = f"{count} infeasible, which count as no trials: {count} refused by train"
    assert line in done.stdout
    assert line in (made.folder / "report.html").read_text(encoding="utf-8")
    assert "\n5 trials: " in done.stdout
    assert "[5/5" in done.stdout


@pytest.mark.full
def test_a_search_in_which_nothing_is_feasible_ends_with_one_line_and_goes_on_when_that_is_mended(
    tmp_path: Path,
) -> None:
    (tmp_path / "refusing.py").write_text(REFUSING, encoding="utf-8")
    (tmp_path / "limit").write_text("-9", encoding="utf-8")
    settings = {"workload": "refusing", "metric": "loss", "space": {"x": X}, "num_samples": 3, "seeds": 1}
    done = search(tmp_path, settings)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: a configuration must train for an epoch, but ")
    assert "in a row were refused before that, the last with ValueError: x is too far; search another space" in line
    assert "to go on: " in line
    (tmp_path / "limit").write_text("9", encoding="utf-8")
    done = resume(tmp_path)
    assert done.returncode == 0, done.stderr
    assert "\n3 trials: " in done.stdout

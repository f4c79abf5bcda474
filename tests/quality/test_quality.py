"""The benchmark of quality: surrogate, virtual clock, and duels that are fair and can be made again."""

import copy
import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.samplers._tpe import _truncnorm
from scipy.special import log_ndtr

from benchmarks.quality import arms, duels, record, report, tables
from benchmarks.quality.clock import play
from benchmarks.quality.duels import Budget, standings
from benchmarks.quality.ours import Ours
from benchmarks.quality.surrogate import Kernel, Surrogate, held_out
from benchmarks.quality.tables import Floats, Params, Table
from search.algorithms.asha import ASHA
from search.algorithms.space import Space
from tests import replay

EPOCHS = 9
KERNEL = Kernel(np.full(3, 0.5), 1e-9)
"""Of the tiny table: a number, and a choice of two."""


def loss_of(params: Mapping[str, Any]) -> Floats:
    """Return the losses by epoch of the tiny table's workload."""
    depth = 0.1 + (math.log10(params["lr"]) + 2) ** 2 + (0.2 if params["kind"] == "b" else 0)
    losses: Floats = depth * (1 + 1 / np.arange(1, EPOCHS + 1))
    return losses


@pytest.fixture(scope="module")
def tiny() -> Table:
    """Forty configurations; two of them were trained with three seeds, and luck doubles and halves all of a curve."""
    space: dict[str, Any] = {
        "lr": FloatDistribution(1e-4, 1, log=True),
        "kind": CategoricalDistribution(("a", "b")),
    }
    params: list[Params] = []
    for kind in ("a", "b"):
        params += [{"lr": float(lr), "kind": kind} for lr in np.geomspace(1e-4, 1, 20)]
    loss = np.stack([loss_of(each) for each in params])
    again = np.array([9, 39])
    runs = loss[again][:, np.newaxis] * np.array([0.5, 1.0, 2.0])[:, np.newaxis]
    defaults = {"lr": 0.1, "kind": "a"}
    return Table("tiny", Space(space), defaults, tuple(params), loss, np.full(len(params), 0.5), again, runs)


@pytest.fixture(scope="module")
def world(tiny: Table) -> Surrogate:
    return Surrogate(tiny, KERNEL)


def test_the_surrogate_gives_recorded_configurations_their_recorded_curves(tiny: Table, world: Surrogate) -> None:
    for params, losses in zip(tiny.params, tiny.loss, strict=True):
        if losses[-1] < 2:  # the worst tenth is capped
            assert world.quality(params) == pytest.approx(losses.min(), rel=1e-4)


def test_the_surrogate_lies_between_its_neighbours_and_keeps_choices_apart(world: Surrogate) -> None:
    for kind in ("a", "b"):
        between = {"lr": 0.03, "kind": kind}
        assert world.quality(between) == pytest.approx(loss_of(between).min(), rel=0.1)


def test_the_luck_of_a_run_is_that_of_a_recorded_one_and_the_same_for_the_same_seed(world: Surrogate) -> None:
    params = {"lr": 0.05, "kind": "a"}
    runs = [tuple(world.run(params, seed)[0]) for seed in range(20)]
    assert runs == [tuple(world.run(params, seed)[0]) for seed in range(20)]
    assert len(set(runs)) == 3
    assert {len(run) for run in runs} == {EPOCHS}


def test_the_held_out_error_is_small_where_neighbours_tell_all_and_large_where_they_tell_nothing(
    tiny: Table, world: Surrogate
) -> None:
    shuffled = copy.copy(tiny)
    object.__setattr__(shuffled, "loss", np.random.default_rng(0).permutation(tiny.loss))
    good = held_out(world)
    bad = held_out(Surrogate(shuffled, KERNEL))
    assert good.rank > 0.95 > 0.5 > bad.rank
    assert good.relative < bad.relative


class Script:
    """Asks for given trials, stops them after given epochs, and notes what it hears."""

    def __init__(self, stops: list[int]) -> None:
        self._stops = stops
        self.asked = 0
        self.heard: list[tuple[int, int, bool]] = []

    def ask(self) -> tuple[int, Params] | None:
        if self.asked == len(self._stops):
            return None
        self.asked += 1
        return self.asked - 1, {"number": self.asked - 1}

    def hear(self, number: int, epoch: int, loss: float, *, is_last: bool) -> bool:
        self.heard.append((number, epoch, is_last))
        return epoch < self._stops[number]

    def chosen(self) -> Params | None:
        return {"heard": len(self.heard)}


class Speeds:
    """Trials of three epochs, whose seconds are given."""

    def __init__(self, seconds: list[float]) -> None:
        self._seconds = seconds

    def run(self, params: Params, seed: int) -> tuple[Floats, float]:
        return np.ones(3), self._seconds[params["number"]]


def test_epochs_are_heard_in_the_order_of_their_time_and_a_free_worker_asks_at_once() -> None:
    """Trial 0 takes 2 s an epoch and trial 1 takes 3; 0 is stopped after two, so 2 begins at 4 s and takes 1 s."""
    script = Script([2, 3, 3])
    moments = list(play(script, Speeds([2.0, 3.0, 1.0]), 2, 0))
    assert script.heard == [
        *[(0, 1, False), (1, 1, False), (0, 2, False), (2, 1, False)],
        *[(1, 2, False), (2, 2, False), (2, 3, True), (1, 3, True)],
    ]
    assert [moment.now for moment in moments] == [2, 3, 4, 5, 6, 6, 7, 9]
    assert [moment.epochs for moment in moments] == [*range(8)]
    assert [moment.trials for moment in moments] == [2, 2, 2, 3, 3, 3, 3, 3]


def test_a_budget_of_epochs_or_seconds_is_used_up_exactly_and_one_who_ends_before_has_what_it_has_at_its_end() -> None:
    budgets = {
        "epochs": Budget(epochs=5),
        "seconds": Budget(seconds=5.5),
        "all": Budget(epochs=8),
        "more": Budget(epochs=99),
    }
    found = standings(Script([2, 3, 3]), Speeds([2.0, 3.0, 1.0]), 2, 0, budgets)
    assert {name: each.epochs for name, each in found.items()} == {"epochs": 5, "seconds": 4, "all": 8, "more": 8}
    assert {name: each.chosen for name, each in found.items()} == {
        name: {"heard": each.epochs} for name, each in found.items()
    }
    assert (found["epochs"].seconds, found["all"].seconds) == (6, 9)


@pytest.mark.parametrize("name", [*arms.OURS, *arms.PEERS])
def test_each_arm_searches_to_its_budget_and_chooses_what_it_proposed(name: str, tiny: Table, world: Surrogate) -> None:
    arm = {**arms.OURS, **arms.PEERS}[name]
    found = standings(arm(tiny, 3), world, 2, 3, {"epochs": Budget(epochs=60)})["epochs"]
    assert found.epochs == 60
    assert found.chosen is not None
    assert found.chosen.keys() == tiny.space.keys()
    assert found.trials >= 6
    again = standings(arm(tiny, 3), world, 2, 3, {"epochs": Budget(epochs=60)})["epochs"]
    assert again == found


def test_ours_proposes_what_the_searcher_of_a_search_proposes(tmp_path: Any) -> None:
    """The oracle is tests/replay.py, which drives the searcher, the study and the training of a real search."""
    recorded = replay.recorded()
    made = replay.in_memory(replay.create(tmp_path, 5, 20))
    events = list(replay.search(made, recorded))

    class Recorded:
        def run(self, params: Params, seed: int) -> tuple[Floats, float]:
            row, losses = recorded.curve(params)
            steps = np.diff(recorded.elapsed[row], prepend=0)
            return losses, steps

    table = Table("heart", replay.SPACE, replay.DEFAULTS, (), recorded.loss, np.ones(1), np.ones(1, int), np.ones(1))
    ours = Ours(table, 5, trials=20, scheduler=ASHA(), try_defaults=False)
    heard = list(follow(ours, events))
    assert heard == [event.verdict == "goes on" for event in events]
    best = min(events, key=lambda event: event.best)
    assert ours.chosen() == best.params


def follow(ours: Ours, events: list[replay.Event]) -> Iterator[bool]:
    """Yield our verdicts on the results of a search, in the order of their arrival there; two workers."""
    asked: dict[int, Params] = {}

    def ask() -> None:
        proposal = ours.ask()
        if proposal:
            asked[proposal[0]] = proposal[1]

    ask()
    ask()
    for event in events:
        assert asked[event.trial] == event.params
        goes_on = ours.hear(event.trial, event.epoch, event.value, is_last=event.epoch == 30)
        yield goes_on and event.epoch < 30
        if not goes_on or event.epoch == 30:
            ask()


def test_a_duel_is_the_same_for_the_same_seed_and_gives_every_peer_our_epochs(
    tiny: Table, world: Surrogate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(duels, "surrogate_of", lambda name: world)
    name = "random proposals, our rungs"
    rows = duels.duel("tiny", 2, 1, {name: arms.PEERS[name]})
    pd.testing.assert_frame_equal(rows, duels.duel("tiny", 2, 1, {name: arms.PEERS[name]}))
    for ours in arms.OURS:
        its = rows[(rows["ours"] == ours) & (rows["equal"] == "epochs")]
        assert its["epochs"].nunique() == 1
        assert set(its["arm"]) == {ours, name}
    late = rows[(rows["equal"] == "seconds") & (rows["arm"] == name)].iloc[0]
    own = rows[rows["arm"] == "ours"].iloc[0]
    assert late["seconds"] <= own["seconds"]


def test_the_share_won_and_the_regret_are_those_of_the_pairs_and_draws_count_half() -> None:
    pairs = {0: (1.0, 2.0), 1: (2.0, 1.0), 2: (1.0, 1.0), 3: (1.0, 4.0)}
    rows = []
    for seed, (mine, theirs) in pairs.items():
        same = {"table": "t", "workers": 2, "equal": "epochs", "ours": "ours", "seed": seed, "trials": 32}
        rows += [{**same, "arm": "ours", "loss": mine}, {**same, "arm": "peer", "loss": theirs}]
    found = report.summary(pd.DataFrame(rows)).iloc[0]
    assert (found["duels"], found["won"]) == (4, (1 + 0 + 0.5 + 1) / 4)
    assert found["regret"] == pytest.approx(100 * (0.25**0.25 - 1))
    logs = np.log([0.5, 2, 1, 0.25])
    assert found["regret_error"] == pytest.approx(100 * logs.std(ddof=1) / 2)


def test_a_recorded_loss_is_kept_to_a_part_in_ten_thousand() -> None:
    values = np.geomspace(1e-5, 1e5, 1000)
    np.testing.assert_allclose(record.rounded(values), values, rtol=1e-4)


@pytest.mark.parametrize("name", tables.NAMES)
def test_a_recorded_table_is_whole_small_and_of_its_workload(name: str) -> None:
    table = tables.load(name)
    assert 600 <= len(table.params) == len(table.loss) == len(table.seconds) <= 1000
    assert np.isfinite(table.loss).all()
    assert (table.loss > 0).all()
    assert table.defaults.keys() == table.space.keys()
    assert table.runs.shape == (len(table.again), 1 + len(record.SEEDS), table.epochs)
    np.testing.assert_array_equal(table.runs[:, 0], table.loss[table.again])
    sizes = [tables.path_of(name, kind).stat().st_size for kind in (".parquet", tables.SEEDS)]
    assert sum(sizes) < 500_000
    assert held_out(duels.surrogate_of(name)).rank > 0.9


def test_what_makes_optuna_quick_gives_its_numbers() -> None:
    points = np.concatenate([np.linspace(-40, 40, 400), [-1e3, -1e5, 0.0, 1e3]])
    np.testing.assert_allclose(log_ndtr(points), _truncnorm._log_ndtr(points), rtol=1e-9, atol=1e-13)

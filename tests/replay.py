"""A search on recorded curves: the real searcher and the real rule, Tune's part on a virtual clock, no training.

python -m tests.replay --seeds 40

compares ours with Ray's own bridge to Optuna. curves.parquet: 400 random configurations of heart.train, each trained
in full; a proposal takes the curve of the nearest of them. That makes of the space 400 plateaus, on which a sampler may
settle as it would not in training: --neighbours 5 takes a mean of the nearest 5 instead.
"""

import argparse
import dataclasses
import heapq
import math
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal

import numpy as np
import optuna
import pandas as pd
from optuna.distributions import FloatDistribution, IntDistribution
from optuna.samplers import TPESampler
from ray.tune.schedulers.async_hyperband import _Bracket
from ray.tune.schedulers.trial_scheduler import TrialScheduler
from ray.tune.search import Searcher
from ray.tune.search.optuna import OptunaSearch
from ray.tune.utils import flatten_dict

from search.algorithms import samplers, schedulers
from search.algorithms.asha import ASHA
from search.algorithms.tpe import SeededTPE
from search.journal.records import START
from search.spec import config, space
from search.spec.files import read
from search.spec.objective import Objective
from search.spec.start import of_defaults
from search.spec.workload import load
from search.study import Study
from search.tune.searcher import OptunaSearcher
from search.tune.trainable import TRIAL
from search.tune.tuner import Scheduler
from search.worker.training import Order, Training
from tests.studies import judge, new

ROOT = Path(__file__).parent.parent
SETTINGS = read(ROOT / config.DEFAULT_FILE)
METRIC, MODE = SETTINGS["metric"], SETTINGS["mode"]
SPACE = space.parse(SETTINGS["space"])
DEFAULTS, _ = of_defaults(load(SETTINGS["workload"]).defaults(), SPACE)
"""The workload's, which are trial 0 of a search unless it is told otherwise."""


@dataclass(frozen=True)
class Table:
    """Configurations that were trained in full."""

    points: np.ndarray
    """[n, hyperparameters] in the unit cube of the space."""
    loss: np.ndarray
    """[n, epochs]: the metric."""
    elapsed: np.ndarray
    """[n, epochs]: seconds of training up to the epoch's end."""
    neighbours: int = 1
    """How many configurations a proposal's curve is the mean of."""

    def curve(self, values: Mapping[str, Any]) -> tuple[int, np.ndarray]:
        """Return the row next to these values, and their metric by epoch: a geometric mean weighted by 1/distance².

        A millionth of the distance is added, since two trials with one curve would tie at every rung, and ties go on.
        """
        point = _units({name: np.array([values[name]]) for name in SPACE})
        distance = np.sqrt(((self.points - point) ** 2).sum(axis=1))
        near = distance.argsort(kind="stable")[: self.neighbours]
        weights = 1 / np.maximum(distance[near], 1e-9) ** 2
        mean = np.exp(weights @ np.log(self.loss[near]) / weights.sum())
        return int(near[0]), mean * (1 + 1e-6 * distance[near[0]])

    def diverging(self, epochs: Mapping[int, int]) -> "Table":
        """Return the table in which a row's metric is NaN from an epoch on, counted from 1."""
        loss = self.loss.copy()
        for row, epoch in epochs.items():
            loss[row, epoch - 1 :] = np.nan
        return dataclasses.replace(self, loss=loss)


@cache
def recorded() -> Table:
    """Return the recorded curves."""
    frame = pd.read_parquet(Path(__file__).with_name("curves.parquet")).sort_values(["trial", "epoch"])
    first = frame[frame["epoch"] == 1]
    shape = len(first), -1
    points = _units({name: first[name].to_numpy() for name in SPACE})
    return Table(points, frame[METRIC].to_numpy().reshape(shape), frame["elapsed_s"].to_numpy().reshape(shape))


def _units(columns: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return [n, hyperparameters] in [0, 1]: the place between low and high, of the logarithms where those count."""
    found = []
    for name, kind in SPACE.items():
        assert isinstance(kind, FloatDistribution | IntDistribution)
        scale: Callable[[Any], Any] = np.log if kind.log else np.asarray
        found.append((scale(columns[name]) - scale(kind.low)) / (scale(kind.high) - scale(kind.low)))
    return np.stack(found, axis=1)


Verdict = Literal["goes on", "stopped", "ended"]


@dataclass(frozen=True)
class Event:
    """A result that arrived, and what became of its trial."""

    trial: int
    row: int
    """Of the table."""
    epoch: int
    value: float
    """The metric of this epoch."""
    best: float
    """The best so far; NaN where this epoch's is not finite."""
    verdict: Verdict
    params: Mapping[str, Any]
    full: float
    """The best value that training it in full would find; NaN where there is none."""


class Recorded(Training):
    """The worker's own Training, of a recorded curve: what it returns is what a trial really reports."""

    def __init__(self, proposal: Mapping[str, Any], count: int, table: Table) -> None:
        order = Order(SETTINGS["workload"], 0.0, Objective(METRIC, MODE), proposal)  # of Ray's own bridge
        self.number = count
        if TRIAL in proposal:
            order = proposal[TRIAL].order
            self.number = proposal[TRIAL].number
        super().__init__(order)
        self._row, self._loss = table.curve(order.values)
        self._elapsed = [0.0, *table.elapsed[self._row].tolist()]
        self.values = {"epochs": len(self._loss)}
        self.epochs = len(self._loss)

    def _start(self) -> Iterator[tuple[Mapping[str, Any], Any]]:
        return (({METRIC: value}, None) for value in self._loss.tolist())

    def report(self) -> dict[str, Any]:
        """Return an epoch's result as it reaches searcher and scheduler: flat, and with the names that Tune adds."""
        result = self.advance(seconds=0)
        elapsed = self._elapsed[result["epoch"]]
        epochs = [(epoch, metrics | {"elapsed_s": elapsed}, best) for epoch, metrics, best in result["epochs"]]
        more = {"elapsed_s": elapsed, "epochs": epochs, "training_iteration": result["epoch"]}
        flat: dict[str, Any] = flatten_dict({**result, **more, "done": result["ended"]})
        return flat

    def next_at(self, now: float) -> float:
        """Return when the epoch that comes next will have been trained, in seconds of the virtual clock."""
        epoch: int = self._last["epoch"]
        return now + float(self._elapsed[epoch + 1] - self._elapsed[epoch])

    def event(self, result: Mapping[str, Any], verdict: Verdict) -> Event:
        """Return what is noted of a result."""
        full = min((value for value in self._loss.tolist() if math.isfinite(value)), default=math.nan)
        params = {name: self._order.values[name] for name in SPACE}
        value = result[f"metrics/{METRIC}"]
        return Event(self.number, self._row, result["epoch"], value, result["value"], verdict, params, full)


class Clock:
    """The virtual clock, in seconds."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


Rule = Callable[[int, dict[str, Any]], bool]
"""From a trial's number and its result to whether it goes on."""


def play(
    searcher: Searcher,
    rule: Rule,
    table: Table,
    workers: int = 2,
    num_samples: float = float("inf"),
    clock: Clock | None = None,
) -> Iterator[Event]:
    """Yield the results of a search in the order of their arrival; who pulls no more has killed the driver.

    As Tune's controller does: a free worker asks at once; a result that ends its trial is not the scheduler's affair;
    the last result of a trial, stopped or ended, goes to on_trial_complete and not to on_trial_result.
    """
    running: list[tuple[float, int, Recorded]] = []
    clock, begun = clock or Clock(), 0
    while True:
        while len(running) < workers and begun < num_samples:
            proposal = searcher.suggest(str(begun))
            if not isinstance(proposal, dict):
                break
            training = Recorded(proposal, begun, table)
            heapq.heappush(running, (training.next_at(clock.now), begun, training))
            begun += 1
        if not running:
            return
        clock.now, count, training = heapq.heappop(running)
        result = training.report()
        verdict: Verdict = "ended" if result["ended"] else "goes on"
        if verdict == "goes on" and not rule(training.number, result):
            verdict = "stopped"
        if verdict == "goes on":
            searcher.on_trial_result(str(count), result)
            heapq.heappush(running, (training.next_at(clock.now), count, training))
        else:
            searcher.on_trial_complete(str(count), {**result, "done": True})
        yield training.event(result, verdict)


def create(folder: Path, seed: int, num_samples: int | None, sampler: Any = "tpe", **settings: Any) -> Study:
    """Return a new study of configs/search.yaml, its journal on the disk."""
    change = {"seed": seed, "num_samples": num_samples, "sampler": sampler, "output": str(folder), **settings}
    return new({**SETTINGS, **change, "name": f"{samplers.name_of(samplers.make(sampler))}-{seed}-{num_samples}"})


class Memory(optuna.storages.InMemoryStorage):
    """Optuna's, which writes nothing."""

    def together(self) -> AbstractContextManager[None]:
        """Do nothing."""
        return nullcontext()


def in_memory(made: Study) -> Study:
    """Return the study with Optuna's storage in memory, which spares 0.3 ms a write; its folder stays empty."""
    storage: Any = Memory()
    direction = made.objective.direction
    optuna.create_study(study_name=made.name, storage=storage, direction=direction)
    return dataclasses.replace(made, storage=storage)


def ours(rungs: Scheduler) -> Rule:
    """Return ASHA as search.tune.tuner asks it."""
    return lambda number, result: rungs.goes_on(number, result["epoch"], result["value"])


def search(made: Study, table: Table, workers: int = 2, clock: Clock | None = None) -> Iterator[Event]:
    """Yield the results of our search: of a new study, or of one that goes on, as search.tune puts it together."""
    searcher = OptunaSearcher(made, gpus=0, clock=clock or time.monotonic)
    rungs = judge(made.config.scheduler, made.epochs, made.config.mode, made.config.metric)
    for trial in made.trials():
        rungs.recall([trial])
    by_rungs = ours(rungs)

    def rule(number: int, result: dict[str, Any]) -> bool:
        return by_rungs(number, result) and not searcher.limits.stops(number, result)

    yield from play(searcher, rule, table, workers, clock=clock)
    searcher.check()


def rival(sampler: TPESampler, num_samples: int, table: Table, rule: Rule) -> Iterator[Event]:
    """Yield the results of a search through Ray's own bridge to Optuna, which is shown the metric as it is."""
    bridge = OptunaSearch(dict(SPACE), metric=f"metrics/{METRIC}", mode=MODE, sampler=sampler)
    yield from play(bridge, rule, table, num_samples=num_samples)


def rays_rule(halving: ASHA, epochs: int) -> Rule:
    """Return the rule of Ray's AsyncHyperBandScheduler, which is shown the metric as it is."""
    bracket = _Bracket(halving.grace_period, epochs, halving.reduction_factor, 0)

    def goes_on(number: int, result: dict[str, Any]) -> bool:
        trial: Any = SimpleNamespace(trial_id=number)
        verdict = bracket.on_result(trial, result["epoch"], -result[f"metrics/{METRIC}"])
        return bool(verdict == TrialScheduler.CONTINUE)

    return goes_on


def arms(seed: int, num_samples: int, table: Table) -> dict[str, list[Event]]:
    """Return the results of each rival's search."""
    halving = schedulers.make(SETTINGS["scheduler"])
    assert isinstance(halving, ASHA)
    epochs = table.loss.shape[1]
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, sampler, start in (
            ("ours", "tpe", []),
            ("ours, the defaults first", "tpe", [DEFAULTS]),
            ("random, our rule", "random", []),
        ):
            made = in_memory(create(Path(folder) / name, seed, num_samples, sampler))
            made.search.set_user_attr(START, start)
            found[name] = list(search(made, table))
    for name, kind in (("Ray's bridge, our TPE", SeededTPE), ("Ray's bridge, our rule", TPESampler)):
        # The first begins with the same random proposals as ours, so that only what is told differs.
        asha = ours(judge(halving, epochs, MODE))
        found[name] = list(rival(kind(seed=seed), num_samples, table, asha))
    rays = rays_rule(halving, epochs)
    found["Ray's bridge and rule"] = list(rival(TPESampler(seed=seed), num_samples, table, rays))
    return found


def figures(name: str, events: list[Event]) -> tuple[float, float, float]:
    """Return the best value trained, the value in full of the configuration handed over, and the epochs trained.

    Ours hands over the trial whose best epoch is the best; Ray's get_best_result, the one whose last epoch is.
    """
    last = {event.trial: event.value for event in events}
    rays = min(events, key=lambda event: last[event.trial]).full
    chosen = min(events, key=lambda event: event.best)
    return chosen.best, rays if name.startswith("Ray") else chosen.full, len(events)


def main() -> None:
    """Print a row an arm: means over the seeds ± standard errors, and the paired differences to ours."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=40)
    parser.add_argument("--trials", type=int, nargs="+", default=[32, 128])
    parser.add_argument("--neighbours", type=int, default=1)
    args = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    table = dataclasses.replace(recorded(), neighbours=args.neighbours)
    print(f"{METRIC} * 1e-5, mean ± standard error over {args.seeds} seeds; best recorded {table.loss.min() * 1e5:.0f}")
    for trials in args.trials:
        begin = time.perf_counter()
        played = [arms(seed, trials, table) for seed in range(args.seeds)]
        rows = {name: np.array([figures(name, each[name]) for each in played]) for name in played[0]}
        print(
            f"\n{f'{trials} trials':24}{'best trained':>16}{'- ours':>14}{'handed over':>16}{'- ours':>14}{'epochs':>9}"
        )
        for name, found in rows.items():
            cells = [found[:, 0], found[:, 0] - rows["ours"][:, 0], found[:, 1], found[:, 1] - rows["ours"][:, 1]]
            texts = [f"{each.mean() * 1e5:.1f} ± {each.std(ddof=1) / len(each) ** 0.5 * 1e5:.1f}" for each in cells]
            share = found[:, 2].mean() / (trials * table.loss.shape[1])
            print(f"{name:24}{texts[0]:>16}{texts[1]:>14}{texts[2]:>16}{texts[3]:>14}{share:>9.1%}")
        print(f"{time.perf_counter() - begin:.0f} s")


if __name__ == "__main__":
    main()

"""Time the same search done by us and by what people use instead: whole processes, one after the other, in turn.

python -m benchmarks.run --trials 32 256 --repeats 3

Prints medians and ratios, and writes runs.csv, table.md and time.png into results/benchmark-<time>/. With --output it
goes on with an earlier benchmark of this machine.
"""

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib.style
import pandas as pd
import psutil

from benchmarks import job, phases, report
from benchmarks.report import OURS
from search.journal import provenance
from search.views.pictures import STYLE

ROOT = Path(__file__).parent.parent
MEMORY_EVERY = 0.5
"""Seconds: to ask for the memory of a dozen processes takes milliseconds of the cores that are measured."""
Row = dict[str, Any]


def ours(folder: Path, trials: int, seed: int) -> list[str]:
    """Return our own command."""
    where = ["--output", str(folder), "--name", OURS]
    search = ["--config", str(ROOT / "benchmarks" / "search.yaml"), "--num-samples", str(trials), "--seed", str(seed)]
    return ["search.run", *search, *where]


def rival(module: str, engine: str = "torch") -> Callable[[Path, int, int], list[str]]:
    """Return what makes the command of a rival."""
    return lambda folder, trials, seed: [
        *(f"benchmarks.{module}", "--trials", str(trials), "--seed", str(seed), "--engine", engine),
        *("--output", str(folder / "found.json")),
    ]


ARMS = {
    OURS: ours,
    "plain Optuna": rival("plain_optuna"),
    "plain Optuna, our engine": rival("plain_optuna", "fused"),
    "expert Ray Tune": rival("expert_ray"),
    "tutorial Ray Tune": rival("tutorial_ray"),
}


def measure(arm: str, trials: int, seed: int) -> Row:
    """Run one process to its end; return seconds, MB at their peaks, and what it found."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        command = [sys.executable, "-m", *ARMS[arm](folder, trials, seed)]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        row: Row = {"arm": arm, "trials": trials, "seed": seed, "first_epoch_s": math.nan}
        row |= {"driver_mb": 0.0, "workers_mb": 0.0}
        looked = 0.0
        with (folder / "log").open("wb") as log:
            begin, began = time.perf_counter(), time.time()
            process = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log)
            while process.poll() is None:
                elapsed = time.perf_counter() - begin
                _look_for_an_epoch(row, folder / OURS / "journal.log", elapsed)
                if elapsed >= looked + MEMORY_EVERY:
                    looked = elapsed
                    _look_at_memory(row, process.pid)
                time.sleep(0.02)
            row["seconds"] = time.perf_counter() - begin
        if process.returncode:
            raise SystemExit(f"{arm} failed:\n{(folder / 'log').read_text(encoding='utf-8')[-3000:]}")
        if arm == OURS:
            spans = phases.of(folder / OURS, began, row["first_epoch_s"], row["seconds"])
            return row | _found_by_us(folder / OURS) | spans
        found: Row = json.loads((folder / "found.json").read_text())
        return row | found


def _look_for_an_epoch(row: Row, journal: Path, elapsed: float) -> None:
    """Take in when the first epoch came into our journal."""
    if math.isnan(row["first_epoch_s"]) and journal.exists() and b'"epoch 1"' in journal.read_bytes():
        row["first_epoch_s"] = elapsed


def _look_at_memory(row: Row, pid: int) -> None:
    """Take in the memory of a process and of its workers."""
    try:
        driver = psutil.Process(pid)
        row["driver_mb"] = max(row["driver_mb"], driver.memory_info().rss / 1e6)
        workers = [each for each in driver.children(recursive=True) if _trains(each)]
        row["workers_mb"] = max(row["workers_mb"], sum(each.memory_info().rss / 1e6 for each in workers))
    except psutil.Error:
        return


def _trains(process: psutil.Process) -> bool:
    return process.name().startswith("ray::") and not process.name().endswith("Agent")


def _found_by_us(folder: Path) -> Row:
    metrics = json.loads((folder / "best" / "metrics.json").read_text(encoding="utf-8"))
    trained = pd.read_csv(folder / "trials.csv")["epochs"].sum()
    scores = metrics["over_seeds"]
    return {"epochs": int(trained), "val_loss": scores["val_loss"][0], "test_loss": scores["test_loss"][0]}


def machine() -> str:
    """Return what this ran on, as a line."""
    return ", ".join(f"{name} {value}" for name, value in provenance.describe()["machine"].items())


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(
        "python -m benchmarks.run", description="Time the same search, done by us and others."
    )
    parser.add_argument("--trials", type=int, nargs="+", default=[32, 256], metavar="N")
    parser.add_argument("--repeats", type=int, default=3, metavar="N", help="rounds, each with a seed of its own")
    parser.add_argument("--arms", nargs="+", default=list(ARMS), choices=list(ARMS), metavar="ARM")
    parser.add_argument("--output", type=Path, default=ROOT / "results" / f"benchmark-{time.strftime('%Y%m%d-%H%M%S')}")
    asked = parser.parse_args()
    asked.output.mkdir(parents=True, exist_ok=True)
    file = asked.output / "runs.csv"
    runs = pd.read_csv(file) if file.exists() else pd.DataFrame()
    heading = f"{machine()}\n{job.describe()}\n"
    print(heading)
    for arm in asked.arms:
        measure(arm, 2, 0)  # not counted: from here on bytecode and compiled code are on the disk
    rounds = [(trials, seed) for trials in asked.trials for seed in range(asked.repeats)]
    for trials, seed in rounds:
        made = set() if runs.empty else set(runs[(runs["trials"] == trials) & (runs["seed"] == seed)]["arm"])
        for arm in asked.arms:
            if arm in made:
                continue
            row = measure(arm, trials, seed)
            print(f"{trials} trials, seed {seed}, {arm}: {row['seconds']:.1f} s, {row['epochs']} epochs", flush=True)
            runs = pd.concat([runs, pd.DataFrame([row])], ignore_index=True)
        runs.drop(columns="values", errors="ignore").to_csv(file, index=False)  # whole rounds: ratios are of one
    found = report.comparison(runs)
    text = f"{report.markdown(found)}\n{report.markdown(report.where_it_goes(runs))}"
    (asked.output / "table.md").write_text(f"{heading}\n{text}", encoding="utf-8")
    with matplotlib.style.context(STYLE):
        report.picture(found).savefig(asked.output / "time.png", dpi=120)
    print(f"\n{text}\nwritten to {asked.output}")


if __name__ == "__main__":
    main()

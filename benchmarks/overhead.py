"""What the framework itself takes: a search of a workload that computes nothing.

python -m benchmarks.overhead --trials 100 1000 2000
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from search import study

ROOT = Path(__file__).parent.parent
AXIS = {"distribution": "uniform", "low": -5.0, "high": 5.0}
WINDOW = 100
"""Trials at the end of a search whose cost is that of the last trials."""
KINDS: dict[str, dict[str, Any]] = {
    "random, all 10 epochs": {"sampler": "random", "scheduler": None},
    "TPE, all 10 epochs": {"sampler": "tpe", "scheduler": None},
    "TPE, ASHA": {"sampler": "tpe", "scheduler": {"grace_period": 1, "reduction_factor": 3}},
}


def search(kind: str, trials: int, folder: Path) -> tuple[float, study.Study]:
    """Search; return the seconds of the whole command, and the study."""
    config = {
        "workload": "benchmarks.nothing",
        "metric": "loss",
        "space": dict.fromkeys("abcd", AXIS),
        "num_samples": trials,
        "finalists": 1,
        "seeds": 1,
        "best": False,
        **KINDS[kind],
    }
    file = folder / "nothing.yaml"
    file.write_text(json.dumps(config), encoding="utf-8")  # JSON is YAML
    command = [sys.executable, "-m", "search.run", "--config", str(file), "--output", str(folder), "--name", "nothing"]
    begin = time.perf_counter()
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    seconds = time.perf_counter() - begin
    if done.returncode:
        raise SystemExit(f"{kind} failed:\n{done.stdout[-3000:]}")
    return seconds, study.load(folder / "nothing")


def costs(made: study.Study) -> tuple[float, float, float]:
    """Return the milliseconds a trial of a whole search, of its first trials and of its last.

    From the proposal of one trial to that of another: start-up and retraining are not in it.
    """
    began = [trial.started for trial in made.trials()]
    ends = (began[0], began[-1]), (began[0], began[WINDOW - 1]), (began[-WINDOW], began[-1])
    counts = len(began) - 1, WINDOW - 1, WINDOW - 1
    first, second, third = (1e3 * (to - since) / count for (since, to), count in zip(ends, counts, strict=True))
    return first, second, third


def rows(trials: list[int], kinds: list[str]) -> Iterator[str]:
    """Yield a line a search."""
    yield f"{'search':>24}{'trials':>8}{'s in all':>10}{'ms a trial':>12}{f'first {WINDOW}':>12}{f'last {WINDOW}':>12}"
    for kind in kinds:
        for count in trials:
            with tempfile.TemporaryDirectory() as folder:
                seconds, made = search(kind, count, Path(folder))
                cells = "".join(f"{cost:>12.1f}" for cost in costs(made))
            yield f"{kind:>24}{count:>8}{seconds:>10.1f}{cells}"


def main() -> None:
    """Print a row a search."""
    parser = argparse.ArgumentParser("python -m benchmarks.overhead", description="What the framework itself takes.")
    parser.add_argument("--trials", type=int, nargs="+", default=[100, 1000, 2000], metavar="N")
    parser.add_argument("--kinds", nargs="+", default=list(KINDS), choices=list(KINDS), metavar="KIND")
    asked = parser.parse_args()
    for row in rows(asked.trials, asked.kinds):
        print(row, flush=True)


if __name__ == "__main__":
    main()

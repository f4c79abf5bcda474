"""How good what a search hands over is, against Ray's and Optuna's own: duels on recorded tables.

python -m benchmarks.quality.run --seeds 50

Prints tables for a README, and writes duels.csv, summary.csv and summary.json into results/quality-<time>/.
"""

import argparse
import itertools
import multiprocessing
import os
import time
from pathlib import Path

import pandas as pd

from benchmarks.quality import duels, report, tables
from benchmarks.quality.arms import OURS, TRIALS
from benchmarks.quality.quick import quickly
from benchmarks.quality.surrogate import held_out
from search.journal import provenance

ROOT = Path(__file__).parent.parent.parent


def main() -> None:
    """Play what the command line asks for; print and write what came of it."""
    parser = argparse.ArgumentParser("python -m benchmarks.quality.run", description="Duels on recorded tables.")
    parser.add_argument("--seeds", type=int, default=50, help="duels of each pair on each table")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--tables", nargs="+", default=list(tables.NAMES), choices=tables.NAMES)
    parser.add_argument("--workers", type=int, nargs="+", default=[2, 8])
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    parser.add_argument("--output", type=Path, default=ROOT / "results" / f"quality-{time.strftime('%Y%m%d-%H%M%S')}")
    asked = parser.parse_args()
    begin = time.perf_counter()
    for name in asked.tables:
        print(_described(name), flush=True)
    seeds = range(asked.first_seed, asked.first_seed + asked.seeds)
    rows = played(asked.tables, asked.workers, seeds, asked.processes)
    found = pd.concat([report.summary(rows), report.over_tables(rows)])
    asked.output.mkdir(parents=True, exist_ok=True)
    rows.to_csv(asked.output / "duels.csv", index=False)
    found.to_csv(asked.output / "summary.csv", index=False)
    found.to_json(asked.output / "summary.json", orient="records", indent=1)
    text = _text(found, asked.tables, asked.workers)
    (asked.output / "table.md").write_text(text, encoding="utf-8")
    machine = ", ".join(f"{name} {value}" for name, value in provenance.describe()["machine"].items())
    print(f"\n{text}\n\n{machine}; {time.perf_counter() - begin:.0f} s; written to {asked.output}")


def _described(name: str) -> str:
    """Return what a table is and how far its surrogate errs, as a line."""
    surrogate = duels.surrogate_of(name)
    table = surrogate.table
    error = held_out(surrogate)
    return (
        f"{name}: {len(table.loss)} configurations of {len(table.space)} hyperparameters, {table.epochs} epochs; "
        f"held out: rank correlation {error.rank:.2f}, of the best fifth {error.rank_of_best:.2f} and within "
        f"{error.relative:.1%} (median; between seeds {error.luck:.1%})"
    )


def played(names: list[str], workers: list[int], seeds: range, processes: int) -> pd.DataFrame:
    """Return the rows of all duels, in the order of tables, workers and seeds whatever the number of processes."""
    asked = list(duels.all_duels(names, workers, seeds))
    with multiprocessing.get_context("spawn").Pool(processes, quickly) as pool:
        found = pool.starmap(duels.duel, asked, chunksize=4)
    return pd.concat(found).sort_values(["table", "workers", "seed"], kind="stable", ignore_index=True)


def _text(found: pd.DataFrame, names: list[str], workers: list[int]) -> str:
    heading = (
        f"Share of duels that ours won, and our loss over the peer's in the mean; ours had {TRIALS} trials, the peer "
        f"as many epochs or seconds."
    )
    kinds = itertools.product(OURS, workers, ("epochs", "seconds"))
    parts = [report.markdown(found, *kind, [*names, "all"]) for kind in kinds]
    return "\n\n".join([heading, *parts])


if __name__ == "__main__":
    main()

"""The duels as tables: how many were won, and by how much, with standard errors."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from benchmarks.quality.tables import Floats

KEYS = ["table", "workers", "equal", "ours", "arm"]


def summary(rows: pd.DataFrame) -> pd.DataFrame:
    """Return a row a table, workers, budget, ours and peer: duels, won and regret, each with its standard error.

    `won` is the share of duels, a draw counting half. `regret` is our loss over the peer's, in per cent.
    """
    duels = paired(rows)
    found = []
    for keys, its in duels.groupby(KEYS, sort=False):
        found.append({**dict(zip(KEYS, keys, strict=True)), **_figures(its)})
    return pd.DataFrame(found)


def over_tables(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the same over all tables, each of which counts alike."""
    keys = [key for key in KEYS if key != "table"]
    of_each = summary(rows)
    found = []
    for values, its in of_each.groupby(keys, sort=False):
        row = {"table": "all", **dict(zip(keys, values, strict=True)), "duels": its["duels"].sum()}
        for name in ("won", "regret"):
            row[name] = its[name].mean()
            row[f"{name}_error"] = float(np.sqrt((its[f"{name}_error"] ** 2).sum())) / len(its)
        row["trials"] = its["trials"].mean()
        found.append(row)
    return pd.DataFrame(found)


def paired(rows: pd.DataFrame) -> pd.DataFrame:
    """Return a row a duel: the peer's, with our loss beside it as `our_loss`."""
    keys = ["table", "workers", "equal", "ours", "seed"]
    own = rows["arm"] == rows["ours"]
    mine = rows.loc[own, [*keys, "loss"]].rename(columns={"loss": "our_loss"})
    return rows[~own].merge(mine, on=keys)


def _figures(duels: pd.DataFrame) -> dict[str, float]:
    mine = duels["our_loss"].to_numpy(dtype=float)
    theirs = duels["loss"].to_numpy(dtype=float)
    won = np.sign(theirs - mine) / 2 + 0.5
    regret = np.log(mine / theirs)
    return {
        "duels": len(duels),
        "won": won.mean(),
        "won_error": _error(won),
        "regret": 100 * np.expm1(regret.mean()),
        "regret_error": 100 * _error(regret),
        "trials": duels["trials"].mean(),
    }


def _error(values: Floats) -> float:
    """Return the standard error of a mean."""
    return float(values.std(ddof=1) / len(values) ** 0.5)


def markdown(found: pd.DataFrame, ours: str, workers: int, equal: str, order: Sequence[str]) -> str:
    """Return a table for a README: a row a peer, a column a recorded table, `won, regret ± its error`."""
    chosen = found[(found["ours"] == ours) & (found["workers"] == workers) & (found["equal"] == equal)]
    lines = [
        f"| {ours} against, {workers} workers, equal {equal} | {' | '.join(order)} |",
        "|---" * (len(order) + 1) + "|",
    ]
    for arm, its in chosen.groupby("arm", sort=False):
        cells = []
        for table in order:
            row = its[its["table"] == table].iloc[0]
            cells.append(f"{row['won']:.2f}, {row['regret']:+.1f} ± {row['regret_error']:.1f} %")
        lines.append(f"| {arm} | {' | '.join(cells)} |")
    return "\n".join(lines)

"""Use a trained network: the probability that each point of a CSV lies inside.

python -m heart.predict --model results/NAME/best/model.pt --points points.csv --output labelled.csv
"""

import argparse
import sys
import warnings
from os.path import realpath  # Path.resolve() raises RuntimeError at a loop of links until Python 3.13
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from heart import plot
from heart.model import MLP, load

THRESHOLD = 0.5
PICTURES = (".png", ".pdf", ".svg")


def predict(model: MLP, points: pd.DataFrame) -> pd.DataFrame:
    """Return columns x, y, probability and label (1 from a probability of 0.5) for a table with x and y.

    Raises ValueError where a number is too great for the model.
    """
    probability = model.probability(torch.tensor(points[["x", "y"]].to_numpy(float))).numpy()
    if np.isnan(probability).any():
        row = int(np.isnan(probability).argmax())
        x, y = points.iloc[row][["x", "y"]]
        rule = "the model must give every point a probability, but"
        raise ValueError(f"{rule} gives none to row {row + 1}: x={x}, y={y}")
    label = (probability >= THRESHOLD).astype(int)
    table: pd.DataFrame = points[["x", "y"]].assign(probability=probability, label=label)
    return table


def read_points(path: Path) -> pd.DataFrame:
    """Return the columns x and y of a CSV as finite floats.

    Raises ValueError where a column is not there or a row holds anything else, FileNotFoundError without a file.
    """
    if not path.is_file():
        raise FileNotFoundError(f"the points file must exist, but there is no {path}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)  # of a row with more fields than the first line
            texts = pd.read_csv(path, dtype=str, keep_default_na=False, skip_blank_lines=False, index_col=False)
    except Exception as error:  # whatever a broken archive or foreign bytes make pandas raise
        raise ValueError(f"{path} must be a CSV with columns x and y, but: {' '.join(str(error).split())}") from None
    if not {"x", "y"} <= set(texts) or {"x.1", "y.1"} & set(texts):
        found = ", ".join(map(repr, texts.columns)) or "none"
        raise ValueError(f"{path} must have one column x and one y in its first line, but it has {found:.200}")
    while len(texts) and (texts.iloc[-1].fillna("") == "").all():
        texts = texts.iloc[:-1]  # a blank line at the end is nobody's mistake
    numbers = texts[["x", "y"]].apply(pd.to_numeric, errors="coerce")
    bad = ~np.isfinite(numbers.to_numpy(float)).all(axis=1)
    if bad.any():
        row = int(bad.argmax())
        x, y = texts.loc[row, ["x", "y"]]
        raise ValueError(f"{path}: x and y must be finite numbers, but row {row + 1} has x={x!r}, y={y!r}")
    points: pd.DataFrame = numbers.astype(float)
    return points


def main(arguments: list[str] | None = None) -> int:
    """Label what the command line asks for; return the exit code."""
    parser = argparse.ArgumentParser("python -m heart.predict", description="Label points.", allow_abbrev=False)
    parser.add_argument("--model", type=Path, required=True, metavar="FILE", help="a model.pt that heart.train wrote")
    parser.add_argument("--points", type=Path, required=True, metavar="FILE", help="CSV with columns x and y")
    parser.add_argument("--output", type=Path, metavar="FILE", help="CSV to write (standard output)")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="picture to write, PNG, PDF or SVG by its ending")
    flags = parser.parse_args(arguments)
    try:
        read = {realpath(flags.model), realpath(flags.points)}  # TypeError at `--model=--`, to Python 3.11 a list
        for path in (flags.output, flags.plot):
            if path and realpath(path) in read:
                raise ValueError(f"what is written must not replace what is read, but got {path} for both")
        if flags.plot and flags.plot.suffix not in PICTURES:
            raise ValueError(f"the picture must end in {', '.join(PICTURES)}, but got {flags.plot}")
        model, _ = load(flags.model)
        table = predict(model, read_points(flags.points))
        if flags.plot:
            plot.predictions(table).savefig(flags.plot, dpi=120)
        table.to_csv(flags.output or sys.stdout, index=False)
    except BrokenPipeError:
        sys.stderr.close()  # the reader, head for one, has seen enough
    except (ValueError, TypeError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())

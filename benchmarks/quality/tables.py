"""Recorded tables: configurations of a workload that were trained in full, and some of them with several seeds.

tables/NAME.parquet has a row a configuration: its hyperparameters, `loss` by epoch, and the seconds of an epoch.
tables/NAME.seeds.parquet has a row a run of some of them again: which one, its seed, and `loss` by epoch.
tables/NAME.kernel.json is what surrogate.py has fitted to the table.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from search.algorithms.space import Space
from search.spec import start
from search.spec.config import StudyConfig
from search.spec.files import read
from search.spec.membership import as_searched
from search.spec.space import parse
from search.spec.workload import Workload
from search.spec.workload import load as load_workload

Floats = NDArray[np.float64]
Params = dict[str, Any]

HERE = Path(__file__).parent
SEEDS = ".seeds.parquet"
KERNEL = ".kernel.json"
NAMES = ("heart", "digits", "boosting", "tabular")
"""Every table; each is of workloads/NAME.yaml."""


@dataclass(frozen=True)
class Table:
    """Configurations that were trained in full; lower is better."""

    name: str
    space: Space
    defaults: Params
    """The workload's; empty where one lies outside the space."""
    params: tuple[Params, ...]
    """Of each configuration."""
    loss: Floats
    """[configurations, epochs]"""
    seconds: Floats
    """[configurations]: of an epoch."""
    again: NDArray[np.int64]
    """[k]: the configurations that were trained with several seeds."""
    runs: Floats
    """[k, seeds, epochs]: their losses."""

    @property
    def epochs(self) -> int:
        """Return the epochs of a full trial."""
        return int(self.loss.shape[1])


def config_of(name: str) -> StudyConfig:
    """Return what the YAML of a table asks for."""
    return StudyConfig.of(read(yaml_of(name)))


def yaml_of(name: str) -> Path:
    """Return the search that a table is recorded of."""
    return HERE / "workloads" / f"{name}.yaml"


def path_of(name: str, kind: str = ".parquet") -> Path:
    """Return the file of a table, of its runs with several seeds, SEEDS, or of its surrogate's kernel, KERNEL."""
    return HERE / "tables" / f"{name}{kind}"


def workload_of(name: str) -> Workload:
    """Import the workload of a table."""
    return load_workload(config_of(name).source)


def load(name: str) -> Table:
    """Return a recorded table."""
    config = config_of(name)
    space = parse(config.space)
    fixed: Mapping[str, Any] = config.fixed
    defaults, _ = start.of_defaults({**workload_of(name).defaults(), **fixed}, space)
    frame = pd.read_parquet(path_of(name))
    runs = pd.read_parquet(path_of(name, SEEDS))
    params = [_as_searched(row, space) for row in frame[[*space]].to_dict("records")]
    again = np.unique(runs["row"].to_numpy())
    return Table(
        name,
        space,
        defaults,
        tuple(params),
        _stacked(frame),
        frame["seconds"].to_numpy(dtype=float),
        again,
        np.stack([_stacked(runs[runs["row"] == row]) for row in again]),
    )


def _as_searched(row: Mapping[Any, Any], space: Space) -> Params:
    return {key: as_searched(space[key], value) for key, value in row.items()}


def _stacked(frame: pd.DataFrame) -> Floats:
    return np.stack(frame["loss"].to_list()).astype(float)

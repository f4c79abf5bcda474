"""The seeds of a proposal: functions of the study's seed and the trial's number, so that a resume draws the same."""

import zlib

import numpy as np


def seeds_of(seed: int, trial: int, name: str) -> tuple[int, int]:
    """Return two seeds for what is drawn for a hyperparameter of a trial; no name is what is drawn together."""
    first, second = np.random.SeedSequence([seed, trial, zlib.crc32(name.encode())]).generate_state(2)
    return int(first), int(second)

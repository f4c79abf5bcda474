"""Memory: what a search of thousands of trials takes, and what is said where there is too little. On a real Ray."""

import re
from pathlib import Path

import psutil
import pytest

from search import study
from tests.programs import LEAST, TOY, begin, processes_of, search, write

MB = 1_000_000
SETTLED = 50
"""Trials after which all is there that a search needs."""


@pytest.mark.full
def test_the_driver_grows_by_little_a_trial_and_by_no_file_or_process(tmp_path: Path, temporary: Path) -> None:
    """Measured over 2,000 trials of 9 epochs at most: 252 MB at the 50th, 363 MB at the last; 54 kB a trial.

    Ray starts a thread, and with it a file or a process, now and then: a few more are no growth.
    """
    count = 2000
    seen = []
    with begin(tmp_path, "--config", write(tmp_path, {**TOY, "num_samples": count}), TMPDIR=str(temporary)) as process:
        driver, ended = psutil.Process(process.pid), 0
        for line in process.stdout or ():
            ended += line.startswith("trial ")
            if line.startswith("trial ") and (ended in (SETTLED, count) or ended % 500 == 0):
                seen.append((driver.memory_info().rss, driver.num_fds(), len(processes_of(temporary))))
    assert process.returncode == 0
    assert ended == count
    (first, files, processes), last = seen[0], seen[-1][0]
    assert last <= 500 * MB
    assert (last - first) / (count - SETTLED) <= 0.2 * MB
    assert max(each for _, each, _ in seen) <= files + 5
    assert max(each for _, _, each in seen) <= processes + 3


def test_a_process_that_ray_kills_for_memory_is_named_with_how_full_the_machine_was_and_what_helps(
    tmp_path: Path,
) -> None:
    """Ray is told to take the machine for full from a thousandth on, and the trials wait until that has happened."""
    notes = tmp_path / "notes"
    notes.mkdir()
    config = {**LEAST, "num_samples": 1, "max_failures": 1, "fixed": {"folder": str(notes)}}
    done = search(tmp_path, config, RAY_memory_usage_threshold="0.001")
    assert (done.returncode, done.stderr) == (1, "")
    why = r" \(killed for memory by Ray, with [\d.]+ of [\d.]+ GB in use; train fewer at once, by a greater .*\)"
    assert re.search(f"trial 0 lost its process after epoch 0{why}; it will be trained again", done.stdout)
    (trial,) = study.load(tmp_path / "results" / "s").trials()
    assert re.fullmatch(f"the process that trained it died, 2 times in all{why}", trial.attributes["failure"])
    assert f"trial 0 failed: {trial.attributes['failure']}\n" in done.stdout

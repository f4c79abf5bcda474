"""A search of thousands of trials costs its driver little memory, and no file or process a trial. On a real Ray."""

from pathlib import Path

import psutil
import pytest

from tests.programs import TOY, begin, processes_of, write

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

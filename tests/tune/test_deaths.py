"""Why a process died, of what is known of it."""

import math
from pathlib import Path

import pytest

from search.tune import deaths
from search.tune.searcher import OptunaSearcher
from tests.studies import create
from tests.tune.test_searcher import result

FULL = """1 worker(s) were killed due to the node running low on memory. Memory on the node (IP: 192.0.2.2, ID: 8f4f)
was 22.41GB used / 23.54GB limit (0.951999)
OOM kill reason: Memory usage 1654640640B exceeded threshold of 1516563584B (6.0% of 25276059648B limit)"""
CLOSED = """The actor is dead because its worker process has died. Worker exit type: SYSTEM_ERROR Worker exit detail:
Worker unexpectedly exits with a connection error code 2. End of file. Some common causes include: (1) the process was
killed by the OOM killer due to high memory usage, (2) ray stop --force was called, or (3) the worker crashed
unexpectedly due to SIGSEGV or another unexpected error."""
SEGFAULT = "epoch 1\nFatal Python error: Segmentation fault\n\nStack (most recent call first):\n"
HELP = "train fewer at once, by a greater cpus_per_trial, or smaller ones"


@pytest.mark.parametrize(
    ("told", "printed", "reason"),
    [
        (FULL, "", f" (killed for memory by Ray, with 22.41 of 23.54 GB in use; {HELP})"),
        (CLOSED, SEGFAULT, " (Segmentation fault)"),
        (CLOSED, "epoch 1\n", ""),
        ("", "", ""),
    ],
)
def test_a_reason_is_given_where_it_is_known_and_no_guess_of_rays(told: str, printed: str, reason: str) -> None:
    assert deaths.reason(told, printed, math.inf) == reason


def test_a_log_that_several_processes_wrote_gives_the_words_of_the_last(tmp_path: Path) -> None:
    log = tmp_path / "trial-0000.log"
    assert deaths.last_words(log) == ""
    log.write_text(f"{SEGFAULT}{deaths.LOG_LINE} (Segmentation fault); it is trained again\n", encoding="utf-8")
    assert "Fatal" not in deaths.last_words(log)
    with log.open("a", encoding="utf-8") as file:
        file.write("x" * deaths.TAIL_BYTES + "\nFatal Python error: Aborted\n")
    assert deaths.last_words(log).endswith("\nFatal Python error: Aborted\n")


def test_the_kernels_count_is_read_and_is_0_where_it_keeps_none(tmp_path: Path) -> None:
    file = tmp_path / "vmstat"
    assert deaths.memory_kills(file) == 0
    file.write_text("pgfault 12\nnr_oom_kill 3\noom_kill 7\ndrop_pagecache 0\n", encoding="ascii")
    assert deaths.memory_kills(file) == 7
    file.write_text("pgfault 12\n", encoding="ascii")
    assert deaths.memory_kills(file) == 0


def test_a_process_that_dies_as_the_kernel_kills_for_memory_is_said_to_be_killed_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel's count is played: a test cannot fill a machine. A kill before the last report was of another."""
    kills = [0]
    monkeypatch.setattr(deaths, "memory_kills", lambda: kills[0])
    made = create(tmp_path, "s", max_failures=0, num_samples=2)
    searcher = OptunaSearcher(made, 0)
    for name, before, after in (("a", 1, 0), ("b", 0, 1)):
        searcher.suggest(name)
        searcher.on_trial_start(name)
        kills[0] += before
        searcher.on_trial_result(name, result(1, 3.0, 3.0))
        kills[0] += after
        searcher.on_trial_error(name, CLOSED)
        searcher.on_trial_complete(name, None, error=True)
    first, second = (trial.attributes["failure"] for trial in made.trials())
    assert first == "the process that trained it died"
    assert second == f"the process that trained it died (killed for memory by the system, it seems; {HELP})"

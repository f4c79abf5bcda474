"""What Ray and Tune would let a search wait for. A search on a real Ray, in this process."""

import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from search import cluster, study, tuning
from search.cluster import Node, Share
from search.config import StudyConfig
from search.sampler import OptunaSearcher
from search.workload import load
from tests.programs import TOY

PROCESSES = 2
AGENTS = {"ray::DashboardAgent", "ray::RuntimeEnvAgent"}


def children() -> list[psutil.Process]:
    return psutil.Process().children(recursive=True)


def test_a_search_starts_a_process_a_core_however_short_its_trials_are_and_no_server_that_it_does_not_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Left to itself Tune ends a process that starts, and starts another, each time that a trial ends before."""
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    asked: dict[str, Any] = {**TOY, "num_samples": 150, "sampler": "random", "scheduler": None, "name": "s"}
    made = study.create(StudyConfig.of({**asked, "output": str(tmp_path)}), load("tests.toy"))
    searcher = OptunaSearcher(made, 0)
    workers: set[int] = set()
    commands: set[str] = set()

    def look() -> None:
        for each in children():
            try:
                name, command = each.name(), " ".join(each.cmdline())
            except psutil.Error:
                continue
            commands.add(command)
            if name.startswith("ray::") and name not in AGENTS and "agent" not in command.lower():
                workers.add(each.pid)

    helped: list[bool] = []

    def help_for_a_while() -> None:
        import ray

        time.sleep(0.5)  # as an import that takes so long
        helped.append(ray.is_initialized())

    ray = cluster.Ray(None, Node(PROCESSES, 0), made.logs / "ray.log")
    with ray.running() as folder:
        tuning.run(made, Share(0, 1, PROCESSES), folder, searcher, look, lambda processes: None)
        look()
        ray.meanwhile(help_for_a_while)
    assert helped == [True]
    assert [trial.ending for trial in made.trials()] == ["complete"] * 150
    assert len(workers) == PROCESSES
    assert any("gcs_server" in command for command in commands)
    for script in ("monitor.py", "dashboard/dashboard.py", "log_monitor.py"):
        assert not [command for command in commands if script in command]

"""Ray from outside: nodes that disappear under a search, and clients that have no business there. Real clusters."""

import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from ray.cluster_utils import Cluster

from search import study
from tests.programs import ROOT, TOY, begin, processes_of, start, until, until_line, write

COMPLETE, PRUNED = 1, 2


@pytest.fixture
def three(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    """Return a cluster of three nodes with a core each, on which the toy can be imported."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    try:
        for _ in range(2):
            cluster.add_node(num_cpus=1)
        yield cluster
    finally:
        cluster.shutdown()


def lose(cluster: Cluster) -> None:
    """Kill a node that is not the head; its trials' processes go with it."""
    node = cluster.list_all_nodes()[-1]
    (raylet,) = (each.process for each in node.all_processes["raylet"])
    below = psutil.Process(raylet.pid).children(recursive=True)
    cluster.remove_node(node, allow_graceful=False)
    for process in below:
        if process.is_running():
            process.kill()
    psutil.wait_procs(below, timeout=60)


def test_a_search_survives_the_loss_of_two_of_three_nodes(tmp_path: Path, three: Cluster) -> None:
    """One while each node has a trial, the other in the retraining."""
    notes = tmp_path / "notes"
    notes.mkdir()
    config = {**TOY, "num_samples": 9, "seeds": 60, "fixed": {"folder": str(notes)}, "ray_address": three.address}
    with begin(tmp_path, "--config", write(tmp_path, config), "--name", "s", RAY_AUTH_MODE="disabled") as process:
        until(lambda: len(list(notes.glob("*.running"))) == 3)
        lose(three)
        told = {" lost its process after epoch 0; it will be trained again", "the cluster has 2 of its 3 nodes left; "}
        assert process.stdout
        for line in process.stdout:
            told = {text for text in told if text not in line}
            if not told:
                break
        (notes / "go").touch()
        until_line(process, ", seed 5: complete")
        lose(three)
        output, errors = process.communicate(timeout=120)
    assert process.returncode == 0, output + errors
    assert errors == ""
    made = study.load(tmp_path / "results" / "s")
    assert [trial.number for trial in made.trials()] == list(range(9))
    assert {trial.ending for trial in made.trials()} <= {"complete", "stopped"}
    assert sum(trial.attributes.get("lost", 0) for trial in made.trials()) == 1
    (retraining,) = made.others("retraining")
    assert {trial.state.name for trial in retraining.get_trials()} == {"COMPLETE"}
    records = map(json.loads, (made.folder / "journal.log").read_bytes().splitlines())
    ended = [each["trial_id"] for each in records if each["op_code"] == 6 and each["state"] in (COMPLETE, PRUNED)]
    assert len(ended) == len(set(ended)) == 9 + 2 + 2 * 60  # two finalists run once; one and the defaults are judged


CLIENT = """
import sys
from ray._raylet import GcsClient
print(len(GcsClient(address=sys.argv[1]).get_all_node_info(timeout=20)))
"""


def ask(address: str, home: Path, **more: str) -> subprocess.CompletedProcess[str]:
    """Ask a Ray for its nodes, from another process."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    command = [sys.executable, "-c", CLIENT, address]
    environment |= {"HOME": str(home), **more}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)


def started(pid: int, word: str) -> list[psutil.Process]:
    """Return the processes below one whose command line has a word in it."""
    return [each for each in psutil.Process(pid).children(recursive=True) if word in " ".join(each.cmdline())]


def listening(process: psutil.Process) -> list[int]:
    """Return the ports at which others can reach a process."""
    return [each.laddr.port for each in process.net_connections() if each.status == psutil.CONN_LISTEN]


def test_the_ray_of_a_search_shows_no_dashboard_and_refuses_a_client_without_its_token(
    tmp_path: Path, temporary: Path
) -> None:
    notes = tmp_path / "notes"
    notes.mkdir()
    config = write(tmp_path, {**TOY, "num_samples": 2, "fixed": {"folder": str(notes)}})
    with begin(tmp_path, "--config", config, "--name", "s", TMPDIR=str(temporary)) as process:
        until(lambda: list(notes.glob("*.running")))
        lines = " ".join(processes_of(temporary))
        (address,) = set(re.findall(r"--gcs-address=(\S+)", lines))
        assert ask(address, Path.home(), RAY_AUTH_MODE="token").stdout == "1\n"
        for more in ({"RAY_AUTH_MODE": "disabled"}, {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "0" * 64}, {}):
            refused = ask(address, tmp_path, **more)
            assert refused.returncode != 0
            assert "token" in refused.stderr
        assert started(process.pid, "dashboard.py") == []
        assert [port for each in started(process.pid, "gcs_server") for port in listening(each)] != []
        (notes / "go").touch()
        _, errors = process.communicate(timeout=120)
    assert (process.returncode, errors) == (0, "")


def test_a_cluster_that_cannot_be_joined_is_one_line_before_anything_is_made(tmp_path: Path) -> None:
    def refused(port: int, **more: str) -> str:
        arguments = ["--config", write(tmp_path, TOY), "--ray-address", f"127.0.0.1:{port}"]
        done = start("search.run", *arguments, cwd=tmp_path, HOME=str(tmp_path), **more)
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
        assert done.stderr.startswith("error: ray_address must be that of a running cluster, but '127.0.0.1:")
        assert not (tmp_path / "results").exists()
        return done.stderr

    assert "Connection refused" in refused(1)
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert "no authentication token was found" in refused(server.getsockname()[1], RAY_AUTH_MODE="token")

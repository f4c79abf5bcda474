"""What Ray finds on this machine, and how one is started and ended."""

import logging
import os
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest

from search.errors import UserError
from search.tune import cluster, logs, requirements
from search.tune.resources import Node
from search.tune.trainable import ReusableTrainable
from tests.programs import ENVIRONMENT, LEAST, write
from tests.test_laws import FILES, ROOT, room


def test_gpus_that_cuda_visible_devices_hides_are_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert cluster.count_gpus() == 0


def test_gpus_that_are_named_but_not_there_are_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", ",".join(map(str, range(1000))))
    assert cluster.count_gpus() < 1000


def test_cores_that_this_process_may_not_use_are_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    allowed = os.sched_getaffinity(0)
    assert 1 <= cluster.count_cpus() <= len(allowed)
    try:
        os.sched_setaffinity(0, {min(allowed)})
        assert cluster.count_cpus() == 1
    finally:
        os.sched_setaffinity(0, allowed)


@pytest.mark.parametrize("home", ["/dev/null", "/proc/nowhere"])
def test_a_home_that_cannot_be_written_is_refused_before_ray_starts(home: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", home)
    with pytest.raises(UserError, match="Ray needs a HOME that can be written"):
        requirements.check_home()


NETWORK_OF_ITS_OWN = ["unshare", "--map-root-user", "--net"]


def can_have_a_network_of_its_own() -> bool:
    return (
        subprocess.run(["sh", "-c", f"{' '.join(NETWORK_OF_ITS_OWN)} true"], stderr=subprocess.DEVNULL).returncode == 0
    )


@pytest.mark.skipif(not can_have_a_network_of_its_own(), reason="this system lets no process have its own network")
def test_a_machine_without_a_loopback_is_refused_before_ray_starts_and_would_wait_for_it(tmp_path: Path) -> None:
    command = [*NETWORK_OF_ITS_OWN, sys.executable, "-m", "search.run", "--config", str(write(tmp_path, LEAST))]
    done = subprocess.run(command, cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "error: Ray needs a machine that reaches itself at 127.0.0.1, but: [Errno 101] Network is unreachable; "
        "bring its loopback up, as by `ip link set lo up`, or leave the sandbox that has none\n"
    )
    assert not (tmp_path / "results").exists()


@pytest.mark.skipif(not can_have_a_network_of_its_own(), reason="this system lets no process have its own network")
def test_a_machine_whose_loopback_knows_only_ipv6_is_told_to_give_it_the_other_address() -> None:
    script = "ip link set lo up && ip addr del 127.0.0.1/8 dev lo || exit 77; exec"
    check = f"{sys.executable} -c 'from search.tune import requirements; requirements.check_loopback()'"
    command = [*NETWORK_OF_ITS_OWN, "sh", "-c", f"{script} {check}"]
    done = subprocess.run(command, cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True, timeout=60)
    if done.returncode == 77:
        pytest.skip("this system has no ip command that takes an address away")
    assert done.stderr.rstrip().endswith("; give its loopback that address, as by `ip addr add 127.0.0.1/8 dev lo`")


def test_a_long_name_of_the_temporary_folder_does_not_break_rays_sockets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "gettempdir", lambda: "/var/" + "folders/" * 9)
    assert cluster._short_folder() == "/tmp"


def test_whatever_lies_outside_the_room_of_ray_is_imported_without_it() -> None:
    """A finished study opens, draws and reports, and a user's mistake is told, before Ray would be imported."""
    modules = [module for module in FILES if module.startswith("search.") and room(module) != "tune"]
    script = (
        f"import sys, importlib; [importlib.import_module(name) for name in {modules}]; print('ray' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, timeout=60, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("False\n", "")


def test_a_search_starts_without_what_draws_and_without_pandas() -> None:
    """They are imported while there is nothing to do but to wait: each is half a second before the first trial."""
    late = {"pandas", "matplotlib", "PIL", "jinja2", "ray", "torch"}
    script = f"import sys, search.run; print({late} & {{*sys.modules}})"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, timeout=60, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("set()\n", "")


def test_a_worker_process_imports_no_optuna_before_its_first_epoch() -> None:
    """Half a second, in each process."""
    modules = f"{ReusableTrainable.__module__}, search.worker.jobs"
    script = f"import sys, {modules}; print({{'optuna', 'matplotlib'}} & {{*sys.modules}})"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, timeout=60, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("set()\n", "")


def test_what_is_done_meanwhile_is_done_before_ray_is_ended(
    tmp_path: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(temporary))
    import ray

    happened: list[str] = []
    end, ended = ray.shutdown, threading.Event()

    def shutdown() -> None:
        happened.append("Ray is ended")
        end()

    def help_out() -> None:
        ended.wait()
        happened.append("the helper is done")

    monkeypatch.setattr(ray, "shutdown", shutdown)
    made = cluster.Ray(None, Node(1, 0), tmp_path / "ray.log")
    with made.running():
        made.meanwhile(help_out)
        threading.Timer(0.3, ended.set).start()
    assert happened == ["the helper is done", "Ray is ended"]


def test_the_log_of_an_earlier_ray_is_closed_when_another_takes_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lines that come after the first Ray's end still go to its log, so it cannot be closed there."""
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", [])
    logs.log_to(tmp_path / "first.log")
    root.warning("a line opens the file")
    (first,) = root.handlers
    assert isinstance(first, logging.FileHandler)
    stream = first.stream
    assert stream is not None
    logs.log_to(tmp_path / "second.log")
    assert stream.closed


def test_what_ray_and_optuna_log_and_what_is_warned_of_goes_to_the_log_and_not_to_the_terminal(tmp_path: Path) -> None:
    """Optuna has a handler of its own, which prints; in a process of its own, for the loggers are the process's."""
    command = [sys.executable, "-c", LOGS, str(tmp_path / "ray.log")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    text = (tmp_path / "ray.log").read_text(encoding="utf-8")
    for said in ("WARNING optuna.a: said by optuna\n", "WARNING ray.b: said by ray\n", "UserWarning: warned of\n"):
        assert text.count(said) == 1


LOGS = """
import logging, sys, warnings
from pathlib import Path
import optuna, ray
from search.tune import cluster, logs, requirements
logs.log_to(Path(sys.argv[1]))
logging.getLogger("optuna.a").warning("said by optuna")
logging.getLogger("ray.b").warning("said by ray")
warnings.warn("warned of")
"""

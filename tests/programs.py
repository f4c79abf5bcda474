"""How tests start the real programs, and what they look at from outside."""

import json
import os
import pty
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

ROOT = Path(__file__).parent.parent
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "RAY_ADDRESS": "127.0.0.1:1"}  # nobody is there: not to be joined
X = {"distribution": "uniform", "low": -5, "high": 5}
TOY: dict[str, Any] = {
    "workload": "tests.toy",
    "metric": "loss",
    "num_samples": 12,
    "space": {"x": X, "y": X},
    "scheduler": {"grace_period": 1, "reduction_factor": 3},
    "finalists": 2,
    "seeds": 2,
    "try_defaults": False,
}
"""Of seeds that were chosen for what they propose, as trial 0 too."""
LEAST: dict[str, Any] = {"workload": "tests.toy", "metric": "loss", "space": {"x": X}, "num_samples": 3}
HEART: dict[str, Any] = {
    "workload": "heart.train",
    "metric": "val_loss",
    "num_samples": 4,
    "space": {
        "lr": {"distribution": "log_uniform", "low": 0.01, "high": 0.5},
        "hidden1": {"distribution": "int_log_uniform", "low": 4, "high": 16},
    },
    "fixed": {"points": 2000, "epochs": 6, "schedule": "cosine"},
    "finalists": 1,
    "seeds": 2,
}
CONFIG = """
from dataclasses import dataclass

@dataclass(frozen=True)
class Config:
    x: float = 0.0
    epochs: int = 3
    seed: int = 0
"""
"""The beginning of a workload that a test writes; more fields may follow."""
Done = subprocess.CompletedProcess[str]


def write(folder: Path, config: dict[str, Any]) -> Path:
    """Write search.yaml into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    YAML().dump(config, folder / "search.yaml")
    return folder / "search.yaml"


def start(module: str, *arguments: object, cwd: Path, **more: str) -> Done:
    """Run a program to its end."""
    command = [sys.executable, "-m", module, *map(str, arguments)]
    environment = {**ENVIRONMENT, **more}
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=300)


def search(folder: Path, config: dict[str, Any], *arguments: object, **more: str) -> Done:
    """Run a search called s to its end."""
    return start("search.run", "--config", write(folder, config), "--name", "s", *arguments, cwd=folder, **more)


def resume(folder: Path, *arguments: object, **more: str) -> Done:
    """Go on with the search called s to its end."""
    return start("search.run", "--resume", "results/s", *arguments, cwd=folder, **more)


def in_shell(line: str, cwd: Path) -> Done:
    """Run a command line to its end as a user would who pastes it."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = {**ENVIRONMENT, "PATH": path}
    return subprocess.run(line, shell=True, cwd=cwd, env=environment, capture_output=True, text=True, timeout=300)


def on_terminal(command: list[str], cwd: Path, term: str) -> tuple[int, str]:
    """Run a command on a pseudo-terminal of 60 columns to its end; return its exit code and all that it wrote."""
    ours, theirs = pty.openpty()
    environment = {**ENVIRONMENT, "COLUMNS": "60", "LINES": "20", "TERM": term}
    with subprocess.Popen(command, cwd=cwd, env=environment, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        shown = b""
        while part := _read(ours):
            shown += part
        code = process.wait(60)
    os.close(ours)
    return code, shown.decode()


def _read(terminal: int) -> bytes:
    """Return what a process writes next to its terminal; nothing where it has closed that, which is an error here."""
    try:
        return os.read(terminal, 4096)
    except OSError:
        return b""


@contextmanager
def begin(cwd: Path, *arguments: object, **more: str) -> Iterator[subprocess.Popen[str]]:
    """Run search.run in a process group of its own, killed where a test is done with it."""
    command = [sys.executable, "-m", "search.run", *map(str, arguments)]
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, cwd=cwd, env={**ENVIRONMENT, **more}, start_new_session=True, **pipes) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)


def until_line(process: subprocess.Popen[str], text: str) -> None:
    """Read what a process prints, up to a line with this text."""
    assert any(text in line for line in process.stdout or ()), process.communicate()


def until(holds: Callable[[], object], seconds: float = 60) -> None:
    """Wait for a condition, and fail where it does not come."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


def processes_of(folder: Path) -> list[str]:
    """Return the command lines that name a folder: Ray's own all name their session's."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = entry.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(folder) in line:
            found.append(line)
    return found


def until_gone(folder: Path) -> None:
    """Wait until no process names a folder: Ray's own agents notice within a minute that what ran them is dead."""
    until(lambda: not processes_of(folder), 90)


@contextmanager
def short_folder() -> Iterator[Path]:
    """Yield a folder for temporary files of our own, its name short enough for Ray's sockets."""
    with tempfile.TemporaryDirectory(prefix="t", dir="/tmp") as name:
        yield Path(name)


def unpack(folder: Path, content: bytes | list[Any]) -> Path:
    """Make the folder of a foreign study with this journal."""
    folder.mkdir(parents=True)
    lines = content if isinstance(content, bytes) else "".join(json.dumps(each) + "\n" for each in content).encode()
    (folder / "journal.log").write_bytes(lines)
    return folder

"""Provenance of a session: the command, versions, machine and git revision behind a study's numbers."""

import os
import platform
import shlex
import subprocess
import sys
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGES = ("ray", "optuna", "torch", "numpy", "pandas")


def describe() -> dict[str, Any]:
    """Return the provenance of this process as JSON can hold it; None for what cannot be found out."""
    versions: dict[str, str | None] = {"python": platform.python_version()}
    for package in PACKAGES:
        versions[package] = _version(package)
    return {
        "command": shlex.join(["python", *sys.orig_argv[1:]]),
        "time": time.strftime("%Y-%m-%d %H:%M:%S %z"),
        "versions": versions,
        "machine": {"system": platform.platform(), "processor": _processor(), "cpus": os.cpu_count()},
        "git": _git_revision(),
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _processor() -> str:
    """Return the model of the CPU: on Linux `platform` knows only its architecture."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    for line in lines:
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor()


def _git_revision() -> str | None:
    """Return the commit of the working folder, with '+' where files differ from it."""
    command = ["git", "describe", "--always", "--abbrev=40", "--dirty=+", "--exclude=*"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None

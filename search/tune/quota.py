"""The CPU quota of this process: the smallest that its control groups set, its own and all above it.

Ray, joblib and the standard library read the topmost group at most, which is a container's own. They do not see a group
further down, as of a batch system, a systemd unit or a container in a container.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple


class Mount(NamedTuple):
    """Where a hierarchy of control groups is mounted."""

    version: int
    """Of control groups, 1 or 2."""
    root: Path
    """The group at the mount point; of a container it is often the container's."""
    point: Path


def cpu_quota(process: Path = Path("/proc/self")) -> float | None:
    """Return how many cores' time this process is given, such as 0.5; None where nothing limits it."""
    try:
        groups = dict(_groups((process / "cgroup").read_text(encoding="utf-8")))
        mounts = list(_mounts((process / "mountinfo").read_text(encoding="utf-8")))
    except OSError:  # no Linux
        return None
    quotas = []
    for mount in mounts:
        for folder in _folders(mount, groups.get(mount.version, mount.root)):
            quota = _quota_v2(folder) if mount.version == 2 else _quota_v1(folder)
            if quota is not None:
                quotas.append(quota)
    return min(quotas, default=None)


def _groups(text: str) -> Iterator[tuple[int, Path]]:
    """Yield the version and the path of each group that may limit the CPU, of /proc/self/cgroup."""
    for line in text.splitlines():
        _, controllers, path = line.split(":", 2)
        if not controllers:
            yield 2, Path(path)
        elif "cpu" in controllers.split(","):
            yield 1, Path(path)


def _mounts(text: str) -> Iterator[Mount]:
    """Yield the mounts at which such groups are seen, of /proc/self/mountinfo."""
    for line in text.splitlines():
        about, _, system = line.partition(" - ")
        root, point = about.split(" ")[3:5]
        kind, _, options = system.split(" ", 2)
        if kind == "cgroup2":
            yield Mount(2, Path(root), Path(point))
        elif kind == "cgroup" and "cpu" in options.split(","):
            yield Mount(1, Path(root), Path(point))


def _folders(mount: Mount, group: Path) -> Iterator[Path]:
    """Yield the folder of a group and of all above it that the mount shows; where it does not show it, the topmost."""
    if group.is_relative_to(mount.root) and ".." not in group.parts:
        below = group.relative_to(mount.root)
        for part in (below, *below.parents)[:-1]:
            yield mount.point / part
    yield mount.point


def _quota_v2(folder: Path) -> float | None:
    words = _words(folder / "cpu.max")
    if len(words) != 2 or words[0] == "max":
        return None
    return int(words[0]) / int(words[1])


def _quota_v1(folder: Path) -> float | None:
    words = _words(folder / "cpu.cfs_quota_us") + _words(folder / "cpu.cfs_period_us")
    if len(words) != 2 or words[0] == "-1":
        return None
    return int(words[0]) / int(words[1])


def _words(file: Path) -> list[str]:
    try:
        return file.read_text(encoding="ascii").split()
    except OSError:
        return []

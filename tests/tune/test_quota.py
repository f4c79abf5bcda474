"""The CPU quota of a process, read from trees of control groups as systems show them."""

from pathlib import Path

import pytest

from search.tune import cluster
from search.tune.quota import cpu_quota

V2 = "31 23 0:28 {root} {point} rw,relatime shared:4 - cgroup2 cgroup2 rw,nsdelegate"
V1 = "32 31 0:29 {root} {point} rw,relatime - cgroup cgroup rw,cpu,cpuacct"
OTHER = "33 31 0:30 / {point} rw,relatime - cgroup cgroup rw,cpuset"


def quota(folder: Path, groups: str, mounts: list[tuple[str, str]], files: dict[str, str]) -> float | None:
    """Return the quota of a process in these groups, which sees these mounts (line, root) with these files in them."""
    lines = [line.format(root=root, point=folder / f"mount{number}") for number, (line, root) in enumerate(mounts)]
    (folder / "cgroup").write_text(groups, encoding="utf-8")
    (folder / "mountinfo").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"{content}\n", encoding="ascii")
    return cpu_quota(folder)


@pytest.mark.parametrize("where", ["mount0/a/b/cpu.max", "mount0/a/cpu.max", "mount0/cpu.max"])
def test_the_smallest_quota_of_a_group_and_all_above_it_is_the_processs(where: str, tmp_path: Path) -> None:
    files = {f"mount0/{folder}cpu.max": "max 100000" for folder in ("", "a/", "a/b/")}
    files |= {"mount0/a/b/c/cpu.max": "1000 100000", "mount0/other/cpu.max": "1000 100000"}
    assert quota(tmp_path, "0::/a/b\n", [(V2, "/")], files) is None
    files |= {"mount0/a/b/cpu.max": "300000 100000", where: "50000 100000"}
    assert quota(tmp_path, "0::/a/b\n", [(V2, "/")], files) == 0.5


def test_groups_of_version_1_and_of_both_versions_at_once_are_read(tmp_path: Path) -> None:
    groups = "4:cpuset:/q\n3:cpu,cpuacct:/a/b\n1:name=systemd:/q\n0::/c\n"
    mounts = [(V1, "/"), (OTHER, ""), (V2, "/")]
    files = {"mount0/a/b/cpu.cfs_quota_us": "-1", "mount0/a/b/cpu.cfs_period_us": "100000"}
    assert quota(tmp_path, groups, mounts, files) is None
    files |= {"mount0/a/cpu.cfs_quota_us": "75000", "mount0/a/cpu.cfs_period_us": "50000", "mount1/cpu.max": "1 100"}
    assert quota(tmp_path, groups, mounts, files) == 1.5
    assert quota(tmp_path, groups, mounts, {**files, "mount2/c/cpu.max": "25000 100000"}) == 0.25


@pytest.mark.parametrize(
    ("group", "root"),
    [
        ("/", "/"),  # a control group namespace, as Docker and Kubernetes make it: the container's group is the root
        ("/docker/abc", "/docker/abc"),  # none, and the container's group is mounted at the root
        ("/docker/abc/below", "/docker/abc"),
        ("/kubepods/pod1/abc", "/docker/abc"),  # another's is seen
        ("/../../elsewhere", "/"),  # a process that was moved out of its namespace
    ],
)
def test_a_containers_quota_is_read_at_its_root_whatever_its_group_is_called(
    group: str, root: str, tmp_path: Path
) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "cpu.max").write_text("1 100\n", encoding="ascii")
    assert quota(tmp_path, f"0::{group}\n", [(V2, root)], {"mount0/cpu.max": "200000 100000"}) == 2.0


def test_a_system_without_control_groups_limits_nothing(tmp_path: Path) -> None:
    assert cpu_quota(tmp_path) is None
    assert quota(tmp_path, "", [], {}) is None


def test_a_part_of_a_core_is_one_trial_at_once_and_of_more_the_whole_ones_count(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: set(range(8)))
    counts = {}
    for part in (None, 0.1, 0.5, 1.0, 1.5, 2.0, 100.0):
        monkeypatch.setattr(cluster, "cpu_quota", lambda part=part: part)
        counts[part] = cluster.count_cpus()
    assert counts == {None: 8, 0.1: 1, 0.5: 1, 1.0: 1, 1.5: 1, 2.0: 2, 100.0: 8}

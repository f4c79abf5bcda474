"""What killed processes leave behind is removed by who comes next, and nothing that a living one uses. Real kills."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from search import study
from search.spec import temporary
from search.spec.temporary import TemporaryFolder
from tests import studies
from tests.programs import ENVIRONMENT

MAKER = """
import sys
from pathlib import Path
from search.spec.temporary import TemporaryFolder

made = TemporaryFolder(Path(sys.argv[1]), "search-")
(made.path / "inner").mkdir()
print(made.path, flush=True)
sys.stdin.read()
"""


@contextmanager
def maker(folder: Path) -> Iterator[tuple["subprocess.Popen[str]", Path]]:
    """Yield a process that has made a temporary folder, and that folder."""
    command = [sys.executable, "-c", MAKER, str(folder)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, env=ENVIRONMENT, stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdout
        yield process, Path(process.stdout.readline().strip())
        process.kill()


def test_the_folder_of_a_killed_process_is_removed_and_that_of_a_living_one_stays(tmp_path: Path) -> None:
    with maker(tmp_path) as (first, dead), maker(tmp_path) as (_, alive):
        temporary.sweep(tmp_path, "search-")
        assert dead.is_dir()
        first.kill()
        first.wait()
        temporary.sweep(tmp_path, "search-")
        assert [path.name for path in tmp_path.iterdir()] == [alive.name]
        assert (alive / "inner").is_dir()


def test_what_is_not_of_ours_is_not_removed(tmp_path: Path) -> None:
    """A folder of an earlier version, a stranger's of the same name, a link, a file, another prefix."""
    elsewhere = tmp_path / "elsewhere"
    for path in (elsewhere, tmp_path / "search-old", tmp_path / "search-theirs"):
        path.mkdir()
        (path / "kept").touch()
    (elsewhere / temporary.LOCK).touch()
    (tmp_path / "search-link").symlink_to(elsewhere)
    (tmp_path / "search-file").touch()
    before = sorted(tmp_path.rglob("*"))
    temporary.sweep(tmp_path, "search-")
    temporary.sweep(tmp_path / "nowhere", "search-")
    assert sorted(tmp_path.rglob("*")) == before


def test_a_folder_is_removed_by_its_own_process_with_all_that_is_in_it(tmp_path: Path) -> None:
    made = TemporaryFolder(tmp_path, "search-")
    (made.path / "inner").mkdir()
    made.remove()
    made.remove()
    assert list(tmp_path.iterdir()) == []


def test_the_next_writer_of_a_study_removes_what_a_killed_one_has_left_half_written(tmp_path: Path) -> None:
    made = studies.create(tmp_path, "s")
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    dead, alive = process.pid, threading.get_native_id()
    left = [made.folder / f".report.html-{dead}", made.folder / "plots" / f".curves.png-{dead}"]
    kept = [made.folder / f".curves.csv-{alive}", made.folder / ".mine", made.folder / f"theirs-{dead}"]
    for path in [*left, *kept]:
        path.touch()
    (made.folder / ".best-x1" / "best").mkdir(parents=True)
    study.load(made.folder)
    assert all(path.exists() for path in left)  # who only reads removes nothing
    with ExitStack() as holding:
        study.open_to_write(made.folder, holding)
        assert not any(path.exists() for path in left)
        assert not (made.folder / ".best-x1").exists()
        assert all(path.exists() for path in kept)

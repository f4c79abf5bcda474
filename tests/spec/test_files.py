"""Files that are written as a whole: whoever has one, reads one or is killed finds the old one or the new one."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from search.spec import files
from tests.programs import ENVIRONMENT


def test_who_has_a_file_open_or_linked_keeps_it_as_it_was(tmp_path: Path) -> None:
    path, link = tmp_path / "best.yaml", tmp_path / "kept.yaml"
    files.write(path, "old " * 10_000)
    os.link(path, link)
    with path.open(encoding="utf-8") as reader:
        first = reader.read(4)
        files.write(path, "new")
        assert first + reader.read() == "old " * 10_000
    assert link.read_text(encoding="utf-8") == "old " * 10_000
    assert path.read_text(encoding="utf-8") == "new"
    assert path.stat().st_ino != link.stat().st_ino


LITTLE_ROOM = """
import resource, sys
from pathlib import Path
from search.spec import files
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    files.write(Path(sys.argv[1]), "new " * 1000)
except OSError as error:
    print(error.strerror)
"""


@pytest.mark.parametrize("before", [["best.yaml"], []], ids=["an old one", "none before"])
def test_where_the_disk_is_full_in_the_middle_the_old_file_is_whole_and_no_part_of_the_new_one_is_left(
    before: list[str], tmp_path: Path
) -> None:
    """A limit on the size of files is to a process what a full disk is; it needs no root."""
    for name in before:
        (tmp_path / name).write_text("old " * 2000, encoding="utf-8")
    command = [sys.executable, "-c", LITTLE_ROOM, str(tmp_path / "best.yaml")]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("File too large\n", "")
    left = {path.name: path.read_text(encoding="utf-8") for path in tmp_path.iterdir()}
    assert left == dict.fromkeys(before, "old " * 2000)


def test_while_two_threads_write_a_file_every_reader_finds_one_of_its_texts_whole(tmp_path: Path) -> None:
    texts, path, done = ["a" * 100_000, "b" * 300_000], tmp_path / "trials.csv", Event()
    files.write(path, texts[0])

    def write_often(text: str) -> None:
        for _ in range(300):
            files.write(path, text)

    def read_all_the_time() -> set[str]:
        found = set[str]()
        while not done.is_set():
            found.add(path.read_text(encoding="utf-8"))
        return found

    with ThreadPoolExecutor() as pool:
        reading = pool.submit(read_all_the_time)
        try:
            list(pool.map(write_often, texts))
        finally:
            done.set()
        assert reading.result() <= set(texts)
    assert path.read_text(encoding="utf-8") in texts
    assert [each.name for each in tmp_path.iterdir()] == ["trials.csv"]


@given(
    st.dictionaries(
        st.text(st.characters(codec="utf-8", categories=("L", "N")), min_size=1, max_size=8),
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text("aé:#- "),
        max_size=5,
    )
)
def test_values_come_back_from_yaml_as_they_were(values: dict[str, object]) -> None:
    assert (YAML(typ="safe").load(files.yaml(values)) or {}) == values


def test_a_power_of_ten_is_a_number_for_readers_of_yaml_1_1_too() -> None:
    assert files.yaml({"eps": 1e-08, "of": [-1e16, 2.5e-07]}) == "eps: 1.0e-08\nof:\n- -1.0e+16\n- 2.5e-07\n"

"""The right to write a study: one process has it at a time, and whoever is refused is told which."""

import os
import socket
from pathlib import Path

import pytest

from search.errors import UserError
from search.journal.storage import Writer

ME = f"pid {os.getpid()} on {socket.gethostname()}"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "journal.log").touch()
    return tmp_path


def test_a_second_writer_is_refused_until_the_first_has_given_up(folder: Path) -> None:
    with Writer(folder):
        for _ in range(2):
            with pytest.raises(UserError, match=f"is written by {ME}; wait for it"):
                Writer(folder)
    Writer(folder).close()


def test_of_a_writer_before_nothing_is_left_in_the_name_of_the_one_that_has_the_right(folder: Path) -> None:
    (folder / "writer.lock").write_text("pid 123456 on a-machine-with-a-long-name.example.org\n" * 3, encoding="utf-8")
    with Writer(folder):
        assert (folder / "writer.lock").read_text(encoding="utf-8") == f"{ME}\n"


def test_a_writer_that_has_not_said_its_name_yet_is_another_process(folder: Path) -> None:
    """It has the lock a moment before it writes there."""
    with Writer(folder):
        os.truncate(folder / "writer.lock", 0)
        with pytest.raises(UserError, match="is written by another process; wait for it"):
            Writer(folder)


def test_a_folder_without_a_journal_gets_no_lock(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="has none"):
        Writer(tmp_path)
    assert list(tmp_path.iterdir()) == []

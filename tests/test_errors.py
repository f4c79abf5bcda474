"""What a person is shown as text."""

import shlex
from pathlib import Path

import pytest

from search.errors import command


@pytest.mark.parametrize("folder", ["results/s", "my results/s", "it's/s", "{}/$HOME", "a;b", "ü\\n"])
def test_a_shell_gives_a_printed_command_the_folder_that_it_names(folder: str) -> None:
    words = shlex.split(command("search.run", "--resume", Path(folder)))
    assert words == ["python", "-m", "search.run", "--resume", folder]


def test_a_folder_that_begins_as_a_flag_does_is_not_taken_for_one() -> None:
    assert command("search.report", Path("-x/s")) == "python -m search.report ./-x/s"
    assert command("search.run", "--resume", Path("results/s")) == "python -m search.run --resume results/s"

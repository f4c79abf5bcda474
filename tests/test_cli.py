"""What a program answers an error with: a line and 2 for a user's, a traceback and how to report it for ours."""

import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from search import cli
from search.errors import UserError
from search.signals import Interrupted
from tests.programs import in_shell

Answer = Callable[[BaseException, bool], tuple[int, str]]


def raising(error: BaseException) -> int:
    raise error


@pytest.fixture
def answer(capsys: pytest.CaptureFixture[str]) -> Answer:
    """Return what gives the exit code and the error stream of a program that raises, in `prepare` or later."""

    def answered(error: BaseException, is_early: bool) -> tuple[int, str]:
        code = cli.guarded(lambda holding: raising(error) if is_early else lambda: raising(error))  # type: ignore[arg-type, return-value]
        return code, capsys.readouterr().err

    return answered


@pytest.mark.parametrize("is_early", [True, False])
def test_a_users_mistake_is_one_line_and_exit_code_2(is_early: bool, answer: Answer) -> None:
    assert answer(UserError("x must be > 0,\nbut got 0"), is_early) == (2, "error: x must be > 0,\\nbut got 0\n")


def test_what_the_system_refuses_is_one_line_and_the_code_says_whether_anything_was_started(answer: Answer) -> None:
    error = OSError(28, "No space left on device")
    assert answer(error, True) == (2, "error: [Errno 28] No space left on device\n")
    assert answer(error, False) == (1, "error: [Errno 28] No space left on device\n")


def test_an_interruption_has_the_exit_code_of_its_signal_and_says_what_is_kept(answer: Answer) -> None:
    assert answer(Interrupted("interrupted; what was finished is in s", 143), False) == (
        143,
        "interrupted; what was finished is in s\n",
    )
    assert answer(KeyboardInterrupt(), True) == (130, "interrupted\n")


@pytest.mark.parametrize("is_early", [True, False])
@pytest.mark.parametrize("kind", [ValueError, TypeError, KeyError, AssertionError])
def test_a_fault_of_ours_shows_its_traceback_and_how_to_report_it(
    kind: type[Exception], is_early: bool, answer: Answer
) -> None:
    code, errors = answer(kind("ours"), is_early)
    assert code == 1
    first, *_, last = errors.splitlines()
    assert first == "Traceback (most recent call last):"
    assert kind.__name__ in errors
    assert last.startswith("this is a fault of search, not of yours: please report it, with the lines above and")
    assert "python -m search.run --version" in last


def test_a_fault_of_ours_stands_in_the_log_too_and_once_on_the_screen(
    answer: Answer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = logging.FileHandler(tmp_path / "ray.log")
    monkeypatch.setattr(logging.getLogger(), "handlers", [file])
    _, errors = answer(TypeError("ours"), False)
    file.close()
    assert errors.count("Traceback") == 1
    assert (tmp_path / "ray.log").read_text(encoding="utf-8").count("TypeError: ours") == 1


@pytest.mark.parametrize(("closed", "code"), [(">&-", 2), ("2>&-", 2), (">&- 2>&- <&-", 2)])
def test_a_stream_that_the_shell_has_closed_costs_what_it_would_have_got_and_nothing_else(
    closed: str, code: int, tmp_path: Path
) -> None:
    done = in_shell(f"python -m search.report nowhere {closed}", tmp_path)
    assert done.returncode == code
    assert done.stdout == ""
    assert done.stderr == (
        "" if "2>&-" in closed else "error: a study is a folder with a journal.log, but nowhere has none\n"
    )


def test_a_terminal_of_no_columns_is_written_to(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "0")
    cli.Terminal().print("a line")
    assert capsys.readouterr().out == "a line\n"

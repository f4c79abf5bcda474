"""Odd surroundings of a search: each is told in one line with the fix, or does no harm. Real processes."""

import os
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from search import study
from tests.programs import CONFIG, ENVIRONMENT, LEAST, ROOT, TOY, Done, begin, until, until_line, write

SEARCH = [sys.executable, "-m", "search.run", "--config", "search.yaml", "--name", "s"]
SMALL = {**LEAST, "finalists": 1, "seeds": 1}


def run(command: list[str], cwd: Path, stdout: int = subprocess.PIPE, limit: Callable[[], None] | None = None) -> Done:
    """Run a command to its end, with another standard output or under a limit where one is given."""
    return subprocess.run(
        command,
        cwd=cwd,
        env=ENVIRONMENT,
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=limit,
        timeout=120,
    )


def files_limit() -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40))


def memory_limit() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (4 * 10**9, 4 * 10**9))


# Refused before anything is spent.


def refusal(folder: Path, command: list[str], limit: Callable[[], None] | None = None) -> str:
    """Return the one line with which a search is refused that leaves no study."""
    write(folder, SMALL)
    done = run(command, folder, limit=limit)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert not list(folder.glob("results/*"))
    return done.stderr


def test_without_docstrings_which_ray_needs_a_search_is_refused(tmp_path: Path) -> None:
    assert "python -OO (or PYTHONOPTIMIZE=2) drops them" in refusal(tmp_path, [sys.executable, "-OO", *SEARCH[1:]])


def test_so_few_open_files_that_ray_would_wait_for_ever_are_refused(tmp_path: Path) -> None:
    assert "but the limit is 40; raise it, as by `ulimit -n 4096`" in refusal(tmp_path, SEARCH, files_limit)


def test_a_best_yaml_that_is_a_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "best.yaml").mkdir()
    assert "./best.yaml, but that is a folder; move it, or add --no-best" in refusal(tmp_path, SEARCH)


def test_a_working_folder_that_was_removed_is_refused(tmp_path: Path) -> None:
    config = write(tmp_path / "kept", SMALL)
    gone = tmp_path / "gone"
    gone.mkdir()
    line = f"rmdir {gone}; {sys.executable} -m search.run --config {config} --output {tmp_path / 'results'}"
    done = run(["sh", "-c", line], gone)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: a search needs its working folder, but that was removed; go to one that exists\n"


@pytest.mark.parametrize("name", ["random", "queue"])
def test_a_file_of_the_users_that_hides_a_module_is_named(name: str, tmp_path: Path) -> None:
    """One that NumPy imports, and one that Ray does."""
    (tmp_path / f"{name}.py").write_text("answer = 42\n", encoding="utf-8")
    told = refusal(tmp_path, SEARCH)
    assert told == (f"error: {tmp_path}/{name}.py hides the module {name}, which others import; give it another name\n")


# Ray does not start, or a signal comes before a trial: the name is free again.


def test_a_ray_that_does_not_start_is_told_with_its_reason_and_leaves_no_study(tmp_path: Path) -> None:
    write(tmp_path, SMALL)
    done = run(SEARCH, tmp_path, limit=memory_limit)
    assert done.returncode == 1
    assert done.stderr.startswith("error: Ray did not start on this machine: ")
    assert "Cannot allocate memory" in done.stderr
    assert done.stderr.endswith("; no trial had begun, so results/s is not kept\n")
    assert done.stderr.count("\n") == 1
    assert not list(tmp_path.glob("results/*"))


@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.full)])
def test_a_search_that_is_interrupted_before_its_first_trial_leaves_no_study(number: int, tmp_path: Path) -> None:
    with begin(tmp_path, "--config", write(tmp_path, SMALL), "--name", "s") as process:
        until_line(process, "searching")
        process.send_signal(number)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert errors in ("interrupted\n", "interrupted; no trial had begun, so results/s is not kept\n")
    assert not list(tmp_path.glob("results/*"))


# Searched in spite of it.

IN_THE_WAY = (
    CONFIG
    + """
from pathlib import Path

def train(config):
    if config.seed:  # in the retraining
        Path("best.yaml").mkdir(exist_ok=True)
    for epoch in range(config.epochs):
        yield {"loss": (config.x - 1) ** 2 + 1 / (epoch + 1)}, config.x
"""
)


@pytest.fixture
def searched(tmp_path: Path) -> tuple[Path, Done]:
    """Return a folder and what a search said, in whose retraining a folder came into the place of ./best.yaml."""
    (tmp_path / "mine.py").write_text(IN_THE_WAY, encoding="utf-8")
    write(tmp_path, {**SMALL, "workload": "mine"})
    return tmp_path, run(SEARCH, tmp_path)


def test_what_is_in_the_way_of_results_costs_neither_them_nor_the_summary(searched: tuple[Path, Done]) -> None:
    folder, done = searched
    kept = folder / "results" / "s"
    # A folder instead of ./best.yaml.
    assert done.returncode == 1
    assert "the winner is trial" in done.stdout
    assert done.stderr.startswith("error: ./best.yaml cannot be written, [Errno 21] Is a directory")
    assert done.stderr.endswith("; the winner's config is in results/s/best.yaml\n")
    assert (kept / "best.yaml").exists()
    # A link instead of best/, which is replaced, not what it leads to; and a full disk behind the standard output.
    elsewhere = folder / "elsewhere"
    shutil.move(kept / "best", elsewhere)
    (kept / "best").symlink_to(elsewhere)
    (elsewhere / "metrics.json").write_text("mine", encoding="utf-8")
    with Path("/dev/full").open("w") as full:
        again = run([sys.executable, "-m", "search.retrain", "results/s"], folder, stdout=full.fileno())
    assert again.returncode == 0
    assert again.stderr == (
        "the output could not be written, [Errno 28] No space left on device: it was done without\n"
    )
    assert len(study.load(kept).finished()) == 2
    assert not (kept / "best").is_symlink()
    assert '"configuration"' in (kept / "best" / "metrics.json").read_text(encoding="utf-8")
    assert (elsewhere / "metrics.json").read_text(encoding="utf-8") == "mine"
    # A link to nothing, or a file, instead of plots/.
    shutil.rmtree(kept / "plots")
    for kind, make in (("a link to nothing", lambda path: path.symlink_to("nowhere")), ("a file", Path.touch)):
        make(kept / "plots")
        drawn = run([sys.executable, "-m", "search.plot", "results/s"], folder)
        told = f"error: results/s/plots must be a folder, but it is {kind}; move it away\n"
        assert (drawn.returncode, drawn.stderr) == (1, told)
        (kept / "plots").unlink()
    # A study from git, which keeps no empty folder, is resumed, and hands its winner over where the way is free.
    shutil.rmtree(kept / "logs")
    (folder / "best.yaml").rmdir()
    (folder / "best.yaml").write_text("# mine, study other: loss 1\nx: 1\n", encoding="utf-8")
    resumed = run([sys.executable, "-m", "search.run", "--resume", "results/s"], folder)
    assert (resumed.returncode, resumed.stderr) == (0, "")
    assert "./best.yaml was that of study other; it is replaced (--no-best leaves it alone)\n" in resumed.stdout
    assert (folder / "best.yaml").read_bytes() == (kept / "best.yaml").read_bytes()


SCRIPT = f"#!{sys.executable}\nfrom search.scripts import main\nmain()\n"
"""As an installation writes it."""


def test_a_script_finds_our_package_where_the_user_has_a_search_py_and_so_do_the_workers(tmp_path: Path) -> None:
    scripts = tmp_path / "bin"
    scripts.mkdir()
    (scripts / "search-run").write_text(SCRIPT, encoding="utf-8")
    here = tmp_path / "here"
    config: dict[str, Any] = {**SMALL, "workload": "mine"}
    write(here, config)
    (here / "search.py").write_text("raise SystemExit('not this one')\n", encoding="utf-8")
    (here / "mine.py").write_text("from tests.toy import Config, train\n", encoding="utf-8")
    done = run([sys.executable, str(scripts / "search-run"), "--config", "search.yaml"], here)
    assert (done.returncode, done.stderr) == (0, "")
    assert " stopped early, 0 diverged, 0 failed" in done.stdout


def test_every_command_has_its_script() -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    commands = [path.stem for path in (ROOT / "search").glob("*.py") if "cli.leave(main())" in path.read_text("utf-8")]
    assert len(commands) == 8
    for command in commands:
        assert f'search-{command} = "search.scripts:main"' in text


@pytest.mark.full
def test_a_study_that_is_renamed_while_it_is_searched_ends_the_search_with_a_line(tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    notes.mkdir()
    config = {**TOY, "fixed": {"folder": str(notes)}, "num_samples": 4}
    with begin(tmp_path, "--config", write(tmp_path, config), "--name", "s") as process:
        until(lambda: list(notes.iterdir()))
        os.rename(tmp_path / "results" / "s", tmp_path / "results" / "t")  # noqa: PTH104 - as a user does
        (notes / "go").touch()
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert errors.startswith("error: [Errno 2] No such file or directory: ")
    assert errors.endswith("; the study is no longer at results/s: to go on with it, resume it where it was moved to\n")
    assert errors.count("\n") == 1
    resumed = run([sys.executable, "-m", "search.run", "--resume", "results/t"], tmp_path)
    assert (resumed.returncode, resumed.stderr) == (0, "")

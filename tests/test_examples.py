"""The examples: each is what its authors would have, a few lines changed, and a YAML; each is searched."""

import difflib
import sys
from pathlib import Path

import pytest

from search.spec import files
from tests.programs import ROOT, search

EXAMPLES = ROOT / "examples"
PAGE = (ROOT / "docs" / "examples.md").read_text(encoding="utf-8")
NEEDS = {
    "digits": ["sklearn"],
    "characters": [],
    "lightning_digits": ["lightning", "sklearn"],
    "hugging_face": ["transformers", "accelerate"],
    "boosting": ["lightgbm", "sklearn"],
    "argparse_script": ["sklearn"],
}
"""What each example imports beside torch."""
SMALL = {"num_samples": 2, "seeds": 1, "scheduler": None}
JUDGED = ("boosting", "argparse_script")
"""Those whose winner is retrained here, too: they are quick."""
MOST_PYTHON = 5
MOST_YAML = 12


def lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines()


def changed(name: str) -> int:
    """Return how many lines of the original were changed, or came to it."""
    original, searchable = (lines(EXAMPLES / name / f"{file}.py") for file in ("original", name))
    count = 0
    for kind, low, high, new_low, new_high in difflib.SequenceMatcher(
        None, original, searchable, autojunk=False
    ).get_opcodes():
        if kind != "equal":
            count += max(high - low, new_high - new_low)
    return count


@pytest.mark.parametrize("name", [name for name in NEEDS if name != "argparse_script"])
def test_an_example_changes_few_lines_of_its_original_and_the_page_shows_which(name: str) -> None:
    assert changed(name) <= MOST_PYTHON
    original, searchable = (lines(EXAMPLES / name / f"{file}.py") for file in ("original", name))
    diff = list(difflib.unified_diff(original, searchable, lineterm="", n=0))[2:]
    shown = [line for line in diff if not line.startswith("@@")]
    assert "\n".join(shown) in PAGE
    assert f"{changed(name)} lines" in PAGE


@pytest.mark.parametrize("name", NEEDS)
def test_the_page_shows_the_yaml_of_an_example_which_is_short(name: str) -> None:
    text = (EXAMPLES / name / f"{name}.yaml").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= MOST_YAML
    assert text in PAGE


def test_every_example_is_tested() -> None:
    assert sorted(path.name for path in EXAMPLES.iterdir() if path.is_dir()) == sorted(NEEDS)


@pytest.mark.parametrize("name", NEEDS)
def test_an_example_is_searched_from_another_folder(name: str, tmp_path: Path) -> None:
    for module in NEEDS[name]:
        pytest.importorskip(module, reason=f"{module} is not installed: pip install 'heart-search[trainers]'")
    config = files.read(EXAMPLES / name / f"{name}.yaml")
    if "workload" in config:
        config["workload"] = str(EXAMPLES / name / config["workload"])
    else:
        config["command"] = f"{sys.executable} {config['command'].removeprefix('python ')}"
        config["command"] = config["command"].replace("train.py", str(EXAMPLES / name / "train.py"))
    judged = name in JUDGED
    done = search(tmp_path, {**config, **SMALL, "finalists": int(judged)})
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 diverged, 0 failed" in done.stdout
    assert (tmp_path / "results" / "s" / "best").is_dir() == judged
    assert not any(line.startswith("trial") and "behind" in line for line in done.stdout.splitlines()), done.stdout

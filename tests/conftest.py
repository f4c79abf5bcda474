"""What all tests share: the full run, a process as it was, and a place for Ray's files."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import settings

from search.algorithms.proposals import ask
from search.journal.records import OpenTrial
from tests import shared
from tests.programs import LEAST, short_folder
from tests.shared import Finished
from tests.studies import new

settings.register_profile("short", max_examples=60, deadline=None)
settings.register_profile("full", max_examples=2000, deadline=None)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--full", action="store_true", help="the drills at full length, 2,000 examples a property")


def pytest_configure(config: pytest.Config) -> None:
    settings.load_profile("full" if config.getoption("--full") else "short")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("--full"):
        for item in items:
            if item.get_closest_marker("full"):
                item.add_marker(pytest.mark.skip(reason="part of the full run: pytest --full"))


GPUS = os.environ.get("CUDA_VISIBLE_DEVICES")


@pytest.fixture(autouse=True)
def process() -> None:
    """Put back what training sets for its process: no GPU in sight, and denormals flushed, which hypothesis refuses."""
    os.environ.pop("CUDA_VISIBLE_DEVICES", None)
    if GPUS is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = GPUS
    torch.set_flush_denormal(False)


@pytest.fixture(scope="module")
def temporary() -> Iterator[Path]:
    """Return a folder for temporary files of our own."""
    with short_folder() as folder:
        yield folder


@pytest.fixture(scope="session")
def toy_search(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    return shared.once(tmp_path_factory, "toy", shared.toy)


@pytest.fixture(scope="session")
def faulty_search(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    return shared.once(tmp_path_factory, "faulty", shared.faulty)


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """Return the journal of a study of three trials that are complete."""
    values = {**LEAST, "name": "s", "output": str(tmp_path_factory.mktemp("made"))}
    made = new(values)
    for _ in range(3):
        trial = OpenTrial(made.search, ask(made.search, made.space))
        for epoch in range(1, 10):
            trial.add(epoch, {"loss": 1 / epoch, "elapsed_s": 0.1 * epoch}, 1 / epoch)
        trial.end("complete")
    return [json.loads(line) for line in (made.folder / "journal.log").read_text(encoding="utf-8").splitlines()]

"""Every example on the page of what a search may be told is a config; what it says of files is so."""

import re
from typing import Any

import pytest
from ruamel.yaml import YAML

from search.algorithms.samplers import SAMPLERS
from search.algorithms.schedulers import SCHEDULERS
from search.spec.config import StudyConfig
from search.spec.space import DISTRIBUTIONS
from tests.programs import ROOT

PAGE = (ROOT / "docs" / "searching.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```yaml\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
LEAST = {
    "workload": "mine",
    "metric": "val_loss",
    "space": {
        "lr": {"distribution": "log_uniform", "low": 0.001, "high": 1},
        "momentum": {"distribution": "uniform", "low": 0, "high": 0.99},
    },
}


@pytest.mark.parametrize("block", BLOCKS)
def test_every_example_is_a_config(block: str) -> None:
    given: dict[str, Any] = YAML(typ="safe", pure=True).load(block)
    settings = {**LEAST, **given}
    if "objectives" in given:
        del settings["metric"]
    config = StudyConfig.of(settings)
    assert StudyConfig.of(config.as_mapping()) == config


def test_the_page_names_every_sampler_scheduler_and_distribution() -> None:
    for name in (*SAMPLERS, *SCHEDULERS, *DISTRIBUTIONS):
        assert f"`{name}`" in PAGE, name

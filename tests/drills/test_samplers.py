"""A sampler with options in a real search: what it reads, and what its journal keeps."""

from pathlib import Path

from ruamel.yaml import YAML

from search import study
from tests.programs import TOY, search

OPTIONS = {"name": "cmaes", "n_startup_trials": 0, "popsize": 4}


def test_cmaes_counts_stopped_trials_to_its_generations_and_its_options_are_recorded(tmp_path: Path) -> None:
    """Of complete ones alone there would be too few for the second generation."""
    config = {**TOY, "num_samples": 16, "sampler": {"name": "cmaes", "popsize": 4}, "finalists": 0}
    done = search(tmp_path, config)
    assert done.returncode == 0, done.stderr
    made = study.load(tmp_path / "results" / "s")
    settings = YAML(typ="safe").load(made.folder / "study.yaml")["config"]
    assert settings["sampler"] == OPTIONS
    endings = [trial.ending for trial in made.trials()]
    generations = [trial.system_attrs["cma:generation"] for trial in made.search.trials]
    assert len(endings) == 16
    assert endings.count("complete") < 8
    assert max(generations) >= 2

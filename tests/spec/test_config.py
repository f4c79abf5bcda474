"""What a search is asked to do: space, fixed values, limits, and what a mistake is answered."""

import dataclasses
import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from search.algorithms.asha import ASHA
from search.algorithms.samplers import SAMPLERS
from search.errors import UserError
from search.spec import space
from search.spec.config import StudyConfig
from search.spec.files import read
from search.spec.fit import Fit
from search.spec.workload import Workload, load
from tests.programs import ROOT

X = {"distribution": "uniform", "low": -5, "high": 5}
LEAST: dict[str, Any] = {"workload": "tests.toy", "metric": "loss", "space": {"x": X}}


def test_a_space_becomes_optunas_distributions() -> None:
    found = space.parse(
        {
            "a": {"distribution": "uniform", "low": 0, "high": 0.99},
            "b": {"distribution": "log_uniform", "low": 1e-4, "high": 1},
            "c": {"distribution": "int_uniform", "low": -3, "high": 3},
            "d": {"distribution": "int_log_uniform", "low": 8, "high": 128},
            "e": {"distribution": "choice", "values": ["relu", True, None, 1.5]},
        }
    )
    assert dict(found) == {
        "a": FloatDistribution(0, 0.99),
        "b": FloatDistribution(1e-4, 1, log=True),
        "c": IntDistribution(-3, 3),
        "d": IntDistribution(8, 128, log=True),
        "e": CategoricalDistribution(["relu", True, None, 1.5]),
    }


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (3, "must be a mapping with 'distribution'"),
        ({"low": 0, "high": 1}, "must be a mapping with 'distribution'"),
        ({**X, "distribution": "unifrom"}, "unknown: 'unifrom', did you mean 'uniform'?"),
        ({**X, "distribution": ["uniform"]}, "is unknown"),
        ({**X, "hihg": 5}, "unknown key 'hihg', did you mean 'high'?"),
        ({"distribution": "uniform", "low": 0}, "lacks 'high'"),
        ({**X, "low": 5}, "low < high must hold, but got low 5 and high 5"),
        ({**X, "low": "0"}, "low must be a number below 2**63 for uniform, but got '0'"),
        ({**X, "high": math.inf}, "high must be a number below 2**63 for uniform, but got inf"),
        ({**X, "high": 10**400}, "high must be a number below 2**63"),
        ({**X, "high": True}, "high must be a number below 2**63"),
        ({**X, "distribution": "log_uniform", "low": 0}, "low > 0 must hold for log_uniform, but got 0; use uniform"),
        (
            {**X, "distribution": "int_uniform", "low": 0.5},
            "low must be a whole number below 2**63",
        ),
        ({**X, "log": True}, "unknown key 'log', as log_uniform and int_log_uniform are distributions; remove it, and"),
        ({**X, "q": 0.1}, "unknown key 'q', did you mean 'step'?"),
        ({"distribution": "uniform", "min": 0, "max": 1}, "unknown key 'min', did you mean 'low'?"),
        ({"distribution": "randint", "low": 0, "high": 1}, "unknown: 'randint', did you mean 'int_uniform'?"),
        ({"distribution": "choice", "choices": [1, 2]}, "unknown key 'choices', did you mean 'values'?"),
        (["sgd", "adam"], "but got ['sgd', 'adam']; write {distribution: choice, values: ['sgd', 'adam']}"),
        (0.1, "but got 0.1; what is the same in every trial stands under fixed"),
        ({"distribution": "choice", "values": []}, "must be a list of at least one value"),
        ({"distribution": "choice", "values": [1, 1]}, "must differ from each other, but 1 equals 1; remove one"),
        ({"distribution": "choice", "values": [0, 2, False]}, "must differ from each other, but False equals 0"),
        ({"distribution": "choice", "values": [True, None, 1.0]}, "must differ from each other, but 1.0 equals True"),
        ({"distribution": "choice", "values": [{"a": 1}]}, "must be numbers, texts"),
        ({"distribution": "choice", "values": [[1], [1]]}, "must differ from each other, but [1] equals [1]"),
    ],
)
def test_a_bad_space_entry_is_answered_with_rule_value_and_fix(entry: object, message: str) -> None:
    with pytest.raises((ValueError, TypeError)) as caught:
        space.parse({"x": entry})
    assert "space.x" in str(caught.value)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"num_sample": 3}, "unknown setting 'num_sample', did you mean 'num_samples'?"),
        ({"num_samples": 0}, "num_samples must be >= 1, but got 0"),
        ({"num_samples": "3"}, "num_samples must be of type int or null, but got '3'"),
        ({"num_samples": 2.5}, "num_samples must be of type int or null, but got 2.5"),
        ({"num_samples": True}, "num_samples must be of type int or null, but got True"),
        ({"mode": "minimum"}, "mode must be min or max, but got 'minimum'"),
        ({"metric": "val_accuracy"}, "mode must be given, min or max, for a metric that does not say which: 'val_acc"),
        ({"timeout": 60}, "unknown setting 'timeout', it is time_budget here, as 10m"),
        ({"weight_decay": 0.1}, "what belongs to the workload's Config stands under fixed, or in space"),
        ({"space": {}}, "at least one hyperparameter"),
        ({"space": None}, "space must be of type mapping, but got None"),
        ({"fixed": {"x": 1}}, "'x' is in both"),
        ({"fixed": {1: 2}}, "fixed must hold names and plain values, but got 1: 2"),
        ({"fixed": {"y": {"z": 1}}}, "but got 'y': {'z': 1}; of a config within write y.z"),
        ({"space": {1: X}}, "space must hold names of hyperparameters, but got 1"),
        ({"fixed": {"y": math.nan}}, "fixed.y must be finite, but got nan"),
        ({"gpus_per_trial": -0.25}, "gpus_per_trial must be 0, 1/k for a whole k, or a whole number, but got -0.25"),
        ({"gpus_per_trial": 0.4}, "gpus_per_trial must be 0, 1/k"),
        ({"gpus_per_trial": 0.96}, "gpus_per_trial must be 0, 1/k"),
        ({"gpus_per_trial": 0.51}, "gpus_per_trial must be 0, 1/k"),
        ({"gpus_per_trial": 10**400}, "gpus_per_trial must be of type float"),
        ({"gpus_per_trial": 1.5}, "gpus_per_trial must be 0, 1/k"),
        ({"gpus_per_trial": math.nan}, "gpus_per_trial must be finite"),
        ({"gpus_per_trial": math.inf}, "gpus_per_trial must be finite"),
        ({"cpus_per_trial": 0}, "cpus_per_trial must be >= 0.01"),
        ({"seed": -1}, "seed must be in [0, 2**31), but got -1"),
        ({"name": "../out"}, "name must be letters, digits"),
        ({"name": ""}, "name must be letters, digits"),
        ({"name": ".hidden"}, "name must be letters, digits"),
        ({"scheduler": 3}, "scheduler must be a name, {name: ..., OPTION: ...} or null, but got 3"),
        ({"scheduler": "Median"}, "unknown scheduler 'Median', did you mean 'median'?"),
        ({"scheduler": {"name": "none", "interval": 2}}, "scheduler none must stand without options, but got {"),
        ({"scheduler": {"name": "median", "min_trials": 0}}, "min_trials must be >= 1, but got 0"),
        ({"scheduler": {"name": "hyperband", "interval": 2}}, "unknown setting 'scheduler.interval', there are: grace"),
        ({"scheduler": {"grace_perod": 3}}, "unknown setting 'scheduler.grace_perod', did you mean 'grace_period'?"),
        ({"scheduler": {"grace_period": 0}}, "grace_period must be >= 1, but got 0"),
        ({"scheduler": {"reduction_factor": 1}}, "reduction_factor must be >= 2, but got 1"),
        (
            {"sampler": 3},
            "sampler must be a name (tpe, random, gp, cmaes, qmc, grid, nsga2), or a mapping with one, but",
        ),
        (
            {"sampler": None},
            "sampler must be a name (tpe, random, gp, cmaes, qmc, grid, nsga2), or a mapping with one, but",
        ),
        ({"sampler": "TPESampler"}, "unknown sampler 'TPESampler', did you mean 'tpe'?"),
        ({"sampler": "bayes"}, "unknown sampler 'bayes', did you mean 'gp'?"),
        ({"sampler": {"type": "random"}}, "unknown setting 'sampler.type', did you mean 'name'?"),
        ({"scheduler": "ASHAScheduler"}, "unknown scheduler 'ASHAScheduler', did you mean 'asha'?"),
        ({"scheduler": "MedianPruner"}, "unknown scheduler 'MedianPruner', did you mean 'median'?"),
        ({"scheduler": {"type": "asha"}}, "unknown setting 'scheduler.type', did you mean 'name'?"),
        ({"parameters": {}}, "unknown setting 'parameters', did you mean 'space'?"),
        ({"pruner": "median"}, "unknown setting 'pruner', did you mean 'scheduler'?"),
        ({"program": "x.py"}, "unknown setting 'program', did you mean 'command'?"),
        ({"sampler": "tpee"}, "unknown sampler 'tpee', did you mean 'tpe'?"),
        ({"sampler": "evolution"}, "unknown sampler 'evolution', there are: tpe, random, gp, cmaes, qmc, grid, nsga2"),
        ({"sampler": {"name": ["tpe"]}}, "unknown sampler ['tpe'], did you mean 'tpe'?"),
        ({"sampler": {"name": "tpe", "n_startup": 5}}, "'sampler.n_startup', did you mean 'n_startup_trials'?"),
        (
            {"sampler": {"name": "random", "seed": 5}},
            "unknown setting 'sampler.seed', random has no options; remove it",
        ),
        (
            {"sampler": {"name": "random", "n_startup_trials": 5}},
            "'sampler.n_startup_trials', which is an option of tpe, gp, cmaes, not of random; remove it, or take tpe",
        ),
        ({"sampler": {"popsize": 5}}, "which is an option of cmaes, not of tpe; remove it, or take cmaes"),
        ({"sampler": {"n_startup_trials": -1}}, "n_startup_trials must be >= 0, but got -1"),
        ({"sampler": {"n_startup_trials": True}}, "n_startup_trials must be of type int, but got True"),
        ({"sampler": {"multivariate": 1}}, "multivariate must be of type bool or null, but got 1"),
        ({"sampler": {"n_ei_candidates": 0}}, "n_ei_candidates must be >= 1, but got 0"),
        ({"sampler": {"name": "gp", "n_startup_trials": 0}}, "n_startup_trials must be >= 1, but got 0"),
        ({"sampler": {"name": "cmaes", "popsize": 3}}, "popsize must be >= 4, or null, but got 3"),
        ({"sampler": {"name": "qmc", "qmc_type": "sobel"}}, "qmc_type must be sobol or halton, but got 'sobel'"),
        ({"sampler": {"name": "nsga2", "population_size": 1}}, "population_size must be >= 2, but got 1"),
        ({"sampler": {"name": "nsga2", "mutation_prob": 2}}, "mutation_prob must be in [0, 1], or null, but got 2.0"),
        (
            {"sampler": "grid"},
            "but x is continuous; give it a step, make it a choice of values, or take sampler: qmc",
        ),
        (
            {"sampler": "grid", "space": {"n": {"distribution": "int_uniform", "low": 0, "high": 10_000}}},
            "grid must have at most 10000 points, but the space has more; give fewer values, or take sampler: qmc",
        ),
        (
            {"sampler": "cmaes", "space": {"act": {"distribution": "choice", "values": ["relu", "tanh"]}}},
            "cmaes must have a number in each trial, but the space has none; take sampler: tpe",
        ),
        ({"finalists": -1}, "finalists must be >= 0"),
        ({"seeds": 0}, "seeds must be >= 1"),
    ],
)
def test_a_bad_setting_is_answered_with_rule_and_value(change: dict[str, Any], message: str) -> None:
    with pytest.raises((ValueError, TypeError)) as caught:
        StudyConfig.of({**LEAST, **change})
    assert message in str(caught.value)


def test_what_a_search_cannot_do_without_is_asked_for() -> None:
    for name in LEAST:
        with pytest.raises(ValueError, match=f"a search must have '{name}'"):
            StudyConfig.of({key: value for key, value in LEAST.items() if key != name})


def test_the_resolved_config_read_back_is_the_same_config() -> None:
    config = StudyConfig.of({**LEAST, "scheduler": {"grace_period": 2}, "gpus_per_trial": 1})
    assert StudyConfig.of(config.as_mapping()) == config
    for nothing in (None, "none", {"name": "none"}):
        assert StudyConfig.of({**LEAST, "scheduler": nothing}) == StudyConfig.of({**LEAST, "scheduler": None})
    assert StudyConfig.of({**LEAST, "scheduler": None}).scheduler is None


@pytest.mark.parametrize("name", [*SAMPLERS])
def test_a_sampler_is_asked_for_by_name_or_with_options_and_recorded_with_all_of_them(name: str) -> None:
    """Studies of before have the name alone."""
    values = {**LEAST, "space": {"x": {"distribution": "int_uniform", "low": 0, "high": 9}}}
    config = StudyConfig.of({**values, "sampler": name})
    recorded = config.as_mapping()["sampler"]
    assert json.loads(json.dumps(recorded)) == recorded
    assert recorded["name"] == name
    assert set(recorded) == {"name", *(item.name for item in dataclasses.fields(SAMPLERS[name]))}
    assert (
        StudyConfig.of({**values, "sampler": recorded})
        == StudyConfig.of({**values, "sampler": config.sampler})
        == config
    )
    if name == "tpe":
        assert StudyConfig.of(values) == StudyConfig.of({**values, "sampler": {}}) == config
        assert StudyConfig.of({**values, "sampler": {"n_startup_trials": 20}}) != config


@settings(max_examples=300)
@given(
    st.dictionaries(
        st.sampled_from([item.name for item in dataclasses.fields(StudyConfig)]) | st.text(max_size=5),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
            max_leaves=5,
        ),
    )
)
def test_any_mapping_is_a_config_or_the_users_mistake(values: dict[str, Any]) -> None:
    for change in (values, {**LEAST, **values}, {**LEAST, "space": values}):
        try:
            assert StudyConfig.of(change).seeds >= 1
        except (ValueError, TypeError) as error:
            assert str(error)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "must be a mapping of settings"),
        (b"- 1", "must be a mapping of settings"),
        (b"1: 2", "must be a mapping of settings"),
        (b"a: [", "must be YAML text"),
        (b"a: 1\na: 2", "duplicate key"),
        (b"a: {b: 1, b: 2}", "duplicate key"),
        (b"a: \xff", "must be YAML text"),
        (b"a: !!python/object/apply:os.getcwd []", "must be YAML text"),
        (b"a: " + b"[" * 3000, "must be YAML text"),
    ],
)
def test_a_file_that_is_no_mapping_in_yaml_is_refused(content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "search.yaml").write_bytes(content)
    with pytest.raises(ValueError) as caught:
        read(tmp_path / "search.yaml")
    assert message in str(caught.value)


def test_a_file_that_is_not_there_is_said_to_be_missing(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="give one with --config"):
        read(tmp_path / "search.yaml")


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_any_bytes_are_a_mapping_or_the_users_mistake(content: bytes) -> None:
    import tempfile

    with tempfile.NamedTemporaryFile(suffix=".yaml") as file:
        file.write(content)
        file.flush()
        try:
            assert isinstance(read(Path(file.name)), dict)
        except ValueError as error:
            assert "must be" in str(error)


def test_numbers_in_yaml_are_numbers(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("a: 1e-4\nb: 1\nc: 0.5\n", encoding="utf-8")
    assert read(tmp_path / "a.yaml") == {"a": 1e-4, "b": 1, "c": 0.5}


def test_the_committed_search_is_the_one_of_the_issue() -> None:
    config = StudyConfig.of(read(ROOT / "configs" / "search.yaml"))
    workload = load(config.workload)
    assert Fit(config, workload).epochs == 30
    assert config.fixed["schedule"] == "cosine"
    assert list(config.space) == ["lr", "momentum", "hidden1", "hidden2"]
    assert config.scheduler == ASHA(3, 3)


@pytest.fixture(scope="module")
def toy() -> Workload:
    return load("tests.toy")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"space": {"xx": X}}, "unknown hyperparameter 'xx' of tests.toy.Config, did you mean 'x'?"),
        ({"fixed": {"epoch": 3}}, "unknown hyperparameter 'epoch' of tests.toy.Config, did you mean 'epochs'?"),
        (
            {"space": {"x": {**X, "low": 11, "high": 50}}},
            "tests.toy.Config must take a point of the space, but refuses all that were tried: "
            "x must be in [-10, 10], but got 11.0 (with x 11.0)",
        ),
        (
            {"space": {"x": {"distribution": "choice", "values": [0, 99, 1]}}},
            "of 99 it says: x must be in [-10, 10], but got 99",
        ),
        ({"space": {"epochs": X}}, "'epochs' must not be searched"),
        ({"space": {"seed": X}}, "'seed' must not be searched"),
        ({"fixed": {"seed": 3}}, "'seed' must not stand in fixed"),
        ({"fixed": {"epochs": 0}}, "epochs of tests.toy must be a whole number in [1, 2**31), but got 0"),
        ({"fixed": {"epochs": 2**63}}, "epochs of tests.toy must be a whole number in [1, 2**31), but got 9223"),
        ({"fixed": {"epochs": "9"}}, "epochs of tests.toy must be a whole number in [1, 2**31), but got '9'"),
    ],
)
def test_names_and_ends_are_held_against_the_workloads_config(
    change: dict[str, Any], message: str, toy: Workload
) -> None:
    with pytest.raises((ValueError, TypeError)) as caught:
        Fit(StudyConfig.of({**LEAST, **change}), toy)
    assert message in str(caught.value)


def test_a_config_that_fits_tells_the_epochs_of_a_full_trial(toy: Workload) -> None:
    assert Fit(StudyConfig.of(LEAST), toy).epochs == 9
    assert Fit(StudyConfig.of({**LEAST, "fixed": {"epochs": 4}}), toy).epochs == 4


DATACLASS = "from dataclasses import dataclass\n@dataclass(frozen=True)"
MODULES = {
    "no_config": "def train(config): yield",
    "no_train": "class Config: pass",
    "neither": "",
    "plain_config": "class Config: pass\ndef train(config): yield",
    "plain_train": f"{DATACLASS}\nclass Config: pass\ntrain = 3",
    "breaks": "1 / 0",
    "syntax": "def",
    "needs": "import not_to_be_found",
}


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("not_there", "No module named 'not_there'"),
        ("../evil", "must be a file of yours that can be imported, but there is none"),
        ("", "named with dots as in package.module"),
        ("__main__", "in a file of its own, as other processes import it"),
        ("no_config", "it lacks Config"),
        ("no_train", "it lacks train"),
        ("neither", "it lacks Config and train"),
        ("plain_config", "Config must name the hyperparameters that it takes, as a dataclass does, but it names none"),
        ("plain_train", "plain_train.train must be a function, but got 3"),
        ("breaks", "it raises ZeroDivisionError: division by zero"),
        ("syntax", "it raises SyntaxError"),
        ("needs", "No module named 'not_to_be_found'"),
    ],
)
def test_a_module_that_is_no_workload_is_refused(
    name: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module, text in MODULES.items():
        (tmp_path / f"{module}.py").write_text(text, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ValueError) as caught:
        load(name)
    assert message in str(caught.value)


def test_the_optional_names_are_found_where_they_are(toy: Workload) -> None:
    heart = load("heart.train")
    assert heart.is_program
    assert not toy.is_program
    assert None not in (heart.test, heart.plot, heart.save, toy.test, toy.save)
    assert toy.plot is None
    assert toy.resolve(3) == 3

"""docs/extending.md is true: its code is taken from the page, added as the page says, and searched with.

A new file is imported under its name from a temporary folder; a line goes into its table. Nothing else is patched.
"""

import ast
import copy
import importlib
import importlib.util
import itertools
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import optuna
import pytest
from optuna.distributions import FloatDistribution
from ruamel.yaml import YAML

import search
from search.algorithms import proposals, samplers, schedulers
from search.algorithms.proposals import Proposer
from search.journal.records import OpenTrial, to_json
from search.spec.axes import Axis, axes_of, corners
from search.spec.config import StudyConfig
from search.spec.space import parse
from search.study import Study
from search.tune import tracker, trackers, tracking
from tests import studies
from tests.programs import ROOT, TOY
from tests.studies import curve

IMPORTED = {"json": json, "Path": Path, "to_json": to_json}
"""What the page says in words that a file imports besides."""


class Block(NamedTuple):
    """A block of code of the page, and the paragraph above it."""

    above: str
    language: str
    code: str


def blocks() -> list[Block]:
    """Return the blocks of the page, in order."""
    parts = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8").split("```")
    found = []
    for above, block in zip(parts[::2], parts[1::2], strict=False):
        language, _, code = block.partition("\n")
        found.append(Block(above.strip().split("\n\n")[-1].replace("\n", " "), language, code))
    return found


PAGE = blocks()
CONFIG: dict[str, Any] = {
    **TOY,
    **{
        name: value
        for block in PAGE
        if block.language == "yaml"
        for name, value in YAML(typ="safe").load(block.code).items()
    },
}
"""The toy's, with the page's entries over it."""


def import_file(path: Path, name: str, patch: pytest.MonkeyPatch) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    patch.setitem(sys.modules, name, module)
    spec.loader.exec_module(module)
    return module


def module_of(path: str) -> str:
    return path.removesuffix(".py").replace("/", ".")


@pytest.fixture(scope="module", autouse=True)
def files(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, ModuleType]]:
    """Add all that the page adds; return the modules of its new files, by their path."""
    folder = tmp_path_factory.mktemp("added")
    new: dict[str, ModuleType] = {}
    defined: dict[str, Any] = dict(IMPORTED)
    lines = []
    with pytest.MonkeyPatch.context() as patch:
        for block in PAGE:
            if block.language != "python":
                continue
            if found := re.search(r"new file `([\w/.]+)`:$", block.above):
                path = folder / found[1]
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(block.code, encoding="utf-8")
                new[found[1]] = import_file(path, module_of(found[1]), patch)
                defined |= vars(new[found[1]])
            elif found := re.search(r"in `([A-Z]+)` of `([\w/.]+)`", block.above):
                home = importlib.import_module(module_of(found[2]))
                for name, value in eval(f"{{{block.code}}}", {**vars(home), **defined}).items():
                    patch.setitem(getattr(home, found[1]), name, value)
                lines.append(found[1])
            else:
                (home,) = re.findall(r"in `([\w/.]+)`(?:, which imports|:$)", block.above)
                names = {**vars(importlib.import_module(module_of(home))), **IMPORTED}
                before = dict(names)
                exec(block.code, names)
                defined |= {name: value for name, value in names.items() if before.get(name) is not value}
        assert lines == ["SAMPLERS", "SCHEDULERS", "DISTRIBUTIONS", "TRACKERS", "TRACKERS"]
        yield new


@pytest.fixture(scope="module")
def searched(files: dict[str, ModuleType], tmp_path_factory: pytest.TempPathFactory) -> Study:
    """Return a search with all of them at once, which was gone on with after eight trials."""
    output = tmp_path_factory.mktemp("searched")
    config = {**CONFIG, "output": str(output), "name": "s", "best": False, "finalists": 1, "seeds": 1}
    search.run({**config, "num_samples": 8})
    return search.run({**config, "num_samples": 14}, resume=output / "s")


def proposer(seed: int = 3) -> Proposer:
    return Proposer(samplers.make(CONFIG["sampler"]), seed, parse(CONFIG["space"]), lambda params: True)


def ask(study: optuna.Study, count: int, seed: int = 3) -> list[dict[str, Any]]:
    """Return what a new sampler each proposes for the next trials of a study."""
    found = []
    for _ in range(count):
        study.sampler = proposer(seed)
        trial = proposals.ask(study, parse(CONFIG["space"]))
        study.tell(trial, 1.0)
        found.append(trial.params)
    return found


def test_a_new_sampler_at_each_trial_proposes_what_one_sampler_does() -> None:
    one = optuna.create_study(sampler=proposer())
    proposed = []
    for _ in range(8):
        trial = proposals.ask(one, parse(CONFIG["space"]))
        one.tell(trial, 1.0)
        proposed.append(trial.params)
    assert ask(optuna.create_study(), 8) == proposed
    assert ask(optuna.create_study(), 8, seed=4) != proposed
    assert len({params["y"] for params in proposed}) == 8


def test_each_trial_draws_from_a_part_of_its_own() -> None:
    """Of sixteen: y lies in [-5, 5]."""
    first = [params["y"] for params in ask(optuna.create_study(), 32)]
    for begin in (0, 16):
        parts = [int((y + 5) / 10 * 16) for y in first[begin : begin + 16]]
        assert sorted(parts) == list(range(16))
        assert parts != list(range(16))


def test_the_sampler_is_made_of_its_options_and_stored_as_them() -> None:
    config = StudyConfig.of(CONFIG)
    assert config.as_mapping()["sampler"] == {"name": "latin", "points": 16}
    assert StudyConfig.of(config.as_mapping()) == config
    assert StudyConfig.of({**CONFIG, "sampler": "latin"}).as_mapping()["sampler"]["points"] == 32


@pytest.mark.parametrize("number", [0, 1, 3])
@pytest.mark.parametrize("written", [0, 1, 2])
def test_a_proposal_that_was_cut_short_is_ended_by_a_new_sampler(number: int, written: int) -> None:
    space = parse(CONFIG["space"])
    whole = ask(optuna.create_study(), number + 1)[number]
    study = optuna.create_study()
    ask(study, number)
    study.sampler = proposer()
    cut_short = optuna.Trial(study, study._storage.create_new_trial(study._study_id))
    for name in list(space)[:written]:
        cut_short._suggest(name, space[name])
    study.sampler = proposer()
    assert OpenTrial.of(study, number, space).params == whole


def test_the_scheduler_is_made_of_its_options_and_stored_as_them() -> None:
    config = StudyConfig.of({**CONFIG, "scheduler": {"name": "bandit", "slack": 1, "interval": 3}})
    options = {"name": "bandit", "slack": 1.0, "grace_period": 3, "interval": 3}
    assert config.as_mapping()["scheduler"] == options
    assert json.loads(json.dumps(config.as_mapping())) == config.as_mapping()
    assert StudyConfig.of(config.as_mapping()) == config
    assert config.scheduler is not None
    assert config.scheduler.rungs(10) == [3, 6, 9]


@pytest.mark.parametrize("mode", ["min", "max"])
def test_the_rule_stops_what_is_not_within_reach_of_the_best_that_came_as_far(mode: str) -> None:
    rule = studies.judge(schedulers.make({"name": "bandit", "grace_period": 2, "slack": 2}), 9, mode)
    sign = 1 if mode == "min" else -1
    assert rule.goes_on(0, 2, sign * 9.0)  # the first there
    assert rule.goes_on(1, 2, sign * 1.0)
    assert rule.goes_on(2, 2, sign * 3.0)
    assert not rule.goes_on(3, 2, sign * 3.1)
    assert rule.goes_on(0, 2, sign * 9.0)  # trained again after its process died: it went on there before
    assert rule.goes_on(4, 1, sign * 99.0)  # between rungs
    assert rule.goes_on(4, 3, sign * 99.0)  # the first there


def test_a_resumed_rule_answers_as_the_one_that_heard_the_trials_side_by_side(tmp_path: Path) -> None:
    made = studies.create(tmp_path, "s", num_samples=9, scheduler=CONFIG["scheduler"])
    depths = [3.0, 1.0, 2.0, 5.0, 4.0]
    live = studies.judge(made.config.scheduler, made.epochs)
    for epoch in (8, 6, 4, 2):  # not the order of the journal, and without the epochs between the rungs
        for trial in reversed(range(5)):
            live.goes_on(trial, epoch, curve(depths[trial], epoch)[-1])
    for depth in depths:
        studies.add(made, curve(depth, made.epochs), "complete")
    answers = set()
    for epoch, value in itertools.product(range(1, made.epochs), (0.5, 2.0, 3.4, 3.5, 9.0)):
        resumed = studies.judge(made.config.scheduler, made.epochs)
        resumed.recall(made.trials())
        answer = resumed.goes_on(5, epoch, value)
        assert answer == copy.deepcopy(live).goes_on(5, epoch, value)
        answers.add(answer)
    assert answers == {True, False}


def test_the_distribution_is_parsed_and_has_its_ends_and_an_axis() -> None:
    space = parse({"q": {"distribution": "powers_of_ten", "low": -2, "high": 0}})
    assert dict(space) == {"q": FloatDistribution(0.01, 1.0, log=True)}
    assert axes_of(space) == {"q": Axis(0.01, 1.0, is_log=True)}
    assert corners(space) == [{"q": 0.01}, {"q": 1.0}]
    sampler = Proposer(samplers.make("random"), 0, space, lambda params: True)
    trial = proposals.ask(optuna.create_study(sampler=sampler), space)
    assert 0.01 <= trial.params["q"] <= 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sampler": "lattin"}, "unknown sampler 'lattin', did you mean 'latin'?"),
        ({"sampler": {"name": "latin", "point": 4}}, "unknown setting 'sampler.point', did you mean 'points'?"),
        ({"sampler": {"name": "latin", "points": 0}}, "points must be >= 1, but got 0"),
        ({"scheduler": "bandits"}, "unknown scheduler 'bandits', did you mean 'bandit'?"),
        (
            {"scheduler": {"name": "bandit", "graceperiod": 2}},
            "unknown setting 'scheduler.graceperiod', did you mean 'grace_period'?",
        ),
        ({"scheduler": "bandit"}, "scheduler.slack must be given: {name: bandit, slack: ...}"),
        ({"scheduler": {"name": "bandit", "slack": 1, "interval": 0}}, "interval must be >= 1, but got 0"),
        ({"scheduler": {"name": "bandit", "slack": "4"}}, "slack must be of type float, but got '4'"),
        ({"trackers": ["json"]}, "unknown tracker 'json', did you mean 'jsonl'?"),
    ],
)
def test_a_wrong_name_or_option_is_refused_by_its_name(change: dict[str, Any], message: str) -> None:
    with pytest.raises(search.UserError) as caught:
        StudyConfig.of({**CONFIG, **change})
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"low": -301}, "space.x.low must be an exponent of ten in [-300, 300], but got -301"),
        ({"high": "1"}, "space.x.high must be a number below 2**63 for powers_of_ten, but got '1'"),
        ({"low": 0.5}, "space.x: low < high must hold, but got low 0.5 and high 0.5; fix a value under 'fixed'"),
        ({"hihg": 1}, "space.x has an unknown key 'hihg', did you mean 'high'?"),
    ],
)
def test_a_wrong_value_of_the_distribution_is_refused_by_its_name(change: dict[str, Any], message: str) -> None:
    entry = {**CONFIG["space"]["x"], **change}
    with pytest.raises(search.UserError) as caught:
        StudyConfig.of({**CONFIG, "space": {"x": entry}})
    assert str(caught.value) == message


def lines(folder: Path) -> dict[int, list[dict[str, Any]]]:
    """Return what the tracker wrote of each trial into its folder."""
    found = {}
    for path in folder.glob("*.jsonl"):
        number = int(path.stem.removeprefix("trial-"))
        found[number] = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return found


def check_lines(made: Study) -> None:
    """Hold what the tracker wrote against the journal: each trial once, with its values, its epochs and its ending."""
    expected = {}
    for trial in made.trials():
        told: list[dict[str, Any]] = [made.config.values(trial.params)]
        for epoch, metrics in enumerate(trial.epochs, 1):
            plain = {name: to_json(value) for name, value in metrics.items()}
            told.append({**plain, "training_iteration": epoch})
        expected[trial.number] = [*told, {"ending": trial.ending}]
    assert lines(made.folder / "jsonl") == expected


def test_the_tracker_is_told_every_trial_however_it_ended_and_none_twice(tmp_path: Path) -> None:
    made = studies.create(tmp_path, "s", num_samples=9, trackers=["jsonl"])
    said: list[str] = []
    for ending in ("complete", "stopped", "diverged", "failed"):
        studies.add(made, curve(1.0, 4, ending == "diverged"), ending)
        with tracking.following(made, said.append) as callbacks:
            assert len(callbacks) == 1
        assert said == []
        check_lines(made)
        assert not tracker.lag(made)


def test_a_run_that_begins_again_takes_the_place_of_the_old_one(tmp_path: Path) -> None:
    interrupted = trackers.TRACKERS["jsonl"]("s", "identity", tmp_path)
    interrupted.start(0, {"x": 1.0})
    interrupted.add(0, 1, {"loss": 2.0})
    interrupted.close(seconds=1.0)
    first = {"loss": 2.0, "training_iteration": 1}
    assert lines(tmp_path) == {0: [{"x": 1.0}, first, {"ending": "interrupted"}]}
    again = trackers.TRACKERS["jsonl"]("s", "identity", tmp_path)
    again.start(0, {"x": 1.0})
    again.end(0, "failed")
    assert lines(tmp_path) == {0: [{"x": 1.0}, {"ending": "failed"}]}


def test_the_command_prints_the_best_config(
    files: dict[str, ModuleType], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = files["search/best.py"]
    made = studies.create(tmp_path, "s", num_samples=9)
    assert command.main([str(made.folder)]) == 2
    said = f"error: a study must have a trial with a value, but {made.folder} has none yet\n"
    assert capsys.readouterr() == ("", said)
    studies.add(made, curve(1.0, 9), "complete")
    assert command.main([str(made.folder)]) == 0
    printed = capsys.readouterr()
    assert YAML(typ="safe").load(printed.out) == made.best_config()
    assert printed.err == ""
    assert command.main([str(tmp_path)]) == 2
    assert capsys.readouterr().err == f"error: a study is a folder with a journal.log, but {tmp_path} has none\n"


def test_one_search_proposes_stops_steps_and_tells_as_the_page_says(searched: Study) -> None:
    trials = searched.trials()
    assert [trial.number for trial in trials] == list(range(14))
    # The sampler: whatever ran beside a trial, and in whichever session, it has its point.
    assert [trial.params for trial in trials] == ask(optuna.create_study(), 14, searched.config.seed)
    # The distribution: from one power of ten to the other.
    assert all(0.01 <= trial.params["x"] <= 10**0.5 for trial in trials)
    # The scheduler: the worst is stopped at a rung, the best is not.
    assert searched.config.scheduler == schedulers.make(CONFIG["scheduler"])
    ranked = searched.objective.ranked(trials)
    assert ranked[0].ending == "complete"
    assert {trial.ending for trial in trials} == {"complete", "stopped"}
    stopped = [trial for trial in trials if trial.ending == "stopped"]
    assert {len(trial.epochs) for trial in stopped} <= {2, 4, 6, 8}
    # The tracker: all of it.
    check_lines(searched)


def test_a_search_with_them_is_opened_drawn_and_reported(searched: Study) -> None:
    assert search.load(searched.folder).config == searched.config
    assert set(searched.figures()) >= {"curves", "history", "hyperparameters"}
    report = (searched.folder / "report.html").read_text(encoding="utf-8")
    assert "powers_of_ten" in report
    assert "slack" in report


def test_the_new_files_import_only_what_their_room_may(files: dict[str, ModuleType]) -> None:
    assert [*files] == ["search/algorithms/latin.py", "search/algorithms/bandit.py", "search/best.py"]
    for block in PAGE:
        if "new file `search/algorithms/" in block.above:
            names = {node.module for node in ast.walk(ast.parse(block.code)) if isinstance(node, ast.ImportFrom)}
            assert {name for name in names if name and name.startswith("search.")} <= {
                "search.errors",
                "search.algorithms.sampler",
                "search.algorithms.seeds",
                "search.algorithms.space",
            }

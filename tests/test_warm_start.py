"""Earlier studies: what a new search is told of them, what it tries first, and what is refused."""

import math
import shutil
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Literal

import optuna
import pytest

from search import continuation, creation, study, warm_start
from search.errors import UserError
from search.journal import earlier
from search.journal.records import OpenTrial
from search.spec.config import StudyConfig
from search.spec.fit import Fit
from search.spec.workload import load
from search.study import Study
from search.tune.proposing import proposer_of
from search.warm_start import Earlier
from tests import studies
from tests.programs import TOY

WIDE = {"distribution": "uniform", "low": -9, "high": 9}
NARROW = {"distribution": "uniform", "low": -1, "high": 1}


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """Return a study of 12 trials: stopped ones, complete ones, and one that diverged."""
    made = studies.create(tmp_path_factory.mktemp("old"), "old", num_samples=12)
    for number in range(11):
        if number % 3:
            studies.add(made, [9.0 - number / 2, 8.0 - number / 2], "stopped")
        else:
            studies.add(made, [float(number + 1)] * made.epochs, "complete")
    studies.add(made, [1.0, math.nan], "diverged")
    return made


def fit(*entries: Any, **settings: Any) -> Fit:
    """Return a new search that begins with earlier studies."""
    config = StudyConfig.of({**TOY, "num_samples": 20, **settings, "warm_start": list(entries)})
    return Fit(config, load(config.source))


def read(made: Study, **settings: Any) -> Earlier:
    return warm_start.read(fit(str(made.folder), **settings))


def test_the_sampler_is_told_every_trial_that_compares_and_the_best_is_tried_again(old: Study) -> None:
    found = read(old)
    trials = old.trials()
    assert {known.number for known in found.known} == set(range(12))
    for known in found.known:
        trial = trials[known.number]
        assert known.params == trial.params
        assert known.values == (None if trial.ending == "diverged" else (trial.value,))
        assert (known.epoch, known.is_complete) == (len(trial.epochs), trial.ending == "complete")
    assert found.points == [trials[0].params]
    assert found.lines == [
        f"warm start: the sampler is told 12 trials of {old.folder}; its best, trial 0, is tried again"
    ]


def test_a_sampler_reads_them_as_it_reads_trials_of_its_own(old: Study) -> None:
    """As Optuna has the old study's, but for their numbers and times."""
    told = earlier.as_optuna(read(old).known, old.space, are_several=False)
    assert [trial.number for trial in told] == list(range(-12, 0))
    own = {tuple(trial.params.values()): trial for trial in old.search.get_trials()}
    for trial in told:
        was = own[tuple(trial.params.values())]
        assert (trial.state, trial.constraints) == (was.state, was.constraints)
        if was.constraints:
            continue
        assert trial.value == was.value
        if was.state.name == "PRUNED":
            last = max(was.intermediate_values)
            assert trial.intermediate_values == {last: was.intermediate_values[last]}


def test_only_what_lies_in_the_new_space_is_told(old: Study) -> None:
    found = read(old, space={"x": NARROW, "y": WIDE})
    inside = {trial.number for trial in old.trials() if -1 <= trial.params["x"] <= 1}
    assert inside
    assert {known.number for known in found.known} == inside
    with pytest.raises(UserError, match=r"warm_start: no trial of .* lies in this space, so it tells nothing; take it"):
        read(old, space={"x": {"distribution": "uniform", "low": 8, "high": 9}, "y": WIDE})


def test_what_is_no_longer_searched_must_have_had_its_value(old: Study) -> None:
    x = old.trials()[3].params["x"]
    found = read(old, space={"y": WIDE}, fixed={"x": x})
    assert [known.number for known in found.known] == [3]
    assert found.known[0].params == {"y": old.trials()[3].params["y"]}


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"fixed": {"epochs": 30}}, "its trials had up to 9 epochs, and these 30"),
        ({"fixed": {"limit": 5.0}}, "what is not searched has other values"),
    ],
)
def test_where_values_do_not_compare_the_best_configurations_are_tried_first(
    old: Study, settings: dict[str, Any], why: str
) -> None:
    found = read(old, **settings)
    assert found.known == []
    trials = sorted((trial for trial in old.trials() if trial.may_win), key=lambda trial: trial.value or 0.0)
    assert found.points == [trial.params for trial in trials[:5]]
    assert found.lines == [f"warm start: the best 5 of {old.folder} are tried first: {why}"]
    asked = warm_start.read(fit({"study": str(old.folder), "use": "values"}, **settings))
    assert len(asked.known) == 12


def test_a_study_of_another_metric_is_refused_unless_its_points_are_asked_for(old: Study) -> None:
    with pytest.raises(UserError) as caught:
        read(old, metric="accuracy", mode="max")
    assert str(caught.value) == (
        f"warm_start: {old.folder} must be of the same metric, but it is of loss (min), and this is of accuracy (max); "
        f"to try its best configurations first, write {{study: {old.folder}, use: points}}"
    )
    entry = {"study": str(old.folder), "use": "points"}
    assert len(warm_start.read(fit(entry, metric="accuracy", mode="max")).points) == 5


def create(folder: Path, old: Study, name: str) -> Study:
    made = fit(str(old.folder), name=name, output=str(folder))
    found = warm_start.read(made)
    first = found.before(made.first(), 20)
    holding = ExitStack()
    with holding:
        return creation.create(made.config, made.workload, made.epochs, holding, first.configurations, found.known)


def play(made: Study, trials: int, *, is_resumed: bool) -> None:
    for _ in range(trials):
        if is_resumed or made.search.sampler.__class__.__name__ != "Proposer":
            made.search.sampler = proposer_of(made, lambda params: True)
        trial = OpenTrial.proposed(made.search, made.space)
        trial.add(1, {"loss": trial.params["x"] ** 2, "elapsed_s": 1.0}, trial.params["x"] ** 2)
        trial.end("complete")


def test_a_search_goes_on_the_same_where_the_earlier_study_is_gone(old: Study, tmp_path: Path) -> None:
    shutil.copytree(old.folder, tmp_path / "copy")
    copy = study.load(tmp_path / "copy")
    straight = create(tmp_path, copy, "straight")
    resumed = create(tmp_path, copy, "resumed")
    shutil.rmtree(copy.folder)
    play(straight, 8, is_resumed=False)
    play(resumed, 4, is_resumed=True)
    again = study.load(resumed.folder)
    play(again, 4, is_resumed=True)
    proposals = [trial.params for trial in straight.trials()]
    assert proposals == [trial.params for trial in again.trials()]
    # The best of before, and then what TPE has learned of before: no random start.
    cold = studies.create(tmp_path, "cold", num_samples=20)
    play(cold, 8, is_resumed=False)
    assert proposals[0] == old.trials()[0].params
    assert not [params for params in proposals[1:] if params in [trial.params for trial in cold.trials()]]
    assert len(again.snapshot().earlier) == 12
    assert len(again.trials()) == 8  # they are counted apart


def optunas(path: Path, directions: list[Literal["minimize", "maximize"]]) -> str:
    """Return the URL of a storage of Optuna's that holds two studies."""
    url = f"sqlite:///{path}"
    for name in ("mine", "empty"):
        made = optuna.create_study(study_name=name, storage=url, directions=directions)
        for x in (1.0, 2.0, 3.0) if name == "mine" else ():
            made.add_trial(
                optuna.create_trial(
                    params={"x": x, "y": 0.5, "other": 1},
                    distributions={
                        "x": optuna.distributions.FloatDistribution(-20, 20),
                        "y": optuna.distributions.FloatDistribution(-20, 20),
                        "other": optuna.distributions.IntDistribution(0, 3),
                    },
                    values=[x] * len(directions),
                )
            )
    return url


def test_a_storage_of_optunas_gives_points_or_on_demand_values(tmp_path: Path) -> None:
    url = optunas(tmp_path / "x.db", ["minimize"])
    found = warm_start.read(fit({"storage": url, "study": "mine"}))
    assert found.points == [{"x": x, "y": 0.5} for x in (1.0, 2.0, 3.0)]
    assert found.known == []
    told = warm_start.read(fit({"storage": url, "study": "mine", "use": "values"}))
    assert [known.values for known in told.known] == [(1.0,), (2.0,), (3.0,)]
    with pytest.raises(UserError, match=r"must have a study that is named, there are: "):
        warm_start.read(fit(url))
    with pytest.raises(UserError, match=r"must have a study mime, did you mean 'mine'\?"):
        warm_start.read(fit({"storage": url, "study": "mime"}))
    up = optunas(tmp_path / "up.db", ["maximize"])
    with pytest.raises(UserError, match="warm_start: mine must minimize, as this search does, but it is to maximize"):
        warm_start.read(fit({"storage": up, "study": "mine"}))


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (3, "warm_start must list folders of studies, or {study: ..., use: ...}, but got 3"),
        ({"folder": "x"}, "warm_start has an unknown key 'folder', there are: study, storage, use"),
        ({"study": "x", "use": "all"}, "warm_start: use must be values or points, but got 'all'"),
        ({"use": "values"}, "warm_start must name a study, but got {'use': 'values'}"),
        ({"study": 3}, "warm_start: study must be a text, but got 3"),
        ("results/nowhere", "warm_start: "),
        ("sqlite:///nowhere.db", "warm_start: the file of sqlite:///nowhere.db must exist, but there is no nowhere.db"),
        ({"storage": "mysql://x"}, "warm_start: storage must be sqlite:///FILE or journal:FILE, but got 'mysql://x'"),
    ],
)
def test_an_entry_that_names_no_study_is_refused_with_the_fix(entry: Any, message: str) -> None:
    with pytest.raises(UserError) as caught:
        warm_start.read(fit(entry))
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize("kind", ["sqlite:///", "journal:"])
def test_a_file_that_is_no_storage_is_refused(kind: str, tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("none of Optuna's\n", encoding="utf-8")
    with pytest.raises(UserError, match="must be a storage of Optuna's"):
        warm_start.read(fit(f"{kind}{file}"))
    assert file.read_text(encoding="utf-8") == "none of Optuna's\n"


@pytest.mark.parametrize(("sampler", "learns"), [("tpe", True), ("gp", True), ("cmaes", False), ("qmc", False)])
def test_a_sampler_that_learns_nothing_of_other_studies_is_said_to(old: Study, sampler: str, learns: bool) -> None:
    (line,) = read(old, sampler=sampler).lines
    assert line.endswith(f"; {sampler} learns nothing of them, as tpe and gp do") is not learns


def test_points_are_the_best_by_the_metric_of_their_own_study(tmp_path: Path) -> None:
    up = studies.create(tmp_path, "up", num_samples=8, metric="accuracy", mode="max")
    for number in range(8):
        studies.add(up, [0.1 * number], "complete")
    found = warm_start.read(fit({"study": str(up.folder), "use": "points"}))
    assert found.points == [trial.params for trial in up.trials()[:2:-1]]
    stored = optunas(tmp_path / "up.db", ["maximize"])
    found = warm_start.read(fit({"storage": stored, "study": "mine", "use": "points"}))
    assert [point["x"] for point in found.points] == [3.0, 2.0, 1.0]


def test_values_that_are_not_finite_are_not_told(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'x.db'}"
    mine = optuna.create_study(study_name="mine", storage=url)
    interval = optuna.distributions.FloatDistribution(-5, 5)
    for value in (1.0, math.inf):
        mine.add_trial(
            optuna.create_trial(params={"x": 1.0, "y": 0.5}, distributions={"x": interval, "y": interval}, value=value)
        )
    told = warm_start.read(fit({"storage": url, "use": "values"}))
    assert [known.values for known in told.known] == [(1.0,)]


def test_trials_from_before_a_fixed_value_was_changed_are_of_the_value_that_they_had(tmp_path: Path) -> None:
    made = studies.create(tmp_path, "s", num_samples=4, fixed={"limit": 1.0})
    for number in range(3):
        studies.add(made, [number + 1.0], "complete")
    config = StudyConfig.of({**made.config.as_mapping(), "fixed": {"limit": 2.0}})
    now = continuation.continued(made, config, made.epochs, made.defaults, may_change=True)
    now.search.sampler = made.search.sampler
    studies.add(now, [9.0], "complete")
    assert [known.number for known in read(made, fixed={"limit": 2.0}).known] == [3]
    assert [known.number for known in read(made, fixed={"limit": 1.0}).known] == [0, 1, 2]

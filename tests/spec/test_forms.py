"""The forms that a workload may have: how each is told from the others, and what is no workload."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from search.errors import UserError
from search.spec import workload
from search.spec.workload import Workload
from tests.programs import CONFIG, LEAST, search

Load = Callable[[str], Workload]


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Load]:
    """Return what loads a workload w of this text."""
    monkeypatch.syspath_prepend(str(tmp_path))
    before = set(sys.modules)

    def write_and_load(text: str) -> Workload:
        (tmp_path / "w.py").write_text(text, encoding="utf-8")
        return workload.load("w")

    yield write_and_load
    for name in set(sys.modules) - before:
        del sys.modules[name]


@pytest.mark.parametrize(
    ("train", "keywords", "gets"),
    [
        ("def train(config): yield", False, ()),
        ("import functools\ndef run(flag, config): return iter(())\ntrain = functools.partial(run, True)", False, ()),
        ("class Train:\n  def __call__(self, c): return iter(())\ntrain = Train()", False, ()),
        ("def train(config, report): pass", False, ("report",)),
        ("def train(config, folder, report=print): pass", False, ("report", "folder")),
        ("def train(config=None): yield", False, ()),
        ("def train(*args, **kwargs): yield", False, ()),
        ("def train(x=1.0, y=2, *, epochs=3): yield", True, ()),
        ("def train(x=1.0, y=2, *, report): yield", False, None),
    ],
)
def test_what_train_takes_says_how_it_is_called(
    train: str, keywords: bool, gets: tuple[str, ...] | None, load: Load
) -> None:
    if gets is None:
        with pytest.raises(UserError, match="must yield its metrics or report them, but does both"):
            load(CONFIG + train)
        return
    loaded = load(f"{CONFIG}{train}\n")
    assert (loaded.takes_keywords, loaded.gets) == (keywords, gets)


def test_without_a_config_the_signature_of_train_is_one(load: Load) -> None:
    loaded = load("def train(lr, momentum=0.9, *, report, epochs=30, folder=None): report(lr, momentum, epochs)\n")
    assert loaded.names() == ["lr", "momentum", "epochs"]
    assert loaded.defaults() == {"momentum": 0.9, "epochs": 30}
    built = loaded.build({"lr": 0.1, "epochs": 3, "seed": 7})
    assert loaded.values_of(built) == {"lr": 0.1, "momentum": 0.9, "epochs": 3}
    told: list[object] = []
    loaded.call(built, {"report": lambda *given: told.extend(given), "folder": None})
    assert told == [0.1, 0.9, 3]
    with pytest.raises(UserError, match=r"w\.train needs a value for 'lr'"):
        loaded.build({})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("def train(config): yield", "it lacks Config, of which train(config) gets one"),
        ("def train(): yield", "w.train must take hyperparameters by name, as train(lr=0.1), but it takes none"),
        (f"{CONFIG}\ndef train(config, loader): yield", "it needs loader, too; make that in train"),
        (f"{CONFIG}\ntrain = 3", "w.train must be a function, but got 3"),
        (
            f"{CONFIG}\ndef train(c): yield\ndef test(model): pass",
            "w.test must be test(model, config), as it is called",
        ),
        (f"{CONFIG}\ndef train(c): yield\ndef save(net, path): pass", "but it is save(net, path); change or rename it"),
        (f"{CONFIG}\ndef train(c): yield\ndef plot(model): pass", "w.plot must be plot(model, config)"),
    ],
)
def test_what_cannot_be_called_as_it_would_be_is_refused_before_the_start(text: str, message: str, load: Load) -> None:
    with pytest.raises(UserError) as caught:
        load(text + "\n")
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("function", "why"),
    [
        ("def test(model, device, loader): pass", "w.test is test(model, device, loader)"),
        ("def test(): pass", "w.test is test()"),
        ("test = True", "w.test is no function"),
        ("class test: pass", "w.test is no function"),
        ("from numpy.linalg import norm as test", "w.test comes from numpy.linalg"),
        ("def plot(data, labels, title): pass", "w.plot is plot(data, labels, title)"),
    ],
)
def test_what_is_plainly_another_function_is_left_alone_and_named(function: str, why: str, load: Load) -> None:
    loaded = load(f"{CONFIG}\ndef train(c): yield\n{function}\n")
    assert loaded.test is None and loaded.plot is None
    (note,) = loaded.notes
    assert note.startswith(f"{why}, so it is not used as the workload's ")


def test_functions_of_the_interface_are_taken_in_any_signature_that_they_can_be_called_by(load: Load) -> None:
    loaded = load(f"{CONFIG}\ndef train(c): yield\ndef test(m, c, batch=1): pass\ndef save(*given): pass\n")
    assert loaded.test and loaded.save and not loaded.notes


def test_a_file_is_imported_under_its_own_name_with_what_lies_beside_it(tmp_path: Path) -> None:
    folder = tmp_path / "their code"
    folder.mkdir()
    (folder / "helps_wl.py").write_text("DEPTH = 3\n", encoding="utf-8")
    text = f"import helps_wl\n{CONFIG}\n    depth: int = helps_wl.DEPTH\ndef train(c): yield {{'loss': c.x}}\n"
    (folder / "mine_wl.py").write_text(text, encoding="utf-8")
    before = list(sys.path)
    try:
        loaded = workload.load(str(folder / "mine_wl.py"))
        assert (loaded.module, loaded.defaults()["depth"]) == ("mine_wl", 3)
        other = tmp_path / "mine_wl.py"
        other.write_text(text.replace("0.0", "5.0"), encoding="utf-8")
        assert workload.load(str(other)).defaults()["x"] == 5.0
    finally:
        sys.path[:] = before
        for name in ("mine_wl", "helps_wl"):
            sys.modules.pop(name, None)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("wave.py", "but Python's library has a module 'wave', too, and one would hide the other; rename yours"),
        ("numpy.py", "but an installed package has a module 'numpy', too"),
        ("search.py", "but an installed package has a module 'search', too"),
        ("torch.py", "but an installed package has a module 'torch', too"),
        ("my-train.py", "named with letters, digits and _, and .py at the end; rename it"),
        ("train.txt/", "but there is none"),
        ("results/s/evil.py", "but it lies in {folder}/results/s, a study: what comes with results is never run"),
    ],
)
def test_a_file_whose_name_or_place_would_mislead_is_refused(name: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if not name.endswith("/"):
        path.write_text("raise SystemExit('it was run')\n", encoding="utf-8")
    if "results" in name:
        (path.parent / "journal.log").touch()
    before = list(sys.path)
    with pytest.raises(UserError) as caught:
        workload.load(f"{tmp_path}/{name}")
    assert message.format(folder=tmp_path) in str(caught.value)
    assert sys.path == before


def test_a_module_with_the_name_of_one_of_pythons_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Here it would be found, on another node of a cluster Python's."""
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "wave.py").write_text(f"{CONFIG}\ndef train(c): yield\n", encoding="utf-8")
    with pytest.raises(UserError, match="but Python's library has a module 'wave', too, and one would hide the other"):
        workload.load("wave")


KEYWORDS = """
import os

def train(x=2.0, *, folder):
    (folder / "weights.txt").write_text(str(x))
    assert os.environ["SEARCH_TRIAL_DIR"] == str(folder)
    for epoch in range(1, 100):
        numbers = {"loss": {"val": (x - 1) ** 2 + 1 / epoch}} if epoch % 2 == 0 else {"train": 1.0}
        yield {**numbers, "note": "a text"}
"""


def test_a_train_of_keywords_in_a_file_is_searched_without_epochs_seed_model_or_a_metric_in_each_epoch(
    tmp_path: Path,
) -> None:
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "keywords.py").write_text(KEYWORDS, encoding="utf-8")
    config = {**LEAST, "workload": "code/keywords.py", "metric": "loss/val", "epochs": 6, "finalists": 1, "seeds": 2}
    config["scheduler"] = {"grace_period": 2}
    done = search(tmp_path, config)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("the metric 'note' must be a number to be recorded, but got 'a text'") == 1
    assert done.stdout.count("no 'loss/val' in the first epoch, which decides nothing; there is 'train'") == 1
    assert "python code/keywords.py" not in done.stdout  # it has no main block
    lines = (tmp_path / "best.yaml").read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith("# code/keywords.py, study s: loss/val ")
    assert [line.partition(":")[0] for line in lines[1:]] == ["x"]
    weights = (tmp_path / "results/s/best/folder/weights.txt").read_text(encoding="utf-8")
    assert weights == lines[1].removeprefix("x: ")

"""A workload's module and its Config: how it is imported, and what of a Config is plain and makes it again."""

import dataclasses
import enum
import json
import math
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from search.errors import UserError
from search.spec import arguments, files, workload
from search.spec.config import StudyConfig
from search.spec.fit import Fit
from search.spec.workload import Workload
from tests.programs import LEAST

CONFIG = """
from dataclasses import dataclass
@dataclass(frozen=True)
class Config:
    epochs: int = 3
    seed: int = 0
def train(config): yield
"""
REQUIRED = """
import argparse
parser = argparse.ArgumentParser()
parser.add_argument("--data", required=True)
parser.parse_args()
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.syspath_prepend(str(tmp_path))
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]


def refusal(folder: Path, text: str) -> str:
    """Return how a workload w of this text is refused."""
    (folder / "w.py").write_text(text, encoding="utf-8")
    with pytest.raises(UserError) as caught:
        workload.load("w")
    return str(caught.value)


def test_a_workload_is_imported_without_the_arguments_of_whoever_imports_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["search.run", "--config", "search.yaml"])
    taking = REQUIRED.replace("required=True", 'default="there"').replace("parser.", "given = parser.", 2)
    (folder / "takes.py").write_text("import sys\nargv = sys.argv\n" + taking + CONFIG, encoding="utf-8")
    workload.load("takes")
    assert sys.modules["takes"].argv == ["takes"]
    assert sys.modules["takes"].given.data == "there"
    assert sys.argv == ["search.run", "--config", "search.yaml"]


def test_a_workload_that_needs_arguments_is_told_where_and_where_to_parse_them(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert refusal(folder, REQUIRED + CONFIG) == (
        "workload 'w' must be an importable module, but it raises SystemExit: the following arguments are required: "
        f"--data ({folder}/w.py, line 5); what ends the program, as parse_args() may, belongs under "
        '`if __name__ == "__main__":`'
    )
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("import json\njson.loads('{')\n", "w.py, line 2"),
        ("import helps\n", "helps.py, line 3"),
        ("import numpy as np\nx = 1\nnp.zeros(-1)\n", "w.py, line 3"),
        ("import broken\n", "broken.py, line 1"),
        ("import importlib\nimportlib.import_module('.x')", "w.py, line 2"),
    ],
)
def test_the_place_of_an_error_is_the_last_line_that_the_user_wrote(text: str, place: str, folder: Path) -> None:
    (folder / "helps.py").write_text("import decimal\n\ndecimal.Decimal('x')\n", encoding="utf-8")
    (folder / "broken.py").write_text("def\n", encoding="utf-8")
    assert f"({folder}/{place})" in refusal(folder, text)


def test_an_error_in_an_installed_workload_has_its_place_in_that(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed = folder / "site-packages"
    installed.mkdir()
    monkeypatch.syspath_prepend(str(installed))
    assert f"({installed}/w.py, line 2)" in refusal(installed, "import json\njson.loads('{')\n")


def test_an_error_whose_text_raises_is_told_without_it(folder: Path) -> None:
    text = "class Silent(Exception):\n  def __str__(self): raise SystemExit\nraise Silent\n"
    assert "it raises Silent: (its text cannot be read" in refusal(folder, text)


class Optimizer(enum.StrEnum):
    ADAM = "adam"
    SGD = "sgd"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Shape(enum.Enum):
    ROUND = "round"
    FLAT = "flat"


RATE, SMALL, COUNT, FLAG = np.float64(0.1), np.float32(0.5), np.int64(7), np.bool_(True)


@dataclasses.dataclass(frozen=True)
class Base:
    epochs: int = 3
    seed: int = 0


@dataclasses.dataclass(frozen=True)
class Config(Base):
    kinds: ClassVar[int] = 3
    optimizer: Optimizer = Optimizer.ADAM
    level: Level = Level.LOW
    shape: Shape = Shape.ROUND
    rate: float = RATE
    small: Any = SMALL
    count: Any = COUNT
    flag: Any = FLAG
    is_on: bool = True
    most: float = math.inf
    unset: float = math.nan
    nothing: str | None = None
    derived: int = dataclasses.field(default=5, init=False)
    made: list[int] = dataclasses.field(init=False)
    where: str = dataclasses.field(default_factory=lambda: "here", kw_only=True)
    name: str = dataclasses.field(default="n", kw_only=True)

    def __post_init__(self) -> None:
        object.__setattr__(self, "made", [self.epochs])


ODD = Workload("odd", arguments.of_class("odd.Config", Config), iter)
PLAIN = {
    "epochs": 3,
    "seed": 0,
    "optimizer": "adam",
    "level": 1,
    "shape": "round",
    "rate": 0.1,
    "small": 0.5,
    "count": 7,
    "flag": True,
    "is_on": True,
    "most": math.inf,
    "nothing": None,
    "name": "n",
}


def typed(values: dict[str, Any]) -> dict[str, tuple[type, Any]]:
    return {name: (type(value), value) for name, value in values.items()}


def test_defaults_are_plain_and_survive_the_journal_and_best_yaml(tmp_path: Path) -> None:
    defaults = ODD.defaults()
    assert math.isnan(defaults["unset"])
    assert typed({**defaults, "unset": 0}) == typed({**PLAIN, "unset": 0})
    (tmp_path / "best.yaml").write_text(files.yaml(defaults), encoding="utf-8")
    for read in (files.read(tmp_path / "best.yaml"), json.loads(json.dumps(defaults))):
        assert math.isnan(read.pop("unset"))
        assert typed(read) == typed(PLAIN)


def test_what_is_recorded_of_a_config_makes_the_same_config_again() -> None:
    built = ODD.build({"optimizer": "sgd", "count": 8})
    values = ODD.values_of(built)
    assert "derived" not in values and "made" not in values
    again = ODD.build(json.loads(json.dumps(values)))
    before, after = dataclasses.asdict(built), dataclasses.asdict(again)
    assert math.isnan(after.pop("unset")) and math.isnan(before.pop("unset"))
    assert typed(after) == typed(before)
    assert built.optimizer is Optimizer.SGD
    assert ODD.build({}).optimizer is Optimizer.ADAM


def test_a_sampled_value_becomes_a_member_where_its_default_is_one() -> None:
    """Else the trials of a choice would get texts, or a member and texts."""
    space = {
        "optimizer": {"distribution": "choice", "values": ["adam", "sgd", "other"]},
        "level": {"distribution": "int_uniform", "low": 1, "high": 2},
    }
    config = StudyConfig.of({**LEAST, "workload": "odd", "space": space})
    assert Fit(config, ODD).epochs == 3
    built = ODD.build(config.values({"optimizer": "sgd", "level": 2}))
    assert (built.optimizer, built.level) == (Optimizer.SGD, Level.HIGH)
    assert isinstance(built.optimizer, Optimizer) and isinstance(built.level, Level)
    assert ODD.build({"optimizer": "other"}).optimizer == "other"  # which Config may refuse


def test_a_field_that_is_no_argument_is_none_of_a_space() -> None:
    with pytest.raises(UserError, match="unknown hyperparameter 'derived'"):
        ODD.build({"derived": 3})


def test_values_that_python_gives_in_space_and_fixed_are_those_that_yaml_gives() -> None:
    given = {
        **LEAST,
        "space": {
            "rate": {"distribution": "log_uniform", "low": np.float64(0.1), "high": np.float32(0.5)},
            "level": {"distribution": "int_uniform", "low": Level.LOW, "high": np.int64(2)},
            "optimizer": {"distribution": "choice", "values": list(Optimizer)},
        },
        "fixed": {"count": np.int64(3), "shape": Shape.FLAT, "is_on": np.bool_(False)},
    }
    config = StudyConfig.of(given)
    assert Fit(config, ODD).epochs == 3
    assert config.fixed == {"count": 3, "shape": "flat", "is_on": False}
    assert files.yaml(config.as_mapping())
    assert StudyConfig.of(json.loads(json.dumps(config.as_mapping()))) == config


@pytest.mark.parametrize("value", [(1, 2), [1], {"a": 1}, np.ones(2), Path("x"), 1j, np.longdouble(1), object()])
def test_what_nobody_searches_may_be_anything_and_is_left_out_of_what_is_written(value: Any) -> None:
    @dataclasses.dataclass(frozen=True)
    class Holds(Base):
        x: float = 0.0
        held: Any = dataclasses.field(default_factory=lambda: value)

    odd = dataclasses.replace(ODD, arguments=arguments.of_class("odd.Config", Holds))
    assert Fit(StudyConfig.of({**LEAST, "workload": "odd"}), odd).epochs == 3
    assert odd.defaults() == {"x": 0.0, "epochs": 3, "seed": 0}
    built = odd.build({"x": 1.0})
    assert built.held is value
    assert odd.values_of(built) == {"x": 1.0, "epochs": 3, "seed": 0}


@pytest.mark.parametrize(
    ("block", "is_program"),
    [
        ('if __name__ == "__main__":', True),
        ("if __name__ == '__main__':", True),
        ("if __name__=='__main__' :", True),
        ('if "__main__" == __name__:', True),
        ('if (__name__ == "__main__"):', True),
        ('if __name__ == "__main__" and True:', True),
        ('if __name__ != "__main__":', False),
        ('if __name__ == "__main__x":', False),
        ('# if __name__ == "__main__":\nif True:', False),
        ('text = """\nif __name__ == "__main__":\n"""\nif True:', False),
    ],
)
def test_a_program_is_told_by_its_main_block_however_that_is_written(
    block: str, is_program: bool, folder: Path
) -> None:
    (folder / "w.py").write_text(f"{CONFIG}\n# python w.py --config best.yaml\n{block}\n    pass\n", encoding="utf-8")
    assert workload.load("w").is_program == is_program

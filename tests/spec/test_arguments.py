"""A Config of any class that is made by keywords: what is searched of it, what it gets, and what is written of it."""

import itertools
import json
import sys
import textwrap
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from search.errors import UserError
from search.spec import arguments, files, workload
from search.spec.axes import scattered
from search.spec.config import StudyConfig
from search.spec.fit import Fit
from search.spec.objective import Objective
from search.spec.workload import Workload
from search.worker.training import Order, Training

LR = {"distribution": "log_uniform", "low": 0.001, "high": 1}
KINDS: dict[str, str] = {
    "a frozen dataclass": """
        @dataclass(frozen=True)
        class Config:
            lr: float = 0.1
            epochs: int = 3
        """,
    "a dataclass with slots and keywords alone": """
        @dataclass(slots=True, kw_only=True)
        class Config:
            epochs: int
            lr: float = 0.1
        """,
    "a dataclass that inherits": """
        @dataclass
        class Base:
            epochs: int = 3
            lr: float = 0.1

        @dataclass
        class Config(Base):
            momentum: float = 0.9
        """,
    "a dataclass with what only its making needs": """
        @dataclass
        class Config:
            scale: InitVar[float]
            lr: float = 0.1
            epochs: int = 3
            derived: float = field(init=False)

            def __post_init__(self, scale):
                self.derived = self.lr * scale
        """,
    "a dataclass with a constructor of its own": """
        @dataclass(init=False)
        class Config:
            lr: float
            epochs: int

            def __init__(self, *, lr: float = 0.1, epochs: int = 3):
                self.lr, self.epochs = lr, epochs
        """,
    "a model of pydantic": """
        class Config(pydantic.BaseModel):
            lr: float = pydantic.Field(default=0.1, gt=0)
            epochs: pydantic.PositiveInt = 3
            layers: list[int] = pydantic.Field(default_factory=lambda: [1, 2])
        """,
    "a frozen model of pydantic with another name outside": """
        class Config(pydantic.BaseModel):
            model_config = pydantic.ConfigDict(frozen=True)
            rate: float = pydantic.Field(default=0.1, alias="lr")
            epochs: int = 3
        """,
    "a dataclass of pydantic": """
        @pydantic.dataclasses.dataclass
        class Config:
            lr: float = pydantic.Field(default=0.1, gt=0)
            epochs: int = 3
        """,
    "a class of attrs": """
        @attrs.define
        class Config:
            lr: float = attrs.field(default=0.1, validator=attrs.validators.gt(0))
            epochs: int = 3
            layers: list[int] = attrs.field(factory=list)
        """,
    "a frozen class of attrs with a private name": """
        @attrs.frozen
        class Config:
            _lr: float = 0.1
            epochs: int = attrs.field(default=3, converter=int)
        """,
    "a NamedTuple": """
        class Config(NamedTuple):
            lr: float = 0.1
            epochs: int = 3
        """,
    "a TypedDict": """
        class Config(TypedDict):
            lr: float
            epochs: NotRequired[int]
        """,
    "a plain class": """
        class Config:
            def __init__(self, lr: float = 0.1, epochs: int = 3, **others):
                self.lr, self.epochs = lr, epochs
        """,
    "a plain class that keeps it under another name": """
        class Config:
            def __init__(self, lr=0.1, epochs=3):
                self.optimizer = {"lr": lr}
                self.epochs = epochs
        """,
    "a factory": """
        def Config(lr: float = 0.1, epochs: int = 3):
            return SimpleNamespace(lr=lr, epochs=epochs)
        """,
    "a factory of a mapping": """
        def Config(lr=0.1, epochs=3):
            return {"lr": lr, "epochs": epochs}
        """,
    "a part of a factory": """
        Config = functools.partial(lambda model, lr=0.1, epochs=3: SimpleNamespace(model=model, lr=lr), "mlp")
        """,
    "constants of any kind": """
        @dataclass
        class Inner:
            kind: object = object

        @dataclass
        class Config:
            lr: float = 0.1
            epochs: int = 3
            act: Callable[[float], float] = math.tanh
            where: Path = Path("data")
            device: torch.device = torch.device("cpu")
            dtype: torch.dtype = torch.float32
            layers: list[int] = field(default_factory=lambda: [1, 2])
            weights: np.ndarray = field(default_factory=lambda: np.ones(3))
            shape: tuple[int, ...] = (2, 3)
            inner: Inner = field(default_factory=Inner)
            options: dict[str, int] = field(default_factory=dict)
            half: str = "\\ud800"
        """,
    "fields of what a text or a list makes": """
        class Act(enum.Enum):
            RELU = object()
            TANH = object()

        class Size(str, enum.Enum):
            SMALL = "s"
            LARGE = "l"

        @dataclass
        class Config:
            lr: np.float32 = np.float32(0.5)
            rate: Decimal = Decimal("0.1")
            act: Act = Act.RELU
            size: Size = Size.SMALL
            where: Path | None = None
            device: torch.device = torch.device("cpu")
            hidden: tuple[int, ...] = (8,)
            betas: tuple[float, float] = (0.9, 0.99)
            sizes: list[Size] = field(default_factory=list)
            epochs: int = 3
        """,
    "configs within": """
        class Schedule(NamedTuple):
            warmup: int = 1
            kind: Literal["cosine", "linear"] = "cosine"

        @dataclass(frozen=True)
        class Optimizer:
            lr: float
            name: str = "sgd"
            schedule: Schedule = Schedule()
            betas: tuple[float, ...] = (0.9, 0.99)

        class Data(pydantic.BaseModel):
            batch: int = 8

        @dataclass(frozen=True)
        class Config:
            data: Data = field(default_factory=Data)
            optimizer: Optimizer = field(default_factory=lambda: Optimizer(lr=0.1, name="adam"))
            other: Optimizer | None = None
            epochs: int = 3
        """,
    "a generic class, and a config within of its own kind": """
        @dataclass
        class Node(Generic[T]):
            lr: T = 0.1
            epochs: int = 3
            next: Optional["Node"] = None

        Config = Node[float]
        """,
    "annotations as texts, one of which names nothing": """
        @dataclass
        class Config:
            lr: "float" = 0.1
            epochs: "int" = 3
            data: "OnlyForTheTypeChecker" = None
        """,
}
"""Sources of a Config, by what it is."""
IMPORTS = """
import enum, functools, math
import attrs, pydantic, pydantic.dataclasses, torch
import numpy as np
from collections.abc import Callable
from dataclasses import InitVar, dataclass, field
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Generic, Literal, NamedTuple, NotRequired, Optional, TypedDict, TypeVar
T = TypeVar("T")
"""
SEARCHED: dict[str, dict[str, Any]] = {
    "fields of what a text or a list makes": {
        "lr": {"distribution": "uniform", "low": 0, "high": 1},
        "rate": {"distribution": "uniform", "low": 0, "high": 1},
        "act": {"distribution": "choice", "values": ["RELU", "TANH"]},
        "size": {"distribution": "choice", "values": ["SMALL", "l"]},
        "where": {"distribution": "choice", "values": ["a/b", None]},
        "device": {"distribution": "choice", "values": ["cpu", "meta"]},
        "hidden": {"distribution": "choice", "values": [[64, 64], [128]]},
        "sizes": {"distribution": "choice", "values": [["s", "LARGE"], []]},
    },
    "configs within": {
        "optimizer.lr": LR,
        "optimizer.schedule.warmup": {"distribution": "int_uniform", "low": 0, "high": 3},
        "optimizer.schedule.kind": {"distribution": "choice", "values": ["cosine", "linear"]},
        "data.batch": {"distribution": "choice", "values": [8, 16]},
    },
}
"""What is searched where it is not lr alone."""
FIXED: dict[str, dict[str, Any]] = {
    "a dataclass with what only its making needs": {"scale": 2},
    "fields of what a text or a list makes": {"betas": [0.5, 1]},
    "configs within": {"optimizer.name": "lion", "optimizer.betas": [0.5, 1]},
}
"""What is fixed."""


NUMBERS = itertools.count()
Load = Callable[[str], Workload]


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Load]:
    """Return what imports a workload with this source of a Config, from a file of its own."""
    monkeypatch.syspath_prepend(str(tmp_path))
    before = set(sys.modules)

    def write_and_load(source: str) -> Workload:
        name = f"kinds{next(NUMBERS)}"  # a process imports a workload once
        train = "def train(config): yield {'loss': 1.0}, config"
        (tmp_path / f"{name}.py").write_text(f"{IMPORTS}\n{textwrap.dedent(source)}\n{train}", encoding="utf-8")
        return workload.load(name)

    yield write_and_load
    for name in set(sys.modules) - before:
        if name.startswith("kinds"):
            del sys.modules[name]


def fit(loaded: Workload, space: Mapping[str, Any], fixed: Mapping[str, Any] | None = None) -> Fit:
    """Return the fit of a search, as it is held against its workload before anything starts."""
    settings = {"workload": loaded.name, "metric": "loss", "space": dict(space), "fixed": dict(fixed or {})}
    found = Fit(StudyConfig.of({**settings, "epochs": 3}), loaded)
    found.check_types()
    return found


def refusal(loaded: Workload, space: Mapping[str, Any], fixed: Mapping[str, Any] | None = None) -> str:
    with pytest.raises(UserError) as caught:
        fit(loaded, space, fixed)
    return str(caught.value)


def read_back(values: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Return values after they were written to best.yaml, and to the journal."""
    (folder / "best.yaml").write_text(files.yaml(values), encoding="utf-8")
    read = files.read(folder / "best.yaml")
    assert read == json.loads(json.dumps(values))
    return read


def trained(loaded: Workload, values: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
    """Train an epoch as a worker process does; return the Config that `train` got, and its values as recorded."""
    training = Training(Order(loaded.name, 0, Objective("loss", "min"), values, epochs=1))
    result = training.pull()
    assert not result.get("failure"), result["traceback"]
    config, recorded = training.model, training.values
    training.close()
    return config, recorded


@pytest.mark.parametrize("kind", KINDS)
def test_any_class_that_is_made_by_keywords_is_searched_and_written_and_made_again(
    kind: str, tmp_path: Path, load: Load
) -> None:
    loaded = load(KINDS[kind])
    space = SEARCHED.get(kind, {"lr": LR})
    found = fit(loaded, space, FIXED.get(kind, {}))
    assert (found.epochs, found.notes) == (3, [])
    for params in scattered(found.config.searched, 5):
        built, values = trained(loaded, found.config.values(params))
        assert space.keys() <= values.keys()
        again, same = trained(loaded, read_back(values, tmp_path))
        assert same == values
        assert repr(again) == repr(built) or " at 0x" in repr(built)


def test_what_is_searched_gets_the_type_of_its_field(load: Load) -> None:
    kind = "fields of what a text or a list makes"
    loaded = load(KINDS[kind])
    found = fit(loaded, SEARCHED[kind], FIXED[kind])
    module = sys.modules[loaded.module]
    drawn = {"lr": 0.5, "rate": 0.25, "act": "TANH", "size": "l", "where": "a/b", "device": "meta"}
    given = found.config.values({**drawn, "hidden": "[64, 64]", "sizes": '["s", "LARGE"]'})
    config = loaded.build(given)
    assert config == module.Config(
        lr=module.np.float32(0.5),
        rate=Decimal("0.25"),
        act=module.Act.TANH,
        size=module.Size.LARGE,
        where=Path("a/b"),
        device=module.torch.device("meta"),
        hidden=(64, 64),
        betas=(0.5, 1.0),
        sizes=[module.Size.SMALL, module.Size.LARGE],
    )
    for name in ("lr", "rate", "act", "size", "where", "device", "hidden", "betas", "sizes"):
        assert type(getattr(config, name)) is type(getattr(module.Config(where=Path()), name))
    recorded = {**drawn, "rate": "0.25", "hidden": [64, 64], "sizes": ["s", "l"], "betas": [0.5, 1.0], "epochs": 3}
    assert loaded.values_of(config, given) == recorded


def test_members_of_an_enum_are_named_or_given_by_value_and_recorded_by_value(load: Load) -> None:
    kind = "fields of what a text or a list makes"
    found = fit(load(KINDS[kind]), SEARCHED[kind], {"betas": [0, 1]})
    assert found.config.space["size"]["values"] == ["s", "l"]
    assert found.config.space["act"]["values"] == ["RELU", "TANH"]  # whose values are no plain ones
    before = found.config
    assert found.recorded(before) is before
    swapped = load("""
        class Config(NamedTuple):
            side: enum.Enum("Side", {"A": "B", "B": "A"}) = None
        """)
    assert swapped.build({"side": "A"}).side.name == "B"
    sides = {"side": {"distribution": "choice", "values": ["A", "B"]}}
    assert fit(swapped, sides).config.space == sides


def test_a_config_within_takes_after_its_default(load: Load) -> None:
    loaded = load(KINDS["configs within"])
    config = loaded.build({"optimizer.schedule.warmup": 3, "other.lr": 0.5})
    assert (config.optimizer.name, config.optimizer.lr, config.optimizer.schedule) == ("adam", 0.1, (3, "cosine"))
    assert (config.other.name, config.other.lr) == ("sgd", 0.5)
    assert loaded.build({}).other is None
    defaults = loaded.defaults()
    assert defaults["optimizer.name"] == "adam"
    assert "other.name" not in defaults
    assert loaded.values_of(loaded.build(defaults)) == defaults
    with pytest.raises(UserError, match=r"needs a value for 'other\.lr'"):
        loaded.build({"other.name": "lion"})
    with pytest.raises(UserError, match=r"unknown hyperparameter 'optimizer\.rl' .*, did you mean 'optimizer\.lr'"):
        loaded.build({"optimizer.rl": 0.5})


def test_what_a_factory_makes_is_a_default_where_it_is_searched_and_of_no_study_that_goes_on(load: Load) -> None:
    loaded = load("""
        @dataclass
        class Config:
            lr: float = field(default_factory=lambda: 0.1)
            hidden: list[int] = field(default_factory=lambda: [8])
            stamp: str = field(default_factory=lambda: "now")
            made: int = field(init=False, default=3)
            epochs: int = 3
        """)
    assert loaded.defaults() == {"epochs": 3}
    assert loaded.defaults(["lr", "hidden"]) == {"lr": 0.1, "hidden": [8], "epochs": 3}
    assert loaded.arguments.defaults_beside({"lr": 0.2}, ["lr"]) == {"lr": 0.2, "epochs": 3}
    assert loaded.arguments.missing([]) == []
    assert loaded.values_of(loaded.build({})) == {"lr": 0.1, "stamp": "now", "epochs": 3}
    assert refusal(loaded, {"made": LR}).startswith("unknown hyperparameter 'made'")


CHOICE = {"distribution": "choice"}
FIELDS = """
    class Level(enum.IntEnum):
        LOW = 1
        HIGH = 4

    @dataclass
    class Config:
        hidden: tuple[int, ...] = (8,)
        pair: tuple[int, int] = (1, 2)
        device: torch.device = torch.device("cpu")
        act: Callable[[float], float] = math.tanh
        level: Level = Level.LOW
        power: Literal[1, 2, 4] = 1
        small: np.int8 = np.int8(1)
        flag: np.bool_ = np.bool_(True)
        data: object = None
        dtype: torch.dtype = torch.float32
    """


@pytest.mark.parametrize(
    ("name", "entry", "message"),
    [
        ("hidden", {**CHOICE, "values": [[8], 8]}, "Config, but got 8"),
        ("hidden", {**CHOICE, "values": [["8"]]}, "but got ['8']"),
        ("pair", {**CHOICE, "values": [[1, 2, 3]]}, "but got [1, 2, 3]"),
        ("device", {**CHOICE, "values": ["cpu", "gpu"]}, "Config, but got 'gpu'"),
        ("act", {**CHOICE, "values": ["tanh"]}, "but got 'tanh'"),
        ("dtype", {**CHOICE, "values": ["float16"]}, "but got 'float16'"),
        ("level", {**CHOICE, "values": ["MIDDLE"]}, "but got 'MIDDLE'; its values are 1, 4"),
        ("level", {**CHOICE, "values": [True]}, "but got True"),
        ("level", {"distribution": "int_uniform", "low": 1, "high": 4}, "but it draws 2, too; use choice"),
        ("power", {"distribution": "int_log_uniform", "low": 1, "high": 4}, "but it draws 3, too; use choice"),
        ("small", {"distribution": "uniform", "low": 0, "high": 1}, "draws numbers with a fraction; use int_uniform"),
        ("small", {**CHOICE, "values": [128]}, "but got 128"),
        (
            "flag",
            {**CHOICE, "values": ["off"]},
            "booleans are true and false; got 'off', write false, for flag: ",
        ),
    ],
)
def test_what_is_no_value_of_a_field_is_refused_before_the_start(
    name: str, entry: dict[str, Any], message: str, load: Load
) -> None:
    assert message in refusal(load(FIELDS), {name: entry})


@pytest.mark.parametrize(
    ("space", "message"),
    [
        ({"hidden": {"distribution": "uniform", "low": 1, "high": 9}}, "values for hidden=64 of kinds.train, but it "),
        ({"hidden": {"distribution": "uniform", "low": 1, "high": 9}}, "fraction; use int_uniform, or choice; or anno"),
        ({"lr": {"distribution": "int_uniform", "low": 1, "high": 9}}, "lr=0.1 of kinds.train, but it draws whole num"),
        (
            {"amp": {**CHOICE, "values": ["on", "off"]}},
            "amp.values: booleans are true and false; got 'on', write true, for amp=False of kinds.train",
        ),
        ({"act": {**CHOICE, "values": ["relu", 1]}}, "but got 1; write it in quotes; or annotate it in the code"),
        ({"sizes": {**CHOICE, "values": [[1, 2], 3]}}, "but got 3"),
        ({"drop": {**CHOICE, "values": ["off"]}}, "drop: float | None of kinds.train, but got 'off'"),
        ({"opt.lr": {"distribution": "int_uniform", "low": 1, "high": 9}}, "opt.lr: float of kinds.train, but it dra"),
    ],
)
def test_a_field_without_an_annotation_is_held_against_its_default(
    space: dict[str, Any], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    @dataclass
    class Inner:
        lr: float = 0.1

    def train(  # type: ignore[no-untyped-def]  # as people write it
        lr=0.1,
        hidden=64,
        amp=False,
        act="relu",
        drop: float | None = None,
        sizes=(1,),
        opt=Inner(),  # noqa: B008
    ):
        yield {"loss": 1.0}

    taken = arguments.of_function("kinds.train", train, but=())
    assert message in refusal(Workload("kinds", taken, train, takes_keywords=True), space)
    assert taken.build({"sizes": [1, 2], "drop": None, "act": None}).sizes == (1, 2)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("Config = 3", "must be a class, or a function that returns a config, but got 3"),
        ("def Config(lr, /): ...", "must be made by keywords, but it takes 'lr' by its place alone; remove the /"),
        ("Config = SimpleNamespace", "must name the hyperparameters that it takes, as a dataclass does, but it names"),
        ("Config = dict", "must name the hyperparameters"),
    ],
)
def test_what_is_not_made_by_keywords_is_refused_as_a_config(source: str, message: str, load: Load) -> None:
    with pytest.raises(UserError) as caught:
        load(source)
    assert message in str(caught.value)


def test_a_factory_that_returns_nothing_is_refused_before_the_start(load: Load) -> None:
    assert ".Config must make a config" in refusal(load("def Config(lr=0.1): pass"), {"lr": LR})


def test_what_resolve_makes_of_a_field_is_written_where_it_makes_it_again(load: Load) -> None:
    loaded = load("""
        @dataclass(eq=False)
        class Handle:
            name: str

        @dataclass
        class Config:
            device: str = "auto"
            options: dict | str | None = None
            epochs: int = 3

        def resolve(config):
            return Config(torch.device("cpu"), Handle("x"))
        """)
    _, values = trained(loaded, {"device": "auto"})
    assert values == {"seed": 0, "device": "cpu", "epochs": 3}


@pytest.mark.parametrize("kind", ["a TypedDict", "a NamedTuple", "a factory", "a model of pydantic"])
def test_what_resolve_returns_must_be_a_config(kind: str, load: Load) -> None:
    loaded = load(f"{textwrap.dedent(KINDS[kind])}\ndef resolve(config): print(config)\n")
    training = Training(Order(loaded.name, 0, Objective("loss"), {"lr": 0.5, "epochs": 3}, epochs=1))
    assert training.pull()["failure"] == "TypeError: resolve must return a Config, but got None"
    training.close()


def test_a_foreign_object_whose_text_or_comparison_raises_is_left_out(load: Load) -> None:
    loaded = load("""
        class Rude:
            def __str__(self): raise SystemExit
            def __eq__(self, other): raise KeyError

        @dataclass
        class Config:
            lr: float = 0.1
            rude: str = field(default_factory=Rude)
        """)
    assert not fit(loaded, {"lr": LR}).notes
    assert trained(loaded, {"lr": 0.5})[1] == {"seed": 0, "lr": 0.5}


def test_a_required_field_that_no_plain_value_fits_needs_a_default(load: Load) -> None:
    loaded = load("@dataclass\nclass Config:\n  data: np.ndarray\n  lr: float = 0.1")
    fix = "put it in space or in fixed, or give it a default"
    assert refusal(loaded, {"lr": LR}).endswith(f".Config needs a value for 'data': {fix}")

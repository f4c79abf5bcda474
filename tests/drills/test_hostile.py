"""Whatever a workload's module does, a search begins or says in one line why not, and a worker survives it."""

import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.run import main as run_main
from search.session import Session
from search.spec.objective import Objective
from search.views import images  # noqa: F401 - each process would import matplotlib
from search.worker import jobs, training
from search.worker.training import Order, Training
from tests import hostile
from tests.hostile import CONFIGS, FIELD, IMPORTS, LOOP, OTHERS, TRAINS, Ended, Module

STARTED = 55
"""The exit code of a program that would have started a Ray now."""


class Started(BaseException):
    """A program would have started a Ray now."""


def begin() -> int:
    """Run the program in a process that this ends; return its exit code."""

    def started(*_: Any) -> None:
        raise Started

    sys.modules.pop("w", None)
    Session.working = started  # type: ignore[method-assign, assignment]
    try:
        return run_main(["--config", "a.yaml"])
    except Started:
        return STARTED


def work() -> int:
    """Do what a worker does, in a process that this ends; return 0."""
    sys.path.insert(0, "")
    order = Order("w", 0, Objective("loss", "min"), {"x": 0.5, "seed": 0}, 1.5)
    # A trial of the search.
    trial = Training(order)
    for _ in range(5):
        result = trial.pull()
        check_result(result)
        if result["ended"]:
            break
    assert isinstance(trial.close(), str)
    # A run of the retraining, and all that is done with its model.
    record, best, models = jobs.train(order, "log", keep=True)
    assert record.failure == "" or is_a_line(record.failure)
    for model in [best, *models.values()]:
        scores, problem = jobs.test(order, "log", model) if has("test") else ({}, "")
        assert is_a_line(f"{problem}.") and all(isinstance(score, float) for score in scores.values())
        _, problems = jobs.package(order, "log", model)
        assert all(map(is_a_line, problems))
        if has("plot"):
            (drawn,) = jobs.draw_all(order, "log", [jobs.Shot({"x": 0.5, "seed": 0}, 0)], model)
            assert drawn.image is not None or is_a_line(drawn.problem)
    return 0


def has(name: str) -> bool:
    module = sys.modules.get("w")
    return callable(getattr(module, name, None)) if type(module) is type(sys) else False


def check_result(result: dict[str, Any]) -> None:
    failure = result.get("failure", "")
    assert training.ending(result) in ("complete", "stopped", "diverged", "failed", "infeasible")
    assert failure == "" or is_a_line(failure)
    (failure + result.get("traceback", "")).encode()
    assert all(type(name) is str and type(value) is float for name, value in result["metrics"].items())


def is_a_line(text: str) -> bool:
    return type(text) is str and text.isprintable() and bool(text)


def tried(module: Module) -> list[Ended]:
    """Return what became of the program, and of a worker where the program started, with a module."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        hostile.make(folder, module)
        ends = [hostile.in_a_process(begin, folder)]
        if ends[0].code == STARTED:
            ends.append(hostile.in_a_process(work, folder))
    return ends


def faults(module: Module) -> str:
    """Return what is wrong in what became of a module; empty where nothing is."""
    program, *workers = tried(module)
    said = f"{program.said}{program.told}"
    if b"raise KeyboardInterrupt()" in module.source and program.code == 130:  # as of a Ctrl-C
        return ""
    if program.code not in (2, STARTED) or "Traceback" in said:
        return f"the program ended with {program.code}: {said}"
    lines = program.told.splitlines()
    if program.code == 2 and not (lines and lines[-1].startswith("error: ")):
        return f"no line: {said}"
    for worker in workers:
        is_lost = worker.code == 7 and b"os._exit(7)" in module.source
        if worker.code and not is_lost:
            return f"the worker ended with {worker.code}: {worker.said}{worker.told}"
    return ""


PARTS = {
    "imports": [Module(imports=part, imports_last=last) for part in IMPORTS for last in (False, True)],
    "configs": [Module(config=part) for part in CONFIGS],
    "trains": [Module(train=part) for part in TRAINS],
    "others": [Module(others=(part,)) for part in OTHERS],
}
MODULES = st.builds(
    Module,
    imports=st.just(hostile.CALM) | st.sampled_from(IMPORTS),
    config=st.just(Module.config) | st.sampled_from(CONFIGS),
    train=st.just(Module.train) | st.sampled_from(TRAINS),
    others=st.lists(st.sampled_from(OTHERS), max_size=3).map(tuple),
    imports_last=st.booleans(),
)


def config(body: str) -> Module:
    return Module(config=f"@dataclass(frozen=True)\nclass Config:\n{FIELD}    def __post_init__(self): {body}")


FOUND = {
    "no exception": Module(imports="raise OddBase()"),
    "a generator's end": Module(imports="raise GeneratorExit()"),
    "a group": Module(imports="raise BaseExceptionGroup('b', [OddBase()])"),
    "an odd syntax error": Module(imports="raise SyntaxError('x', (3, 'a', None, b'', 1, 1))"),
    "leaves": Module(imports="os._exit(7)"),
    "no stream": Module(imports="sys.stdout = object()"),
    "a closed stream": Module(imports="sys.stdout.close()"),
    "no print": Module(imports="del builtins.print"),
    "no isinstance": Module(imports="builtins.isinstance = None"),
    "no OSError": Module(imports="del builtins.OSError"),
    "another Exception": Module(imports="builtins.Exception = ValueError"),
    "no import": Module(imports="builtins.__import__ = None"),
    "no path": Module(imports="sys.path.clear()"),
    "a path of anything": Module(imports="sys.path[:] = [3, None]"),
    "no recursion": Module(imports="sys.setrecursionlimit(120)"),
    "no file": Module(imports="__file__ = 3"),
    "no attributes": Module(imports="__getattr__ = lambda name: 1 / 0"),
    "elsewhere": Module(imports="os.chdir('/')"),
    "closes the file of its errors": Module(train=f"{LOOP}os.close(2)\n        yield {{'loss': 1.0}}, 3"),
    "replaces print, and fails": Module(train=f"{LOOP}builtins.print = None\n        raise Odd\n        yield"),
    "a Config of no exception": config("raise OddBase()"),
    "a Config that deletes": config("del builtins.len"),
    "a Config that cannot be shown": config("object.__setattr__(self, 'seed', Number(Odd()))"),
    "a Config that leaves": config("sys.exit(2)"),
}
"""Of which each once ended in a traceback, without a line, or with another exit code, or is like one that did."""


def test_a_module_that_does_no_harm_is_searched() -> None:
    assert [end.code for end in tried(Module())] == [STARTED, 0]


@pytest.mark.parametrize("module", FOUND.values(), ids=FOUND)
def test_a_search_of_a_hostile_module_begins_or_is_one_line_and_a_worker_survives_it(module: Module) -> None:
    assert faults(module) == ""


def test_a_module_that_moves_elsewhere_takes_neither_the_results_nor_the_import_path_along() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        hostile.make(folder, Module(imports="os.chdir('/'); sys.path.append('/opt')"))

        def check() -> int:
            assert begin() == STARTED
            assert Path.cwd() == folder
            assert "/opt" in sys.path
            return 0

        ended = hostile.in_a_process(check, folder)
    assert (ended.code, ended.told) == (0, "")


@pytest.mark.full
@pytest.mark.parametrize("kind", PARTS)
def test_so_it_is_of_every_hostile_part(kind: str) -> None:
    assert {module: why for module in PARTS[kind] if (why := faults(module))} == {}


@pytest.mark.full
@given(MODULES)
def test_and_of_such_parts_put_together(module: Module) -> None:
    assert faults(module) == ""

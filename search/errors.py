"""What a user is told of a mistake: the rule, the value that broke it, and the fix."""

import dataclasses
import difflib
import re
import shlex
import types
from collections.abc import Callable, Container, Iterable
from pathlib import Path
from typing import Any, get_args, get_origin

YAML_NAMES = {"NoneType": "null", "dict": "mapping", "list": "list [a, b]"}
ELSEWHERE = {
    # Keys of an entry of the space.
    **dict.fromkeys(("if", "condition", "conditions", "depends_on", "parent"), "when"),
    **dict.fromkeys(("min", "lower"), "low"),
    **dict.fromkeys(("max", "upper"), "high"),
    "choices": "values",
    "q": "step",
    # Distributions.
    **dict.fromkeys(("categorical", "suggest_categorical", "grid_search"), "choice"),
    **dict.fromkeys(("float", "suggest_float"), "uniform"),
    **dict.fromkeys(("int", "suggest_int", "randint", "qrandint"), "int_uniform"),
    "lograndint": "int_log_uniform",
    # Samplers and schedulers.
    **dict.fromkeys(("bayes", "bayesian", "bo", "gaussian"), "gp"),
    **dict.fromkeys(("sobol", "halton"), "qmc"),
    **dict.fromkeys(("successive_halving", "successivehalving"), "asha"),
    **dict.fromkeys(("median_stopping", "medianstoppingrule"), "median"),
    "fifo": "none",
    "type": "name",
    # Settings.
    **dict.fromkeys(("num_trials", "trials", "max_trials", "budget"), "num_samples"),
    **dict.fromkeys(("pruner", "early_terminate", "early_stopping"), "scheduler"),
    **dict.fromkeys(("search_space", "params", "parameters", "param_space"), "space"),
    "directions": "objectives",
    **dict.fromkeys(("maximize", "minimize", "goal"), "mode"),
    "program": "command",
    "method": "sampler",
    "points_to_evaluate": "start",
    "stop": "target",
    "retrain": "finalists",
    "weights": "choose",
}
"""Names that other frameworks have for what has another name here."""
MOST_CHARACTERS = 500
"""Of the text of an exception, at most."""


class UserError(ValueError):
    """A user's mistake. A program prints it as one line and ends with exit code 2; a notebook shows it as it is.

    Any other ValueError or TypeError of this package is a fault of its own, and keeps its traceback.
    """


class EndedError(RuntimeError):
    """A search ends before its time, for a reason that one line tells; the exit code of a program is 1."""


def describe(error: BaseException) -> str:
    """Return the type and the text of an exception in one line. Raises nothing, whatever asking for the text raises."""
    kind = _ask(lambda: type(error).__name__, MOST_CHARACTERS) or "an exception without a name"
    text = _ask(lambda: str(error), MOST_CHARACTERS)
    return f"{kind}: {text}" if text else kind


def shown(value: object, most: int = 80) -> str:
    """Return a value as its `repr`, in one line of at most so many characters. Raises nothing, as `describe`."""
    return _ask(lambda: repr(value), most)


def one_line(text: str, most: int) -> str:
    """Return a text as one line of at most so many characters, which can be written."""
    return printable(" ".join(text.split())[:most])


def printable(text: str) -> str:
    """Return a text with what no terminal should get, as the beginning of a control sequence, escaped."""
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)


def writable(text: str) -> str:
    """Return a text without what UTF-8 cannot hold, which is escaped."""
    return text.encode(errors="backslashreplace").decode()


def _ask(text: Callable[[], str], most: int) -> str:
    try:
        return one_line(text(), most)
    except BaseException:  # of a foreign object's own code, which may raise anything
        return "(its text cannot be read)"


def command(module: str, *arguments: str | Path) -> str:
    """Return the command that runs a module, as a shell takes it: `python -m search.run --resume 'my results/s'`."""
    return _typed(["python", "-m", module], arguments)


def program(workload: str, *arguments: str | Path) -> str:
    """Return the command that runs a workload as a program, by its module's name or its file's path."""
    return _typed(["python", workload] if workload.endswith(".py") else ["python", "-m", workload], arguments)


def _typed(words: list[str], arguments: Iterable[str | Path]) -> str:
    for argument in arguments:
        is_like_a_flag = isinstance(argument, Path) and str(argument).startswith("-")
        words.append(f"./{argument}" if is_like_a_flag else str(argument))
    return shlex.join(words)


def count(many: float, thing: str) -> str:
    """Return a number of things as text: 1 trial, 2 trials, 0.5 GPUs."""
    if many == 1:
        return f"1 {thing}"
    return f"{many:g} {thing}s" if isinstance(many, float) else f"{many} {thing}s"


def have(many: int) -> str:
    """Return the verb of so many things: 1 trial has, 2 trials have."""
    return "has" if many == 1 else "have"


def suggestion(name: str, known: Iterable[str]) -> str:
    """Return how an unknown name may have been meant: as another framework's, or mistyped, large and small alike."""
    names = list(known)
    asked = re.sub("(?<=.)(sampler|pruner|scheduler)$", "", name.lower())
    if ELSEWHERE.get(asked) in names:
        return f"did you mean {ELSEWHERE[asked]!r}?"
    near = difflib.get_close_matches(name, names, n=1)
    if not near:
        spelled = {each.lower(): each for each in names if isinstance(each, str)}
        near = [spelled[each] for each in difflib.get_close_matches(asked, spelled, n=1)]
    return f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(names)}"


def require(settings: object, name: str, rule: str, holds: bool) -> None:
    """Raise UserError where a setting does not hold to its rule."""
    if not holds:
        raise UserError(f"{name} must be {rule}, but got {getattr(settings, name)!r}")


def check_types(settings: Any, but: Container[str] = ()) -> None:
    """Hold the fields of a frozen dataclass against their annotations, but for some; an int will do for a float.

    Raises UserError where a value is of another type, true and false for a number included.
    """
    for item in dataclasses.fields(settings):
        if item.name in but:
            continue
        value = getattr(settings, item.name)
        choices = get_args(item.type) if isinstance(item.type, types.UnionType) else (item.type,)
        kinds = [get_origin(kind) or kind for kind in choices]
        if float in kinds and type(value) is int and abs(value) < 2**63:
            object.__setattr__(settings, item.name, float(value))
        elif type(value) not in kinds:
            wanted = " or ".join(YAML_NAMES.get(kind.__name__, kind.__name__) for kind in kinds)
            raise UserError(f"{item.name} must be of type {wanted}, but got {value!r}")

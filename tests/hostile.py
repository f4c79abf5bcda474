"""Workload modules as hostile as Python allows, in parts to put together, and a process of its own for each."""

import os
import select
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

HEAD = """
import builtins, gc, os, signal, sys, threading, time, warnings
from dataclasses import dataclass, field

class Odd(Exception):
    def __str__(self): raise self
    __repr__ = __str__

class OddBase(BaseException):
    def __str__(self): return 3

class Surrogate(Exception):
    def __str__(self): return "a\\ud800b\\x1b[2J\\n" * 1000

class Noted(Exception):
    __notes__ = 3

class Deep(Exception):
    @property
    def __cause__(self): raise ZeroDivisionError
    @property
    def __traceback__(self): raise ZeroDivisionError
    @property
    def args(self): raise ZeroDivisionError

class Meta(type):
    def __str__(cls): raise ZeroDivisionError
    __repr__ = __str__
    @property
    def __name__(cls): raise ZeroDivisionError

class Unnamed(Exception, metaclass=Meta): pass

class Unequal(Exception):
    __hash__ = None
    def __eq__(self, other): raise ZeroDivisionError
    def __bool__(self): raise ZeroDivisionError

def circle():
    error = ValueError("round")
    error.__context__ = error
    return error

def chain():
    error = None
    for number in range(3000):
        new = ValueError(number)
        new.__context__ = error
        error = new
    return error

class Number:
    def __init__(self, raised): self.raised = raised
    def __float__(self): raise self.raised
    def __repr__(self): raise self.raised
    def __eq__(self, other): raise self.raised
    __hash__ = object.__hash__

class Items:
    def __init__(self, given): self.given = given
    def items(self):
        if isinstance(self.given, BaseException): raise self.given
        return self.given

class Key(str):
    def __str__(self): raise Odd
    def __hash__(self): return 1
    def __eq__(self, other): raise Odd

class Model:
    def __init__(self, packed=None, unpacked=None): self.packed, self.unpacked = packed, unpacked
    def __reduce__(self):
        if self.packed: raise self.packed
        return unpack, (self.unpacked,)

def unpack(error):
    if error: raise error
    return Model()
"""
ERRORS = [
    *("Odd()", "OddBase()", "Surrogate()", "Noted()", "Deep()", "Unnamed()", "Unequal()", "circle()", "chain()"),
    *("KeyboardInterrupt()", "SystemExit()", "SystemExit(0)", "SystemExit('x')", "GeneratorExit()", "StopIteration()"),
    *("MemoryError()", "RecursionError()", "OSError(28, 'full')", "UnicodeDecodeError('utf-8', b'x', 0, 1, 'y')"),
    *("SyntaxError('x', ('f', 1, 1, 'y', 1, 1))", "SyntaxError('x', (3, 'a', None, b'', 1, 1))", "KeyError(3)"),
    *("ExceptionGroup('g', [ValueError(), ExceptionGroup('h', [Odd()])])", "BaseExceptionGroup('b', [OddBase()])"),
    *("TimeoutError()", "BrokenPipeError()", "ImportError('x', name='y')", "AttributeError()", "Warning('w')"),
    *("type('a\\nb', (Exception,), {})()", "type('', (Exception,), {})()"),
]
CALM = "pass"
IMPORTS = [
    *(f"raise {error}" for error in ERRORS),
    *("print('x' * 10000)", "print('\\x1b[2J')", "sys.exit(3)", "import nothing_there", "from . import nothing"),
    *("def (", "await x", "\0", "\udcff", "import search.nothing", "x = yield", "os._exit(7)"),
    *("sys.stdout = None", "sys.stdout = object()", "sys.stdout.close()", "sys.stderr = None", "sys.stderr.close()"),
    *("os.close(1)", "os.close(2)", "sys.excepthook = None", "sys.stdin = None", "os.chdir('/')", "os.close(0)"),
    *("del builtins.print", "del builtins.len", "del builtins.open", "builtins.isinstance = None", "del builtins.str"),
    *("builtins.Exception = ValueError", "builtins.__import__ = None", "del builtins.OSError"),
    "threading.Thread(target=time.sleep, args=(1000,)).start()",
    *("sys.path.clear()", "sys.path[:] = [3, None]", "sys.modules[__name__] = None", "sys.argv = None"),
    *("del sys.modules[__name__]", "sys.modules[__name__] = 3", "gc.disable()", "sys.setrecursionlimit(120)"),
    *("os.environ.clear()", "signal.signal(signal.SIGINT, signal.SIG_IGN)", "__file__ = 3", "del __file__"),
    *("__name__ = 'x'", "__spec__ = None", "__path__ = 3", "__getattr__ = lambda name: 1 / 0"),
    *("warnings.simplefilter('error')", "sys.settrace(lambda *_: None)", "sys.setprofile(lambda *_: None)"),
    *("import logging; logging.disable()", "import logging; logging.shutdown()", "import locale, time; time.tzset()"),
    *("sys.displayhook = None", "sys.unraisablehook = None", "threading.excepthook = None"),
    *("import argparse; argparse.ArgumentParser().parse_args(['--x'])", "input()", "sys.set_int_max_str_digits(640)"),
    *("import random; random.seed = None", "import atexit; atexit.register(os._exit, 9)"),
]
FIELD = "    x: float = 0.0\n    epochs: int = 3\n    seed: int = 0\n"
CONFIGS = [
    *(f"@dataclass(frozen=True)\nclass Config:\n{FIELD}    def __post_init__(self): raise {error}" for error in ERRORS),
    *(
        f"@dataclass(frozen=True)\nclass Config:\n{FIELD}    def __post_init__(self): {body}"
        for body in (
            *(
                "print('x')",
                "os.close(1)",
                "sys.stdout = None",
                "sys.exit(2)",
                "os.chdir('/')",
                "threading.current_thread()",
            ),
            *(
                "object.__setattr__(self, 'x', 3)",
                "object.__setattr__(self, 'epochs', -1)",
                "del builtins.len",
                "return 3",
            ),
            *("object.__setattr__(self, 'epochs', None)", "object.__setattr__(self, 'seed', 'x')", "self.x = 3"),
            "object.__setattr__(self, 'seed', Number(Odd()))",
        )
    ),
    *(
        "Config = 3",
        "Config = None",
        "class Config: pass",
        "def Config(): pass",
        "from dataclasses import dataclass as Config",
    ),
    "@dataclass\nclass Config:\n    x: float",
    "@dataclass\nclass Config:\n    epochs: int\n    seed: int",
    *(
        f"@dataclass\nclass Config:\n    x: float = 0.0\n    seed: object = 0\n    epochs: object = {value}"
        for value in (
            *("0", "-1", "None", "'x'", "1e9", "float('nan')", "True", "10 ** 400", "Number(Odd())", "3.5", "object()"),
            *("field(default_factory=lambda: 1 / 0)", "field(default_factory=list)", "b'3'", "(3,)", "Items(Odd())"),
        )
    ),
    *(
        f"@dataclass(frozen=True)\nclass Config:\n    x: {kind} = 0.0\n    epochs: int = 3\n    seed: int = 0"
        for kind in ("'nothing'", "3", "Odd", "'1 / 0'", "[float]", "list[float] | None", "'Config'", "Items")
    ),
    f"class Hard(type):\n    def __call__(cls, **_): raise Odd\n@dataclass\nclass Config(metaclass=Hard):\n{FIELD}",
    f"@dataclass(slots=True, kw_only=True)\nclass Config:\n{FIELD}",
    f"@dataclass\nclass Config:\n{FIELD}    def __repr__(self): raise Odd\n    __eq__ = __hash__ = __repr__",
    f"@dataclass(frozen=True)\nclass Config:\n{FIELD}    def __getattribute__(self, name): raise Odd",
]
LOOP = "def train(config):\n    for epoch in range(3):\n        "
TRAINS = [
    *(f"{LOOP}if epoch: raise {error}\n        yield {{'loss': 1.0}}, 3" for error in ERRORS),
    *(f"def train(config):\n    raise {error}\n    yield" for error in ERRORS),
    *(
        "def train(config):\n    try:\n        yield {'loss': 1.0}, 3\n        yield {'loss': 2.0}, 3\n"
        f"    finally: raise {error}"
        for error in ERRORS
    ),
    *(f"{LOOP}yield {{'loss': Number({error})}}, 3" for error in ERRORS),
    *(f"{LOOP}yield {{'loss': 1.0, 'other': Number({error})}}, 3" for error in ERRORS),
    *(f"{LOOP}yield Items({error}), 3" for error in ERRORS),
    *(f"{LOOP}yield {{'loss': 1.0}}, Model(packed={error})" for error in ERRORS),
    *(f"{LOOP}yield {{'loss': 1.0}}, Model(unpacked={error})" for error in ERRORS if "circle" not in error),
    *(
        f"{LOOP}yield {given}"
        for given in (
            *(
                "3",
                "None",
                "'loss'",
                "{'loss': 1.0}",
                "({'loss': 1.0},)",
                "({'loss': 1.0}, 1, 2)",
                "(1, {'loss': 1.0})",
            ),
            *("Items(3), 3", "Items([1, 2]), 3", "Items([('loss', 1.0), 3]), 3", "Items([(Key('loss'), 1.0)]), 3"),
            *(
                "{'loss': 'x'}, 3",
                "{'loss': None}, 3",
                "{'loss': True}, 3",
                "{'loss': 10 ** 400}, 3",
                "{'loss': 1j}, 3",
            ),
            *("{'loss': float('nan')}, 3", "{'loss': [1.0]}, 3", "{3: 1.0}, 3", "{}, 3", "{'loss': b'1'}, 3"),
            *("{'loss': 1.0, '\\ud800': 2.0, 'a\\nb': 3.0}, 3", "{'loss': 1.0, 'elapsed_s': 9.0, 'epoch': 3}, 3"),
            *("{str(n): n for n in range(5000)} | {'loss': 1.0}, 3", "Odd(), 3", "{Number(Odd()): 1.0, 'loss': 1}, 3"),
            *(
                "{'loss': 1.0}, Odd()",
                "{'loss': 1.0}, lambda: 3",
                "{'loss': 1.0}, config",
                "{'loss': 1.0}, (n for n in [1])",
            ),
        )
    ),
    *(
        f"{LOOP}{body}\n        yield {{'loss': 1.0}}, 3"
        for body in (
            *("print('x' * 10000)", "sys.stdout = None", "sys.stdout.close()", "sys.stderr = object()", "os.close(1)"),
            *(
                "os.close(2)",
                "os.chdir('/')",
                "sys.exit(0)",
                "os._exit(7)",
                "del builtins.len",
                "builtins.print = None",
            ),
            *("threading.Thread(target=time.sleep, args=(1000,)).start()", "sys.excepthook = None", "sys.path.clear()"),
            *(
                "signal.signal(signal.SIGALRM, signal.SIG_IGN)",
                "time.sleep(1000)",
                "gc.disable()",
                "os.environ.clear()",
            ),
            *("sys.setrecursionlimit(120)", "sys.settrace(lambda *_: None)", "warnings.simplefilter('error')"),
            *("globals().clear()", "sys.modules.pop(__name__)", "sys.modules[__name__] = None", "import nothing"),
            *("config.x = 3", "object.__setattr__(config, 'seed', None)", "os.kill(os.getpid(), signal.SIGINT)"),
            "(lambda f: f(f))(lambda f: f(f))",
        )
    ),
    *(
        "train = 3",
        "train = None",
        "def train(config): return 3",
        "def train(config): return iter([3])",
        "def train(): yield 3",
    ),
    *(
        "def train(config): yield",
        "class train: pass",
        "train = lambda config: iter([({'loss': 1.0}, 3)])",
        "def train(config, *, y): yield",
    ),
    "class Close:\n    def __iter__(self): return self\n    def __next__(self): return {'loss': 1.0}, 3\n"
    "    def close(self): raise OddBase\ntrain = lambda config: Close()",
    "async def train(config):\n    yield {'loss': 1.0}, 3",
]
OTHERS = [
    "",
    *(f"def test(model, config): raise {error}" for error in ERRORS),
    *(
        f"def test(model, config): return {given}"
        for given in ("3", "None", "Items(Odd())", "{'a': Number(Odd())}", "{1: 2}")
    ),
    *(f"def save(model, config, path): raise {error}" for error in ERRORS),
    *(
        f"def save(model, config, path): {body}"
        for body in (
            *(
                "path.mkdir()",
                "path.symlink_to('/nowhere')",
                "os.mkfifo(path)",
                "path.parent.rmdir()",
                "os.chdir(path.parent)",
            ),
            *(
                "path.write_text('x'); path.chmod(0)",
                "(path.parent / '..' / 'x').touch()",
                "path.with_name('a\\nb').touch()",
            ),
        )
    ),
    *(f"def plot(model, config): raise {error}" for error in ERRORS),
    *(f"def plot(model, config): return {given}" for given in ("3", "None", "Odd()", "object()")),
    *(f"def resolve(config): raise {error}" for error in ERRORS),
    *(f"def resolve(config): return {given}" for given in ("3", "None", "Odd()", "Config")),
    *("test = 3", "save = 'x'", "plot = None", "resolve = 3", "def test(): pass", "def save(path): pass", "test = Odd"),
]


@dataclass(frozen=True)
class Module:
    """The parts of a workload's module."""

    imports: str = CALM
    config: str = f"@dataclass(frozen=True)\nclass Config:\n{FIELD}"
    train: str = f"{LOOP}yield {{'loss': 1.0 + config.x + 1 / (epoch + 1)}}, 3"
    others: tuple[str, ...] = ()
    imports_last: bool = False
    """Whether what it does while it is imported is done at its end."""

    @property
    def source(self) -> bytes:
        """Return the text of the module, of which not everything is UTF-8."""
        parts = [HEAD, self.config, self.train, *self.others]
        parts.insert(len(parts) if self.imports_last else 1, self.imports)
        return "\n".join(parts).encode(errors="surrogateescape")


@dataclass(frozen=True)
class Ended:
    """What became of a function in a process of its own."""

    code: int
    """Its exit code, or the signal that ended it, negative; HUNG where it did not end."""
    said: str
    """On its standard output."""
    told: str
    """On its standard error."""


HUNG = -1000
FAULT = 99
"""The exit code of a function that raised."""


def in_a_process(function: Callable[[], int], cwd: Path, seconds: float = 20) -> Ended:
    """Call a function in a forked process with its output in files, and return what became of it."""
    with tempfile.TemporaryDirectory() as name:
        outputs = [Path(name, "out"), Path(name, "err")]
        pid = os.fork()
        if pid == 0:
            _become(function, cwd, outputs)
        code = _wait(pid, seconds)
        said, told = (path.read_bytes().decode(errors="replace") for path in outputs)
    return Ended(code, said, told)


def _become(function: Callable[[], int], cwd: Path, outputs: list[Path]) -> None:
    """Run in the child: call the function and exit with what it returns."""
    leave = os._exit
    write = os.write
    errors = -1
    try:
        os.setsid()
        os.chdir(cwd)
        for number, path in enumerate(outputs, 1):
            file = os.open(path, os.O_WRONLY | os.O_CREAT)
            os.dup2(file, number)
            os.set_inheritable(number, True)
        errors = os.dup(2)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        sys.stdin = open(0, closefd=False)  # noqa: SIM115
        sys.stdout = open(1, "w", buffering=1, closefd=False)  # noqa: SIM115
        sys.stderr = open(2, "w", buffering=1, closefd=False)  # noqa: SIM115
        code = function()
        for stream in (sys.stdout, sys.stderr):
            with suppress(BaseException):
                stream.flush()
        leave(code)
    except BaseException:
        with suppress(BaseException):
            write(errors, traceback.format_exc().encode(errors="replace"))
    finally:
        leave(FAULT)


def _wait(pid: int, seconds: float) -> int:
    """Return how a child ended; it is killed, with its children, where it has not ended in time."""
    descriptor = os.pidfd_open(pid)
    ready, _, _ = select.select([descriptor], [], [], seconds)
    os.close(descriptor)
    with suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status) if ready else HUNG


def make(folder: Path, module: Module) -> None:
    """Write a module w and the YAML of its search into a folder."""
    (folder / "w.py").write_bytes(module.source)
    space = "{x: {distribution: uniform, low: -1, high: 1}}"
    text = f"workload: w\nmetric: loss\nspace: {space}\nnum_samples: 2\nname: s\n"
    (folder / "a.yaml").write_text(text, encoding="utf-8")

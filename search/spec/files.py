"""Files of a study: YAML from users is read with limits, and every file is written atomically.

A reader during the write, or after the writer was killed, finds the old file or the new one, never a part.
"""

import io
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.nodes import ScalarNode
from ruamel.yaml.representer import RoundTripRepresenter

from search.errors import UserError

MOST_VALUES = 10_000
"""Values that a YAML file may hold, each alias counted as what it stands for."""


def write(path: Path, content: str | bytes) -> None:
    """Write a file atomically, by a rename; text becomes UTF-8. Raises OSError."""
    if isinstance(content, str):
        content = content.encode()
    temporary = path.with_name(f".{path.name}-{threading.get_native_id()}")  # two threads may write the same at once
    try:
        temporary.write_bytes(content)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def make_folder(path: Path) -> None:
    """Make a folder where there is none. Raises OSError, with the fix where a file or a broken link has its name."""
    try:
        path.mkdir(exist_ok=True)
    except FileExistsError:
        kind = "a link to nothing" if path.is_symlink() else "a file"
        raise NotADirectoryError(f"{path} must be a folder, but it is {kind}; move it away") from None


def replace_folder(path: Path, new: Path, aside: Path) -> None:
    """Put a new folder in the place of a folder, a link or a file, which goes to `aside`. Raises OSError."""
    if path.exists() or path.is_symlink():
        path.rename(aside)  # of a link the link alone
    new.rename(path)


def trial_log(folder: Path, number: int) -> Path:
    """Return the path of a trial's log: what it printed, and the traceback where it failed."""
    return folder / "logs" / f"trial-{number:04}.log"


def yaml(values: Mapping[str, Any]) -> str:
    """Return a mapping of plain values, which may be nested, as YAML text."""
    text = io.StringIO()
    _Writer().dump(dict(values), text)
    return text.getvalue()


class _Writer(YAML):
    """Writes YAML, and reads none."""

    def __init__(self) -> None:
        super().__init__()
        self.Representer = _Representer


class _Representer(RoundTripRepresenter):
    """Writes 1e-08 as 1.0e-08: to a reader of YAML 1.1, as PyYAML, the former is a text."""

    def represent_float(self, data: float) -> ScalarNode:
        node: ScalarNode = super().represent_float(data)
        if "e" in node.value and "." not in node.value:
            node.value = node.value.replace("e", ".0e")
        return node


_Representer.add_representer(float, _Representer.represent_float)


def read(path: Path) -> dict[str, Any]:
    """Return the mapping of settings in a YAML file.

    Raises UserError where there is no such file, or it holds anything but one mapping of at most MOST_VALUES values
    without duplicate keys; OSError where it cannot be read.
    """
    if not path.is_file():
        raise UserError(f"the config file must exist, but there is no file {path}; give one with --config")
    try:
        text = path.read_text(encoding="utf-8")
        reader = YAML(typ="safe", pure=True)
        if _unfolds_beyond(MOST_VALUES, reader.compose(text)):
            raise UserError(f"it has more than {MOST_VALUES} values, an alias (*name) counted as what it stands for")
        values = reader.load(text)
    except MarkedYAMLError as error:
        line = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
        raise UserError(f"{path} must be YAML text, but {line}{_one_line(error.problem)}") from None
    except OSError:
        raise
    except Exception as error:  # whatever ruamel.yaml makes of a forced tag: `!!bool x` is a KeyError
        raise UserError(f"{path} must be YAML text, but: {_one_line(error) or type(error).__name__}") from None
    if not isinstance(values, dict) or not all(isinstance(key, str) for key in values):
        raise UserError(f"{path} must be a mapping of settings, but got {values!r:.80}")
    return values


def _unfolds_beyond(limit: int, root: Any) -> bool:
    """Return whether a YAML node holds more nodes than `limit`, an alias counted as what it stands for.

    A page of aliases of aliases could otherwise unfold to more than fits into memory.
    """
    unvisited = [root] if root else []
    count = 0
    while unvisited and count <= limit:
        count += 1
        content = unvisited.pop().value
        if not isinstance(content, list):
            continue  # a scalar
        for item in content:
            if isinstance(item, tuple):
                unvisited += item  # a mapping's key and value
            else:
                unvisited.append(item)
    return count > limit


def _one_line(text: object) -> str:
    return " ".join(str(text).split())

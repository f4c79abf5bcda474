"""Files of a study: YAML read with care, and whatever is written is written as a whole.

Whoever reads a file that is being written, or is killed while writing it, finds the old one or the new one.
"""

import io
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError

from search.errors import UserError

MOST_VALUES = 10_000
"""In a YAML file."""


def write(path: Path, content: str | bytes) -> None:
    """Write a file, text as UTF-8, by a rename. Raises OSError."""
    made = path.with_name(f".{path.name}-{threading.get_native_id()}")  # two threads may write the same at once
    try:
        made.write_bytes(content.encode() if isinstance(content, str) else content)
        made.replace(path)
    finally:
        made.unlink(missing_ok=True)


def trial_log(folder: Path, number: int) -> Path:
    """Return the file of a study that holds what a trial printed, and the traceback of a failed one."""
    return folder / "logs" / f"trial-{number:04}.log"


def yaml(values: Mapping[str, Any]) -> str:
    """Return a mapping as YAML text."""
    text = io.StringIO()
    YAML().dump(dict(values), text)
    return text.getvalue()


def read(path: Path) -> dict[str, Any]:
    """Return the mapping in a YAML file.

    Raises UserError where there is no such file, or it holds anything but one mapping without duplicate keys; OSError.
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
    """Return whether a YAML node holds more nodes than that, an alias counted as what it stands for.

    A page of aliases of aliases would otherwise unfold to more than any memory holds.
    """
    waiting = [root] if root else []
    count = 0
    while waiting and count <= limit:
        count += 1
        inner = waiting.pop().value
        if not isinstance(inner, list):
            continue
        for part in inner:  # a sequence's nodes, or a mapping's pairs of nodes
            waiting += part if isinstance(part, tuple) else [part]
    return count > limit


def _one_line(what: object) -> str:
    return " ".join(str(what).split())

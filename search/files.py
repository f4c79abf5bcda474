"""Files of a study that are written as a whole: whoever reads one, or is killed, finds the old one or the new one."""

import io
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML


def write(path: Path, content: str | bytes) -> None:
    """Write a file, text as UTF-8, by a rename. Raises OSError."""
    made = path.with_name(f".{path.name}-{threading.get_native_id()}")  # two threads may write the same at once
    try:
        made.write_bytes(content.encode() if isinstance(content, str) else content)
        made.replace(path)
    finally:
        made.unlink(missing_ok=True)


def yaml(values: Mapping[str, Any]) -> str:
    """Return a mapping as YAML text."""
    text = io.StringIO()
    YAML().dump(dict(values), text)
    return text.getvalue()

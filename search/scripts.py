"""The console scripts, each a command: `search-run` for `python -m search.run`, `search-plot` for `search.plot`, ...

Unlike `python -m` they do not look for our own package in the working folder, where a user may have a search.py.
"""

import importlib
import sys
from pathlib import Path
from typing import NoReturn

from search import cli


def main() -> NoReturn:
    """Run the command that the name of the script says."""
    command = Path(sys.argv[0]).stem.removeprefix("search-")
    cli.leave(importlib.import_module(f"search.{command}").main())

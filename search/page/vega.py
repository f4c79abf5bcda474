"""The library that draws the report's charts: Vega, Vega-Lite and vega-embed as one script, out of vl-convert."""

import os
from contextlib import suppress
from functools import cache
from importlib.metadata import version
from pathlib import Path

from search import files

ENTRY = "window.vegaEmbed = vegaEmbed;"


@cache
def script() -> str:
    """Return the script, which can stand in a page.

    To bundle it takes 1.5 seconds, in which no Python runs in the process: it is kept in the user's cache.
    """
    kept = cached()
    with suppress(OSError, UnicodeDecodeError):
        return kept.read_text(encoding="utf-8")
    import vl_convert

    made = str(vl_convert.javascript_bundle(ENTRY)).replace("</script", r"<\/script").replace("<!--", r"<\!--")
    with suppress(OSError):
        kept.parent.mkdir(parents=True, exist_ok=True)
        files.write(kept, made)
    return made


def cached() -> Path:
    """Return the file that keeps it, of this version."""
    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")  # noqa: PTH111  # Path.home() may raise
    return Path(home) / "search" / f"vega-{version('vl-convert-python')}.js"

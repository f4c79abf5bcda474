"""The report of a study: one page in one file, which asks no network for anything."""

import base64
import json
import os
import secrets
import time
from contextlib import suppress
from functools import cache, partial
from importlib.metadata import version
from importlib.resources import files as resources
from pathlib import Path
from typing import Any

import jinja2

from search import __version__
from search.analysis import importance
from search.analysis.snapshot import Snapshot
from search.journal.trial import Trial
from search.spec import files
from search.views.comparison import compare
from search.views.format import FRONT_COLOUR, STATE_COLOURS, first_that_fits, span
from search.views.page import answers, charts, rows, timeline
from search.views.page.layers import Chart
from search.views.page.rows import Rows

ENTRY = "window.vegaEmbed = vegaEmbed;"
MOST_TRIALS = 1_000
MOST_BYTES = 3_000_000
MOST_PICTURED = 1_200_000
"""Trials that a page shows, bytes of it, and bytes of the pictures in it: what would be more is linked."""
MOST_STRETCHES = 3
"""Timelines: of the newest."""
PICTURES = {
    "best/epochs.gif": "The winner, retrained, over its epochs",
    "plots/finalists.png": "The finalists by rank, then the defaults",
    "best/plot.png": "The winner",
}
"""Made by the workload's own plot."""


def render(snapshot: Snapshot) -> bytes:
    """Return the report as HTML of a bounded size; all that comes from a study is escaped."""
    counts = [MOST_TRIALS]
    while counts[-1] > 1:  # fewer trials where there are hundreds of hyperparameters, or long texts
        counts.append(counts[-1] // 2)
    return first_that_fits((partial(_render, snapshot, most) for most in counts), MOST_BYTES)


def _render(snapshot: Snapshot, most: int) -> bytes:
    """Return the report, which shows so many of the trials."""
    stretches = timeline.stretches(snapshot)
    newest = stretches[-MOST_STRETCHES:]
    shown = rows.shown(snapshot, most)
    drawn = charts.charts(snapshot, newest)
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    html = environment.from_string(_resource("report.html")).render(
        **_about(snapshot, stretches),
        **_lists(snapshot, shown),
        timelines=[_timeline(stretch) for stretch in newest],
        thinned=_thinned(snapshot, shown),
        charts=drawn,
        data=_data(snapshot, shown, drawn),
        style=_resource("report.css"),
        script=_resource("report.js"),
        library=library(),
        nonce=secrets.token_urlsafe(16),
        colours=STATE_COLOURS,
        front=FRONT_COLOUR,
        states=_states(snapshot),
    )
    return html.encode()


def _resource(name: str) -> str:
    return (resources(__package__) / name).read_text(encoding="utf-8")


def _thinned(snapshot: Snapshot, shown: list[Trial]) -> str:
    """Return what the charts leave out, as text."""
    thinned = ""
    if len(shown) < len(snapshot.trials):
        thinned += f"Drawn: the best {len(shown)} trials. "
    if rows.stride(shown) > 1:
        thinned += f"Of each one epoch in {rows.stride(shown)}. "
    return thinned


def _states(snapshot: Snapshot) -> list[tuple[str, str]]:
    """Return the states that occur, with the words for them."""
    return [(state, word) for state, word in answers.ENDINGS.items() if snapshot.endings[state]]


def _about(snapshot: Snapshot, stretches: list[Rows]) -> dict[str, Any]:
    verdict = snapshot.verdict
    noise = verdict.noise if verdict else None
    band = ""
    if noise is not None:
        deviation = f"{noise:.2g}, one standard deviation over its seeds"
        band = f"The red band is the winner's mean ± {deviation}: believe no difference inside it."
    return {
        "study": snapshot,
        "progress": answers.progress(snapshot),
        "cards": answers.cards(snapshot, stretches),
        "comparison": compare(snapshot),
        "notes": answers.notes(snapshot),
        "pictures": _pictures(snapshot.folder),
        "band": band,
        "top": len(rows.top(snapshot)),
        "has_seeds": noise is not None,
        "draws": importance.bootstrap_samples(len(snapshot.space)),
        "least": importance.MIN_DIFFERENT_VALUES,
        "has_valueless": len(snapshot.values) < len(snapshot.trials),
        "made": answers.facts(snapshot),
        "config": files.yaml(snapshot.config.as_mapping()),
        "now": time.strftime("%Y-%m-%d %H:%M:%S %z"),
        "version": __version__,
    }


def _lists(snapshot: Snapshot, shown: list[Trial]) -> dict[str, Any]:
    told = answers.failures(snapshot)
    unlisted = snapshot.endings["failed"] - len(told)
    return {
        "table": answers.table(snapshot, shown),
        "failures": [answers.failure(snapshot, trial) for trial in told],
        "more_failures": f"{unlisted} more failed: see logs/." if unlisted > 0 else "",
    }


def _timeline(stretch: Rows) -> str:
    began = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(stretch[0]["at"]))
    share = timeline.busy(stretch)
    busy = "" if share is None else f"; {share:.0%} of the processes' time was training, the gaps are waiting"
    return f"From {began}, {span(max(bar['end'] for bar in stretch))}{busy}."


def _pictures(folder: Path) -> list[dict[str, str]]:
    left = MOST_PICTURED
    pictures = []
    for name, alt in PICTURES.items():
        path = folder / name
        if not path.is_file():
            continue
        encoded = base64.b64encode(path.read_bytes()).decode()
        data = ""
        if len(encoded) <= left:
            left -= len(encoded)
            data = f"data:image/{path.suffix[1:]};base64,{encoded}"
        pictures.append({"path": name, "alt": alt, "data": data})
    return pictures


def _data(snapshot: Snapshot, shown: list[Trial], drawn: dict[str, list[Chart]]) -> str:
    """Return what the page's script reads, as JSON that cannot end the element it stands in."""
    described = {}
    for section in drawn.values():
        for chart in section:
            described[chart.name] = {"spec": chart.spec, "data": chart.data, "alt": chart.alt}
    content = {
        "total": len(snapshot.trials),
        "metric": snapshot.config.metric,
        "names": rows.leading(snapshot),
        "front": snapshot.front.number if snapshot.front else -1,
        "trials": _columns(rows.trials(snapshot, shown)),
        "epochs": _columns(rows.epochs(snapshot, shown)),
        "charts": described,
    }
    text = json.dumps(content, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace("&", "\\u0026")


def _columns(found: Rows) -> dict[str, list[Any]]:
    """Return rows as a list a column, which is half as long."""
    names = dict.fromkeys(name for row in found for name in row)
    return {name: [row.get(name) for row in found] for name in names}


@cache
def library() -> str:
    """Return Vega, Vega-Lite and vega-embed, which draw the charts, as one script that can stand in a page.

    To bundle it takes 1.5 seconds, in which no Python runs in the process: it is kept in the user's cache.
    """
    kept = cached_library()
    with suppress(OSError, UnicodeDecodeError):
        return kept.read_text(encoding="utf-8")
    import vl_convert

    made = str(vl_convert.javascript_bundle(ENTRY)).replace("</script", r"<\/script").replace("<!--", r"<\!--")
    with suppress(OSError):
        kept.parent.mkdir(parents=True, exist_ok=True)
        files.write(kept, made)
    return made


def cached_library() -> Path:
    """Return the file that keeps it, of this version."""
    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")  # noqa: PTH111  # Path.home() may raise
    return Path(home) / "search" / f"vega-{version('vl-convert-python')}.js"

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
from search.analysis import dependence, importance
from search.analysis.snapshot import Snapshot
from search.errors import count
from search.journal.trial import Trial
from search.spec import files
from search.views import ablation
from search.views.comparison import compare
from search.views.format import (
    FRONT_COLOUR,
    MAX_DRAWN,
    MIN_DRAWN,
    STATE_COLOURS,
    drawn,
    first_that_fits,
    rungs_named,
    span,
)
from search.views.page import answers, charts, lists, rows, timeline
from search.views.page.layers import Chart
from search.views.page.rows import Rows

LIBRARY_ENTRY = "window.vegaEmbed = vegaEmbed;"
MAX_TRIALS = 1_000
MAX_PAGE_BYTES = 3_000_000
MAX_PICTURE_BYTES = 1_200_000
"""Trials that a page shows, bytes of it, and bytes of all pictures in it: what would be more is linked."""
MAX_TIMELINES = 3
"""Those of the newest stretches of time."""
PICTURES = {
    "best/epochs.gif": "The winner, retrained, over its epochs",
    "plots/finalists.png": "The finalists by rank, then the defaults",
    "best/plot.png": "The winner",
}
"""Made by the workload's own plot."""
OF_DEFAULTS = {
    "best/epochs.gif": "The defaults, which win, retrained, over their epochs",
    "plots/finalists.png": "The defaults, then the finalists by rank",
    "best/plot.png": "The defaults, which win",
}
"""The same where the defaults win."""


def render(snapshot: Snapshot) -> bytes:
    """Return the report as HTML of a bounded size; all that comes from a study is escaped."""
    attempts = [partial(_render, snapshot, MAX_TRIALS)]
    trials = MAX_TRIALS
    while trials > 1:  # fewer where there are hundreds of hyperparameters, or long texts
        trials //= 2
        attempts.append(partial(_render, snapshot, trials))
    return first_that_fits(attempts, MAX_PAGE_BYTES)


def _render(snapshot: Snapshot, max_trials: int) -> bytes:
    """Return the report, which shows at most so many of the trials."""
    stretches = timeline.stretches(snapshot)
    newest = stretches[-MAX_TIMELINES:]
    shown = rows.shown(snapshot, max_trials)
    sections = charts.charts(snapshot, newest)
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    html = environment.from_string(_resource("report.html")).render(
        **_about(snapshot, stretches),
        **_lists(snapshot, shown),
        timelines=[_timeline(stretch) for stretch in newest],
        thinned=_thinned(snapshot, shown) + _out_of_range(snapshot),
        charts=sections,
        data=_data(snapshot, shown, sections),
        style=_resource("report.css"),
        script=_resource("report.js"),
        library=library(),
        nonce=secrets.token_urlsafe(16),
        colours=STATE_COLOURS,
        front=FRONT_COLOUR,
        states=answers.states(snapshot),
    )
    return html.encode()


def _resource(name: str) -> str:
    return (resources(__package__) / name).read_text(encoding="utf-8")


def _thinned(snapshot: Snapshot, shown: list[Trial]) -> str:
    """Return what the charts leave out, as text."""
    thinned = ""
    if len(shown) < len(snapshot.trials):
        thinned += f"Drawn: the best {count(len(shown), 'trial')}. "
    stride = rows.stride(shown)
    if stride > 1:
        thinned += f"Of each one epoch in {stride}. "
    return thinned


def _out_of_range(snapshot: Snapshot) -> str:
    """Return which numbers the charts draw at another place, as text; empty where there are none."""
    values = snapshot.epoch_values
    for trial in snapshot.trials:
        for name, value in snapshot.placed(trial.params).items():
            values.append(snapshot.axes[name].position(value))
    if list(map(drawn, values)) == values:
        return ""
    return f"In all charts a number closer to 0 than {MIN_DRAWN:g}, or further than {MAX_DRAWN:g}, is drawn there. "


def _about(snapshot: Snapshot, stretches: list[Rows]) -> dict[str, Any]:
    """Return what the page says, but for its lists."""
    band = _band(snapshot)
    return {
        "snapshot": snapshot,
        "aims": answers.aims(snapshot),
        "progress": answers.progress(snapshot),
        "cards": answers.cards(snapshot, stretches),
        "comparison": compare(snapshot),
        "ablation": _ablation(snapshot),
        "notes": answers.notes(snapshot),
        "pictures": _pictures(snapshot),
        "band": band,
        "total": count(len(snapshot.trials), "trial"),
        "top": count(len(rows.top(snapshot)), "trial"),
        "rungs": rungs_named(snapshot.rungs) if snapshot.rungs else "",
        "has_seeds": bool(band),
        "has_curves": dependence.are_possible(snapshot.able, snapshot.axes),
        "parts": _parts(snapshot),
        "bootstrap_samples": importance.bootstrap_samples(len(snapshot.space)),
        "has_gaps": bool(snapshot.space.conditions),
        "min_values": importance.MIN_DIFFERENT_VALUES,
        "has_valueless": len(snapshot.values) < len(snapshot.trials),
        "facts": answers.facts(snapshot),
        "config": files.yaml(snapshot.config.as_mapping()),
        "now": time.strftime("%Y-%m-%d %H:%M:%S %z"),
        "version": __version__,
    }


def _parts(snapshot: Snapshot) -> list[tuple[str, str]]:
    """Return the parts of the retraining's chart, with the words for them."""
    parts = [("validation", "validation"), ("test", "held-out test")]
    if snapshot.outcome and snapshot.outcome.chosen_by is not None:
        parts.insert(0, ("choosing", f"validation, seed {snapshot.outcome.chosen_by}, which chose"))
    return parts


def _ablation(snapshot: Snapshot) -> dict[str, Any]:
    """Return the table of the way from the defaults to the winner, and a note on it; nothing of another winner."""
    found = snapshot.ablation
    if not found or not snapshot.winner or found.ends.winner != snapshot.winner.name:
        return {}
    noise = snapshot.verdict.noise if snapshot.verdict else None
    return {"rows": ablation.rows(found.ends, found.steps), "note": ablation.note(found.ends, found.steps, noise)}


def _band(snapshot: Snapshot) -> str:
    """Return what the charts' band is, as text; empty where there is none."""
    verdict = snapshot.verdict
    if not verdict or verdict.noise is None:
        return ""
    deviation = f"{verdict.noise:.2g}, one standard deviation over its seeds"
    return f"The red band is the winner's mean ± {deviation}: believe no difference inside it."


def _lists(snapshot: Snapshot, shown: list[Trial]) -> dict[str, Any]:
    """Return the table of the trials, and the failures."""
    reported = lists.failures(snapshot)
    more = ""
    unlisted = snapshot.endings["failed"] - len(reported)
    if unlisted > 0:
        more = f"{unlisted} more failed: see logs/."
    return {
        "table": lists.table(snapshot, shown),
        "failures": [lists.failure(snapshot, trial) for trial in reported],
        "more_failures": more,
    }


def _timeline(stretch: Rows) -> str:
    """Return what stands below a timeline: when it was, and how much of it was training."""
    began = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(stretch[0]["at"]))
    text = f"From {began}, {span(timeline.duration_s(stretch))}"
    share = timeline.busy(stretch)
    if share is not None:
        text += f"; {share:.0%} of the processes' time was training, the gaps are waiting"
    return f"{text}."


def _pictures(snapshot: Snapshot) -> list[dict[str, str]]:
    """Return the workload's pictures of a study, in the page as far as they are not too large together."""
    left = MAX_PICTURE_BYTES
    pictures = []
    for name, alt in PICTURES.items():
        path = snapshot.folder / name
        if not path.is_file():
            continue
        encoded = base64.b64encode(path.read_bytes()).decode()
        data = ""
        if len(encoded) <= left:
            left -= len(encoded)
            data = f"data:image/{path.suffix[1:]};base64,{encoded}"
        if snapshot.defaults_win:
            alt = OF_DEFAULTS[name]
        pictures.append({"path": name, "alt": alt, "data": data})
    return pictures


def _data(snapshot: Snapshot, shown: list[Trial], sections: dict[str, list[Chart]]) -> str:
    """Return what the page's script reads, as JSON that cannot end the element it stands in."""
    described = {}
    for section in sections.values():
        for chart in section:
            described[chart.name] = {"spec": chart.spec, "data": chart.data, "alt": chart.alt}
    front = snapshot.front.number if snapshot.front else -1
    content = {
        "total": count(len(snapshot.trials), "trial"),
        "metric": snapshot.config.metric,
        "others": snapshot.config.aims.names[1:],
        "names": rows.leading(snapshot),
        "front": front,
        "trials": _columns(rows.trials(snapshot, shown)),
        "epochs": _columns(rows.epochs(snapshot, shown)),
        "charts": described,
    }
    text = json.dumps(content, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace("&", "\\u0026")


def _columns(rows: Rows) -> dict[str, list[Any]]:
    """Return rows as a list a column, which is half as long; None where a row lacks the column."""
    columns: dict[str, list[Any]] = {}
    for row in rows:
        for name in row:
            columns.setdefault(name, [])
    for name, values in columns.items():
        values += [row.get(name) for row in rows]
    return columns


@cache
def library() -> str:
    """Return Vega, Vega-Lite and vega-embed, which draw the charts, as one script that can stand in a page.

    To bundle it takes 1.5 seconds, in which no Python runs in the process: it is kept in the user's cache.
    """
    path = cached_library()
    with suppress(OSError, UnicodeDecodeError):
        return path.read_text(encoding="utf-8")
    import vl_convert

    bundle = str(vl_convert.javascript_bundle(LIBRARY_ENTRY))
    script = bundle.replace("</script", r"<\/script").replace("<!--", r"<\!--")
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        files.write(path, script)
    return script


def cached_library() -> Path:
    """Return the file that keeps it, of this version."""
    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")  # noqa: PTH111  # Path.home() may raise
    return Path(home) / "search" / f"vega-{version('vl-convert-python')}.js"

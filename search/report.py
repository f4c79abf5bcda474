"""The report of a study: one page in one file, made from its journal at any time.

python -m search.report results/NAME
"""

import base64
import json
import secrets
import time
from importlib.resources import files as resources
from pathlib import Path
from typing import Any

import jinja2

from search import __version__, colours, files, importance, program
from search.journal import Trial
from search.page import answers, charts, listing, rows, vega
from search.page.layers import Chart
from search.snapshot import Snapshot
from search.study import Study
from search.words import span

MOST_TRIALS, MOST_BYTES, MOST_PICTURED = 1_000, 3_000_000, 1_200_000
"""Trials that a page shows, bytes of it, and bytes of the pictures in it: what would be more is linked."""
MOST_STRETCHES = 3
"""Timelines: of the newest."""
PICTURES = {
    "best/epochs.gif": "The winner, retrained, over its epochs",
    "plots/finalists.png": "The finalists by rank, then the defaults",
    "best/plot.png": "The winner",
}
"""Made by the workload's own plot."""


def write(study: Study, snapshot: Snapshot | None = None) -> Path:
    """Write report.html into the folder of a study, as it is or was; return its path."""
    path, snapshot, most = study.folder / "report.html", snapshot or study.snapshot(), MOST_TRIALS
    made = page(study, snapshot, most).encode()
    while len(made) > MOST_BYTES and most > 1:  # hundreds of hyperparameters, or long texts
        most //= 2
        made = page(study, snapshot, most).encode()
    files.write(path, made)
    return path


def page(study: Study, snapshot: Snapshot, most: int = MOST_TRIALS) -> str:
    """Return the report, which shows so many of the trials, as HTML; all that comes from a study is escaped."""
    stretches = rows.stretches(snapshot)
    drawn, shown = charts.charts(snapshot, stretches[-MOST_STRETCHES:]), rows.shown(snapshot, most)
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    folder = resources("search.page")
    style, script, template = (
        (folder / f"report.{kind}").read_text(encoding="utf-8") for kind in ("css", "js", "html")
    )
    return environment.from_string(template).render(
        **_about(study, snapshot, stretches),
        **listing.lists(study, snapshot, shown),
        thinned=_thinned(snapshot, shown),
        charts=drawn,
        data=_data(snapshot, shown, drawn),
        style=style,
        script=script,
        library=vega.script(),
        nonce=secrets.token_urlsafe(16),
        colours=colours.STATES,
        front=colours.FRONT,
        states=_states(snapshot),
    )


def _thinned(snapshot: Snapshot, shown: list[Trial]) -> str:
    """Return what the charts leave out, as text."""
    few = f"Drawn: the best {len(shown)} trials. " if len(shown) < len(snapshot.trials) else ""
    return few + (f"Of each one epoch in {rows.stride(shown)}. " if rows.stride(shown) > 1 else "")


def _states(snapshot: Snapshot) -> list[tuple[str, str]]:
    """Return the states that occur, with the words for them."""
    there = {trial.ending for trial in snapshot.trials}
    return [(state, word) for state, word in answers.ENDINGS.items() if state in there]


def _about(study: Study, snapshot: Snapshot, stretches: list[rows.Rows]) -> dict[str, Any]:
    band, judged = "", snapshot.verdict
    if judged and judged.noise is not None:
        noise = f"{judged.noise:.2g}, one standard deviation over its seeds"
        band = f"The red band is the winner's mean ± {noise}: believe no difference inside it."
    return {
        "study": snapshot,
        "progress": answers.progress(snapshot),
        "cards": answers.cards(snapshot, stretches),
        "comparison": answers.comparison(snapshot, study.times_tested()),
        "pictures": _pictures(study.folder),
        "band": band,
        "top": len(rows.top(snapshot)),
        "has_seeds": bool(judged and judged.noise is not None),
        "draws": importance.draws(len(snapshot.space)),
        "least": importance.LEAST,
        "has_valueless": any(trial.value is None for trial in snapshot.trials),
        "timelines": [_timeline(stretch) for stretch in stretches[-MOST_STRETCHES:]],
        "made": answers.facts(snapshot),
        "config": files.yaml(study.search.user_attrs["config"]),
        "now": time.strftime("%Y-%m-%d %H:%M:%S %z"),
        "version": __version__,
    }


def _timeline(stretch: rows.Rows) -> str:
    began = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(stretch[0]["at"]))
    share = rows.busy(stretch)
    busy = "" if share is None else f"; {share:.0%} of the processes' time was training, the gaps are waiting"
    return f"From {began}, {span(max(bar['end'] for bar in stretch))}{busy}."


def _pictures(folder: Path) -> list[dict[str, str]]:
    found, left = [], MOST_PICTURED
    for name, alt in PICTURES.items():
        if (folder / name).is_file():
            content = (folder / name).read_bytes()
            fits = len(content) * 4 / 3 <= left
            left -= len(content) * 4 // 3 if fits else 0
            kind = name.rpartition(".")[2]
            data = f"data:image/{kind};base64,{base64.b64encode(content).decode()}" if fits else ""
            found.append({"path": name, "alt": alt, "data": data})
    return found


def _data(snapshot: Snapshot, shown: list[Trial], drawn: dict[str, list[Chart]]) -> str:
    """Return what the page's script reads, as JSON that cannot end the element it stands in."""
    every = [chart for some in drawn.values() for chart in some]
    content = {
        "total": len(snapshot.trials),
        "metric": snapshot.config.metric,
        "names": rows.leading(snapshot),
        "front": snapshot.front.number if snapshot.front else -1,
        "trials": _columns(rows.trials(snapshot, shown)),
        "epochs": _columns(rows.epochs(snapshot, shown)),
        "charts": {each.name: {"spec": each.spec, "data": each.data, "alt": each.alt} for each in every},
    }
    text = json.dumps(content, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace("&", "\\u0026")


def _columns(found: rows.Rows) -> dict[str, list[Any]]:
    """Return rows as a list a column, which is half as long."""
    names = dict.fromkeys(name for row in found for name in row)
    return {name: [row.get(name) for row in found] for name in names}


def main(arguments: list[str] | None = None) -> int:
    """Write the report of a study; return the exit code."""
    description = "Write the report of a study, finished or running."
    return program.of_study("search.report", description, lambda study: str(write(study)), arguments)


if __name__ == "__main__":
    program.leave(main())

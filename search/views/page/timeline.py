"""What ran where and when: the trainings of a study as bars, a lane a process."""

import math
from typing import Any

from search.analysis.snapshot import Snapshot
from search.journal.trial import Trial
from search.views.page.rows import Rows

APART_S = 600.0
"""In which nothing ran, after which a timeline begins anew."""


def stretches(snapshot: Snapshot) -> list[Rows]:
    """Return, for each stretch of time without a long pause, a row a training: lane, trial, state, start, end, tip, ...

    start and end are seconds since the stretch began, `at` is when that was, `worked` how many of them were training. A
    lane is a process.
    """
    bars = [_bar(trial, f"trial {trial.number}", trial.ending) for trial in snapshot.trials]
    for candidate in snapshot.outcome.candidates if snapshot.outcome else ():
        bars += [_bar(run, f"{candidate.name}, retrained", "retraining") for run in candidate.runs]
    stretches: list[Rows] = []
    last_end = -math.inf
    for bar in sorted(filter(None, bars), key=lambda bar: float(bar["start"])):
        if bar["start"] > last_end + APART_S:
            stretches.append([])
        stretches[-1].append(bar)
        last_end = max(last_end, bar["end"])
    for stretch in stretches:
        _name_lanes(stretch)
        began = stretch[0]["start"]
        for bar in stretch:
            bar["at"] = began
            bar["start"] = round(bar["start"] - began, 3)
            bar["end"] = round(bar["end"] - began, 3)
            bar["tip"] = f"{bar.pop('name')}, {bar['state']}: {bar['start']:.1f} to {bar['end']:.1f} s, {bar['lane']}"
    return stretches


def _bar(trial: Trial, name: str, state: str) -> dict[str, Any]:
    """Return a training with its start and end, in seconds since 1970; empty where nobody knows when it was."""
    end = trial.started + trial.seconds
    if trial.where:
        start = max(trial.where[2], trial.started)
    else:
        start = max(trial.started, end - trial.worked)
    if not math.isfinite(end):  # it still runs, or was cut off
        end = start + trial.worked
    if not (math.isfinite(start) and math.isfinite(end)):
        return {}
    if start > end:  # by a clock that is ahead
        start = min(start, max(trial.started, end - trial.worked))
    lane = f"{trial.where[0]} {trial.where[1]}" if trial.where else ""
    return {
        "lane": lane,
        "name": name,
        "state": state,
        "start": start,
        "end": end,
        "worked": trial.worked,
        "trial": trial.number if state != "retraining" else -1,
    }


def _name_lanes(rows: Rows) -> None:
    """Put each training whose process nobody has noted into the first lane that is free then."""
    ends: list[float] = []
    for bar in rows:
        if not bar["lane"]:
            free = next((at for at, end in enumerate(ends) if end <= bar["start"]), len(ends))
            ends[free : free + 1] = [bar["end"]]
            bar["lane"] = f"process {free + 1}"


def busy(stretch: Rows) -> float | None:
    """Return the share of the time from each process's first training to the end of its last that was training."""
    lanes: dict[str, tuple[float, float]] = {}
    for bar in stretch:
        first, last = lanes.get(bar["lane"], (math.inf, -math.inf))
        lanes[bar["lane"]] = min(first, bar["start"]), max(last, bar["end"])
    whole = sum(last - first for first, last in lanes.values())
    return min(1.0, sum(bar["worked"] for bar in stretch) / whole) if whole > 0 else None

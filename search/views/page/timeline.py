"""What ran where and when: the trainings of a study as bars, a lane a process."""

import math
from typing import Any

from search.analysis.snapshot import Snapshot
from search.journal.trial import Trial
from search.views.page.rows import Rows

PAUSE_S = 600.0
"""In which nothing ran, after which a timeline begins anew."""


def stretches(snapshot: Snapshot) -> list[Rows]:
    """Return, for each stretch of time without a long pause, a row a training: lane, trial, state, start, end, tip, ...

    start and end are seconds since the stretch began, `at` is when that was, `worked` how many of them were training. A
    lane is a process.
    """
    stretches: list[Rows] = []
    last_end = -math.inf
    for bar in sorted(_bars(snapshot), key=lambda bar: float(bar["start"])):
        if bar["start"] > last_end + PAUSE_S:
            stretches.append([])
        stretches[-1].append(bar)
        last_end = max(last_end, bar["end"])
    for stretch in stretches:
        _name_lanes(stretch)
        _count_from_start(stretch)
    return stretches


def _bars(snapshot: Snapshot) -> Rows:
    """Return the trainings of the search and of its retraining, of which anybody knows when they were."""
    bars = [_bar(trial, f"trial {trial.number}", trial.ending) for trial in snapshot.trials]
    if snapshot.outcome:
        for candidate in snapshot.outcome.candidates:
            bars += [_bar(run, f"{candidate.name}, retrained", "retraining") for run in candidate.all_runs]
    return list(filter(None, bars))


def _bar(trial: Trial, name: str, state: str) -> dict[str, Any]:
    """Return a training with its start and end, in seconds since 1970; empty where nobody knows when it was."""
    start, end = _start_and_end(trial)
    if not (math.isfinite(start) and math.isfinite(end)):
        return {}
    bar = {
        "lane": "",
        "name": name,
        "state": state,
        "start": start,
        "end": end,
        "worked": trial.worked,
        "trial": trial.number,
    }
    if trial.where:
        host, process, _ = trial.where
        bar["lane"] = f"{host} {process}"
    if state == "retraining":  # the number is that of a run: no trial of the table is meant
        bar["trial"] = -1
    return bar


def _start_and_end(trial: Trial) -> tuple[float, float]:
    """Return when a training began and ended, in seconds since 1970; not finite where nobody knows."""
    end = trial.started + trial.seconds
    if trial.where:
        _, _, began = trial.where
        start = max(began, trial.started)
    else:
        start = max(trial.started, end - trial.worked)
    if not math.isfinite(end):  # it still runs, or was cut off
        end = start + trial.worked
    if end < start < math.inf:  # by a clock that is ahead
        start = min(start, max(trial.started, end - trial.worked))
    return start, end


def _name_lanes(stretch: Rows) -> None:
    """Put each training whose process nobody has noted into the first lane that is free then."""
    ends: list[float] = []
    for bar in stretch:
        if not bar["lane"]:
            lane = _first_free(ends, bar["start"])
            ends[lane : lane + 1] = [bar["end"]]
            bar["lane"] = f"process {lane + 1}"


def _first_free(ends: list[float], start: float) -> int:
    """Return the first lane whose last training has ended by then; a new one where there is none."""
    for lane, end in enumerate(ends):
        if end <= start:
            return lane
    return len(ends)


def _count_from_start(stretch: Rows) -> None:
    """Give the times of each training as seconds since the first one began, and say so in its tip."""
    began = stretch[0]["start"]
    for bar in stretch:
        bar["at"] = began
        bar["start"] = round(bar["start"] - began, 3)
        bar["end"] = round(bar["end"] - began, 3)
        bar["tip"] = f"{bar.pop('name')}, {bar['state']}: {bar['start']:.1f} to {bar['end']:.1f} s, {bar['lane']}"


def duration_s(stretch: Rows) -> float:
    """Return how many seconds a stretch took."""
    return float(max(bar["end"] for bar in stretch))


def busy(stretch: Rows) -> float | None:
    """Return the share of the time from each process's first training to the end of its last that was training."""
    first: dict[str, float] = {}
    last: dict[str, float] = {}
    for bar in stretch:
        lane = bar["lane"]
        first[lane] = min(bar["start"], first.get(lane, math.inf))
        last[lane] = max(bar["end"], last.get(lane, -math.inf))
    open_s: float = sum(last[lane] - first[lane] for lane in first)
    worked_s: float = sum(bar["worked"] for bar in stretch)
    if open_s <= 0:
        return None
    return min(1.0, worked_s / open_s)

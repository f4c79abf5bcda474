"""What a worker process draws with a workload's `plot`, and what its faults cost."""

import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest
from matplotlib.figure import Figure

from search.spec import arguments
from search.spec.workload import Workload
from search.worker import jobs
from search.worker.jobs import UNPICKLED, Drawn, Lacking, Shot
from tests.pictures import frames_of
from tests.toy import Config, train


def workload(plot: Callable[[Any, Any], Any]) -> Workload:
    return Workload("tests.toy", arguments.of_class("tests.toy.Config", Config), train, plot=plot)


def draw(plot: Callable[[Any, Any], Any], *epochs: int, whole: int = 0) -> list[Drawn]:
    """Draw the epochs of a run whose model is the epoch itself."""
    shots = [Shot({"x": 1.0}, 0, epoch, whole=epoch == whole) for epoch in epochs]
    return jobs.draw(workload(plot), shots, lambda shot: shot.epoch or Lacking(UNPICKLED))


def test_figures_of_any_size_become_small_images_and_pyplot_forgets_them() -> None:
    from matplotlib import pyplot

    sizes = {1: (40.0, 20.0), 2: (0.5, 1.0), 3: (6.0, 6.0)}
    drawn = draw(lambda epoch, config: pyplot.figure(figsize=sizes[epoch]), 1, 2, 3, whole=3)
    assert [each.problem for each in drawn] == [""] * 3
    assert [each.image.size for each in drawn] == [(480, 240), (150, 300), (480, 480)]
    assert [each.png[:4] for each in drawn] == [b"", b"", b"\x89PNG"]
    assert frames_of(drawn[2].png)[0].size == (720, 720)
    assert pyplot.get_fignums() == []


def test_a_plot_that_fails_costs_its_own_picture(capfd: pytest.CaptureFixture[str]) -> None:
    def plot(epoch: int, config: Config) -> Any:
        if epoch == 2:
            raise RuntimeError("no such epoch")
        if epoch == 3:
            sys.exit("gone")
        return Figure() if epoch == 1 else None

    drawn = draw(plot, 2, 0, 3, 4, 2, 1)
    assert [each.problem for each in drawn] == [
        "plot raised RuntimeError: no such epoch",
        jobs.UNPICKLED,
        "plot raised SystemExit: gone",
        "plot raised TypeError: it must return a matplotlib Figure, but got NoneType",
        "plot raised RuntimeError: no such epoch",
        "",
    ]
    assert [each.image is not None for each in drawn] == [False] * 5 + [True]
    errors = capfd.readouterr().err
    assert errors.count("Traceback") == 2  # of two that are the same, one; and none of ours
    assert errors.count("TypeError: it must return a matplotlib Figure") == 1


def test_a_plot_that_never_returns_is_ended_and_no_other_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "PICTURE_S", 0.2)
    monkeypatch.setattr(jobs, "CLOCK_S", 0.1)
    drawn = draw(lambda epoch, config: threading.Event().wait(), 1, 2, 3)
    assert [each.problem for each in drawn] == ["plot raised TimeoutError: it took longer than 0.2 s", "", ""]
    assert not any(each.image for each in drawn)


def test_a_slow_plot_costs_frames_and_not_the_winners_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "WORK_S", 0.0)
    drawn = draw(lambda epoch, config: Figure(), 1, 2, 3, 4, whole=3)
    assert [bool(each.image) for each in drawn] == [True, False, True, False]

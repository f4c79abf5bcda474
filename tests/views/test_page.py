"""The report in a real browser: Debian's chromium, or Chrome. Nothing of these pages asks for a network."""

import dataclasses
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from matplotlib.figure import Figure
from playwright.sync_api import Browser, Page, sync_playwright

from search import continuation, report, study
from search.journal.outcome import REFERENCE
from search.spec import arguments
from search.spec.config import StudyConfig
from search.spec.workload import load
from search.study import Study
from search.views.page import page
from tests import studies
from tests.programs import TOY, X, start
from tests.shared import Finished

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
HOSTILE = "</script><script>document.title='broken'</script><img src=x onerror=\"document.title='broken'\">'\"${1}{{2}}"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if not BROWSER:
        pytest.skip("there is no browser on this machine: apt-get install chromium")
    with sync_playwright() as driver:
        found = driver.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        yield found
        found.close()


@contextmanager
def opened(browser: Browser, made: Study, width: int = 1440, **settings: Any) -> Iterator[Page]:
    """Open the report of a study and wait until all is drawn; fail at a complaint, or where it asks for a network."""
    heard: list[str] = []
    with browser.new_context(viewport={"width": width, "height": 900}, **settings) as context:
        page = context.new_page()
        page.on("console", lambda message: heard.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: heard.append(str(error)))
        page.on("request", lambda asked: heard.append(asked.url) if asked.url.startswith("http") else None)
        page.goto((made.folder / "report.html").absolute().as_uri())
        page.wait_for_selector("html[data-drawn=all]", state="attached")
        yield page
        assert heard == []


NAME = HOSTILE + '\\ \\" \n\u2028 datum.value'
"""Of a metric: besides, what ends a text in an expression."""


def faulty(folder: Path) -> Study:
    """Return a study with trials of every ending, and one that still runs."""
    made = studies.create(folder, "faulty", num_samples=14)
    for number in range(13):
        if number % 4 == 3:
            studies.add(made, [], "failed", failure="RuntimeError: the toy broke", traceback=f"Traceback\n{HOSTILE}\n")
        elif number % 4 == 1:
            studies.add(made, studies.curve(3.0 + number, 4, diverges=True), "diverged")
        else:
            studies.add(made, studies.curve(20.0 / (1 + number), 9), "complete" if number % 4 else "stopped")
    studies.add(made, [5.0], None)
    return made


def many(folder: Path) -> Study:
    """Return a study of 200 trials with a choice among its hyperparameters."""
    chance, epochs = Random(0), 27
    space = {
        **TOY["space"],
        "fault": {"distribution": "choice", "values": ["", "a choice that is too long to be written", "b"]},
    }
    made = studies.create(folder, "many", num_samples=200, space=space, fixed={"epochs": epochs})
    with made.storage.together():
        for _ in range(200):
            length = chance.choice([1, 3, 9, epochs])
            values = [chance.lognormvariate(0, 1) * (1 + 1 / epoch) for epoch in range(1, length + 1)]
            studies.add(made, values, "complete" if length == epochs else "stopped")
    return made


def single(folder: Path) -> Study:
    """Return a study of a single trial of a single epoch."""
    made = studies.create(folder, "single", fixed={"epochs": 1}, scheduler=None)
    studies.add(made, [2.0], "complete")
    return made


def empty(folder: Path) -> Study:
    """Return a study that has just begun."""
    return studies.create(folder, "empty", num_samples=5)


def hopeless(folder: Path) -> Study:
    """Return a study of which every trial failed."""
    made = studies.create(folder, "hopeless", num_samples=2)
    for _ in range(2):
        studies.add(made, [], "failed", failure="boom")
    return made


def hostile(folder: Path) -> Study:
    """Return a study whose every text is an attack; its values are of both signs, and more is better."""
    choice = {"distribution": "choice", "values": [HOSTILE, "x", None, True, 2, 1.5]}
    made = studies.create(
        folder, "hostile", num_samples=8, metric=NAME, mode="max", space={"fault": choice, **TOY["space"]}
    )
    for number in range(8):
        ending: Any = "failed" if number == 5 else "complete"
        trace = f"Traceback\n{HOSTILE}" if number == 5 else ""
        studies.add(made, [number - 4.0, number - 3.0], ending, HOSTILE if trace else "", trace)
    values = {"trial 7": [4.0, 4.1], "trial 6": [3.9, 4.0], REFERENCE: [1.0, 1.2]}
    studies.retrain(made, values, {"trial 7": [3.0, 3.1], REFERENCE: [0.5, 0.6]}, NAME)
    return made


def conditional(folder: Path) -> Study:
    """Return a study with gaps: its y is off in some trials, and some do not lie in the space as it was changed."""
    side = {"distribution": "choice", "values": ["left", "right"], "passed": False}
    space: dict[str, Any] = {"side": side, "x": X, "y": {**X, "when": {"side": "left"}}}
    made = studies.create(folder, "conditional", num_samples=12, space=space)
    for number in range(12):
        studies.add(made, [number + 2.0, number + 1.0], "complete")
    values = {"trial 1": [1.0, 1.1], "trial 2": [0.9, 1.0], REFERENCE: [3.0, 3.1]}
    studies.retrain(made, values, {"trial 2": [1.0, 1.1], REFERENCE: [3.5, 3.6]}, "test_loss")
    narrow = StudyConfig.of({**made.config.as_mapping(), "space": {**space, "x": {**X, "low": -2}}})
    continuation.continued(made, narrow, made.epochs, made.defaults, may_change=True)
    return study.load(made.folder)


STUDIES = {make.__name__: make for make in (faulty, many, single, empty, hopeless, hostile, conditional)}
STUDIES |= {name: partial(studies.extreme, name=name) for name in studies.EXTREMES}
FINISHED = "finished"
"""Stands for the study of a real search, retrained and judged."""


@pytest.fixture(scope="module", params=[FINISHED, *STUDIES])
def reported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, toy_search: Finished) -> Study:
    folder = tmp_path_factory.mktemp(request.param)
    if request.param == FINISHED:
        shutil.copytree(toy_search.folder, folder / "s")
        made = study.load(folder / "s")
    else:
        made = STUDIES[request.param](folder)
    report.write(made)
    return made


@pytest.fixture(scope="module")
def faults(tmp_path_factory: pytest.TempPathFactory) -> Study:
    made = faulty(tmp_path_factory.mktemp("faults"))
    report.write(made)
    return made


@pytest.mark.parametrize(("width", "scheme"), [(360, "dark"), (1440, "light")])
def test_every_picture_is_drawn_and_nothing_overflows(
    browser: Browser, reported: Study, width: int, scheme: Any
) -> None:
    with opened(browser, reported, width, color_scheme=scheme) as page:
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.title() != "broken"
        charts = page.query_selector_all(".chart")
        assert bool(charts) == bool(reported.trials())
        for chart in charts:
            marks = chart.query_selector_all("svg .role-mark > *")
            box, drawn = chart.bounding_box(), chart.query_selector("svg")
            assert marks, chart.get_attribute("id")
            assert box and drawn and box["width"] > 200 and box["height"] > 40
            assert drawn.bounding_box()["width"] <= box["width"] + 1  # type: ignore[index]
        widths = page.evaluate("[...document.images].map((image) => image.naturalWidth)")
        assert all(widths), widths
        rows = page.query_selector_all("#table tbody tr")
        assert len(rows) == len(reported.trials())


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_is_accessible(browser: Browser, faults: Study, scheme: Any) -> None:
    with opened(browser, faults, color_scheme=scheme, bypass_csp=True) as page:
        assert Axe().run(page).response["violations"] == []
        assert all(chart.get_attribute("aria-label") for chart in page.query_selector_all(".chart"))


def column(page: Page, name: str) -> list[str]:
    heads = [head.inner_text() for head in page.query_selector_all("#table thead th")]
    at = next(at for at, head in enumerate(heads) if head.startswith(name))
    return [row.query_selector_all("td")[at].inner_text().strip() for row in page.query_selector_all("#table tbody tr")]


def test_a_click_sorts_by_number_and_another_turns_it_round(browser: Browser, faults: Study) -> None:
    values = sorted(trial.value for trial in faults.trials() if trial.value is not None)
    with opened(browser, faults) as page:
        head = page.get_by_role("button", name="loss", exact=True)
        for wanted, order in ((values, "ascending"), (values[::-1], "descending")):
            head.click()
            shown = column(page, "loss")
            assert [float(text) for text in shown if text] == pytest.approx(wanted, rel=1e-5)
            assert shown[len(wanted) :] == [""] * (len(shown) - len(wanted))
            assert page.locator(f"#table th[aria-sort={order}]").inner_text().startswith("loss")
        assert page.locator("#table th[aria-sort=none]").count() == len(page.query_selector_all("#table th")) - 1


def test_the_filter_takes_words_and_states(browser: Browser, faults: Study) -> None:
    with opened(browser, faults) as page:
        visible = page.locator("#table tbody tr:visible")
        failed = sum(trial.ending == "failed" for trial in faults.trials())
        page.get_by_label("Filter").fill("failed")
        assert visible.count() == failed
        assert page.locator("#count").inner_text() == f"{failed} of {len(faults.trials())} trials"
        page.get_by_label("Filter").fill("")
        page.get_by_role("checkbox", name="failed").uncheck()
        assert visible.count() == len(faults.trials()) - failed
        page.get_by_label("Filter").fill("no such thing")
        assert visible.count() == 0


def ringed(page: Page) -> list[str]:
    """Return the names of the charts in which a trial stands out as chosen."""
    script = """[...document.querySelectorAll(".chart")].filter((chart) => [...chart.querySelectorAll("svg path")].some(
        (path) => path.getAttribute("stroke") === "var(--front)" && Number(path.getAttribute("stroke-width")) >= 2.5)
    ).map((chart) => chart.dataset.chart)"""
    found: list[str] = page.evaluate(script)
    return found


def test_a_trial_is_marked_in_every_chart_from_the_table_by_the_keyboard(browser: Browser, faults: Study) -> None:
    everywhere = ["curves", "history", "parallel", "panel0", "panel1", "pair"]
    with opened(browser, faults) as page:
        best = faults.snapshot().front
        assert best is not None
        assert page.locator("#table tr.chosen").get_attribute("data-trial") == str(best.number)
        page.locator("#table .choose").nth(0).focus()
        page.keyboard.press("Enter")
        page.wait_for_function("document.querySelector('#table tr.chosen')?.dataset.trial === '0'")
        assert ringed(page) == everywhere
        page.keyboard.press("Enter")
        assert page.locator("#table tr.chosen").count() == 0
        page.wait_for_function(f"({RINGS})() === 0")


RINGS = """() => [...document.querySelectorAll(".chart svg path")].filter(
    (path) => path.getAttribute("stroke") === "var(--front)" && path.getAttribute("stroke-width") === "2.5").length"""


def test_a_click_on_a_curve_finds_its_trial_in_the_table_and_hovering_says_which(
    browser: Browser, faults: Study
) -> None:
    with opened(browser, faults) as page:
        page.locator("#chart-history .mark-symbol path[fill='var(--stopped)']").first.hover()
        tip = page.locator("#vg-tooltip-element.visible")
        tip.wait_for()
        number = re.search(r"trial\s*(\d+)", tip.inner_text())
        assert number is not None, tip.inner_text()
        page.locator("#chart-history .mark-symbol path[fill='var(--stopped)']").first.click()
        page.wait_for_selector("#table tr.chosen")
        assert page.locator("#table tr.chosen").get_attribute("data-trial") == number[1]


def test_a_failure_leads_to_its_traceback_which_stands_there_as_it_is(browser: Browser, faults: Study) -> None:
    with opened(browser, faults) as page:
        page.locator("#table tr[data-state=failed] a").first.click()
        trace = page.locator("details[open] pre")
        trace.wait_for()
        assert trace.inner_text().strip() == f"Traceback\n{HOSTILE}"
        path = page.locator("details[open] a").get_attribute("href")
        assert (faults.folder / str(path)).is_file()


def test_without_javascript_tables_and_answers_are_there(browser: Browser, faults: Study) -> None:
    with browser.new_context(java_script_enabled=False) as context:
        page = context.new_page()
        page.goto((faults.folder / "report.html").absolute().as_uri())
        assert page.locator("#table tbody tr").count() == len(faults.trials())
        assert "The charts need JavaScript" in page.locator("noscript").inner_text()


def test_on_paper_it_is_dark_on_white_and_whole(browser: Browser, faults: Study) -> None:
    with opened(browser, faults, color_scheme="dark") as page:
        page.emulate_media(media="print", color_scheme="dark")
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        assert page.evaluate("getComputedStyle(document.body).color") == "rgb(0, 0, 0)"
        assert not page.locator(".filter").is_visible()
        assert page.evaluate("(({ scrollHeight, clientHeight }) => scrollHeight === clientHeight)(table.parentElement)")
        assert page.pdf().startswith(b"%PDF")


def test_a_page_of_too_much_stays_below_three_megabytes_and_says_what_it_leaves_out(tmp_path: Path) -> None:
    names = [f"x{at}" for at in range(30)]
    fields = [*((name, float, 0.0) for name in names), ("epochs", int, 9), ("seed", int, 0)]
    config = dataclasses.make_dataclass("Config", fields, frozen=True)
    wide = dataclasses.replace(load("tests.toy"), arguments=arguments.of_class("tests.toy.Config", config))
    space = {name: {"distribution": "uniform", "low": 0, "high": 1} for name in names}
    made = studies.create(tmp_path, "s", wide, num_samples=1100, space=space)
    with made.storage.together():
        for number in range(1100):
            studies.add(made, studies.curve(1.0 + number, 3), "stopped")
    (made.folder / "best").mkdir()
    noise = Random(0).randbytes(1_500_000)
    (made.folder / "best" / "plot.png").write_bytes(noise)
    path = report.write(made)
    text = path.read_text(encoding="utf-8")
    assert path.stat().st_size < 3_000_000
    assert '<a href="best/plot.png">' in text
    assert re.search(r"\d+ more are in trials.csv", text)


def test_the_program_reports_a_running_study_and_refuses_what_is_none(tmp_path: Path) -> None:
    made = studies.create(tmp_path, "s", num_samples=3)
    studies.add(made, [2.0, 1.0], "stopped")
    studies.add(made, [2.0], None)
    done = start("search.report", made.folder, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{made.folder / 'report.html'}\n"
    assert "Not finished: 1 of 3 trials have ended, 1 running or cut off." in (made.folder / "report.html").read_text()
    refused = start("search.report", tmp_path, cwd=tmp_path)
    assert refused.returncode == 2
    assert refused.stderr.startswith("error: a study is a folder with a journal.log")


def test_a_report_that_cannot_be_written_costs_no_search(tmp_path: Path, toy_search: Finished) -> None:
    folder = tmp_path / "s"
    shutil.copytree(toy_search.folder, folder)
    (folder / "report.html").unlink()
    (folder / "report.html").mkdir()
    done = start("search.run", "--resume", folder, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "the report could not be written, IsADirectoryError: " in done.stdout
    assert "the winner is trial" in done.stdout
    assert (tmp_path / "best.yaml").is_file()


@pytest.mark.parametrize(
    ("where", "value"),
    [
        ("search sessions", ["abc"]),
        ("search sessions", [{"machine": None}]),
        ("search sessions", {"a": 1}),
        ("search start", 5),
        ("search start", ["abc"]),
        ("search start", [{"z": 1}]),
        ("search start", [{"x": 99}]),
        ("trial where", ["h", 1, 1e18]),
        ("trial where", 7),
        ("trial epoch 1", {"loss": 1.0, "elapsed_s": "nan"}),
        ("run where", "abc"),
        ("run candidate", "trial 999"),
        ("run config", {}),
        ("retraining test 0", 5),
        ("retraining test 0", {"test_loss": "abc"}),
        ("retraining race", 5),
        ("retraining race", [1, ["2"]]),
    ],
)
def test_what_no_search_has_written_is_one_line(where: str, value: Any, tmp_path: Path) -> None:
    made = studies.create(tmp_path, "s", num_samples=4)
    trial = studies.add(made, [2.0, 1.0], "complete")
    running = studies.add(made, [2.0], None)
    studies.retrain(made, {f"trial {trial.number}": [1.0, 1.1]}, {f"trial {trial.number}": [1.0, 1.1]}, "test_loss")
    kind, _, name = where.partition(" ")
    retraining = made.others("retraining")[0]
    if kind == "run":
        frozen = retraining.get_trials(deepcopy=False)[0]
        lines = (made.folder / "journal.log").read_text(encoding="utf-8").splitlines()
        records = [json.loads(line) for line in lines]
        for record in records:
            if record.get("trial_id") == frozen._trial_id and name in record.get("user_attr", {}):
                record["user_attr"][name] = value
        at = next(at for at, record in enumerate(records) if record.get("trial_id") == frozen._trial_id)
        if name == "where":
            records.insert(at, {**records[at], "op_code": 8, "user_attr": {name: value}})
        text = "".join(f"{json.dumps(record)}\n" for record in records)
        (made.folder / "journal.log").write_text(text, encoding="utf-8")
    elif kind == "trial":
        running.note(name, value)
    else:
        (made.search if kind == "search" else retraining).set_user_attr(name, value)
    done = start("search.report", made.folder, cwd=tmp_path)
    assert done.returncode == 2, done.stdout + done.stderr
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1


def test_the_numbers_of_the_page_are_the_journals(tmp_path: Path) -> None:
    made = faulty(tmp_path)
    text = page.render(made.snapshot()).decode()
    (found,) = re.findall(r'<script type="application/json" id="data"[^>]*>(.*?)</script>', text)
    data = json.loads(found)
    trials = made.trials()
    assert data["trials"]["value"] == [trial.value for trial in trials]
    assert data["trials"]["p0"] == [trial.params["x"] for trial in trials]
    assert len(data["epochs"]["value"]) == sum(len(trial.epochs) for trial in trials)


def test_a_workloads_pictures_stand_in_the_page(browser: Browser, tmp_path: Path) -> None:
    made = single(tmp_path)
    (made.folder / "best").mkdir()
    Figure(figsize=(3, 2)).savefig(made.folder / "best" / "plot.png")
    report.write(made)
    with opened(browser, made) as page:
        assert page.get_by_role("img", name="The winner").evaluate("(image) => image.naturalWidth") == 300


def test_vega_is_bundled_once_and_then_taken_from_the_cache(tmp_path: Path) -> None:
    script = "import sys; from search.views.page import page; print(len(page.library()), 'vl_convert' in sys.modules)"
    first, second = (start_script(script, tmp_path) for _ in range(2))
    assert first.split()[1] == "True"
    assert second.split()[1] == "False"
    assert first.split()[0] == second.split()[0]


def start_script(script: str, cache: Path) -> str:
    environment = {**os.environ, "XDG_CACHE_HOME": str(cache)}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    return done.stdout


def test_a_line_has_a_gap_where_a_hyperparameter_is_off_and_its_panel_shows_the_trials_that_have_it(
    browser: Browser, tmp_path: Path
) -> None:
    made = conditional(tmp_path)
    report.write(made)
    on = sum("y" in trial.params for trial in made.trials())
    assert 0 < on < 12
    with opened(browser, made) as page:
        panel = page.query_selector("#chart-panel2")
        assert panel is not None
        points = panel.query_selector_all(".mark-symbol path")
        front = made.snapshot().front
        assert front is not None
        assert len(points) == on + ("y" in front.params)  # and a ring around the best
        lines = page.eval_on_selector_all(
            "#chart-parallel .mark-line path", "paths => paths.map((path) => path.getAttribute('d') ?? '')"
        )
        broken = {line for line in lines if line.count("M") == 2}
        assert len(broken) == 12 - on
        text = page.inner_text("main")
        assert "A gap, where a hyperparameter is off." in text
        assert "not lie in the space as it was changed: counted, and none of them can win" in text

"""The pictures of studies that are not like others."""

from pathlib import Path

from search import plot
from search.algorithms.proposals import ask
from search.journal.records import OpenTrial
from search.views import axes
from tests.programs import TOY
from tests.studies import new


def test_a_dollar_in_a_name_is_no_formula(tmp_path: Path) -> None:
    metric = r"$\frac$"
    choice = {"distribution": "choice", "values": [metric, "$x"]}
    values = {**TOY, "metric": metric, "mode": "min", "space": {"fault": choice}, "name": "s", "output": str(tmp_path)}
    made = new(values)
    for value in (3.0, 2.0, 1.0, 4.0, 5.0):
        trial = OpenTrial(made.search, ask(made.search, made.space))
        trial.add(1, {metric: value, "elapsed_s": 0.0}, value)
        trial.end("complete")
    assert [path.stat().st_size > 0 for path in plot.draw(made)] == [True] * 4
    assert axes.plain(metric) == r"\$\frac\$"

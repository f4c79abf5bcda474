"""Tables of a study: no two values of a hyperparameter look alike to whoever reads them with plain pandas."""

import io
import math
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pandas._libs.parsers import STR_NA_VALUES  # type: ignore[import-not-found]  # nowhere else are they listed

from search.analysis import tables
from search.analysis.quotes import quoted
from search.study import Study
from search.views.format import number, short
from search.views.page import lists
from tests import studies

LOOKS = st.text("0123456789eE+-.,_ infINFatyTRUEfalse%'\"#", max_size=6)
"""Texts that may look like a number or a boolean."""
ALIKE: list[list[Any]] = [
    [None, "None", "NA", "", "'NA'", "null"],
    ["1", 1],
    ["true", True, "True"],
    [True, False, None],
    [None, 1, 2.5, "2.5"],
    ["a", None, "nan"],
    [2**60 + 1, None],
    [10**30, 0.5],
]


def searched(folder: Path, choices: list[Any]) -> Study:
    """Return a study with a trial for each of these choices."""
    space = {"fault": {"distribution": "choice", "values": choices}}
    made = studies.create(folder, "s", num_samples=len(choices), space=space)
    for choice in choices:
        made.search.enqueue_trial({"fault": choice})
        studies.add(made, [1.0], "complete")
    made.write_tables()
    return made


@given(st.lists(LOOKS | st.text(st.characters(codec="utf-8", exclude_characters="\0\r")), min_size=1, max_size=50))
def test_a_text_reads_back_as_a_text_whatever_it_looks_like(texts: list[str]) -> None:
    """Each in a column of its own, as pandas takes a column for numbers only where all of it looks like some."""
    table = pd.DataFrame([texts], columns=[f"c{at}" for at in range(len(texts))])
    read = pd.read_csv(io.StringIO(tables.csv(table))).iloc[0].tolist()
    assert read == [quoted(text) for text in texts]


def test_each_text_that_pandas_takes_for_no_value_is_quoted() -> None:
    assert [text for text in STR_NA_VALUES if quoted(text) != f"'{text}'"] == []


@pytest.mark.parametrize("choices", ALIKE, ids=str)
def test_choices_that_look_alike_are_told_apart_in_every_table(choices: list[Any], tmp_path: Path) -> None:
    made = searched(tmp_path, choices)
    read = pd.read_csv(made.folder / "trials.csv")["fault"].tolist()
    assert len({repr(value) for value in read}) == len(choices)
    for value, choice in zip(read, choices, strict=True):
        if choice is None:
            assert math.isnan(value)
        elif isinstance(choice, str):
            assert value == quoted(choice)
        else:
            assert value == str(choice) or float(value) == float(choice)
    snapshot = made.snapshot()
    shown = [row["cells"][-1][0] for row in lists.table(snapshot, list(snapshot.trials))["rows"]]
    assert shown == list(map(number, choices))
    assert len(set(shown)) == len(set(map(short, choices))) == len(choices)


@pytest.mark.parametrize("choices", ALIKE, ids=str)
def test_a_notebook_gets_the_values_themselves(choices: list[Any], tmp_path: Path) -> None:
    found = searched(tmp_path, choices).trials_dataframe()["fault"].tolist()
    assert [(type(value), value) for value in found] == [(type(choice), choice) for choice in choices]


@pytest.mark.parametrize("choices", ALIKE, ids=str)
def test_a_choice_between_values_of_several_types_can_be_recorded(choices: list[Any], tmp_path: Path) -> None:
    """Parquet has columns of one type: pyarrow refused the table, when all was trained."""
    recorded = tables.recorded(searched(tmp_path, choices).trials())
    file = tmp_path / "curves.parquet"
    recorded.to_parquet(file, compression="zstd", index=False)
    read = pd.read_parquet(file)["fault"].tolist()
    assert len({repr(value) for value in read}) == len(choices)
    for value, choice in zip(read, choices, strict=True):
        assert pd.isna(value) == (choice is None)

"""A journal with a broken line: what was torn is cut off silently, damage only where somebody asks for it."""

import json
from contextlib import nullcontext
from pathlib import Path

import optuna
import pytest

from search.errors import UserError
from search.journal import repair
from search.journal.repair import mend
from search.journal.storage import BATCH, Storage
from tests.journal.test_storage import create, search

MARKER = b"<<<<<<< HEAD\n"


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    """Return the journal of three trials of three epochs, written as by a searcher; its last batch has three lines."""
    path = tmp_path / "journal.log"
    storage, study = create(path)
    search(study, storage.together)
    return path


def records(path: Path) -> list[bytes]:
    return path.read_bytes().splitlines(keepends=True)


def without_batches(path: Path) -> list[bytes]:
    """Make the journal one of before, when what was written together was not marked; return its records."""
    path.write_bytes(path.read_bytes().replace(f',"{BATCH}":true'.encode(), b""))
    return records(path)


def hole(record: bytes) -> bytes:
    """Return a record of which a power cut left zeros."""
    return record[:5] + bytes(len(record) - 6) + b"\n"


def refusal(folder: Path) -> str:
    """Return why a journal is not mended, which leaves it as it is."""
    before = (folder / "journal.log").read_bytes()
    with pytest.raises(UserError) as caught:
        mend(folder)
    assert (folder / "journal.log").read_bytes() == before
    assert [path.name for path in folder.iterdir()] == ["journal.log"]
    return str(caught.value)


@pytest.mark.parametrize("at", [-3, -2, -1])
def test_of_what_was_written_last_a_broken_record_and_all_behind_it_are_cut_off(at: int, journal: Path) -> None:
    lines = records(journal)
    journal.write_bytes(b"".join([*lines[:at], hole(lines[at]), *lines[len(lines) + at + 1 :]]))
    mend(journal.parent)
    assert records(journal) == lines[:at]
    assert [path.name for path in journal.parent.iterdir()] == ["journal.log"]


@pytest.mark.parametrize("spoil", [hole, lambda record: MARKER + record], ids=["a hole", "a line too many"])
def test_a_broken_line_in_what_was_written_before_is_damage_wherever_it_stands(spoil: object, journal: Path) -> None:
    lines = records(journal)
    assert callable(spoil)
    for at in range(1, len(lines) - 3):
        journal.write_bytes(b"".join([*lines[:at], spoil(lines[at]), *lines[at + 1 :]]))
        assert f"line {at + 1} is " in refusal(journal.parent)


def test_damage_is_told_with_its_line_what_it_would_cost_and_what_to_do(tmp_path: Path) -> None:
    """Of three trials one has ended before the line, and the second has an epoch before and two behind it."""
    folder = tmp_path / "a study's"
    folder.mkdir()
    storage, study = create(folder / "journal.log")
    search(study, storage.together)
    lines = records(folder / "journal.log")
    at = 1 + 10 + 3 + 2
    (folder / "journal.log").write_bytes(b"".join([*lines[:at], MARKER, *lines[at:]]))
    assert refusal(folder) == (
        f"every line of {folder}/journal.log must be a record, but line 17 is '<<<<<<< HEAD'; mend it by hand (of a "
        "merge keep one side, without the markers), or go on without it and all behind it, 5 epochs of 2 trials "
        f"""(those of retrainings included): python -m search.run --resume '{tmp_path}/a study'"'"'s' --repair"""
    )


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        (b"\n", "''"),
        (b"\x1b[31m\x00\xff\r\n", "'\\x1b[31m\\x00\N{REPLACEMENT CHARACTER}'"),
        (b"x" * 10_000 + b"\n", "'" + "x" * 40 + "'..."),
        (b"{}\n", "'{}'"),
        (b'"op_code"\n', "'\"op_code\"'"),
        (b'["op_code"]\n', "'[\"op_code\"]'"),
        (b"[" * 100_000 + b"\n", "'" + "[" * 40 + "'..."),
    ],
)
def test_what_stands_in_a_broken_line_is_shown_short_and_in_print(line: bytes, shown: str, journal: Path) -> None:
    lines = records(journal)
    journal.write_bytes(b"".join([*lines[:4], line, *lines[4:]]))
    assert f"but line 5 is {shown}; mend it" in refusal(journal.parent)


def test_in_a_journal_without_batches_a_broken_line_with_a_record_behind_it_is_damage(journal: Path) -> None:
    lines = without_batches(journal)
    journal.write_bytes(b"".join([*lines[:-2], hole(lines[-2]), lines[-1]]))
    assert f"line {len(lines) - 1} is " in refusal(journal.parent)
    journal.write_bytes(b"".join([*lines[:-1], hole(lines[-1])]))
    mend(journal.parent)
    assert records(journal) == lines[:-1]


def test_a_journal_of_before_that_went_on_has_batches_from_there_on(journal: Path) -> None:
    old = without_batches(journal)
    storage = Storage(journal)
    search(optuna.load_study(study_name="s", storage=storage), storage.together, trials=1)
    lines = records(journal)
    journal.write_bytes(b"".join([*lines[: len(old) - 1], hole(old[-1]), *lines[len(old) :]]))
    assert f"line {len(old)} is " in refusal(journal.parent)
    journal.write_bytes(b"".join([*lines[:-2], hole(lines[-2]), lines[-1]]))
    mend(journal.parent)
    assert records(journal) == lines[:-2]


@pytest.mark.parametrize("last", [b"[" * 100_000 + b"\n", b"1\n", b"null\n", b'"op_code"\n', b'["op_code"]\n', b"{}"])
def test_a_last_line_of_anything_that_is_no_record_is_cut_off(last: bytes, journal: Path) -> None:
    before = journal.read_bytes()
    journal.write_bytes(before + last)
    mend(journal.parent)
    assert journal.read_bytes() == before
    search(optuna.load_study(study_name="s", storage=Storage(journal)), nullcontext, trials=1)
    assert len(optuna.load_study(study_name="s", storage=Storage(journal)).trials) == 4


def test_where_somebody_asks_damage_is_cut_off_and_all_of_each_journal_is_kept(journal: Path) -> None:
    lines = records(journal)
    for kept in ("journal.log.broken", "journal.log.broken-2"):
        damaged = b"".join([*lines[:20], MARKER, *lines[20:]])
        journal.write_bytes(damaged)
        told: list[str] = []
        mend(journal.parent, told.append)
        assert told == [
            f"line 21 of {journal} and all behind it are gone, 3 epochs of 2 trials (those of retrainings included); "
            f"all that it held is in {journal.with_name(kept)}"
        ]
        assert records(journal) == lines[:20]
        assert journal.with_name(kept).read_bytes() == damaged
    assert len(list(journal.parent.iterdir())) == 3


def test_where_nothing_is_damaged_there_is_nothing_to_ask_for(journal: Path) -> None:
    lines = records(journal)
    for content in (lines, [*lines, b"torn"]):
        journal.write_bytes(b"".join(content))
        mend(journal.parent, pytest.fail)
        assert records(journal) == lines
    assert [path.name for path in journal.parent.iterdir()] == ["journal.log"]


def test_a_journal_without_a_first_record_is_none_also_where_somebody_asks(journal: Path) -> None:
    damaged = MARKER + journal.read_bytes()
    journal.write_bytes(damaged)
    with pytest.raises(UserError, match="must be the journal of a search, but its first line is no record: '<<<<<<<"):
        mend(journal.parent, pytest.fail)
    assert journal.read_bytes() == damaged


def test_what_is_behind_damage_is_counted_also_where_a_stranger_wrote_it(journal: Path) -> None:
    strange: list[dict[str, object]] = [
        {"trial_id": []},
        {"trial_id": {}},
        {"user_attr": 3},
        {"user_attr": ["epoch 1"]},
    ]
    lines = [json.dumps({"op_code": 8, **each}).encode() + b"\n" for each in strange]
    journal.write_bytes(b"".join([*records(journal), MARKER, *lines]))
    damage = repair.find(journal)
    assert damage is not None
    assert damage.cost == "0 epochs of 2 trials (those of retrainings included)"

"""The replay of a journal: what is read, and what stays as it was handed out, is what Optuna's own gives."""

import copy
from contextlib import ExitStack, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.distributions import FloatDistribution
from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import BaseStorage, JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, Trial, TrialState

from search.journal.storage import Reader, Storage
from tests.record import RECORDED, STUDIES

OFTEN = ("user", "step", "read one", "read all") * 4
SELDOM = ("create", "param", "system", "end", "wait", "write", "read anew")
Operation = tuple[str, int, int]
"""What is done, to which trial, and with which name or step."""
OPERATION = st.tuples(st.sampled_from(OFTEN + SELDOM), st.integers(0, 1), st.integers(0, 3))


def plain(path: Path) -> JournalStorage:
    return JournalStorage(JournalFileBackend(str(path)))


def everything(storage: BaseStorage) -> list[Any]:
    """Return all studies and their trials, which a storage may go on to use."""
    studies = storage.get_all_studies()
    return [vars(study) for study in studies] + [
        trial for study in studies for trial in storage.get_all_trials(study._study_id, deepcopy=False)
    ]


@pytest.mark.parametrize("name", STUDIES)
def test_a_recorded_journal_is_read_as_optuna_reads_it(name: str) -> None:
    path = RECORDED / name / "journal.log"
    read = everything(Reader(path))
    assert read == everything(plain(path))
    assert any(len(each.user_attrs) > 3 for each in read if isinstance(each, FrozenTrial))


class Journal:
    """One file, written by our storage, and read by it, by a reader of ours and by Optuna's own."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "j.log"
        self.writer = Storage(self.file)
        self.study = self.writer.create_new_study([StudyDirection.MINIMIZE], "s")
        self.oracle = plain(self.file)
        self.reader = Reader(self.file)
        self.kept: list[tuple[FrozenTrial, FrozenTrial]] = []
        """Each trial that was handed out, and what it was then."""
        self.waiting = ExitStack()
        self.is_waiting = False
        self.created = 0
        self.done = 0

    def do(self, what: str, at: int, number: int) -> None:
        self.done += 1
        if what == "create":
            template = None if number else FrozenTrial(0, TrialState.RUNNING, None, None, None, {}, {}, {}, {}, {}, 0)
            self.writer.create_new_trial(self.study, template)
            self.created += 1
        elif what == "wait" and not self.is_waiting:
            self.waiting.enter_context(self.writer.together())
            self.is_waiting = True
        elif what == "write":
            self.write()
        elif what.startswith("read"):
            self.read(what)
        elif at < self.created:
            with suppress(UpdateFinishedTrialError):
                self.record(what, at, number)

    def record(self, what: str, at: int, number: int) -> None:
        if what == "param":
            self.writer.set_trial_param(at, f"p{number}", 0.5, FloatDistribution(0, 1))
        elif what == "user":
            self.writer.set_trial_user_attr(at, f"epoch {number}", {"loss": self.done})
        elif what == "system":
            self.writer.set_trial_system_attr(at, f"s{number}", self.done)
        elif what == "step":
            self.writer.set_trial_intermediate_value(at, number, self.done / 2)
        else:
            self.writer.set_trial_state_values(at, TrialState.COMPLETE if number else TrialState.PRUNED, [float(at)])

    def write(self) -> None:
        self.waiting.close()
        self.is_waiting = False

    def read(self, what: str) -> None:
        """Read with all, and hold that they agree where all is on the disk."""
        for storage in (self.writer, self.reader):
            if what == "read one":
                trials = [storage.get_trial(0)]
            else:
                trials = storage.get_all_trials(self.study, deepcopy=False)
            self.kept += [(trial, copy.deepcopy(trial)) for trial in trials]
        if what == "read anew":
            self.reader = Reader(self.file)
        if not self.is_waiting and what != "read one":
            assert everything(self.writer) == everything(self.oracle)
            assert everything(self.reader) == everything(self.oracle)


@given(st.lists(OPERATION, min_size=20, max_size=50))
def test_whatever_is_recorded_and_read_in_between_it_is_as_with_optuna(operations: list[Operation]) -> None:
    with TemporaryDirectory() as folder:
        journal = Journal(Path(folder))
        for operation in [("create", 0, 1), *operations, ("write", 0, 0), ("read all", 0, 0)]:
            journal.do(*operation)
        for trial, then in journal.kept:
            assert trial == then


def test_what_optunas_own_trial_changes_in_its_copy_is_not_in_the_journals(tmp_path: Path) -> None:
    """It writes an attribute to the storage, and then to the trial that it was given."""
    made = optuna.create_study(study_name="s", storage=Storage(tmp_path / "j.log"))
    trial = made.ask({"x": FloatDistribution(0, 1)})
    again = Trial(made, trial._trial_id)
    trial.set_user_attr("a", 1)
    again.set_user_attr("a", 2)
    trial.report(1.0, step=1)
    again.report(2.0, step=2)
    trial.set_user_attr("b", 3)
    (read,) = made.get_trials(deepcopy=False)
    assert (read.user_attrs, read.intermediate_values) == ({"a": 2, "b": 3}, {1: 1.0, 2: 2.0})
    assert read == plain(tmp_path / "j.log").get_trial(0)


def test_a_trial_is_copied_once_for_who_has_it_and_not_for_each_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Copied for each record, a trial takes time that is quadratic in its epochs, to write and to read."""
    copies = 0

    def counted(trial: FrozenTrial) -> FrozenTrial:
        nonlocal copies
        copies += 1
        made = FrozenTrial.__new__(FrozenTrial)
        vars(made).update(vars(trial))
        return made

    monkeypatch.setattr(FrozenTrial, "__copy__", counted, raising=False)

    def train(storage: BaseStorage, first: int) -> int:
        """Record ten epochs of trial 0; return how often a trial was copied."""
        before = copies
        for epoch in range(first, first + 10):
            storage.set_trial_user_attr(0, f"epoch {epoch}", {"loss": 1.0})
            storage.set_trial_intermediate_value(0, epoch, 1.0)
        return copies - before

    writer = Storage(tmp_path / "j.log")
    writer.create_new_trial(writer.create_new_study([StudyDirection.MINIMIZE], "s"))
    assert train(writer, 1) == 1
    assert train(writer, 11) == 0
    writer.get_trial(0)
    assert train(writer, 21) == 1
    writer.get_all_trials(0, deepcopy=False)
    assert train(writer, 31) == 1
    before = copies
    read = Reader(tmp_path / "j.log").get_trial(0)
    assert (len(read.user_attrs), copies - before) == (40, 1)

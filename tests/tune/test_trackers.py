"""What trackers hold is what the journal holds: event files, an SQLite store and W&B's own files, read back."""

import json
import math
import os
import shutil
import signal
import socket
import sqlite3
import struct
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from optuna.trial import TrialState

from search import study
from search.algorithms.proposals import ask
from search.journal.records import OpenTrial
from search.journal.trial import Ending as TrialEnding
from search.journal.trial import Trial
from search.run import main
from search.spec.config import TRACKERS as PACKAGES
from search.study import Study
from search.tune import tracker, trackers, tracking
from search.tune.trainable import TRIAL, TrialOrder
from search.worker.training import Order
from tests import studies
from tests.programs import ENVIRONMENT, LEAST, TOY, begin, resume, until, until_gone, write
from tests.shared import Finished
from tests.studies import new

BOTH = ["tensorboard", "mlflow"]


@pytest.fixture(scope="module")
def finished(faulty_search: Finished) -> Study:
    """Return a search in which trials end in every way there is, and some are trained twice."""
    assert "goes on without it" not in faulty_search.done.stdout
    made = study.load(faulty_search.folder)
    assert {trial.ending for trial in made.trials()} == {"complete", "stopped", "diverged", "failed"}
    return made


def values_of(made: Study, trial: Trial) -> dict[str, Any]:
    return {**made.config.fixed, **trial.params, "seed": made.config.seed}


@contextmanager
def mlflow_of(made: Study) -> Iterator[tuple[Any, list[Any]]]:
    """Yield MLflow's client and the runs that it has of a study, those that were replaced not included."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLflow uses what SQLAlchemy has deprecated
        from mlflow import MlflowClient

        client = MlflowClient(f"sqlite:///{made.folder.absolute()}/mlflow/mlflow.db")
        (experiment,) = client.search_experiments(filter_string="name = 's'")
        yield client, list(client.search_runs([experiment.experiment_id]))


def check_mlflow(made: Study) -> None:
    """Hold every run against the journal: one a trial, with its values, its metrics at each epoch, and its ending."""
    with mlflow_of(made) as (client, found):
        runs = {run.info.run_name: run for run in found}
        assert len(found) == len(runs) == len(made.trials())
        for trial in made.trials():
            run = runs[f"trial-{trial.number:04}"]
            assert run.data.params == {name: str(value) for name, value in values_of(made, trial).items()}
            assert run.data.tags["ending"] == trial.ending
            assert run.info.status == ("FAILED" if trial.ending == "failed" else "FINISHED")
            names = {name for row in trial.epochs for name in row}
            assert set(run.data.metrics) == names
            for name in names:
                told = [(each.step, each.value) for each in client.get_metric_history(run.info.run_id, name)]
                held = [(epoch, min(row[name], sys.float_info.max)) for epoch, row in enumerate(trial.epochs, 1)]
                np.testing.assert_array_equal(told, held)  # NaN is NaN to it; an SQLite store has no infinity


def check_tensorboard(made: Study) -> None:
    """Hold every folder of event files against the journal, to the 32 bits of a summary; they hold no NaN."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

    folder = made.folder / "tensorboard"
    assert {path.name for path in folder.glob("[!.]*")} == {f"trial-{each.number:04}" for each in made.trials()}
    for trial in made.trials():
        events = EventAccumulator(str(folder / f"trial-{trial.number:04}"))
        events.Reload()
        names = {name for row in trial.epochs for name in row}
        assert set(events.Tags()["scalars"]) == {f"ray/tune/{name}" for name in names}
        for name in names:
            told = [(each.step, each.value) for each in events.Scalars(f"ray/tune/{name}")]
            rows = enumerate(trial.epochs, 1)
            held = [(at, float(np.float32(row[name]))) for at, row in rows if not math.isnan(row[name])]
            assert told == held
        if trial.epochs:
            content = events.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
            hparams = HParamsPluginData.FromString(content).session_start_info.hparams
            told_values = {key: getattr(value, value.WhichOneof("kind")) for key, value in hparams.items()}
            assert told_values == {**values_of(made, trial), "ending": trial.ending}


def test_mlflow_holds_what_the_journal_holds(finished: Study) -> None:
    check_mlflow(finished)


def test_tensorboards_files_hold_what_the_journal_holds(finished: Study) -> None:
    check_tensorboard(finished)


def lacking(finished: Study, folder: Path) -> Study:
    """Return a copy of a study whose trackers lack a trial, and all of them."""
    shutil.copytree(finished.folder, folder / "results" / "s")
    made = study.load(folder / "results" / "s")
    shutil.rmtree(made.folder / "mlflow")
    listed = made.folder / "tensorboard" / ".whole"
    listed.write_text(listed.read_text(encoding="ascii").replace("\n3\n", "\n"), encoding="ascii")
    shutil.rmtree(made.folder / "tensorboard" / "trial-0003")
    return made


@pytest.mark.full
def test_a_finished_search_goes_on_where_a_tracker_lacks_a_trial(finished: Study, tmp_path: Path) -> None:
    made = lacking(finished, tmp_path)
    done = resume(tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "seed 1811" not in done.stdout  # nothing is retrained
    check_tensorboard(made)
    check_mlflow(made)


def count_runs(made: Path) -> int:
    """Return how many runs an SQLite store has that may be in the making."""
    try:
        with closing(sqlite3.connect(f"file:{made}/mlflow/mlflow.db?mode=ro", uri=True)) as store:
            (count,) = store.execute("select count(*) from runs").fetchone()
            return int(count)
    except sqlite3.OperationalError:
        return 0


# From here on Tune's part is played by hand where nothing else is asked for: its callbacks are called as it calls them.


def say(line: str) -> None:
    """Take what a user is told: that a tracker is waited for, at most."""
    assert "goes on without it" not in line


class Played:
    """A trial of a study as Tune's callbacks are told of it."""

    def __init__(self, made: Study, callback: Any) -> None:
        self.opened = OpenTrial(made.search, ask(made.search, made.space))
        order = Order(made.config.workload, 0, made.objective, made.config.values(self.opened.params))
        told = TrialOrder(self.opened.number, order, [], made.log_of(self.opened.number))
        self._callback = callback
        self._trial: Any = SimpleNamespace(config={TRIAL: told}, last_result=None)

    def train(self, epochs: int, **more: float) -> None:
        """Start, in a new process, and report so many epochs in one result, with more metrics."""
        self._callback.on_trial_start(0, [], self._trial)
        metrics = [(at, {"loss": 1 / at, "elapsed_s": 0.1 * at, **more}, 1 / at) for at in range(1, epochs + 1)]
        for each in metrics:
            self.opened.add(*each)
        self._callback.on_trial_result(0, [], self._trial, {"epochs": metrics})

    def lose(self) -> None:
        """Lose the process; the trial is to be trained again."""
        self.opened.lose()
        self._callback.on_trial_error(0, [], self._trial)

    def end(self, ending: TrialEnding) -> None:
        """End by itself, with a last result that holds no epoch."""
        self.opened.end(ending)
        last = {"epochs": [], "value": math.nan if ending == "diverged" else 1.0, "ended": ending != "stopped"}
        self._trial.last_result = {**last, "failure": "it broke"} if ending == "failed" else last
        self._callback.on_trial_complete(0, [], self._trial)

    def die(self) -> None:
        """Lose the last process that it may have."""
        self.opened.end("failed")
        self._callback.on_trial_error(0, [], self._trial)


def test_a_trial_that_fails_sooner_the_second_time_keeps_its_first_epochs(tmp_path: Path) -> None:
    """As the journal does, where the second process dies, or raises, before it has reported as much as the first."""
    made = studies.create(tmp_path, "s", trackers=["tensorboard"])
    callback = tracking.Tracking(made, say)
    for at in range(2):
        trial = Played(made, callback)
        trial.train(3)
        trial.lose()
        trial.train(0)
        trial.die() if at else trial.end("failed")
    callback.end()
    check_tensorboard(made)


def test_an_interrupted_search_leaves_no_run_that_says_it_is_running_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracking, "ABORT_S", 60.0)  # whatever else this machine does
    made = studies.create(tmp_path, "s", trackers=["mlflow"])
    with pytest.raises(KeyboardInterrupt), tracking.following(made, say) as (callback,):
        Played(made, callback).train(2)
        until(lambda: count_runs(made.folder))
        raise KeyboardInterrupt
    with mlflow_of(made) as (_, runs):
        assert {(run.info.status, run.data.tags["ending"]) for run in runs} == {("KILLED", "interrupted")}
    made.search.tell(0, state=TrialState.FAIL)
    with tracking.following(made, say) as (callback,):
        Played(made, callback).train(3)
        trial = Played(made, callback)
        trial.train(1)
        trial.end("stopped")
        made.search.tell(1, state=TrialState.FAIL)
    check_mlflow(made)


def test_what_a_tracker_lacks_is_told_to_it_in_the_next_session(finished: Study, tmp_path: Path) -> None:
    """As where the last session ended while a tracker lagged behind, or the tracker is chosen only now."""
    made = lacking(finished, tmp_path)
    assert tracker.lag(made)
    with tracking.following(made, say):
        pass
    assert not tracker.lag(made)
    check_tensorboard(made)
    check_mlflow(made)


def test_a_server_that_is_not_there_costs_its_tracker_only_and_is_said_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:1")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    made = studies.create(tmp_path, "s", trackers=BOTH)
    told: list[str] = []
    with tracking.following(made, told.append) as (callback,):
        for _ in range(3):
            trial = Played(made, callback)
            trial.train(2)
            trial.end("complete")
    (said,) = [line for line in told if not line.startswith("waiting for")]
    assert said.startswith("tracker mlflow: MlflowException: ")
    assert said.endswith(f"; the search goes on without it, see {made.logs}/ray.log")
    assert [record.exc_info[0].__name__ for record in caplog.records if record.exc_info] == ["MlflowException"]  # type: ignore[union-attr]
    check_tensorboard(made)


ODD = ["recall@10", "recall_at_10", "recall:10", "f1 (macro)", "../up", "/", ".", "", "a//b", "x" * 300, "x" * 299]
ODD += ["pid", "training_iteration", "_step", "größe", "two\nlines"]


@pytest.mark.filterwarnings("ignore")  # MLflow uses what SQLAlchemy has deprecated
def test_metrics_of_any_name_are_told_each_by_a_name_of_its_own(tmp_path: Path) -> None:
    """MLflow refuses most of these, TensorBoard would make one of several, and Tune's callbacks keep some from it."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    made = studies.create(tmp_path, "s", trackers=BOTH)
    held = {name: float(number) for number, name in enumerate(ODD, 2)}
    with tracking.following(made, say) as (callback,):
        trial = Played(made, callback)
        trial.train(1, **held)
        trial.end("complete")
    with mlflow_of(made) as (_, (run,)):
        assert run.info.status == "FINISHED"
        metrics = run.data.metrics
        assert {metrics.pop("loss"), metrics.pop("elapsed_s")} == {1.0, 0.1}
        assert sorted(metrics.values()) == list(held.values())
        for name in ("recall_at_10", "recall:10", "größe"):
            assert metrics[name] == held[name]  # a name that can stay does
    events = EventAccumulator(str(made.folder / "tensorboard" / "trial-0000"))
    events.Reload()
    told = {tag.removeprefix("ray/tune/"): events.Scalars(tag)[0].value for tag in events.Tags()["scalars"]}
    assert {told.pop("loss"), told.pop("elapsed_s")} == {1.0, np.float32(0.1)}
    assert sorted(told.values()) == list(held.values())


@pytest.mark.filterwarnings("ignore")  # MLflow uses what SQLAlchemy has deprecated
def test_a_tracker_that_is_given_up_leaves_no_run_that_says_it_is_running(tmp_path: Path) -> None:
    made = studies.create(tmp_path, "s", trackers=["mlflow"], num_samples=2)
    said: list[str] = []
    with tracking.following(made, said.append) as (callback,):
        trials = [Played(made, callback) for _ in range(2)]
        for trial in trials:
            trial.train(1)
        until(lambda: count_runs(made.folder) == 2)
        with closing(sqlite3.connect(made.folder / "mlflow" / "mlflow.db")) as store:
            store.execute("alter table metrics rename to lost")
        for trial in trials:
            trial.train(1)
            trial.end("complete")
    assert ["goes on without it" in line for line in said] == [True]
    with mlflow_of(made) as (_, runs):
        assert {run.info.status for run in runs} == {"KILLED"}


# Whole searches again.


@pytest.mark.full
def test_a_killed_search_goes_on_in_its_trackers_without_a_gap_and_without_a_double(
    tmp_path: Path, temporary: Path
) -> None:
    """Killed twice; the last session has one tracker more, which gets the trials of the others, too."""
    write(tmp_path, {**TOY, "num_samples": 14, "trackers": ["tensorboard"]})
    made = tmp_path / "results" / "s"
    for wanted in (3, 8):
        begins = ["--resume", made.relative_to(tmp_path)] if made.exists() else ["--config", "search.yaml"]
        begins += [] if made.exists() else ["--name", "s"]
        with begin(tmp_path, *begins, TMPDIR=str(temporary)) as process:
            until(lambda: len(list(made.glob("tensorboard/trial-*"))) >= wanted)  # noqa: B023  # called at once
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
    write(tmp_path, {**TOY, "num_samples": 14, "trackers": BOTH})
    done = resume(tmp_path, "--config", "search.yaml", TMPDIR=str(temporary))
    assert done.returncode == 0, done.stdout + done.stderr
    until_gone(temporary)
    loaded = study.load(made)
    assert [trial.number for trial in loaded.trials()] == list(range(14))
    check_tensorboard(loaded)
    check_mlflow(loaded)


def test_a_server_that_never_answers_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = new({**LEAST, "name": "s", "output": str(tmp_path)})
    monkeypatch.setattr(tracking, "PATIENCE_S", 0.1)
    monkeypatch.setattr(tracking, "ABORT_S", 0.1)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    said: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{server.getsockname()[1]}")
        thread = tracking.TrackerThread(made, "a name", "mlflow", said.append)
        connection, _ = server.accept()
        thread.tell("start", 0, {"x": 1.0})
        thread.end()
        connection.close()
    waiting, gave_up, *_ = said
    assert waiting == "waiting for tracker mlflow"
    assert gave_up.startswith("tracker mlflow: nothing came of it for 0.1 s; the search goes on without it")


def records(path: Path) -> Iterator[Any]:
    """Yield the records of a file of W&B's: a log of LevelDB's in blocks of 32 KiB behind seven bytes of its own."""
    from wandb.proto import wandb_internal_pb2

    data, at, part = path.read_bytes(), 7, b""
    while at + 7 <= len(data):
        if 32768 - at % 32768 < 7:
            at += 32768 - at % 32768
            continue
        _, length, kind = struct.unpack_from("<IHB", data, at)
        part += data[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):  # whole, or its last part
            yield wandb_internal_pb2.Record.FromString(part)  # type: ignore[attr-defined]
            part = b""


def test_wandbs_own_files_hold_what_the_journal_holds(tmp_path: Path) -> None:
    """Of trials of which each waits until W&B has taken the one before."""
    config = write(tmp_path, {**TOY, "num_samples": 2, "trackers": ["wandb"]})
    imports = "import sys; from search.run import main; from search.tune import trackers"
    script = f"{imports}; trackers.UPLOADS = 1; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", script, "--config", str(config), "--name", "s"]
    environment = {**ENVIRONMENT, "WANDB_MODE": "offline"}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    assert "goes on without it" not in done.stdout
    made = study.load(tmp_path / "results" / "s")
    assert len(list(made.folder.glob("wandb/offline-run-*"))) == 2
    for trial in made.trials():
        (file,) = made.folder.glob(f"wandb/offline-run-*/run-*-{trial.number:04}.wandb")
        found = list(records(file))
        (run,) = [record.run for record in found if record.WhichOneof("record_type") == "run"]
        assert (run.project, run.run_group, run.display_name) == ("s", "s", f"trial-{trial.number:04}")
        noted: dict[str, Any] = {}
        for record in [run, *(record.config for record in found if record.WhichOneof("record_type") == "config")]:
            updates = record.config.update if record is run else record.update
            noted |= {each.key: json.loads(each.value_json) for each in updates}
        expected = {**values_of(made, trial), "ending": trial.ending}
        assert {name: noted[name] for name in expected} == pytest.approx(expected)
        steps = [record.history for record in found if record.WhichOneof("record_type") == "history"]
        told = {
            step.step.num: {each.nested_key[0] or each.key: json.loads(each.value_json) for each in step.item}
            for step in steps
        }
        assert list(told) == list(range(1, len(trial.epochs) + 1))
        for epoch, row in enumerate(trial.epochs, 1):
            assert {name: told[epoch][name] for name in row} == row


@pytest.mark.parametrize(
    ("trackers", "message"),
    [
        (["mlfow"], "unknown tracker 'mlfow', did you mean 'mlflow'?"),
        (["mlflow", "mlflow"], "trackers must be different ones, but got ['mlflow', 'mlflow']"),
        ("mlflow", "trackers must be of type list [a, b], but got 'mlflow'"),
        ([["mlflow"]], "unknown tracker ['mlflow']"),
        (["wandb"], "tracker wandb must have a login, but: "),
    ],
)
def test_a_mistake_is_one_line_before_ray_starts(
    trackers: Any, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("WANDB_MODE", "WANDB_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "none"))
    refused(tmp_path, trackers, message, capsys, monkeypatch)


@pytest.mark.parametrize("name", ["tensorboard", "mlflow", "wandb"])
def test_a_tracker_that_is_not_installed_is_told_with_what_installs_it(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where a folder of its name lies about, which Python could import."""
    (tmp_path / "gone").mkdir()
    monkeypatch.setitem(PACKAGES, name, ("gone",))
    install = f"trackers must be installed, but {name} lacks gone: pip install 'heart-search[{name}]'"
    refused(tmp_path, [name], install, capsys, monkeypatch)


def refused(
    folder: Path, trackers: Any, message: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write(folder, {**TOY, "trackers": trackers})
    monkeypatch.chdir(folder)
    assert main(["--config", "search.yaml"]) == 2
    printed = capsys.readouterr()
    assert printed.err.startswith("error: ")
    assert message in printed.err
    assert printed.err.count("\n") == 1
    assert printed.out == ""
    assert not (folder / "results").exists()


class Slow(tracker.Tracker):
    """A tracker that sends a Ctrl-C while the main thread waits for it, and then takes its time."""

    go = threading.Event()
    closed = False

    def _set_up(self) -> None:
        self.callback = None

    def recall(self, trial: Any, values: Any) -> None:
        main = threading.main_thread().ident
        assert main is not None
        while sys._current_frames()[main].f_code.co_name != "wait":
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)
        self.go.wait(60)

    def close(self, seconds: float) -> None:
        Slow.closed = True


def test_a_ctrl_c_while_a_tracker_is_waited_for_still_leaves_it_a_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(trackers.TRACKERS, "slow", Slow)
    monkeypatch.setattr(tracking, "ABORT_S", 60.0)
    made = studies.create(tmp_path, "s")
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have started us deaf to it
    try:
        thread = tracking.TrackerThread(made, "identity", "slow", print)
        thread.tell("recall", None, {})
        with pytest.raises(KeyboardInterrupt):
            thread.end()
    finally:
        signal.signal(signal.SIGINT, before)
    thread.abort()
    Slow.go.set()
    thread.wait_aborted()
    assert Slow.closed


def test_a_line_that_a_power_cut_has_left_in_part_is_no_trial(tmp_path: Path) -> None:
    (tmp_path / tracker.WHOLE).write_text("10\n11\n1", encoding="ascii")
    assert tracker.whole(tmp_path) == [10, 11]
    Slow("s", "identity", tmp_path)._keep(12)
    assert tracker.whole(tmp_path) == [10, 11, 12]


def test_what_is_looked_for_before_a_search_is_known_of_every_tracker() -> None:
    assert list(PACKAGES) == list(trackers.TRACKERS)

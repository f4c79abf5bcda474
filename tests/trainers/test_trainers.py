"""Six trainers that own their loop, the real ones: whatever ends a trial does what it does to a generator."""

import functools
import importlib.util
import json
import signal
import subprocess
import sys
from typing import Any

import pytest

from tests.programs import ENVIRONMENT
from tests.trainers.drive import TRIALS

LIBRARIES = {
    "lightning_net": "lightning",
    "hugging_face": "transformers",
    "xgboost_trees": "xgboost",
    "lightgbm_trees": "lightgbm",
    "skorch_net": "skorch",
    "keras_net": "keras",
}
QUICK = [name for name in LIBRARIES if name != "keras_net"]
"""Those whose import takes seconds, and not half a minute."""
INTERRUPTED = {
    "lightning_net": ("failed", "SystemExit: 1"),  # it takes a KeyboardInterrupt, and exits
    "skorch_net": ("complete", ""),  # it takes one for a wish to end early
}
"""What becomes of a Ctrl-C: its trainer's own business, as a worker process gets none."""

Seen = dict[str, Any]


def drive(name: str, *fault: str) -> subprocess.CompletedProcess[str]:
    library = LIBRARIES[name]
    if importlib.util.find_spec(library) is None:
        pytest.skip(f"{library} is not installed: pip install -c constraints.txt -e .[trainers]")
    command = [sys.executable, "-m", "tests.trainers.drive", name, *fault]
    # More threads than one a trainer would wait for each other on a machine that is busy with other tests.
    environment = {**ENVIRONMENT, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600)


@functools.cache
def drive_once(name: str) -> Seen:
    run = drive(name)
    assert run.returncode == 0, run.stderr[-10_000:]
    seen: Seen = json.loads(run.stdout.splitlines()[-1])
    return seen


@pytest.fixture(params=[*QUICK, pytest.param("keras_net", marks=pytest.mark.full)])
def trainer(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def seen(trainer: str) -> Seen:
    return drive_once(trainer)


def test_a_full_run_gives_every_epoch_that_the_trainer_gives_alone(seen: Seen) -> None:
    assert seen["complete"]["losses"] == seen["alone"]
    assert len(seen["alone"]) == 4
    assert seen["complete"]["ending"] == "complete"


@pytest.mark.parametrize("case", ["stopped", "stopped in time"])
def test_a_trial_is_stopped_between_two_epochs(seen: Seen, case: str) -> None:
    assert seen[case]["losses"] == seen["alone"][:2]
    assert (seen[case]["ending"], seen[case]["failure"]) == ("stopped", "")


def test_a_loss_that_is_no_number_ends_the_trial_as_diverged(seen: Seen) -> None:
    assert seen["diverged"]["losses"] == [seen["alone"][0], pytest.approx(float("nan"), nan_ok=True)]
    assert (seen["diverged"]["ending"], seen["diverged"]["failure"]) == ("diverged", "")


def test_what_the_trainer_raises_is_the_trials_failure_with_its_traceback(trainer: str, seen: Seen) -> None:
    for case in {"raises", "raises with workers"} & seen.keys():
        raised = seen[case]
        assert raised["losses"] == seen["alone"][:1]
        assert (raised["ending"], raised["failure"]) == ("failed", "RuntimeError: the model broke")
        assert f"/{LIBRARIES[trainer]}/" in raised["traceback"]
        assert 'raise RuntimeError("the model broke")' in raised["traceback"]


def test_an_epoch_that_takes_too_long_is_the_trials_failure(trainer: str, seen: Seen) -> None:
    for case in {"hangs", "hangs with workers"} & seen.keys():
        late = seen[case]
        assert late["losses"] == seen["alone"][:1]
        assert late["ending"] == "failed"
        assert late["failure"].startswith("TimeoutError: reported nothing for longer than epoch_timeout")
        assert f"/{LIBRARIES[trainer]}/" in late["traceback"]


def test_ctrl_c_while_the_trainer_computes_does_what_it_does_to_the_trainer(trainer: str, seen: Seen) -> None:
    interrupted = seen["interrupted"]
    assert interrupted["losses"] == seen["alone"][:1]
    assert (interrupted["ending"], interrupted["failure"]) == INTERRUPTED.get(trainer, ("failed", "KeyboardInterrupt"))


def test_a_callback_that_swallows_the_end_goes_on_to_the_next_report_and_then_is_abandoned(seen: Seen) -> None:
    swallows, goes_on = seen["swallows"], seen["goes on"]
    assert (swallows["ending"], swallows["losses"], swallows["left"]) == ("stopped", seen["alone"][:2], "")
    assert (goes_on["ending"], len(goes_on["losses"])) == ("stopped", 2)
    assert goes_on["left"] == "a trainer that goes on after it was told to end 4 times"


def test_nothing_of_a_trial_is_left_behind_in_its_process(seen: Seen) -> None:
    cases = {case: was for case, was in seen.items() if isinstance(was, dict) and case != "goes on"}
    assert len(cases) >= 9
    for case, was in cases.items():
        left = {key: was[key] for key in ("left", "models", "children", "threads", "signals")}
        if "workers" in case and "SIGCHLD" in was["signals"]:
            left["signals"] = []  # torch hears once and for all of a DataLoader's workers that die
        assert left == {"left": "", "models": 0, "children": [], "threads": [], "signals": []}, case
        assert (was["workers"] > 0) == ("workers" in case), case


def test_the_trials_after_it_are_as_in_a_new_process(seen: Seen) -> None:
    assert seen["again"] == seen["complete"]


def test_trials_that_are_stopped_leave_no_object_a_trial_more_than_the_trainer_alone(seen: Seen) -> None:
    assert seen["growth"] - seen["growth alone"] < TRIALS


def test_sigterm_ends_the_process_of_a_trainer_that_has_a_handler_for_it() -> None:
    """Lightning has; the trial would be failed then, where that of a node that is taken back is trained again."""
    run = drive("lightning_net", "terminate")
    assert run.returncode == -signal.SIGTERM, run.stderr[-10_000:]

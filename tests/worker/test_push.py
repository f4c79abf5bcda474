"""A trainer that owns its loop is pulled like a generator, and ends like one."""

import contextvars
import copy
import gc
import signal
import sys
import threading
import traceback
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import cloudpickle
import numpy as np
import pytest
from greenlet import greenlet

from search.worker import process, push
from search.worker.push import Ended, Pushed, Report


class Model:
    """Something that a weak reference can point to."""


def count_to(last: int) -> Callable[[Report], None]:
    def train(report: Report) -> None:
        for epoch in range(1, last + 1):
            report({"loss": 1 / epoch}, epoch)

    return train


def test_a_trainer_gives_what_the_same_generator_yields() -> None:
    def generator() -> Iterator[tuple[dict[str, float], int]]:
        for epoch in range(1, 6):
            yield {"loss": 1 / epoch}, epoch

    assert list(Pushed(count_to(5))) == list(generator())


def test_nothing_runs_before_the_first_pull_nor_beyond_a_report() -> None:
    steps = []

    def train(report: Report) -> None:
        for epoch in range(3):
            steps.append(epoch)
            report({})

    pushed = Pushed(train)
    assert steps == []
    next(pushed)
    assert steps == [0]
    next(pushed)
    assert steps == [0, 1]
    pushed.close()
    assert steps == [0, 1]


def test_a_report_without_a_model_gives_none() -> None:
    assert list(Pushed(lambda report: report({"loss": 1.0}))) == [({"loss": 1.0}, None)]


def test_a_trainer_that_reports_nothing_is_at_its_end_at_once() -> None:
    pushed = Pushed(lambda report: None)
    assert list(pushed) == []
    assert next(pushed, "still at its end") == "still at its end"


class OfItsOwn(BaseException):
    """What a framework may raise that is no Exception."""


@pytest.mark.parametrize("kind", [ValueError, SystemExit, KeyboardInterrupt, GeneratorExit, Ended, OfItsOwn])
def test_what_the_function_raises_comes_out_of_the_pull_with_its_traceback(kind: type[BaseException]) -> None:
    def train(report: Report) -> None:
        report({})
        raise kind("from the trainer")

    pushed = Pushed(train)
    next(pushed)
    with pytest.raises(kind, match="from the trainer") as caught:
        next(pushed)
    assert 'raise kind("from the trainer")' in "".join(traceback.format_exception(caught.value))
    assert next(pushed, "at its end") == "at its end"
    assert pushed.close() == ""


def test_a_stop_iteration_is_not_taken_for_the_end() -> None:
    def train(report: Report) -> None:
        next(iter([]))

    with pytest.raises(RuntimeError, match="train raised StopIteration"):
        next(Pushed(train))


def test_a_train_that_takes_report_and_yields_is_refused_as_it_would_never_run() -> None:
    def train(report: Report) -> Iterator[int]:
        yield 1

    async def later(report: Report) -> None: ...

    with pytest.raises(TypeError, match="must call report, not yield or await, but it returned a generator"):
        next(Pushed(train))
    with pytest.warns(RuntimeWarning, match="never awaited"), pytest.raises(TypeError, match="a coroutine"):
        next(Pushed(later))
        gc.collect()


def test_a_report_with_wrong_arguments_raises_in_the_callback() -> None:
    with pytest.raises(TypeError, match=r"report\(\) takes from 1 to 3 positional arguments but 4 were given"):
        next(Pushed(lambda report: report({}, None, 1)))  # type: ignore[call-arg]
    with pytest.raises(TypeError, match=r"report takes a mapping of metrics, as report\(\{'loss': 1\}\)"):
        next(Pushed(lambda report: report(loss=1)))  # type: ignore[call-arg]


def test_closing_raises_through_the_trainer_so_that_its_clean_up_runs_once() -> None:
    events = []

    def train(report: Report) -> None:
        try:
            while True:
                try:
                    report({})
                except Exception:
                    events.append("taken for an error")
        except BaseException as error:
            events.append(type(error).__name__)
            raise
        finally:
            events.append("cleaned up")

    pushed = Pushed(train)
    next(pushed)
    assert (pushed.close(), pushed.close()) == ("", "")
    assert events == ["Ended", "cleaned up"]
    assert next(pushed, "at its end") == "at its end"


def test_a_trainer_that_was_never_pulled_never_runs() -> None:
    pushed = Pushed(lambda report: pytest.fail("it ran"))
    assert pushed.close() == ""
    assert list(pushed) == []


def test_what_the_clean_up_raises_comes_out_of_close_and_the_trainer_has_ended() -> None:
    def train(report: Report) -> None:
        try:
            report({})
        finally:
            raise RuntimeError("the clean-up broke")

    pushed = Pushed(train)
    next(pushed)
    with pytest.raises(RuntimeError, match="the clean-up broke"):
        pushed.close()
    assert pushed.close() == ""


@pytest.mark.parametrize("reports", range(push.MOST_REFUSALS + 3))
def test_a_trainer_that_swallows_its_end_is_told_again_and_abandoned_at_last(reports: int) -> None:
    told = []

    def train(report: Report) -> None:
        report({})
        for _ in range(reports):
            try:
                report({})
            except Ended:
                told.append("to end")

    pushed = Pushed(train)
    next(pushed)
    if reports:
        next(pushed)
    left = pushed.close()
    assert (left != "") == (reports > push.MOST_REFUSALS + 1)
    assert left in ("", "a trainer that goes on after it was told to end 4 times")
    assert len(told) == min(reports, push.MOST_REFUSALS + 1)
    assert pushed.close() == ""
    push.ABANDONED.clear()  # ends it for good, as it does not swallow that


def test_report_after_the_end_says_what_is_wrong() -> None:
    reports = []

    def train(report: Report) -> None:
        reports.append(report)
        report({})

    for close_after in (1, 2):
        pushed = Pushed(train)
        for _ in range(close_after):
            next(pushed, None)
        with pytest.raises(RuntimeError, match="report must be called while train runs, but train has ended or waits"):
            reports[-1]({})
        pushed.close()
        with pytest.raises(RuntimeError, match="train has ended or waits"):
            reports[-1]({})


def test_report_in_another_thread_says_what_is_wrong_and_does_not_hang() -> None:
    messages = []

    def train(report: Report) -> None:
        def call() -> None:
            try:
                report({})
            except RuntimeError as error:
                messages.append(str(error))

        thread = threading.Thread(target=call, name="callbacks")
        thread.start()
        thread.join()
        report({"loss": 1.0})

    assert list(Pushed(train)) == [({"loss": 1.0}, None)]
    assert messages == ["report must be called in the thread that called train, but got a call in 'callbacks'"]


def test_a_trainer_in_a_thread_of_its_puller_is_pulled_there() -> None:
    epochs: list[Any] = []
    thread = threading.Thread(target=lambda: epochs.extend(Pushed(count_to(3))))
    thread.start()
    thread.join()
    assert len(epochs) == 3


def test_a_trainer_may_use_greenlets_of_its_own() -> None:
    events = []

    def train(report: Report) -> None:
        def callbacks() -> None:
            try:
                for epoch in range(3):
                    report({"epoch": epoch})
            finally:
                events.append("the callbacks have ended")

        greenlet(callbacks).switch()
        report({"epoch": 3})

    assert [metrics["epoch"] for metrics, _ in Pushed(train)] == [0, 1, 2, 3]
    pushed = Pushed(train)
    next(pushed)
    assert pushed.close() == ""
    assert events == ["the callbacks have ended"] * 2


def test_a_trainer_within_a_trainer_ends_with_it() -> None:
    events = []

    def inner(report: Report) -> None:
        try:
            count_to(9)(report)
        finally:
            events.append("inner")

    def outer(report: Report) -> None:
        trainer = Pushed(inner)
        try:
            for metrics, model in trainer:
                report(metrics, model)
        finally:
            trainer.close()
            events.append("outer")

    pushed = Pushed(outer)
    assert next(pushed)[1] == 1
    assert next(pushed)[1] == 2
    assert pushed.close() == ""
    assert events == ["inner", "outer"]


@pytest.mark.parametrize("ending", ["closed", "returned", "raised"])
def test_nothing_keeps_the_model_or_the_frames_of_a_trainer_that_has_ended(ending: str) -> None:
    alive: list[weakref.ref[Any]] = []
    kept = []

    def train(report: Report) -> None:
        kept.append(report)  # as a callback at the top of a module keeps it
        model = Model()
        state = Model()
        alive.extend([weakref.ref(model), weakref.ref(state)])

        def callback() -> Model:
            report({}, model)
            return state

        state.callback = callback  # type: ignore[attr-defined]  # a circle through a frame
        callback()
        if ending == "raised":
            raise RuntimeError

    pushed = Pushed(train)
    next(pushed)
    if ending == "returned":
        assert next(pushed, None) is None
    if ending == "raised":
        with pytest.raises(RuntimeError):
            next(pushed)
    pushed.close()
    gc.collect()
    assert [reference() for reference in alive] == [None, None]


def test_a_hundred_trials_that_were_closed_leave_no_greenlet_behind() -> None:
    def greenlets() -> int:
        gc.collect()
        return sum(type(each) is greenlet for each in gc.get_objects())

    before = greenlets()
    for _ in range(100):
        pushed = Pushed(count_to(9))
        next(pushed)
        pushed.close()
    assert greenlets() <= before


def test_the_time_limit_of_an_epoch_raises_in_the_trainer_and_comes_out_of_the_pull() -> None:
    events = []

    def train(report: Report) -> None:
        report({})
        try:
            threading.Event().wait(60)
        except TimeoutError:
            events.append("late, in the trainer")
            raise

    pushed = Pushed(train)
    next(pushed)
    with pytest.raises(TimeoutError, match="too long"), process.time_limit(0.05, "too long"):
        next(pushed)
    assert pushed.close() == ""
    assert events == ["late, in the trainer"]


def test_a_signal_between_two_pulls_does_not_reach_the_trainer() -> None:
    def train(report: Report) -> None:
        try:
            report({"epoch": 1})
        except KeyboardInterrupt:
            pytest.fail("it was raised in the trainer")
        report({"epoch": 2})

    pushed = Pushed(train)
    next(pushed)
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
    assert next(pushed)[0] == {"epoch": 2}
    pushed.close()


def test_a_trainer_cannot_keep_sigterm_which_ends_its_process() -> None:
    before = signal.getsignal(signal.SIGTERM)

    def train(report: Report) -> None:
        for _ in range(2):
            signal.signal(signal.SIGTERM, lambda *_: None)
            report({})

    pushed = Pushed(train)
    for _ in range(2):
        next(pushed)
        assert signal.getsignal(signal.SIGTERM) == before
    pushed.close()
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_trainer_that_puts_the_time_limit_of_its_first_epoch_back_at_its_end_does_no_harm() -> None:
    """Lightning does: it notes all signal handlers when it begins."""
    before = signal.getsignal(signal.SIGALRM)

    def train(report: Report) -> None:
        noted = signal.getsignal(signal.SIGALRM)
        try:
            report({})
        finally:
            signal.signal(signal.SIGALRM, noted)

    pushed = Pushed(train)
    with process.time_limit(60):
        next(pushed)
    pushed.close()
    assert signal.getsignal(signal.SIGALRM) == before


def test_a_trainer_may_have_an_alarm_of_its_own() -> None:
    before = signal.getsignal(signal.SIGALRM)
    rings = []

    def train(report: Report) -> None:
        signal.signal(signal.SIGALRM, lambda *_: rings.append("it rang"))
        report({})
        signal.raise_signal(signal.SIGALRM)
        signal.signal(signal.SIGALRM, before)

    assert len(list(Pushed(train))) == 1
    assert rings == ["it rang"]


def test_a_trainer_has_the_context_of_its_puller_and_changes_none_of_it() -> None:
    variable = contextvars.ContextVar("variable", default="by default")
    token = variable.set("the puller's")
    seen = []

    def train(report: Report) -> None:
        seen.append(variable.get())
        variable.set("the trainer's")
        np.seterr(all="raise")
        report({})
        seen.append(variable.get())

    before = np.geterr()
    for _ in Pushed(train):
        assert (variable.get(), np.geterr()) == ("the puller's", before)
    assert seen == ["the puller's", "the trainer's"]
    variable.reset(token)


def test_an_exception_that_is_handled_while_it_reports_is_the_trainers_alone() -> None:
    def train(report: Report) -> None:
        try:
            raise ValueError("handled")
        except ValueError:
            report({})
            assert isinstance(sys.exc_info()[1], ValueError)

    pushed = Pushed(train)
    next(pushed)
    assert sys.exc_info() == (None, None, None)
    assert next(pushed, "at its end") == "at its end"


class Reporter:
    """A callback that a model holds, as skorch's do."""

    def __init__(self, report: Report) -> None:
        self.report = report


def test_a_model_that_holds_its_callback_is_copied_and_pickled_without_its_trainer() -> None:
    def train(report: Report) -> None:
        model = Reporter(report)
        for _ in range(2):
            model.report({}, model)

    pushed = Pushed(train)
    model = next(pushed)[1]
    assert copy.deepcopy(model).report == model.report
    unpickled = cloudpickle.loads(cloudpickle.dumps(model))
    with pytest.raises(RuntimeError, match="train has ended"):
        unpickled.report({})
    assert next(pushed)[1] is model
    pushed.close()

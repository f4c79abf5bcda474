"""A script that is trained: an iterator over the metrics that it prints, an epoch at a time."""

import json
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from search.errors import one_line
from search.spec.command import Command
from search.worker.guard import ProgramError
from search.worker.program import Program, log, shown_code

END_S = 600.0
"""Time that a script has after its last epoch to end by itself, as to save its model."""
COLOUR = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
CONFIG = "config.json"
"""The file of {config}, in the trial's folder."""


class Script(Iterator[dict[str, Any]]):
    """The metrics that a script prints; each line that has them is an epoch.

    The script is not held up between two epochs. After its last one `settle` waits for it, until it ends by itself,
    begins another, or END_S have passed. Raises ProgramError where it ends before that with another exit code than 0,
    or without an epoch.
    """

    def __init__(self, command: Command, values: Mapping[str, Any], folder: Path | None) -> None:
        self._title = command.title
        self._metrics = Metrics(command)
        self._epochs: int | None = values.get("epochs")
        self._epoch = 0
        file = ""
        if command.takes_file:
            assert folder is not None
            file = str(folder / CONFIG)
            Path(file).write_text(json.dumps(dict(values), indent=2) + "\n", encoding="utf-8")
        with suppress(AttributeError, ValueError):
            sys.stdout.flush()
        self._program = Program(command.filled(values, str(folder or ""), file))
        self._lines = self._program.lines()

    def __next__(self) -> dict[str, Any]:
        """Return the metrics of the next epoch; wait for them."""
        metrics = self._next_metrics()
        if not metrics:
            self._check_end()
            raise StopIteration
        self._epoch += 1
        return metrics

    def _next_metrics(self) -> dict[str, Any]:
        """Return the next metrics; none where the script has ended."""
        for line in self._lines:
            if metrics := self._metrics.of(line):
                return metrics
        return {}

    def _check_end(self) -> None:
        """Raise ProgramError where the script has not ended as it should before its last epoch."""
        code = self._program.wait()
        lines = self._program.told()
        output = "\n".join(lines)
        if code:
            last = f": {one_line(lines[-1], 200)}" if lines else ""
            raise ProgramError(f"{self._title} ended with {shown_code(code)}{last}", output)
        if self._epoch == 0:
            raise ProgramError(f"{self._title} ended without an epoch; {self._metrics.rule}", output)

    def settle(self) -> str:
        """Wait for the script to end by itself after its last epoch; return what was wrong with its end, as text."""
        self._program.end_within(END_S)
        if self._next_metrics() or self._program.is_late:
            return ""  # `close` ends it
        if not (code := self._program.wait()):
            return ""
        line = f"{self._title} ended with {shown_code(code)} after its last epoch"
        log(f"{line}\n".encode())
        return f"{line}; the trial is complete"

    def close(self) -> str:
        """End the script and all that comes of it; return what could not be ended, as text."""
        return self._program.close()


class Metrics:
    """What finds the metrics in the lines that a script prints: JSON, or a regular expression."""

    def __init__(self, command: Command) -> None:
        self._report = None if command.report is None else re.compile(command.report)
        self._metric = command.metric
        self._so_far: dict[str, Any] = {}
        """What was found since the last epoch, where an epoch takes several lines."""

    @property
    def rule(self) -> str:
        """Return what a script must print, as text."""
        if self._report:
            return f"report must find {self._metric} in what it prints, but {self._report.pattern!r} found none"
        return 'it must print a JSON object on a line once an epoch, as {"loss": 0.5}, or report must find its metrics'

    def of(self, line: bytes) -> dict[str, Any]:
        """Return the metrics of the epoch that a line ends; none where it ends none.

        A line of JSON ends one; with `report` it is the line in which the metric that decides is found.
        """
        text = line.decode(errors="replace")
        if self._report is None:
            return _of_json(text, self._metric)
        if "\x1b" in text:
            text = COLOUR.sub("", text)
        for match in self._report.finditer(text):
            for name, value in match.groupdict().items():
                if value is not None:
                    self._so_far[name] = _number(value)
        if self._metric not in self._so_far:
            return {}
        metrics = self._so_far
        self._so_far = {}
        return metrics


def _of_json(text: str, metric: str) -> dict[str, Any]:
    """Return a JSON object that has the metric, or any number; without what is null, as that was not measured."""
    text = text.strip()
    if not (text.startswith("{") and text.endswith("}")):
        return {}
    try:
        values = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    there = {name: value for name, value in values.items() if value is not None}
    return there if metric in there or _has_number(there) else {}


def _has_number(value: Any) -> bool:
    if isinstance(value, dict):
        return any(map(_has_number, value.values()))
    return isinstance(value, int | float) and not isinstance(value, bool)


def _number(text: str) -> float | str:
    """Return a text as a number, without punctuation behind it; the text itself where it is none."""
    try:
        return float(text.strip().rstrip(",;"))
    except ValueError:
        return text

"""Repair of a journal with a broken line: what was torn is cut off, and what was damaged only where somebody asks.

What is written together is on the disk before more is written, so a kill or a power cut tears only the last batch: of a
broken line that belongs to it, nothing is lost but what was just being recorded. Any other broken line is damage, such
as a merge marker, and to cut the journal there would cost what was recorded since.
"""

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from search.errors import UserError, command, count, one_line
from search.journal.records import EPOCH
from search.journal.storage import BATCH, file_of

MAX_TEXT_LENGTH = 40
"""Characters of a broken line that are shown."""


@dataclass(frozen=True)
class Damage:
    """The first line of a journal that is no record, and what stands behind it."""

    file: Path
    number: int
    """Of the line, counted from 1."""
    line: bytes
    begin: int
    """Bytes of the file before the line."""
    is_torn: bool
    """Whether it belongs to the batch that was written last; of a journal of before, which marks none, to its end."""
    behind: list[dict[str, Any]]
    """The records behind it."""

    @property
    def text(self) -> str:
        """Return what stands there, shortened, in characters that can be printed."""
        text = self.line.decode(errors="replace").rstrip("\r\n")
        if len(text) > MAX_TEXT_LENGTH:
            return f"{text[:MAX_TEXT_LENGTH]!r}..."
        return repr(text)

    @property
    def cost(self) -> str:
        """Return what would be lost, were the journal cut at the line."""
        epochs = sum(map(_is_epoch, self.behind))
        trials = {str(record["trial_id"]) for record in self.behind if "trial_id" in record}
        return f"{count(epochs, 'epoch')} of {count(len(trials), 'trial')} (those of retrainings included)"

    def as_error(self) -> UserError:
        """Return what a user is told who would open the journal."""
        if self.number == 1:
            return UserError(
                f"{self.file} must be the journal of a search, but its first line is no record: {self.text}"
            )
        resume = command("search.run", "--resume", self.file.parent)
        fix = f"{resume} cuts off what was being written"
        if not self.is_torn:
            fix = (
                "mend it by hand (of a merge keep one side, without the markers), "
                f"or go on without it and all behind it, {self.cost}: {resume} --repair"
            )
        return UserError(f"every line of {self.file} must be a record, but line {self.number} is {self.text}; {fix}")


def find(file: Path) -> Damage | None:
    """Return the first broken line of a journal; None where each is a record. Raises OSError."""
    has_batches = False
    begin = 0
    with file.open("rb") as stream:
        for number, line in enumerate(stream, 1):
            record = _record_in(line)
            if record is None:
                behind = list(filter(None, map(_record_in, stream)))
                is_last_batch = has_batches and not any(BATCH in record for record in behind)
                return Damage(file, number, line, begin, is_last_batch or not behind, behind)
            has_batches = has_batches or BATCH in record
            begin += len(line)
    return None


def _record_in(line: bytes) -> dict[str, Any] | None:
    """Return the record that a line of a journal is; None where it is broken."""
    if not line.endswith(b"\n"):
        return None
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if isinstance(record, dict) and "op_code" in record:
        return record
    return None


def _is_epoch(record: dict[str, Any]) -> bool:
    attribute = record.get("user_attr")
    return isinstance(attribute, dict) and any(name.startswith(EPOCH) for name in attribute)


def mend(folder: Path, tell: Callable[[str], None] | None = None) -> None:
    """Cut the journal of a study off at its first broken line, where that was torn by a kill or a power cut.

    Optuna would append the next record to a torn one and lose both. Where the line is damage it is cut off only with
    `tell`, which is told what was lost, and where a copy of the whole journal is.

    Only for a process with the Writer. Raises UserError where the file is no journal, or damaged and there is no
    `tell`, and leaves it as it is; OSError.
    """
    file = file_of(folder)
    damage = find(file)
    if not damage:
        return
    if damage.number == 1:
        raise damage.as_error()
    if damage.is_torn:
        os.truncate(file, damage.begin)
    elif tell:
        copy = _keep_copy(file)
        os.truncate(file, damage.begin)
        tell(f"line {damage.number} of {file} and all behind it are gone, {damage.cost}; all that it held is in {copy}")
    else:
        raise damage.as_error()


def _keep_copy(file: Path) -> Path:
    """Copy a journal to a file beside it whose name is free; return its path, when all of it is on the disk."""
    path = file.with_name(f"{file.name}.broken")
    count = 1
    while os.path.lexists(path):
        count += 1
        path = file.with_name(f"{file.name}.broken-{count}")
    with file.open("rb") as stream, path.open("xb") as copy:
        shutil.copyfileobj(stream, copy)
        copy.flush()
        os.fsync(copy.fileno())
    return path


def explain(file: Path, error: Exception) -> UserError:
    """Return what a user is told of a journal that could not be read: its first broken line, or else the error.

    The last line may lack its end, as another process may be writing it: that is no reason.
    """
    damage = None if isinstance(error, OSError) else find(file)
    if damage and damage.line.endswith(b"\n"):
        return damage.as_error()
    why = one_line(str(error), 300) or type(error).__name__
    return UserError(f"{file} must be the journal of a search, but: {why}")

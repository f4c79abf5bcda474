"""The file best.yaml: the config of the best so far, or of a retraining's winner, under a comment that says which."""

import re
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import optuna

from search.journal import front
from search.spec import files
from search.study import FINISHED, Study

BEST = Path("best.yaml")
"""What a search hands over, in the working folder."""
CHOOSING = threading.Lock()
"""Held from looking whether a retraining has finished until best.yaml is written: two threads may be about to."""


def write(study: Study, values: Mapping[str, Any], note: str) -> None:
    """Write a full workload config to a study's best.yaml, under a comment that names workload, study and value."""
    comment = f"# {study.config.title}, study {study.name}: {note}\n"
    files.write(study.folder / "best.yaml", comment + files.yaml(study.own(values)))


def write_interim(study: Study) -> None:
    """Write the best trial so far, a stopped one too, to best.yaml, unless a retraining has chosen one."""
    best = study.best_trial()
    if not best:
        return
    are_defaults = ", the defaults" if best.params == study.default_params else ""
    stopped = f", stopped at epoch {len(best.epochs)}" if best.ending == "stopped" else ""
    values = front.described(best, study.config.aims)
    note = f"{values} (trial {best.number}{are_defaults}{stopped}); not retrained"
    with CHOOSING:
        if not study.finished():
            write(study, study.values(best.params), note)


def finish(study: Study, retraining: optuna.Study, best: tuple[Mapping[str, Any], str] | None) -> None:
    """Record that a retraining has finished, and write its best, if any: a full config, and a note on it."""
    with CHOOSING:
        if best:
            write(study, *best)
        retraining.set_user_attr(FINISHED, True)


def copy(study: Study, path: Path, tell: Callable[[str], None]) -> None:
    """Copy a study's best.yaml; `tell` is told where that replaces another study's. Raises OSError."""
    own = study.folder / "best.yaml"
    before = study_of(path)
    try:
        files.write(path, own.read_bytes())
    except OSError as error:
        raise OSError(f"./{path} cannot be written, {error}; the winner's config is in {own}") from None
    if before not in ("", study.name):
        tell(f"./{path} was that of study {before}; it is replaced (--no-best leaves it alone)")


def study_of(path: Path) -> str:
    """Return the name of the study that wrote a best.yaml; empty where none did, or it cannot be read."""
    try:
        if not path.is_file():
            return ""
        with path.open("rb") as file:
            found = re.match(rb"# .*, study ([\w.-]+): ", file.readline(1000))
    except OSError:
        return ""
    return found[1].decode(errors="replace") if found else ""

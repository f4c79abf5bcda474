"""Whole searches that several files of tests look at: each is run once, whichever of pytest's processes wants it first.

Whoever would change a folder copies it.
"""

import fcntl
import os
import pickle
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.programs import TOY, Done, X, processes_of, search, short_folder


class Finished(NamedTuple):
    """A search called s that has been run to its end."""

    cwd: Path
    """Its working folder."""
    done: Done
    left: list[str]
    """What lay in its folder for temporary files when it had ended, and the processes that named that folder."""

    @property
    def folder(self) -> Path:
        """Return the folder of its study."""
        return self.cwd / "results" / "s"


UMASK = 0o002
"""Under which they are run: it tells a file that its group may write from one that only its owner may."""

Make = Callable[[Path, Path], Done]
"""Runs a search in a working folder, with a folder for temporary files."""


def once(factory: pytest.TempPathFactory, name: str, make: Make) -> Finished:
    """Return the search of this name, which is run unless another of pytest's processes has done so."""
    base = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent
    kept = base / f"{name}.pickle"
    with (base / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not kept.exists():
            cwd = base / name
            cwd.mkdir()
            with short_folder() as temporary, under_umask():
                done = make(cwd, temporary)
                left = [str(path) for path in temporary.iterdir()] + processes_of(temporary)
            kept.write_bytes(pickle.dumps(Finished(cwd, done, left)))
    found: Finished = pickle.loads(kept.read_bytes())
    assert found.done.returncode == 0, found.done.stdout + found.done.stderr
    return found


@contextmanager
def under_umask() -> Iterator[None]:
    """Give what is started in the block UMASK."""
    before = os.umask(UMASK)
    try:
        yield
    finally:
        os.umask(before)


TOY_SEED = 48
"""Of which the ninth trial is better by far than the others, the defaults included."""


def toy(cwd: Path, temporary: Path) -> Done:
    """Run a search of the toy, 14 trials."""
    return search(cwd, TOY, "--num-samples", 14, "--seed", TOY_SEED, TMPDIR=str(temporary))


FAULTS = ["", "short", "long", "nothing", "nan", "inf", "missing", "text", "raise", "exit", "die once", "die"]

SEED = 1810
"""Of which eighteen random trials have every fault, those that cost a process once, and a long one the best value."""


def faulty(cwd: Path, temporary: Path) -> Done:
    """Run a search whose trials end in every way there is, some of them trained twice, with two trackers."""
    notes = cwd / "notes"
    notes.mkdir()
    (notes / "go").touch()
    config = {**TOY, "space": {"x": X, "fault": {"distribution": "choice", "values": FAULTS}}, "sampler": "random"}
    config |= {"fixed": {"folder": str(notes)}, "num_samples": 18, "max_failures": 1, "finalists": 1}
    config |= {"trackers": ["tensorboard", "mlflow"]}
    config |= {"scheduler": {"grace_period": 5, "reduction_factor": 2}}  # later than the fourth epoch, which diverges
    return search(cwd, config, "--seed", SEED, "--no-best", TMPDIR=str(temporary))

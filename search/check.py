"""Check a search before anything is spent: what would be trained, how long it takes, and what is wrong.

python -m search.check mine.yaml

A few epochs of the defaults, twice, and of two proposals are trained in processes as a search has them. Nothing is left
on disk. Exit code 2 where something would keep the search from working.
"""

import dataclasses
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, redirect_stdout, suppress
from pathlib import Path
from typing import Any

from search import cli, creation, session
from search.analysis import measures, problems
from search.analysis.checkup import Checkup, Files, Machine, Problem
from search.best_file import BEST
from search.errors import UserError, count, describe
from search.request import Asked
from search.session import Session
from search.spec import temporary
from search.spec.config import DEFAULT_FILE, StudyConfig
from search.tune import cluster, trial_runs
from search.tune.pool import WorkerPool
from search.tune.quota import cpu_quota
from search.tune.trial_runs import TrialRuns
from search.views import check as view

DEFAULTS = "the defaults"
MOST_ENTRIES = 2000
"""Files and folders of the working folder that are looked at."""


class Rehearsal(Session):
    """A session of a study in a temporary folder, of which nothing is kept."""

    def _secure(self) -> None:
        """Do nothing: nothing is to be kept."""

    def _leave(self) -> None:
        super()._leave()
        shutil.rmtree(self.study.folder.parent, ignore_errors=True)

    def _kept(self) -> str:
        return "nothing was written"

    def configs(self) -> tuple[dict[str, dict[str, Any]], str]:
        """Return what is to be trained, by name, and why the defaults are not among it; empty where they are."""
        configs = {}
        why = ""
        values = self.study.config.values({})
        try:
            self.workload.build(values)
            configs[DEFAULTS] = values
        except (Exception, SystemExit) as error:  # whatever Config refuses them with
            why = describe(error).partition(": ")[2] or f"{self.workload.arguments.owner} refuses them"
        return {**configs, **trial_runs.proposals(self.study, self._fit.takes)}, why

    def pool(self, name: str) -> WorkerPool:
        """Return a pool of worker processes whose log has this name."""
        return WorkerPool(self.study, self.share, name, check=self.check)

    def notes(self) -> list[str]:
        """Return lines on what the search would do otherwise than one may think."""
        return [note for note in (self.share.note, *self._fit.notes, *self.workload.notes) if note]


def main(arguments: list[str] | None = None) -> int:
    """Check what the command line asks for; return the exit code."""
    began = time.monotonic()
    parser = cli.given_parser("search.check", "Check a search before anything is spent: train a few epochs, and say.")
    parser.add_argument("config", nargs="?", metavar="FILE", help=f"YAML of the search ({DEFAULT_FILE})")
    parser.add_argument("--config", metavar="FILE", help="the same, as search.run takes it")
    parser.add_argument("--json", action="store_true", help="print it as one JSON object")
    cli.add_settings(parser)
    flags = vars(parser.parse_args(arguments))
    is_json = flags.pop("json", False)
    console = cli.Terminal(quiet=is_json)

    def prepare(holding: ExitStack) -> Callable[[], int]:
        with _as_json(is_json=is_json):
            opened, files = begin(cli.asked(flags), holding, console)

        def act() -> int:
            with _as_json(is_json=is_json):
                found = work(opened, files, began)
            return _show(found, console, is_json=is_json)

        return act

    return cli.guarded(prepare)


@contextmanager
def _as_json(*, is_json: bool) -> Iterator[None]:
    """Where JSON is asked for, print a UserError of the block as such, too, and elsewhere what a workload prints."""
    if not is_json:
        yield
        return
    try:
        with redirect_stdout(sys.stderr):
            yield
    except UserError as error:
        _print_json({"ok": False, "problems": [dataclasses.asdict(Problem(str(error), is_error=True))]})
        raise


def begin(asked: Asked, holding: ExitStack, console: cli.Terminal) -> tuple[Rehearsal, Files]:
    """Return a session for the check, and what the search itself would write. Raises UserError as a search would."""
    config = StudyConfig.of({**(asked.settings or {}), **asked.changes})
    folder = creation.folder_of(config)
    made_in = holding.enter_context(temporary.folder(Path(tempfile.gettempdir()), cluster.TEMPORARY))
    changes = {**asked.changes, "output": str(made_in), "name": "check"}
    opened = session.begin(
        dataclasses.replace(asked, changes=changes), holding, console, lambda folder: "", kind=Rehearsal
    )
    assert isinstance(opened, Rehearsal)
    files = Files(
        folder=str(folder),
        best=str(BEST) if config.best else "",
        replaces_best=config.best and os.path.lexists(BEST),
        trial_folders="folder" in opened.workload.gets,
        trackers=config.trackers,
    )
    return opened, files


def work(opened: Rehearsal, files: Files, began: float) -> Checkup:
    """Train, test, save and draw; return what that showed. `began` is when the program did, on the monotonic clock."""
    configs, no_reference = opened.configs()
    doing = opened.console.status(f"training a few epochs of {count(len(configs), 'configuration')}")
    with opened.working(), doing, _watched(Path(files.folder).parent) as written:
        done = trial_runs.run(opened.study, opened.workload, opened.share, configs, opened.pool)
    return _judge(opened, done, no_reference, files, written, began)


def _judge(
    opened: Rehearsal, done: TrialRuns, no_reference: str, files: Files, written: list[str], began: float
) -> Checkup:
    """Return all that the runs showed, with their problems."""
    made = opened.study
    config = made.config
    runs = done.all()
    first = next(iter(done.runs))
    named = dict(done.runs)
    for times_before, run in enumerate(done.again, 1):
        named[f"{first}{' again' * times_before}"] = run
    machine = _machine(opened)
    # What it is, and what it costs.
    taken = measures.taken(opened.workload)
    metrics = measures.metrics(runs, config.aims)
    cost = measures.cost(runs)
    repeats = measures.repeats(first, done.runs[first], done.again[0], config.objective)
    # How long it will take: to the first process as it took here, then by what the epochs took.
    finalists = config.finalists if made.wanted is None else min(config.finalists, made.wanted)
    candidates = finalists
    if finalists and not no_reference:
        candidates += 1
    chosen_from = finalists if finalists > 1 else 0
    now = time.time() - time.monotonic()
    start_s = min((run.began - now - began for run in runs if run.began), default=0.0)
    times = measures.times(config, runs, made.wanted, made.epochs, machine.at_once, candidates, chosen_from, start_s)
    # What is wrong.
    found = [
        *problems.of_failures(named),
        *problems.of_metrics(metrics, named, config.objective),
        *problems.of_model(taken, done.model, done.problems),
        *problems.of_repeats(repeats, config.metric),
        *problems.of_process(runs, cost, machine, config, made.epochs),
        *problems.of_plan(config, made.wanted, made.epochs, no_reference),
        *_of_files(files, written),
        *[Problem(note) for note in opened.notes()],
    ]
    took_s = time.monotonic() - began
    return Checkup(taken, metrics, cost, repeats, done.model, machine, times, files, found, took_s)


def _machine(opened: Rehearsal) -> Machine:
    share = opened.share
    address = opened.study.config.ray_address
    return Machine(
        at_once=share.concurrent,
        cpus_per_trial=share.cpus,
        gpus_per_trial=share.gpus,
        cpus=cluster.count_cpus(),
        cpus_in_all=os.cpu_count() or 1,
        quota=cpu_quota(),
        gpus=cluster.count_gpus(),
        memory_mb=cluster.count_memory_bytes() / 1e6,
        address=address,
    )


@contextmanager
def _watched(but: Path) -> Iterator[list[str]]:
    """Yield a list that holds, after the block, the files of the working folder that were written meanwhile.

    What lies in the folder `but`, where searches write, is left out.
    """
    written: list[str] = []
    before = dict(_times_of_files(but))
    yield written
    for path, changed in _times_of_files(but):
        if before.get(path) != changed:
            written.append(path)


def _times_of_files(but: Path) -> Iterator[tuple[str, int]]:
    """Yield the path of each file in the working folder, or in a folder of it, and when it was last written."""
    left = MOST_ENTRIES
    for folder, folders, names in os.walk("."):
        is_deep = folder.count(os.sep) >= 2
        folders[:] = [] if is_deep else [name for name in folders if not name.startswith((".", "__pycache__"))]
        if Path(folder) == but:
            folders[:] = []
            continue
        for name in names[:left]:
            left -= 1
            path = Path(folder) / name
            with suppress(OSError):  # it has gone meanwhile
                yield str(path), path.stat().st_mtime_ns


def _of_files(files: Files, written: list[str]) -> list[Problem]:
    """Return what is wrong with what would be written, or was."""
    found = []
    place = Path(files.folder).absolute()
    there = next(parent for parent in place.parents if parent.exists())
    if not os.access(there, os.W_OK | os.X_OK):
        text = f"output must be a folder that can be written, but {there} can not; give another with --output"
        found.append(Problem(text, is_error=True))
    if files.best and BEST.is_dir():
        found.append(Problem(f"{BEST} must be a file, or be free, but is a folder; move it away", is_error=True))
    if written:
        more = f" and {len(written) - 3} more" if len(written) > 3 else ""
        fix = "let train take a folder of its own, as train(config, folder)"
        told = f"{', '.join(written[:3])}{more} was written meanwhile"
        found.append(Problem(f"{told}: trials that write there overwrite each other's files; {fix}"))
    return found


def _show(found: Checkup, console: cli.Terminal, *, is_json: bool) -> int:
    if is_json:
        return _print_json(found.as_mapping())
    for line in view.lines(found):
        console.print(line)
    return 2 if found.errors else 0


def _print_json(found: dict[str, Any]) -> int:
    print(json.dumps(found, allow_nan=False))
    return 0 if found["ok"] else 2


if __name__ == "__main__":
    cli.leave(main())

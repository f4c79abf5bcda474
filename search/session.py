"""One session of a study on a Ray of its own: what was recorded is secured however it ends."""

import dataclasses
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console

from search import creation, study
from search.algorithms.proposals import room
from search.errors import UserError
from search.signals import Interrupted, Shutdown
from search.spec import sources, workload
from search.spec.config import StudyConfig
from search.spec.fit import Fit
from search.spec.intact import intact
from search.study import POSSIBLE, Study
from search.tune import cluster, trackers
from search.tune.resources import Node, Share
from search.views.display import Display

KEPT = ("workload", "metric", "mode", "space", "fixed", "seed")
"""Settings without which the trials of a study could not be compared."""
CHANGED = "changed since a session began: {}; what was trained before and after may not compare"

Use = Callable[[list[Any], Callable[[], None]], None]
"""Uses processes, given as handles, and calls the second now and then: it raises where somebody wishes the end."""


class Session:
    """A study, each trial's share of the machine, and the command that goes on where a session was ended early.

    Of a program the process is ended where a signal finds it stuck; a caller's process never is.
    """

    def __init__(
        self, made: Study, fit: Fit, share: Share, here: Node, console: Console, again: str, *, is_program: bool = True
    ) -> None:
        self.study = made
        self.workload = fit.workload
        self.share = share
        self.console = console
        self._fit = fit
        self._again = again
        self.is_new = False
        """Whether the study was made for it."""
        self._ray = cluster.Ray(made.config.ray_address, here, made.logs / "ray.log")
        self._shutdown = Shutdown(self._secure, self._leave if is_program else None)
        self._callbacks: list[Any] = []

    @contextmanager
    def working(self) -> Iterator[Path]:
        """Run Ray; yield its temporary folder.

        Raises Interrupted after a signal, OSError where the disk is full, Ray does not start, ...; what was recorded is
        secured, and the text says how to go on.
        """
        with self._shutdown.listening():
            try:
                self.meanwhile(cluster.import_tune)
                with self._ray.running() as folder:
                    self._shutdown.listen()  # ray.init() has taken SIGTERM for itself
                    yield folder
            except KeyboardInterrupt:
                self._secure()
                raise Interrupted(f"interrupted; {self._kept()}", self._shutdown.exit_code) from None
            except OSError as error:
                self._secure()
                raise OSError(f"{error}; {self._kept()}") from None

    def meanwhile(self, function: Callable[[], None]) -> None:
        """Call a function in a thread while there is nothing to do but to wait."""
        self._ray.meanwhile(function)

    @contextmanager
    def tracking(self) -> Iterator[None]:
        """Tell the study's trackers of what is searched in here, and of what they lack of earlier sessions."""
        from search.tune import tracking  # imports Ray Tune

        with tracking.following(self.study, self.console.print) as self._callbacks:
            yield

    def check(self) -> None:
        """Raise Interrupted where somebody wishes the end."""
        self._shutdown.check()

    def announce(self) -> None:
        """Say what will be done, and of a study that goes on how far it is."""
        made = self.study
        config = made.config
        if self.share.note:
            self.console.print(self.share.note)
        if self._fit.note:
            self.console.print(self._fit.note)
        trials = made.trials()
        limits = f"up to {made.epochs} epochs, {self.share.concurrent} at once, into {made.folder}"
        if not trials:
            self.console.print(f"searching {config.workload}: {made.wanted} trials of {limits}")
            return
        # What was recorded in full is closed; what was cut off before is trained again.
        running = [trial for trial in trials if trial.ending == "running"]
        cut_off = sum(trial.settled(made.epochs, made.objective) is None for trial in running)
        far = f"{len(trials) - cut_off} of {made.wanted} trials have ended"
        if cut_off == 1:
            far += ", 1 that was cut off is trained again from its first epoch"
        elif cut_off:
            far += f", {cut_off} that were cut off are trained again from their first epoch"
        self.console.print(f"going on with {config.workload}: {far}; {limits}")

    def search(self, folder: Path, use: Use | None = None) -> None:
        """Search until there are as many trials as asked, then `use` the processes.

        Raises Interrupted; OSError where nothing can be written.
        """
        from search.tune import tuner  # imports Ray Tune: not before a user's mistakes are out
        from search.tune.searcher import OptunaSearcher

        searcher = OptunaSearcher(self.study, self.share.gpus, self._fit.takes)
        if searcher.is_done:
            return
        trials = self.study.wanted
        display = Display(self.console, trials, searcher.progress, searcher.forecast)

        def look() -> None:
            searcher.check()  # before a trial is shown as ended that could not be recorded
            display.look()
            self.check()

        def use_processes(handles: list[Any]) -> None:
            display.end()
            assert use is not None
            use(handles, self.check)

        with display.showing(), self._shutdown.held():
            reused_by = use_processes if use else None
            tuner.run(self.study, self.share, folder, searcher, look, self._callbacks, reused_by)

    def _secure(self) -> None:
        """Derive from the journal what can be had before its end; on a full disk, or where it is gone, do without."""
        with suppress(OSError, UserError):
            made = study.load(self.study.folder)  # with a storage of its own: another thread may use the study's
            made.write_interim_best()
            made.write_tables()

    def _leave(self) -> None:
        self._ray.abandon()
        self.console.show_cursor()
        print(f"interrupted; {self._kept()}", file=sys.stderr, flush=True)
        if self.is_new:
            creation.remove_if_unused(self.study.folder)

    def _kept(self) -> str:
        """Return what becomes of the study, which ends early, as text."""
        folder = self.study.folder
        if not folder.exists():
            return f"the study is no longer at {folder}: to go on with it, resume it where it was moved to"
        if self.is_new and creation.is_unused(folder):
            return f"no trial had begun, so {folder} is not kept"
        return f"what was finished is in {folder}; to go on: {self._again}"


@dataclass(frozen=True)
class Asked:
    """What is to be searched."""

    settings: Mapping[str, Any] | None
    """Those of a whole config, as YAML gives them; None where a study goes on under its own."""
    changes: Mapping[str, Any] = field(default_factory=dict)
    """Settings that win over those."""
    resume: Path | None = None
    """The folder of a study that goes on; None for a new one."""
    repair: bool = False
    """Whether it goes on without what stands in its journal behind damage."""
    allow_changes: bool = False
    """Whether it goes on though the workload's sources have changed."""


def begin(
    asked: Asked, holding: ExitStack, console: Console, again: Callable[[Path], str], *, is_program: bool = True
) -> Session:
    """Return a session of the study that is asked for; this process is the study's writer.

    `again` returns the command that goes on with the study of a folder. Raises UserError, before Ray is started; of a
    new study nothing is then left on disk. What must be closed at the end is put on `holding`, which also removes a new
    study in which no trial has begun.
    """
    before = None
    if asked.resume:
        before = study.open_to_write(asked.resume, holding, console.print if asked.repair else None)
    elif asked.repair:
        raise UserError("repair is for the journal of a study that goes on, but got a new one; give --resume, too")
    config = _config(asked, before)
    with intact(config.workload):
        loaded = workload.load(config.workload)
        fit = Fit(config, loaded)
    digests = sources.digests(config.workload)
    changed = ""
    if before:
        changed = _changed_sources(before, digests)
        if changed and not asked.allow_changes:
            raise UserError(
                f"a study that goes on must have its workload's sources as they were, else old and new trials do not "
                f"compare, but {changed} changed; put that back, start a new study, or add --allow-changes"
            )
    else:
        fit.check_types()
    holding.enter_context(cluster.claimed())
    share, here = cluster.share_of(config)
    trackers.check(config.trackers)
    if before:
        made = continued(before, config, fit.epochs, loaded.defaults())
    else:
        made = creation.create(config, loaded, fit.epochs, holding)
        holding.callback(creation.remove_if_unused, made.folder)
    _count_possible(made, fit)
    made.begin_session(dataclasses.asdict(share), digests)
    if changed:
        console.print(CHANGED.format(changed))
    opened = Session(made, fit, share, here, console, again(made.folder), is_program=is_program)
    opened.is_new = not before
    return opened


def _count_possible(made: Study, fit: Fit) -> None:
    """Record how many trials the space has room for, where that is fewer than are asked for, or was."""
    known = [trial.params for trial in made.trials()]
    possible = room(made.space, known, fit.takes, made.config.num_samples)
    if possible < made.config.num_samples or POSSIBLE in made.search.user_attrs:
        made.search.set_user_attr(POSSIBLE, possible)


def tell_changes(made: Study, console: Console) -> None:
    """Say which of its workload's sources have changed since a study's last session began, if any has."""
    if changed := _changed_sources(made, sources.digests(made.config.workload)):
        console.print(CHANGED.format(changed))


def _changed_sources(made: Study, digests: Mapping[str, str]) -> str:
    """Return which sources differ from those of a study's last session, as text; empty where none does."""
    before = made.sources()
    return sources.difference(before, digests) if before else ""


def _config(asked: Asked, before: Study | None) -> StudyConfig:
    """Return the config that is asked for: over a file's, or over that of a study that goes on."""
    if before is None:
        return StudyConfig.of({**(asked.settings or {}), **asked.changes})
    kept = {"name": before.config.name, "output": before.config.output}
    for name in kept:
        if name in asked.changes:
            raise UserError(f"a study keeps its {name}: give --resume or --{name}, but not both")
    settings = before.config.as_mapping() if asked.settings is None else asked.settings
    return StudyConfig.of({**settings, **asked.changes, **kept})


def continued(before: Study, config: StudyConfig, epochs: int, defaults: Mapping[str, Any]) -> Study:
    """Return a study under a config that may ask for more, but for nothing else than before.

    Raises UserError, with the difference, where the trials so far would mean nothing under it.
    """
    old = {name: getattr(before.config, name) for name in KEPT}
    new = {name: getattr(config, name) for name in KEPT}
    old |= {"epochs": before.epochs, "defaults": before.defaults}
    new |= {"epochs": epochs, "defaults": defaults}
    differences = list(_differences(old, new))
    if differences:
        more = len(differences) - 3
        told = differences[:3] + ([f"{more} more"] if more > 0 else [])
        raise UserError(
            f"a study that goes on must keep {', '.join(KEPT)} and the workload's defaults, "
            f"but {'; '.join(told)}; start a new study"
        )
    trials = len(before.search.get_trials(deepcopy=False))
    if config.num_samples < trials:
        raise UserError(f"num_samples must be at least the {trials} trials of the study, but got {config.num_samples}")
    return before.reconfigured(config)


def _differences(old: Any, new: Any, where: str = "") -> Iterator[str]:
    """Yield where two nested mappings differ, as text."""
    if not (isinstance(old, Mapping) and isinstance(new, Mapping)):
        are_nan = old != old and new != new  # NaN alone differs from itself
        if old != new and not are_nan:
            yield f"{where} was {old!r} and is {new!r}"
        return
    for name in dict.fromkeys([*old, *new]):
        place = f"{where}.{name}" if where else str(name)
        if name not in new:
            yield f"{place} was {old[name]!r} and is gone"
        elif name not in old:
            yield f"{place} is new: {new[name]!r}"
        else:
            yield from _differences(old[name], new[name], place)

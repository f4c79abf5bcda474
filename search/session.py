"""One session of a study on a Ray of its own: what was recorded is secured however it ends."""

import dataclasses
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from rich.console import Console

from search import best_file, continuation, creation, request, study, warm_start
from search.algorithms import samplers
from search.errors import EndedError, UserError, count, have
from search.journal.limits import POSSIBLE
from search.journal.trial import Trial
from search.request import Asked
from search.signals import Interrupted, Shutdown
from search.spec import sources, workload
from search.spec.fit import First, Fit
from search.spec.intact import intact
from search.study import Study
from search.tune import cluster, infeasible, trackers
from search.tune.resources import Node, Share
from search.views.display import Display
from search.views.limits import described
from search.warm_start import Earlier

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
        self.first_note = ""
        """Which configurations a new study tries first, as a line for the user."""
        self._fit = fit
        self._again = again
        self.is_new = False
        """Whether the study was made for it."""
        self._shutdown = Shutdown(self._secure, self._leave if is_program else None)
        log = made.logs / "ray.log"
        self._ray = cluster.Ray(made.config.ray_address, here, log, self._shutdown.held, self._shutdown.fail)
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
                    self._shutdown.listen()  # a Ray that is joined takes SIGTERM for itself
                    self.check()
                    yield folder
            except BaseException as error:
                explained = self._explained(error)
                if explained is error:
                    raise
                raise explained from None

    def _explained(self, error: BaseException) -> BaseException:
        """Secure what was recorded, and return an error that says so, of a signal, the system or a dead Ray."""
        lost = self._ray.health.lost  # of which any error may have come
        is_interrupted = isinstance(error, KeyboardInterrupt) or (bool(lost) and self._shutdown.is_wished)
        if not (is_interrupted or lost or isinstance(error, OSError | EndedError)):
            return error
        self._secure()
        if is_interrupted:
            return Interrupted(f"interrupted; {self._kept()}", self._shutdown.exit_code)
        if isinstance(error, EndedError) and not lost:
            return EndedError(f"{error}; {self._kept()}")
        return OSError(f"{lost or error}; {self._kept()}")

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
        """Raise Interrupted where somebody wishes the end, RayLostError where Ray is dead; say what is new of nodes."""
        self._shutdown.check()
        self._ray.health.check()
        for line in self._ray.health.news():
            self.console.print(line)

    def announce(self) -> None:
        """Say what will be done, and of a study that goes on how far it is."""
        made = self.study
        config = made.config
        if config.ray_address is None and (address := os.environ.get("RAY_ADDRESS")):
            self.console.print(f"RAY_ADDRESS is ignored: a search uses the Ray at {address} only with --ray-address")
        if self.share.note:
            self.console.print(self.share.note)
        for note in self.workload.notes:
            self.console.print(note)
        for note in self._fit.notes:
            self.console.print(note)
        trials = [trial for trial in made.trials() if trial.ending != "infeasible"]
        limits = f"up to {count(made.epochs, 'epoch')}, {self.share.concurrent} at once, into {made.folder}"
        if trials:
            self.console.print(f"going on with {config.title}: {self._how_far(trials)}; {limits}")
        else:
            number = "any number of trials" if made.wanted is None else count(made.wanted, "trial")
            self.console.print(f"searching {config.title}: {number} of {limits}")
        if ends := described(config):
            self.console.print(ends)
        if self.first_note and not trials:
            self.console.print(self.first_note)

    def _how_far(self, trials: list[Trial]) -> str:
        """Return how many trials of a study that goes on have ended, and what becomes of the others."""
        made = self.study
        # What was recorded in full is closed; what was cut off before is trained again.
        running = [trial for trial in trials if trial.ending == "running"]
        cut_off = sum(trial.settled(made.epochs, made.objective) is None for trial in running)
        ended = len(trials) - cut_off
        far = f"{count(ended, 'trial')} {have(ended)} ended"
        if made.wanted is not None:
            far = f"{ended} of {count(made.wanted, 'trial')} {have(made.wanted)} ended"
        if cut_off == 1:
            far += ", 1 that was cut off is trained again from its first epoch"
        elif cut_off:
            far += f", {cut_off} that were cut off are trained again from their first epoch"
        return far

    def search(self, folder: Path, use: Use | None = None) -> None:
        """Search until there are as many trials as asked, then `use` the processes; or until all fail alike.

        Raises Interrupted; OSError where nothing can be written.
        """
        from search.tune import tuner  # imports Ray Tune: not before a user's mistakes are out
        from search.tune.failures import AlikeFailuresError
        from search.tune.searcher import OptunaSearcher

        searcher = OptunaSearcher(self.study, self.share.gpus, self._fit.takes, check=self._ray.health.check_after_loss)
        if searcher.is_done:
            return
        trials = self.study.wanted
        display = Display(self.console, trials, searcher.progress, searcher.forecast)

        def look() -> None:
            searcher.check()  # before a trial is shown as ended that could not be recorded
            searcher.look()
            display.look()
            self.check()
            searcher.failures.check()

        def use_processes(handles: list[Any]) -> None:
            display.end()
            assert use is not None
            use(handles, self.check)

        with suppress(AlikeFailuresError), display.showing(), self._shutdown.held():
            reused_by = use_processes if use else None
            tuner.run(self.study, self.share, folder, searcher, look, self._callbacks, reused_by)

    def _secure(self) -> None:
        """Derive from the journal what can be had before its end; on a full disk, or where it is gone, do without."""
        with suppress(OSError, UserError):
            made = study.load(self.study.folder)  # with a storage of its own: another thread may use the study's
            best_file.write_interim(made)
            made.write_tables()

    def _leave(self) -> None:
        lost = self._ray.health.lost
        self._ray.abandon()
        self.console.show_cursor()
        reason = f"error: {lost}" if lost else "interrupted"
        print(f"{reason}; {self._kept()}", file=sys.stderr, flush=True)
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


def begin(
    asked: Asked,
    holding: ExitStack,
    console: Console,
    again: Callable[[Path], str],
    *,
    is_program: bool = True,
    kind: type[Session] = Session,
) -> Session:
    """Return a session, of that kind, of the study that is asked for; this process is the study's writer.

    `again` returns the command that goes on with the study of a folder. Raises UserError, before Ray is started; of a
    new study nothing is then left on disk. What must be closed at the end is put on `holding`, which also removes a new
    study in which no trial has begun.
    """
    before = None
    if asked.resume:
        before = study.open_to_write(asked.resume, holding, console.print if asked.repair else None)
    else:
        request.check_new(asked)
    config = request.config_of(asked, before)
    if before and asked.settings is None:
        creation.check_origin(before)
    with intact(config.title):
        loaded = workload.load(config.source)
        fit = Fit(config, loaded)
    digests = sources.digests(config.source)
    changed = ""
    config = fit.recorded(before.config if before else None)
    if before:
        changed = _changed_sources(before, digests)
        if changed and not asked.allow_changes:
            raise UserError(
                f"a study that goes on must have its workload's sources as they were, else old and new trials do not "
                f"compare, but {changed} changed; put that back, start a new study, or add --allow-changes"
            )
        earlier = Earlier()
        first = First([], "")
        if (config.space, config.fixed) != (before.config.space, before.config.fixed):
            fit.check_types()
    else:
        fit.check_types()
        earlier = warm_start.read(fit)
        first = earlier.before(fit.first(), config.num_samples)
    holding.enter_context(cluster.claimed())
    share, here = cluster.share_of(config)
    trackers.check(config.trackers)
    samplers.check_packages(config.sampler)
    if before:
        defaults = loaded.arguments.defaults_beside(before.defaults, config.space)
        made = continuation.continued(before, config, fit.epochs, defaults, may_change=asked.allow_changes)
        creation.confirm_origin(made)
        for line in continuation.told(before, made):
            console.print(line)
    else:
        made = creation.create(config, loaded, fit.epochs, holding, first.configurations, earlier.known)
        holding.callback(creation.remove_if_unused, made.folder)
    _count_possible(made, fit)
    made.begin_session(dataclasses.asdict(share), digests)
    retried = count(continuation.retry_failed(made), "trial") if asked.retry_failed else ""
    if changed:
        console.print(CHANGED.format(changed))
    if retried:
        console.print(f"to be trained again: {retried} that failed")
    session = kind(made, fit, share, here, console, again(made.folder), is_program=is_program)
    session.first_note = first.note
    session.is_new = not before
    return session


def _count_possible(made: Study, fit: Fit) -> None:
    """Record how many trials the space has room for, where that is fewer than are asked for, or was."""
    possible = infeasible.possible(made, fit.takes)
    asked = made.config.num_samples
    is_fewer = possible is not None and (asked is None or possible < asked)
    if is_fewer or POSSIBLE in made.search.user_attrs:
        made.search.set_user_attr(POSSIBLE, possible)


def tell_changes(made: Study, console: Console) -> None:
    """Say which of its workload's sources have changed since a study's last session began, if any has."""
    if changed := _changed_sources(made, sources.digests(made.config.source)):
        console.print(CHANGED.format(changed))


def _changed_sources(made: Study, digests: Mapping[str, str]) -> str:
    """Return which sources differ from those of a study's last session, as text; empty where none does."""
    before = made.sources()
    return sources.difference(before, digests) if before else ""

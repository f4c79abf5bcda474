"""One session of a study on a Ray of its own: what was recorded is secured however it ends."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from rich.console import Console

from search import cluster, study
from search.display import Display
from search.interruption import Interruption
from search.share import Node, Share
from search.study import Study

Use = Callable[[list[Any], Callable[[], None]], None]
"""Uses processes, given as handles, and calls the second now and then: it raises where somebody wishes the end."""


def _import_tune() -> None:
    """Import Tune, which takes half a second, while Ray takes one to start."""
    import ray.tune  # noqa: F401


class Session:
    """A study, each trial's share of the machine, and the command that goes on where a session was ended early."""

    def __init__(self, made: Study, share: Share, here: Node, console: Console, again: str) -> None:
        self.study, self.share = made, share
        self._console, self._again = console, again
        self._ray = cluster.Ray(made.config.ray_address, here, made.logs / "ray.log")
        self._interruption = Interruption(self._secure, self._leave)
        self._callbacks: list[Any] = []

    @contextmanager
    def working(self) -> Iterator[Path]:
        """Run Ray; yield its temporary folder.

        Raises SystemExit: 128 + its number after a signal, 1 where the disk is full or the like.
        """
        try:
            self.meanwhile(_import_tune)
            with self._interruption.listening(), self._ray.running() as folder:
                self._interruption.listen()
                yield folder
        except KeyboardInterrupt:
            self._secure()
            self._say("interrupted")
            raise SystemExit(self._interruption.exit_code) from None
        except OSError as error:
            self._secure()
            self._say(f"error: {error}")
            raise SystemExit(1) from None

    def meanwhile(self, function: Callable[[], None]) -> None:
        """Call a function in a thread while there is nothing to do but to wait."""
        self._ray.meanwhile(function)

    @contextmanager
    def telling(self) -> Iterator[None]:
        """Tell the study's trackers of what is searched in here, and of what they lack of earlier sessions."""
        from search import tracking  # imports Ray Tune

        with tracking.following(self.study, self._console.print) as self._callbacks:
            yield

    def check(self) -> None:
        """Raise Interrupted where somebody wishes the end."""
        self._interruption.check()

    def announce(self, ended: int) -> None:
        """Say what will be done, of which so many trials have ended before."""
        config, share = self.study.config, self.share
        if share.note:
            self._console.print(share.note)
        doing = f"going on with {config.workload} after {ended} trials" if ended else f"searching {config.workload}"
        trials = f"{config.num_samples} trials of up to {self.study.epochs} epochs, {share.concurrent} at once"
        self._console.print(f"{doing}: {trials}, into {self.study.folder}")

    def search(self, folder: Path, use: Use | None = None) -> None:
        """Search until there are as many trials as asked, then `use` the processes.

        Raises Interrupted; OSError where nothing can be written.
        """
        from search import tuning  # imports Ray Tune: not before a user's mistakes are out
        from search.searcher import OptunaSearcher

        searcher = OptunaSearcher(self.study, self.share.gpus, lend=self.share.concurrent if use else 0)
        display = Display(self._console, self.study.config, searcher.tally, searcher.forecast)

        def look() -> None:
            searcher.check()  # before a trial is shown as ended that could not be recorded
            display.look()
            self._interruption.check()

        if searcher.is_done:
            return

        def use_processes(handles: list[Any]) -> None:
            display.end()
            assert use is not None
            use(handles, self._interruption.check)

        with display.showing(), self._interruption.held():
            tuning.run(self.study, self.share, folder, searcher, look, use_processes, self._callbacks)

    def _secure(self) -> None:
        """Derive from the journal what can be had before its end; on a full disk do without."""
        with suppress(OSError):
            made = study.load(self.study.folder)  # with a storage of its own: another thread may use the study's
            made.write_interim_best()
            made.write_tables()

    def _leave(self) -> None:
        self._ray.abandon()
        self._console.show_cursor()
        self._say("interrupted")

    def _say(self, what: str) -> None:
        kept = f"what was finished is in {self.study.folder}; to go on: {self._again}"
        print(f"{what}; {kept}", file=sys.stderr, flush=True)

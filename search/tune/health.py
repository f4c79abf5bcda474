"""The health of Ray, which it does not tell itself: where its own processes die, a search would wait for ever.

A Ray of ours has two: gcs_server, and raylet, which ends by itself where one of its agents dies. Each may be chosen by
the kernel where memory runs short. Of a cluster that we have joined, nodes may go and come back.
"""

import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from search.tune import deaths

POLL_S = 1.0
"""Time between two looks at the processes."""
NODES_POLL_S = 5.0
"""The same at the nodes of a cluster."""
LAST_MOMENT_S = 0.3
"""In which a raylet ends whose agent has died, and whose workers it has ended."""
PATIENCE_S = 2.0
"""That the thread has to end: it may sit in Ray's C++, which waits for a dead process."""


class RayLostError(OSError):
    """Ray has lost a process of its own, and trains nothing any more: no trial is to blame."""


class Health:
    """Watches a Ray in a thread of its own, between `begin` and `end`.

    `alarm` is called in that thread, once, when Ray is lost: the main thread may sit in Ray's C++ for a minute then.
    """

    def __init__(self, *, is_ours: bool, alarm: Callable[[], None]) -> None:
        self._is_ours = is_ours
        self._alarm = alarm
        self._over = threading.Event()
        self._thread: threading.Thread | None = None
        self._ray: Any = None
        self._memory_kills = 0.0
        self._most_nodes = 0
        """The most nodes of the cluster that were alive at once."""
        self._nodes = 0
        self._news: list[str] = []
        self.lost = ""
        """What Ray has lost, as a sentence; empty as long as it lives."""

    def begin(self, ray: Any) -> None:
        """Begin to watch; Ray may be starting still."""
        self._ray = ray
        self._memory_kills = deaths.memory_kills()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Watch no longer: Ray is about to be ended."""
        self._over.set()
        if self._thread:
            self._thread.join(PATIENCE_S)

    def check(self) -> None:
        """Raise RayLostError where Ray has lost a process of its own."""
        self._look()
        if self.lost:
            raise RayLostError(self.lost)

    def check_after_loss(self) -> None:
        """Check where a process of a trial has died: those of a raylet that ends may do so a moment before it."""
        deadline = time.monotonic() + LAST_MOMENT_S
        self.check()
        while self._is_ours and time.monotonic() < deadline:
            time.sleep(0.02)
            self.check()

    def news(self) -> list[str]:
        """Return what is new of a cluster's nodes since the last call, a sentence each."""
        news = self._news[:]
        del self._news[: len(news)]
        return news

    def __reduce__(self) -> Any:
        """Return a stand-in: Tune pickles its parts into a file that nobody reads, and threads cannot be pickled."""
        return object, ()

    def _watch(self) -> None:
        looked = time.monotonic()
        while not self._over.wait(POLL_S):
            self._look()
            if self.lost:
                self._alarm()
                return
            if not self._is_ours and time.monotonic() - looked >= NODES_POLL_S:
                with suppress(Exception):  # whatever Ray raises while it is ended, or where its head is gone
                    self._look_at_nodes()
                looked = time.monotonic()

    def _look(self) -> None:
        """Note the first process of a Ray of ours that has ended."""
        if not (self._is_ours and self._ray) or self._over.is_set():
            return
        node = self._ray._private.worker._global_node  # None while it is started
        dead = node.dead_processes() if node else []
        if dead and not self.lost:
            name, process = dead[0]
            how = _how(process.returncode, is_for_memory=deaths.memory_kills() > self._memory_kills)
            self.lost = f"Ray has lost its process {name}, {how}; without it nothing is trained"

    def _look_at_nodes(self) -> None:
        """Note how many nodes of the cluster are gone, or that all are back."""
        alive = sum(bool(node["Alive"]) for node in self._ray.nodes())
        self._most_nodes = max(self._most_nodes, alive)
        if self._nodes and alive != self._nodes:
            if alive < self._most_nodes:
                left = f"the cluster has {alive} of its {self._most_nodes} nodes left"
                self._news.append(f"{left}; the others are waited for, and what they trained is trained again")
            else:
                self._news.append(f"the cluster has {alive} nodes again")
        self._nodes = alive


def _how(code: int, *, is_for_memory: bool) -> str:
    """Return how a process ended, by its exit code, negative where that was a signal."""
    if code >= 0:
        return "which ended by itself, as it does where an agent of its own dies (logs/ray.log may say more)"
    name = f"signal {-code}"
    with suppress(ValueError):
        name = signal.Signals(-code).name
    if is_for_memory:
        return f"killed by {name}, for want of memory, it seems: {deaths.FEWER}"
    return f"killed by {name}"

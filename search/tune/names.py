"""The names that a tracker gives our metrics: its library takes not every text, and two metrics must not become one."""

import itertools
import posixpath
import re
from collections.abc import Callable, Mapping

MOST_CHARACTERS = 240
"""Of a name in MLflow: it takes ten more, which a number at the end may need."""
TUNES = {
    *("config", "date", "done", "experiment_id", "experiment_tag", "hostname", "node_ip", "pid"),
    *("should_checkpoint", "time_total_s", "timestamp", "training_iteration", "trial_id"),
}
"""Names that Tune's callbacks take for its own, and do not show as metrics."""


class Names:
    """One tracker's names of metrics; `clean` turns any text into one that its library takes as it is."""

    def __init__(self, clean: Callable[[str], str]) -> None:
        self._clean = clean
        self._names: dict[str, str] = {}

    def of(self, metrics: Mapping[str, float]) -> dict[str, float]:
        """Return the metrics by the tracker's names: what its library takes stays, the others differ from all."""
        new = [name for name in metrics if name not in self._names]
        new.sort(key=lambda name: self._clean(name) != name)
        for name in new:
            self._names[name] = self._free(self._clean(name))
        return {self._names[name]: value for name, value in metrics.items()}

    def _free(self, name: str) -> str:
        taken = set(self._names.values())
        numbered = (f"{name}_{count}" for count in itertools.count(2))
        return next(free for free in itertools.chain([name], numbered) if free not in taken)


def for_mlflow(name: str) -> str:
    """Return a name of MLflow's: letters, digits, '_-. :', and '/' where the name stays itself as a path."""
    clean = re.sub(r"[^/\w.\- :]", "_", name.replace("@", "_at_"))[:MOST_CHARACTERS]
    if posixpath.normpath(clean) != clean or clean.startswith(("/", "..")) or clean == ".":
        clean = "_" + clean.replace("/", "_")
    return clean


def for_tensorboard(name: str) -> str:
    """Return a name of TensorBoard's: letters, digits, '_-.' and '/'."""
    return _not_tunes(re.sub(r"[^-/\w.]", "_", name.replace("@", "_at_")))


def for_wandb(name: str) -> str:
    """Return a name of W&B's, which keeps those for itself that begin with '_', and drops one that is empty."""
    return _not_tunes(f"metric{name}" if not name or name.startswith("_") else name)


def _not_tunes(name: str) -> str:
    return f"metric_{name}" if name in TUNES else name

"""How a command line opens a study to search in it: a new one, or one that goes on."""

import argparse
import dataclasses
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from rich.console import Console

from search import cluster, extras, program, study, workload
from search.config import DEFAULT_FILE, StudyConfig, read
from search.session import Session
from search.study import Study
from search.workload import Workload
from search.writer import Writer

KEPT = ("workload", "metric", "mode", "space", "fixed", "seed")
"""Settings without which the trials of a study could not be compared."""


def parser(module: str, description: str) -> argparse.ArgumentParser:
    """Return the parser of a program that searches; it holds only the flags that were given."""
    made = argparse.ArgumentParser(
        f"python -m {module}",
        description=description,
        allow_abbrev=False,
        argument_default=argparse.SUPPRESS,
    )
    add = made.add_argument
    add("--config", metavar="FILE", help=f"YAML of the search ({DEFAULT_FILE})")
    add("--resume", metavar="results/NAME", help="go on with this study; more trials with --num-samples")
    add("--num-samples", type=int, metavar="N", help="trials in all")
    add("--gpus-per-trial", type=float, metavar="G", help="0 for the CPU, 1/k to share a GPU among k trials, or whole")
    add("--cpus-per-trial", type=float, metavar="C", help="default: the machine's cores, shared out")
    add("--seed", type=int, metavar="N", help="of the sampler and of every trial")
    add("--ray-address", metavar="ADDRESS", help="of a Ray cluster, 'auto' or host:port (a Ray on this machine)")
    add("--name", help="of the study and its folder (workload and time)")
    add("--output", metavar="FOLDER", help="folder of the studies (results)")
    return made


def opened(flags: dict[str, Any], holding: ExitStack, console: Console, module: str) -> tuple[Session, Workload]:
    """Return a session of the study that the flags ask for, whose writer this process becomes, and its workload.

    Raises ValueError, TypeError or OSError at a user's mistake; of a new study nothing is then left on disk.
    """
    before = program.opened(Path(flags["resume"]), holding) if "resume" in flags else None
    config = _asked(flags, before)
    loaded = workload.load(config.workload)
    config.check(loaded)
    share, here = cluster.share_of(config)
    extras.check(config.trackers)
    if before:
        made = continued(before, config, loaded)
    else:
        made = study.create(config, loaded)
        holding.enter_context(Writer(made.folder))
    made.begin_session(dataclasses.asdict(share))
    return Session(made, share, here, console, f"python -m {module} --resume {made.folder}"), loaded


def _asked(flags: dict[str, Any], before: Study | None) -> StudyConfig:
    """Return the config that the flags ask for: over a file's, or over that of a study that goes on."""
    given = {name: value for name, value in flags.items() if name not in ("config", "resume")}
    if before is None:
        return StudyConfig.of(read(Path(flags.get("config", DEFAULT_FILE))) | given)
    for name in ("name", "output"):
        if name in given:
            raise ValueError(f"a study keeps its {name}: give --resume or --{name}, but not both")
    values = read(Path(flags["config"])) if "config" in flags else dataclasses.asdict(before.config)
    return StudyConfig.of(values | given)


def continued(before: Study, config: StudyConfig, workload: Workload) -> Study:
    """Return a study under a config that may ask for more, but for nothing else than before.

    Raises ValueError, with the difference, where the trials so far would mean nothing under it.
    """
    config = dataclasses.replace(config, name=before.config.name, output=before.config.output)
    epochs = config.check(workload)
    old = {name: getattr(before.config, name) for name in KEPT} | {"epochs": before.epochs, "defaults": before.defaults}
    new = {name: getattr(config, name) for name in KEPT} | {"epochs": epochs, "defaults": workload.defaults()}
    if differences := list(_differences(old, new)):
        differences[3:] = [f"{len(differences) - 3} more"] if len(differences) > 3 else []
        raise ValueError(
            f"a study that goes on must keep {', '.join(KEPT)} and the workload's defaults, "
            f"but {'; '.join(differences)}; start a new study"
        )
    made = len(before.search.get_trials(deepcopy=False))
    if config.num_samples < made:
        raise ValueError(f"num_samples must be at least the {made} trials of the study, but got {config.num_samples}")
    before.search.set_user_attr("config", dataclasses.asdict(config))
    return dataclasses.replace(before, config=config)


def _differences(old: Any, new: Any, where: str = "") -> Iterator[str]:
    """Yield where two nested mappings differ, as text."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for name in dict.fromkeys([*old, *new]):
            place = f"{where}.{name}" if where else str(name)
            if (name in old) and (name in new):
                yield from _differences(old[name], new[name], place)
            else:
                yield f"{place} was {old[name]!r} and is gone" if name in old else f"{place} is new: {new[name]!r}"
    elif old != new:
        yield f"{where} was {old!r} and is {new!r}"

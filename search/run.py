"""Search, retrain the best, draw, and say what came of it.

python -m search.run --num-samples 32 --gpus-per-trial 0.25
"""

import argparse
import dataclasses
import platform
import shutil
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

from rich.console import Console

from search import __version__, cluster, plot, program, study, summary, workload
from search.cluster import Share
from search.config import DEFAULT_FILE, StudyConfig, read
from search.display import Display
from search.interruption import Interruption
from search.retrain import retrain
from search.study import Study
from search.workload import Workload


def main(arguments: list[str] | None = None) -> int:
    """Run what the command line asks for; return the exit code."""
    flags = vars(_parser().parse_args(arguments))
    console = program.Terminal()
    if flags.pop("version"):
        console.print(_versions())
        return 0

    def prepare() -> Callable[[], int]:
        config = StudyConfig.of(read(Path(flags.pop("config"))) | flags)
        loaded = workload.load(config.workload)
        epochs = config.check(loaded)
        share = cluster.share_out(config, cluster.count_cpus(), cluster.count_gpus())
        cluster.check_home()
        made = study.create(config, epochs, dataclasses.asdict(share))
        return lambda: _run(made, loaded, share, console)

    return program.guarded(prepare)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "python -m search.run",
        description="Search hyperparameters, retrain the best, draw, and say what came of it.",
        allow_abbrev=False,
        argument_default=argparse.SUPPRESS,
    )
    add = parser.add_argument
    add("--config", metavar="FILE", default=DEFAULT_FILE, help=f"YAML of the search ({DEFAULT_FILE})")
    add("--num-samples", type=int, metavar="N", help="trials in all")
    add("--gpus-per-trial", type=float, metavar="G", help="0 for the CPU, 1/k to share a GPU among k trials, or whole")
    add("--cpus-per-trial", type=float, metavar="C", help="default: the machine's cores, shared out")
    add("--seed", type=int, metavar="N", help="of the sampler and of every trial")
    add("--name", help="of the study and its folder (workload and time)")
    add("--output", metavar="FOLDER", help="folder of the studies (results)")
    add("--no-best", action="store_false", dest="best", help="leave ./best.yaml alone")
    add("--version", action="store_true", default=False, help="print the versions and leave")
    return parser


def _versions() -> str:
    return (
        f"search {__version__} (ray {version('ray')}, optuna {version('optuna')}, python {platform.python_version()})"
    )


def _run(made: Study, loaded: Workload, share: Share, console: Console) -> int:
    """Search, retrain, draw and say what came of it; return the exit code."""
    config = made.config
    if share.note:
        console.print(share.note)
    trials = f"{config.num_samples} trials of up to {made.epochs} epochs, {share.concurrent} at once"
    console.print(f"searching {config.workload}: {trials}, into {made.folder}")
    interruption, again = Interruption(), ""
    try:
        with interruption.listening(), cluster.running(cluster.count_cpus(), cluster.count_gpus(), made.logs) as folder:
            interruption.listen()
            _search(made, share, folder, console, interruption)
            again = f"; to retrain: python -m search.retrain {made.folder}"
            console.print("retraining the best with other seeds, and the defaults beside them")
            found = retrain(made, loaded, share, lambda line: console.print(f"  {line}"))
    except (KeyboardInterrupt, OSError) as error:
        made.write_tables()
        if again:
            plot.draw(made)
        why = "interrupted" if isinstance(error, KeyboardInterrupt) else f"error: {error}"
        print(f"{why}; what was finished is in {made.folder}{again}", file=sys.stderr)
        return interruption.exit_code if isinstance(error, KeyboardInterrupt) else 1
    plot.draw(made)
    best = made.folder / "best.yaml"
    if config.best and found and found.winner:
        best = Path(shutil.copyfile(best, "best.yaml"))
    return summary.show(console, made, found, loaded.is_program, best)


def _search(made: Study, share: Share, folder: Path, console: Console, interruption: Interruption) -> None:
    """Run the search and derive its tables. Raises Interrupted, or OSError where the journal cannot be written."""
    from search import tuning  # imports Ray Tune, which takes seconds: not before the errors above are out
    from search.sampler import OptunaSearcher

    searcher = OptunaSearcher(made, share.gpus)
    display = Display(console, made.config, searcher.tally)

    def look() -> None:
        display.look()
        searcher.check()
        interruption.check()

    with display.showing(), interruption.held():
        tuning.run(made, share, searcher, folder, look)
    made.write_tables()


if __name__ == "__main__":
    sys.exit(main())

"""Record the curves of random configurations, each trained in full, for sampler and scheduler to be replayed on.

python -m search.table curves.parquet --config configs/search.yaml --num-samples 400

The recording is a study like any other, with random proposals and no scheduler: it can be gone on with.
"""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from search import cli, session
from search.analysis import tables
from search.errors import UserError, command, count
from search.session import Session

SETTINGS: dict[str, Any] = {
    "sampler": "random",
    "scheduler": None,
    "trackers": [],
    "max_same_failures": None,
}
OF_NEW: dict[str, Any] = {"try_defaults": False, "start": []}
"""The same, which a study that goes on keeps as they are."""


def main(arguments: list[str] | None = None) -> int:
    """Record what the command line asks for; return the exit code."""
    parser = cli.search_parser("search.table", "Train random configurations in full and write their curves to a table.")
    parser.add_argument("file", type=Path, metavar="FILE.parquet", help="table to write: a row an epoch")
    flags = vars(parser.parse_args(arguments))
    file = flags.pop("file")
    console = cli.Terminal()

    def prepare(holding: ExitStack) -> Callable[[], int]:
        if file.suffix != ".parquet" or not file.parent.is_dir() or file.is_dir():
            raise UserError(f"the table must be a .parquet file in a folder that exists, but got {file}")
        asked = cli.asked(flags)
        of_new = {} if asked.resume else OF_NEW
        asked = replace(asked, changes={**asked.changes, **SETTINGS, **of_new})

        def again(folder: Path) -> str:
            return command("search.table", file, "--resume", folder)

        opened = session.begin(asked, holding, console, again)
        return lambda: _record(opened, file)

    return cli.guarded(prepare)


def _record(opened: Session, file: Path) -> int:
    made = opened.study
    if not made.ended_by:
        opened.announce()
        with opened.working() as folder:
            opened.search(folder)
    made.write_tables()
    table = tables.recorded(made.trials(), made.space)
    table.to_parquet(file, compression="zstd", index=False)
    opened.console.print(f"{count(table['trial'].nunique(), 'curve')}, {count(len(table), 'epoch')}: {file}")
    return 0


if __name__ == "__main__":
    cli.leave(main())

"""Record the curves of random configurations, each trained in full, for sampler and scheduler to be replayed on.

python -m search.table curves.parquet --config configs/search.yaml --num-samples 400

The recording is a study like any other, with random proposals and no scheduler: it can be gone on with.
"""

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from search import opening, program, tables
from search.session import Session


def main(arguments: list[str] | None = None) -> int:
    """Record what the command line asks for; return the exit code."""
    parser = opening.parser("search.table", "Train random configurations in full and write their curves to a table.")
    parser.add_argument("file", type=Path, metavar="FILE.parquet", help="table to write: a row an epoch")
    flags = vars(parser.parse_args(arguments))
    file = flags.pop("file")
    console = program.Terminal()

    def prepare(holding: ExitStack) -> Callable[[], int]:
        if file.suffix != ".parquet" or not file.parent.is_dir() or file.is_dir():
            raise ValueError(f"the table must be a .parquet file in a folder that exists, but got {file}")
        asked = {**flags, "sampler": "random", "scheduler": None, "trackers": []}
        session, _ = opening.opened(asked, holding, console, f"search.table {file}")
        return lambda: _record(session, file)

    def _record(session: Session, file: Path) -> int:
        made = session.study
        ended = sum(trial.ending != "running" for trial in made.trials())
        if ended < made.config.num_samples:
            session.announce(ended)
            with session.working() as folder:
                session.search(folder)
        made.write_tables()
        table = tables.recorded(made.trials())
        table.to_parquet(file, compression="zstd", index=False)
        console.print(f"{table['trial'].nunique()} curves, {len(table)} epochs: {file}")
        return 0

    return program.guarded(prepare)


if __name__ == "__main__":
    program.leave(main())

"""Draw a study again, from its journal, and derive its tables.

python -m search.plot results/NAME
"""

from pathlib import Path

from search import pictures, program
from search.snapshot import Snapshot
from search.study import Study

DPI = 120


def draw(study: Study, snapshot: Snapshot | None = None) -> list[Path]:
    """Write every picture of a study, as it is or was, into its folder plots/; return their paths."""
    (study.folder / "plots").mkdir(exist_ok=True)
    paths = []
    for name, figure in pictures.of(snapshot or study.snapshot()).items():
        paths.append(study.folder / "plots" / f"{name}.png")
        figure.savefig(paths[-1], dpi=DPI)
    return paths


def main(arguments: list[str] | None = None) -> int:
    """Draw a study again; return the exit code."""
    return program.of_study("search.plot", "Draw a study and derive its tables again.", _again, arguments)


def _again(study: Study) -> str:
    study.write_tables()
    return "\n".join(map(str, draw(study)))


if __name__ == "__main__":
    program.leave(main())

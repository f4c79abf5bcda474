"""Draw a study again, from its journal, and derive its tables.

python -m search.plot results/NAME
"""

from pathlib import Path

from search import cli
from search.analysis.snapshot import Snapshot
from search.spec import files
from search.study import Study
from search.views import fonts, images, pictures


def draw(study: Study, snapshot: Snapshot | None = None) -> list[Path]:
    """Write every picture of a study, as it is or was, into its folder plots/; return their paths."""
    folder = study.folder / "plots"
    files.make_folder(folder)
    paths = []
    snapshot = snapshot or study.snapshot()
    with fonts.style(pictures.STYLE, pictures.texts(snapshot)):
        for name, figure in pictures.draw(snapshot).items():
            path = folder / f"{name}.png"
            files.write(path, images.png(figure))
            paths.append(path)
    return paths


def main(arguments: list[str] | None = None) -> int:
    """Draw a study again; return the exit code."""
    return cli.of_study("search.plot", "Draw a study and derive its tables again.", _again, arguments)


def _again(study: Study) -> str:
    study.write_tables()
    snapshot = study.snapshot()
    lines = [*map(str, draw(study, snapshot)), fonts.lacking(pictures.texts(snapshot))]
    return "\n".join(filter(None, lines))


if __name__ == "__main__":
    cli.leave(main())

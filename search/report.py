"""The report of a study: one page in one file, made from its journal at any time.

python -m search.report results/NAME
"""

from pathlib import Path

from search import cli
from search.analysis.snapshot import Snapshot
from search.spec import files
from search.study import Study
from search.views.page import page


def write(study: Study, snapshot: Snapshot | None = None) -> Path:
    """Write report.html into the folder of a study, as it is or was; return its path. Raises OSError."""
    path = study.folder / "report.html"
    files.write(path, page.render(snapshot or study.snapshot()))
    return path


def main(arguments: list[str] | None = None) -> int:
    """Write the report of a study; return the exit code."""
    description = "Write the report of a study, finished or running."
    return cli.of_study("search.report", description, lambda study: str(write(study)), arguments)


if __name__ == "__main__":
    cli.leave(main())

"""Retrain a study's best again, judge them, and keep the winner.

python -m search.retrain results/NAME
"""

from collections.abc import Callable
from contextlib import ExitStack

from search import cli, study
from search.errors import UserError, command
from search.retraining import finalists, race
from search.session import Session
from search.tune.pool import WorkerPool
from search.views import summary


def main(arguments: list[str] | None = None) -> int:
    """Retrain a study's finalists again; return the exit code."""
    console = cli.Terminal()

    def prepare(holding: ExitStack) -> Callable[[], int]:
        parser = cli.study_parser("search.retrain", "Retrain a study's best and judge them again.")
        made = study.open_to_write(parser.parse_args(arguments).study, holding)
        if made.config.finalists == 0:
            raise UserError(
                f"finalists must be >= 1 to retrain, but the study has 0; set it in the config and give that with "
                f"{cli.resume_command(made.folder)} --config FILE"
            )
        session = cli.session_of(made, console, "search.retrain")
        if not race.of(made, session.workload):
            is_program = session.workload.is_program
            return lambda: summary.show(console, made.snapshot(), is_program, made.folder / "best.yaml")
        return lambda: _again(session)

    return cli.guarded(prepare)


def _again(session: Session) -> int:
    made = session.study
    console = session.console
    if runners := race.of(made, session.workload):
        console.print(runners.announcement(again=finalists.was_cut_off(made)))
    with session.working():
        pool = WorkerPool(made, session.share, finalists.LOG, check=session.check)
        found = finalists.retrain(made, session.workload, pool, console.print)
    console.print(f"the report is of before; {command('search.report', made.folder)} writes it anew")
    return summary.show(console, made.snapshot(found), session.workload.is_program, made.folder / "best.yaml")


if __name__ == "__main__":
    cli.leave(main())

"""Drawing again: the pictures of a retraining whose drawing was cut off, as by a Ctrl-C, though its winner was kept."""

from search.journal import outcome
from search.retraining import gallery
from search.retraining.gallery import UNDRAWN
from search.retraining.runs import Report
from search.spec import files
from search.spec.workload import Workload
from search.study import Study
from search.tune.pool import Kept, WorkerPool


def is_due(study: Study, workload: Workload) -> bool:
    """Return whether the pictures of the newest retraining are lacking, and the workload can draw them."""
    finished = study.finished()
    return bool(finished) and bool(finished[-1].user_attrs.get(UNDRAWN)) and workload.plot is not None


def draw(study: Study, pool: WorkerPool, report: Report) -> None:
    """Draw what the newest retraining lacks, on the running Ray, and write it into the study's folder.

    The models are gone, so the best run of each candidate is trained again: a workload is deterministic in its config.
    `report` is called with a line for each problem. Raises what the pool raises; the pictures are then lacking still.
    """
    retraining = study.finished()[-1]
    judged = outcome.judge(retraining, study.config.aims)
    runs = [candidate.best_run(study.objective) for candidate in judged.candidates if candidate.values]
    kept: dict[int, Kept] = {}
    folders = [study.folder_of(f"redrawing-{index:02d}") for index in range(len(runs))]
    for index, record, models in pool.train([run.attributes["config"] for run in runs], folders):
        run = runs[index]
        kept[run.number] = models
        if record.best != run.value:
            name = run.attributes["candidate"]
            report(f"{name}: trained again for its picture, it comes to {record.best}, not to {run.value}")
    pictures = gallery.begin(study, judged, kept, pool)()
    gallery.hang(study, pictures)
    for name, content in pictures.of_winner().items():
        files.write(study.folder / gallery.BEST / name, content)
    for line in pictures.lines():
        report(f"{line}, see {pool.log}")
    retraining.set_user_attr(UNDRAWN, False)

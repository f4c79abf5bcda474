"""What a retraining draws with the workload's `plot`: the winner, the finalists by rank, the winner over its epochs."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from search.journal.outcome import REFERENCE, Candidate, Outcome
from search.journal.trial import Trial
from search.spec import files
from search.spec.objective import Objective
from search.study import Study
from search.tune.pool import Kept, WorkerPool
from search.views.format import spread
from search.views.images import evenly
from search.worker.checkpoints import FEWEST, LIMIT
from search.worker.jobs import UNPICKLED, WORK_S, Drawn, Shot

BEST = "best/"
PLOT = "best/plot.png"
FILM = "best/epochs.gif"
SHEET = "plots/finalists.png"
TILES = 12
"""Of a sheet, at most."""
UNSOUND = "#b35900"
Key = tuple[int, int]
"""The number of a run, and an epoch of it; 0 is its best, whose model is kept in any case."""


@dataclass
class Pictures:
    """Files by their path in a study's folder, and why one is left out or lacks a part, by its path."""

    files: dict[str, bytes] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)

    def of_winner(self) -> dict[str, bytes]:
        """Return those of the winner's folder, by their path in it."""
        return {path.removeprefix(BEST): each for path, each in self.files.items() if path.startswith(BEST)}

    def lines(self) -> list[str]:
        """Return a line for each thing that went wrong, however many pictures it cost."""
        paths: dict[str, list[str]] = {}
        for path, problem in self.problems.items():
            paths.setdefault(problem, []).append(path)
        return [f"{', '.join(each)}: {problem}" for problem, each in paths.items() if problem != UNPICKLED]


def hang(study: Study, pictures: Pictures) -> None:
    """Write the contact sheet among the study's pictures, or take away that of an earlier retraining."""
    path = study.folder / SHEET
    if SHEET in pictures.files:
        path.parent.mkdir(exist_ok=True)
        files.write(path, pictures.files[SHEET])
    elif path.exists():
        path.unlink()


def shown(found: Outcome, objective: Objective) -> list[Candidate]:
    """Return the candidates that the sheet shows, by rank, the reference last."""
    ranked = found.ranked(objective)
    return [*ranked[: TILES - 1], ranked[-1]] if len(ranked) > TILES else ranked


def begin(study: Study, found: Outcome, kept: Mapping[int, Kept], pool: WorkerPool) -> Callable[[], Pictures]:
    """Have processes draw; return what waits for them, and raises where somebody wishes the end.

    `kept` is what there is of each run, by its number.
    """
    objective = study.objective
    candidates = shown(found, objective)
    winner = found.winner.best_run(objective) if found.winner else None
    shots = _shots(candidates, winner, kept, objective)
    drawn = pool.draw(list(shots.values()))

    def finished() -> Pictures:
        images = dict(zip(shots, drawn(), strict=True))
        pictures = Pictures()
        _add_sheet(pictures, candidates, images, objective)
        if winner:
            _add_plot(pictures, images[winner.number, 0])
            _add_film(pictures, objective.metric, winner, images)
        return pictures

    return finished


def _shots(
    candidates: list[Candidate], winner: Trial | None, kept: Mapping[int, Kept], objective: Objective
) -> dict[Key, Shot]:
    """Return what is to be drawn: the best run of each candidate, then the winner over its epochs."""
    shots: dict[Key, Shot] = {}
    for candidate in candidates:
        if candidate.values:
            run = candidate.best_run(objective)
            is_winner = winner is not None and run.number == winner.number
            shots[run.number, 0] = Shot(run.attributes["config"], kept[run.number].model, whole=is_winner)
    if winner:
        copies = kept[winner.number]
        for epoch in evenly(copies.epochs):
            if epoch != winner.best_epoch:
                shots[winner.number, epoch] = Shot(winner.attributes["config"], copies.checkpoints, epoch)
    return shots


def _add_plot(pictures: Pictures, drawn: Drawn) -> None:
    if drawn.png:
        pictures.files[PLOT] = drawn.png
    else:
        pictures.problems[PLOT] = drawn.problem


def _add_sheet(
    pictures: Pictures, candidates: list[Candidate], drawn: Mapping[Key, Drawn], objective: Objective
) -> None:
    """Add the sheet: a tile that could not be drawn says why, one that there was no time for costs the sheet."""
    from search.views import images  # imports matplotlib: not while a trial could be trained

    nothing = Drawn(problem="no finite value")
    tiles = [drawn[each.best_run(objective).number, 0] if each.values else nothing for each in candidates]
    for tile in tiles:
        if not tile.image and tile is not nothing:
            problem = tile.problem or f"left out, its tiles take more than {WORK_S:g} s"
            pictures.problems.setdefault(SHEET, problem)
    sizes = [tile.image.size for tile in tiles if tile.image]
    if not sizes or not all(tile.image or tile.problem for tile in tiles):
        return
    captioned = []
    for rank, (candidate, tile) in enumerate(zip(candidates, tiles, strict=True), 1):
        image = tile.image or images.blank(tile.problem, sizes[0])
        captioned.append((images.Caption(*_caption(candidate, rank, objective.metric)), image))
    pictures.files[SHEET] = images.sheet(captioned)


def _caption(candidate: Candidate, rank: int, metric: str) -> tuple[str, ...]:
    """Return what images.Caption is made of."""
    if not candidate.is_sound:
        ends = Counter(run.ending for run in candidate.runs if run.ending != "complete")
        text = ", ".join(f"{count} of {len(candidate.runs)} seeds {ending}" for ending, count in ends.items())
        return f"{candidate.name}, {text or 'no finite value'}", "", "", UNSOUND
    before = candidate.name if candidate.name == REFERENCE else f"{rank}. {candidate.name}"
    return f"{before}, ", metric, f" {spread(candidate.values)}"


def _add_film(pictures: Pictures, metric: str, run: Trial, drawn: Mapping[Key, Drawn]) -> None:
    """Add the film of a run of at least FEWEST epochs, of those of its frames that could be drawn."""
    from search.views import images

    own = {epoch or run.best_epoch: picture for (number, epoch), picture in drawn.items() if number == run.number}
    for picture in own.values():
        if picture.problem:
            pictures.problems.setdefault(FILM, picture.problem)
    shown = frames(run, metric, own)
    if len(shown) >= FEWEST:
        pictures.files[FILM] = images.film(shown)
    elif len(run.epochs) >= FEWEST:
        few = f"in {WORK_S:g} s" if len(own) >= FEWEST else f"in {LIMIT // 1_000_000} MB of models"
        pictures.problems.setdefault(FILM, f"left out, there are fewer than {FEWEST} frames {few}")


def frames(run: Trial, metric: str, drawn: Mapping[int, Drawn]) -> list[tuple[float, Any, Any]]:
    """Return the frames of a film of what was drawn of a run by epoch: share of its epochs, images.Caption, image."""
    from search.views.images import Caption

    found = []
    for epoch in sorted(epoch for epoch, each in drawn.items() if each.image):
        after = f" {run.epochs[epoch - 1][metric]:.4g}" + (", kept" if epoch == run.best_epoch else "")
        caption = Caption(f"epoch {epoch} of {len(run.epochs)}, ", metric, after)
        found.append((epoch / len(run.epochs), caption, drawn[epoch].image))
    return found

"""The pictures of a retraining, by the workload's `plot`: the winner, a sheet of finalists, a film of the winner."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from search.journal.outcome import REFERENCE, Candidate, Outcome
from search.journal.trial import Trial
from search.spec import files
from search.spec.objective import Objective
from search.study import Study
from search.tune.pool import Kept, WorkerPool
from search.views.format import evenly, spread
from search.views.no_winner import wrong_seeds
from search.worker.checkpoints import FEWEST_EPOCHS, MOST_BYTES
from search.worker.jobs import UNPICKLED, WORK_S, Drawn, Shot

BEST = "best/"
PLOT = "best/plot.png"
FILM = "best/epochs.gif"
SHEET = "plots/finalists.png"
UNDRAWN = "undrawn"
"""The attribute of a retraining that says whether its drawing was cut off."""
MOST_TILES = 12
"""Candidates on a sheet, at most."""
UNSOUND = "#b35900"
"""The colour of the caption of a candidate of which not every seed trained to its end."""
Key = tuple[int, int]
"""The number of a run, and an epoch of it, counted from 1; 0 is its best, whose model is always kept."""


@dataclass
class Pictures:
    """The pictures that were made, and why others were not."""

    files: dict[str, bytes] = field(default_factory=dict)
    """Contents by path in the study's folder."""
    problems: dict[str, str] = field(default_factory=dict)
    """Why a picture is left out or lacks a part, by its path."""

    def of_winner(self) -> dict[str, bytes]:
        """Return the contents of those in the winner's folder, by their path in it."""
        return {path.removeprefix(BEST): content for path, content in self.files.items() if path.startswith(BEST)}

    def lines(self) -> list[str]:
        """Return a line for each problem, with all pictures that it cost; UNPICKLED is reported with the files."""
        paths_of: dict[str, list[str]] = {}
        for path, problem in self.problems.items():
            if problem != UNPICKLED:
                paths_of.setdefault(problem, []).append(path)
        return [f"{', '.join(paths)}: {problem}" for problem, paths in paths_of.items()]


def hang(study: Study, pictures: Pictures) -> None:
    """Write the sheet into the study's folder, or remove that of an earlier retraining where there is none."""
    path = study.folder / SHEET
    if SHEET in pictures.files:
        files.make_folder(path.parent)
        files.write(path, pictures.files[SHEET])
    elif path.exists():
        path.unlink()


def shown(judged: Outcome, objective: Objective) -> list[Candidate]:
    """Return the candidates on the sheet by rank, the reference last unless it wins: at most MOST_TILES."""
    ranked = judged.ranked(objective)
    if len(ranked) <= MOST_TILES or judged.defaults_win:
        return ranked[:MOST_TILES]
    return [*ranked[: MOST_TILES - 1], ranked[-1]]


def begin(study: Study, judged: Outcome, kept: Mapping[int, Kept], pool: WorkerPool) -> Callable[[], Pictures]:
    """Have processes draw; return a function that waits for them and returns the pictures.

    `kept` are the references to each run's models, by its number. The function raises what the pool's `check` raises.
    """
    objective = study.objective
    candidates = shown(judged, objective)
    winner = judged.winner.best_run(objective) if judged.winner else None
    shots = _shots(candidates, winner, kept, objective)
    wait_for_images = pool.draw(list(shots.values()))

    def finish() -> Pictures:
        images = dict(zip(shots, wait_for_images(), strict=True))
        pictures = Pictures()
        _add_sheet(pictures, candidates, images, objective)
        if winner:
            _add_plot(pictures, images[winner.number, 0])
            _add_film(pictures, objective.metric, winner, images)
        return pictures

    return finish


def _shots(
    candidates: list[Candidate], winner: Trial | None, kept: Mapping[int, Kept], objective: Objective
) -> dict[Key, Shot]:
    """Return the orders to draw: the best run of each candidate, then the winner's checkpoints."""
    shots: dict[Key, Shot] = {}
    # The tiles of the sheet; the winner's is wanted in full size, too.
    for candidate in candidates:
        if candidate.values:
            run = candidate.best_run(objective)
            is_winner = winner is not None and run.number == winner.number
            shots[run.number, 0] = Shot(run.attributes["config"], kept[run.number].model, whole=is_winner)
    # The frames of the film; that of the best epoch has been ordered as a tile.
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
    """Add the sheet. A tile that could not be drawn says why; where there was no time for one, there is no sheet."""
    from search.views import images  # imports matplotlib: not while a trial could be trained

    # The drawn tile of each candidate; one that has no finite value is blank, which is no problem.
    tiles: list[Drawn] = []
    for candidate in candidates:
        if not candidate.values:
            tiles.append(Drawn(problem="no finite value"))
            continue
        tile = drawn[candidate.best_run(objective).number, 0]
        tiles.append(tile)
        if not tile.image:
            problem = tile.problem or f"left out, its tiles take more than {WORK_S:g} s"
            pictures.problems.setdefault(SHEET, problem)
    sizes = [tile.image.size for tile in tiles if tile.image]
    if not sizes or not all(tile.image or tile.problem for tile in tiles):
        return
    # Each with its caption, in the order of the ranks.
    captioned = []
    for rank, (candidate, tile) in enumerate(zip(candidates, tiles, strict=True), 1):
        image = tile.image or images.blank(tile.problem, sizes[0])
        is_ranked = candidate.name != REFERENCE or rank == 1
        caption = images.Caption(*_caption(candidate, rank if is_ranked else None, objective.metric))
        captioned.append((caption, image))
    pictures.files[SHEET] = images.sheet(captioned)


def _caption(candidate: Candidate, rank: int | None, metric: str) -> tuple[str, ...]:
    """Return the arguments of images.Caption for a tile: rank, name and values, or what went wrong with its seeds."""
    if candidate.is_sound:
        name = candidate.label if rank is None else f"{rank}. {candidate.label}"
        alone = "" if candidate.is_judged else ", of one seed"
        return f"{name}, ", metric, f" {spread(candidate.values)}{alone}"
    return f"{candidate.label}, {wrong_seeds(candidate)}", "", "", UNSOUND


def _add_film(pictures: Pictures, metric: str, run: Trial, drawn: Mapping[Key, Drawn]) -> None:
    """Add the film of a run, of the frames that could be drawn; a run of fewer than FEWEST_EPOCHS has none."""
    from search.views import images

    # What was drawn of this run, by epoch.
    own: dict[int, Drawn] = {}
    for (number, epoch), picture in drawn.items():
        if number == run.number:
            own[epoch or run.best_epoch] = picture
            if picture.problem:
                pictures.problems.setdefault(FILM, picture.problem)
    # The film, or why there is none: too few checkpoints, or too little time to draw them.
    drawn_frames = frames(run, metric, own)
    if len(drawn_frames) >= FEWEST_EPOCHS:
        pictures.files[FILM] = images.film(drawn_frames)
    elif len(run.epochs) >= FEWEST_EPOCHS:
        limit = f"{MOST_BYTES // 1_000_000} MB of models"
        if len(own) >= FEWEST_EPOCHS:
            limit = f"{WORK_S:g} s"
        pictures.problems.setdefault(FILM, f"left out, there are fewer than {FEWEST_EPOCHS} frames in {limit}")


def frames(run: Trial, metric: str, drawn: Mapping[int, Drawn]) -> list[tuple[float, Any, Any]]:
    """Return the frames of a run's film from what was drawn of it, by epoch.

    Each is its place in the run (epoch / epochs), an images.Caption, and PIL's Image; an epoch without one is left out.
    """
    from search.views.images import Caption

    in_order = []
    for epoch, picture in sorted(drawn.items()):
        if not picture.image:
            continue
        metrics = run.epochs[epoch - 1]
        value = f" {metrics[metric]:.4g}" if metric in metrics else " not measured"
        if epoch == run.best_epoch:
            value += ", kept"
        caption = Caption(f"epoch {epoch} of {len(run.epochs)}, ", metric, value)
        in_order.append((epoch / len(run.epochs), caption, picture.image))
    return in_order

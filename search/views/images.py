"""Figures as small images under captions, side by side on a contact sheet or one after the other in a film.

A sheet is one PNG, a film one animated GIF, each of a bounded size.
"""

import io
import math
import sys
from collections.abc import Iterable, Iterator, Sequence
from functools import cache, partial
from typing import Any, NamedTuple, TypeVar

import numpy as np
from matplotlib.figure import Figure
from PIL import Image, ImageDraw, ImageFont

from search.views import fonts
from search.views.format import FRONT_COLOUR, evenly, first_that_fits

T = TypeVar("T")
Line = tuple[str, ...]
"""A line of text in parts, each written by itself: in a name that runs from right to left no number is drawn along."""

DPI = 120
"""Of a picture in full size."""
SIDE_PX = 480
"""Of the longer side of an image."""
TEXT_COLOUR = "#2b2b2b"
STRIP_PX = 28
TEXT_PX = 14
MARGIN_PX = 8
"""The height of a caption, of its letters, and what is free left and right of it."""
GAP_PX = 12
"""Between tiles of a sheet, and around them."""
SHEET_BYTES = 700_000
"""Over which a sheet gets fewer colours, and then a smaller side of its tiles."""
SHEET_STEPS = ((0, SIDE_PX), (256, SIDE_PX), (256, 320), (256, 200))
"""Colours (0: all) and side."""
FRAME_MS = 200
LAST_FRAME_MS = 2500
FILM_BYTES = 500_000
"""Over which a film gets fewer and smaller frames."""
FILM_STEPS = ((16, SIDE_PX), (12, 400), (12, 280), (10, 160))
"""Frames and side. The last are less than 500,000 bytes, whatever they show: 1.5 a pixel is the most that GIF takes."""


class Caption(NamedTuple):
    """A line of text with a name in it that is cut where it is too long; what stands around it is not."""

    before: str
    name: str = ""
    after: str = ""
    colour: str = TEXT_COLOUR


def figure_of(plotted: Any) -> Figure:
    """Return the Figure of what a workload's `plot` returned: itself, axes or a grid. Raises TypeError."""
    figure = getattr(plotted, "figure", None)
    if not isinstance(figure, Figure):
        raise TypeError(f"it must return a matplotlib Figure, but got {type(plotted).__name__}")
    return figure


def render(figure: Figure) -> Image.Image:
    """Return a Figure as an image with a longer side of SIDE_PX pixels, on white."""
    dpi = min(300.0, SIDE_PX / max(figure.get_size_inches()))
    image = Image.open(_png(figure, dpi, pil_kwargs={"compress_level": 1})).convert("RGBA")
    white = Image.new("RGBA", image.size, "white")
    return shrunk(Image.alpha_composite(white, image).convert("RGB"), SIDE_PX)


def png(figure: Figure) -> bytes:
    """Return a Figure as a PNG file of its own size."""
    return _png(figure, DPI).getvalue()


def _png(figure: Figure, dpi: float, **more: Any) -> io.BytesIO:
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=dpi, **more)
    return file


def close(figure: Figure) -> None:
    """Have pyplot forget a Figure, which keeps all that were made by it."""
    pyplot = sys.modules.get("matplotlib.pyplot")
    if pyplot:
        pyplot.close(figure)


def shrunk(image: Image.Image, side: int) -> Image.Image:
    """Return an image with a longer side of at most so many pixels."""
    factor = side / max(image.size)
    if factor >= 1:
        return image
    width = max(1, round(image.width * factor))
    height = max(1, round(image.height * factor))
    return image.resize((width, height))


def blank(text: str, size: tuple[int, int]) -> Image.Image:
    """Return what stands for an image that could not be made, and says why."""
    width, height = size
    image = Image.new("RGB", size, "#f3f3f3")
    line = _fitted(Caption("", text), width - 2 * MARGIN_PX)
    _write(image, ((width - _length(line)) / 2, height / 2), line, "#777777")
    return image


def captioned(image: Image.Image, caption: Caption, size: tuple[int, int]) -> Image.Image:
    """Return an image at the top of a white one of this size, under a caption, which adds STRIP_PX pixels of height."""
    width, height = size
    tile = Image.new("RGB", (width, height + STRIP_PX), "white")
    tile.paste(image, ((width - image.width) // 2, STRIP_PX))
    line = _fitted(caption, width - 2 * MARGIN_PX)
    _write(tile, (MARGIN_PX, STRIP_PX / 2 - 1), line, caption.colour)
    return tile


def _write(image: Image.Image, place: tuple[float, float], line: Line, colour: str) -> None:
    """Write a line that begins at a place, half of it above that and half below."""
    x, y = place
    ascent, descent = _font(fonts.OWN_FILE).getmetrics()
    baseline = y + (ascent - descent) / 2
    for text, font in _runs(line):
        ImageDraw.Draw(image).text((x, baseline), text, colour, font, "ls")
        x += font.getlength(text)


def _length(line: Line) -> float:
    return sum(font.getlength(text) for text, font in _runs(line))


def _runs(line: Line) -> Iterator[tuple[str, ImageFont.FreeTypeFont]]:
    """Yield the parts of a line, each in a font that has its letters."""
    for part in line:
        for text, file in fonts.runs(part):
            yield text, _font(file)


def _fitted(caption: Caption, width: int) -> Line:
    """Return a caption as a line of at most so many pixels: all of it, or less of its name, or less around that."""
    for line in _shorter_and_shorter(caption):
        if _length(line) <= width:
            return line
    return ()


def _shorter_and_shorter(caption: Caption) -> Iterator[Line]:
    """Yield lines for a caption, all of it first, each shorter than the one before."""
    before = caption.before.replace("\n", " ")
    name = caption.name.replace("\n", " ")
    after = caption.after.replace("\n", " ")
    # Less and less of the name.
    for length in range(min(len(name), 300), 0, -1):
        yield before, _cut(name, length), after
    yield before.rstrip(), after
    # Less and less of what stands before it, or, where that is nothing, after it.
    around = before.rstrip(", ") or after
    yield (around,)
    for length in range(len(around) - 1, 0, -1):
        yield (f"{around[:length]}…",)


def _cut(name: str, length: int) -> str:
    """Return a name with its middle left out where it is longer than so many characters."""
    if len(name) <= length:
        return name
    end = (length - 1) // 2
    return f"{name[: length - 1 - end]}…{name[len(name) - end :]}"


@cache
def _font(file: str) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(file, TEXT_PX)


def sheet(tiles: Sequence[tuple[Caption, Image.Image]]) -> bytes:
    """Return the contact sheet of at least one tile, row by row, in the order given."""
    attempts = [partial(_sheet, tiles, colours, side) for colours, side in SHEET_STEPS]
    return first_that_fits(attempts, SHEET_BYTES)


def _sheet(tiles: Sequence[tuple[Caption, Image.Image]], colours: int, side: int) -> bytes:
    """Return the sheet in so many colours (0: all), of tiles with a longer side of at most so many pixels."""
    captions = [caption for caption, _ in tiles]
    images = [shrunk(image, side) for _, image in tiles]
    sheet = _side_by_side(captions, images)
    if colours:
        sheet = sheet.quantize(colours)
    file = io.BytesIO()
    sheet.save(file, "png", compress_level=6)
    return file.getvalue()


def _side_by_side(captions: list[Caption], images: list[Image.Image]) -> Image.Image:
    """Return images under captions on a white one: up to three in a row, of more as many as make it a square."""
    columns = len(images)
    if columns > 3:
        columns = math.ceil(math.sqrt(len(images)))
    rows = math.ceil(len(images) / columns)
    size = _size_of_all(images)
    width = size[0] + GAP_PX
    height = size[1] + STRIP_PX + GAP_PX
    sheet = Image.new("RGB", (columns * width + GAP_PX, rows * height + GAP_PX), "white")
    for number, (caption, image) in enumerate(zip(captions, images, strict=True)):
        row, column = divmod(number, columns)
        sheet.paste(captioned(image, caption, size), (GAP_PX + column * width, GAP_PX + row * height))
    return sheet


def film(frames: Sequence[tuple[float, Caption, Image.Image]]) -> bytes:
    """Return the film of frames that are (how much of the time has gone, caption, image), which runs for ever.

    The last is held longer. Fewer than all are spread evenly over them, with the first and the last.
    """
    attempts = [partial(_film, frames, most, side) for most, side in FILM_STEPS]
    return first_that_fits(attempts, FILM_BYTES)


def _film(frames: Sequence[tuple[float, Caption, Image.Image]], most: int, side: int) -> bytes:
    """Return the film of at most so many frames, with a longer side of at most so many pixels."""
    chosen = sorted(evenly(range(len(frames)))[:most])
    images = [shrunk(frames[number][-1], side) for number in chosen]
    size = _size_of_all(images)
    captioned_frames = []
    for number, image in zip(chosen, images, strict=True):
        gone, caption, _ = frames[number]
        frame = captioned(image, caption, size)
        bar = (0, STRIP_PX - 3, round(gone * size[0]), STRIP_PX - 1)
        ImageDraw.Draw(frame).rectangle(bar, FRONT_COLOUR)
        captioned_frames.append(frame)
    return _gif(captioned_frames)


def _size_of_all(images: Iterable[Image.Image]) -> tuple[int, int]:
    """Return the width and the height that hold each of these images."""
    width = 0
    height = 0
    for image in images:
        width = max(width, image.width)
        height = max(height, image.height)
    return width, height


def _gif(frames: list[Image.Image]) -> bytes:
    """Return the animated GIF, all in the same colours: what does not change then takes no room."""
    palette = _palette(frames)
    coloured = [frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]
    durations = [FRAME_MS] * (len(frames) - 1) + [LAST_FRAME_MS]
    file = io.BytesIO()
    coloured[0].save(file, "gif", save_all=True, append_images=coloured[1:], duration=durations, loop=0)
    return file.getvalue()


def _palette(frames: list[Image.Image]) -> Image.Image:
    """Return an image with the colours of a ninth of the dots of every frame."""
    width = max(1, frames[0].width // 3)
    height = max(1, frames[0].height // 3)
    sample = Image.new("RGB", (width, height * len(frames)))
    for at, frame in enumerate(frames):
        small = frame.resize((width, height), Image.Resampling.NEAREST)
        sample.paste(small, (0, at * height))
    palette = sample.quantize(256)
    colours = np.array(palette.getpalette()).reshape(-1, 3)
    colours[colours.min(axis=1) >= 250] = 255  # white, not nearly white
    palette.putpalette(colours.ravel().tolist())
    return palette

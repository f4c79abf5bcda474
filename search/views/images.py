"""Figures as small images under captions, side by side on a contact sheet or one after the other in a film.

A sheet is one PNG, a film one animated GIF, each of a bounded size.
"""

import io
import math
import sys
from collections import deque
from collections.abc import Iterable, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from PIL import Image, ImageDraw, ImageFont

from search.views.format import FRONT, first_that_fits

T = TypeVar("T")

SIDE = 480
"""Pixels of the longer side of an image."""
INK = "#2b2b2b"
STRIP = 28
TEXT = 14
MARGIN = 8
"""Pixels: the height of a caption, of its letters, and what is free left and right of it."""
GAP = 12
"""Pixels between tiles of a sheet, and around them."""
SHEET_BYTES = 700_000
"""Over which a sheet gets fewer colours, and then a smaller side of its tiles."""
SHEET_STEPS = ((0, SIDE), (256, SIDE), (256, 320), (256, 200))
"""Colours (0: all) and side."""
FRAME_MS = 200
LAST_FRAME_MS = 2500
FILM_BYTES = 500_000
"""Over which a film gets fewer and smaller frames."""
FILM_STEPS = ((16, SIDE), (12, 400), (12, 280), (10, 160))
"""Frames and side. The last are less than 500,000 bytes, whatever they show: 1.5 a pixel is the most that GIF takes."""


class Caption(NamedTuple):
    """A line of text with a name in it that is cut where it is too long; what stands around it is not."""

    before: str
    name: str = ""
    after: str = ""
    colour: str = INK


def figure_of(made: Any) -> Figure:
    """Return the Figure that a workload's `plot` has made, also as the one of axes or of a grid. Raises TypeError."""
    figure = getattr(made, "figure", None)
    if not isinstance(figure, Figure):
        raise TypeError(f"it must return a matplotlib Figure, but got {type(made).__name__}")
    return figure


def render(figure: Figure) -> Image.Image:
    """Return a Figure as an image with a longer side of SIDE pixels, on white."""
    dpi = min(300.0, SIDE / max(figure.get_size_inches()))
    image = Image.open(_png(figure, dpi, pil_kwargs={"compress_level": 1})).convert("RGBA")
    white = Image.new("RGBA", image.size, "white")
    return shrunk(Image.alpha_composite(white, image).convert("RGB"), SIDE)


def png(figure: Figure) -> bytes:
    """Return a Figure as a PNG file of its own size."""
    return _png(figure, 120).getvalue()


def _png(figure: Figure, dpi: float, **more: Any) -> io.BytesIO:
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=dpi, **more)
    return file


def close(figure: Figure) -> None:
    """Have pyplot forget a Figure, which keeps all that were made by it."""
    if pyplot := sys.modules.get("matplotlib.pyplot"):
        pyplot.close(figure)


def shrunk(image: Image.Image, side: int) -> Image.Image:
    """Return an image with a longer side of at most so many pixels."""
    factor = side / max(image.size)
    if factor >= 1:
        return image
    return image.resize((max(1, round(image.width * factor)), max(1, round(image.height * factor))))


def blank(text: str, size: tuple[int, int]) -> Image.Image:
    """Return what stands for an image that could not be made, and says why."""
    image = Image.new("RGB", size, "#f3f3f3")
    line = _fitted(Caption("", text), size[0] - 2 * MARGIN)
    ImageDraw.Draw(image).text((size[0] / 2, size[1] / 2), line, "#777777", _font(), "mm")
    return image


def captioned(image: Image.Image, caption: Caption, size: tuple[int, int]) -> Image.Image:
    """Return an image at the top of a white one of this size, under a caption, which adds STRIP pixels."""
    width, height = size
    made = Image.new("RGB", (width, height + STRIP), "white")
    made.paste(image, ((width - image.width) // 2, STRIP))
    text = _fitted(caption, width - 2 * MARGIN)
    ImageDraw.Draw(made).text((MARGIN, STRIP / 2 - 1), text, caption.colour, _font(), "lm")
    return made


def _fitted(caption: Caption, width: int) -> str:
    """Return a caption as one line of at most so many pixels: all of it, or less of its name, or less around that."""
    before, name, after = (part.replace("\n", " ") for part in caption[:3])
    shorter = [before + _cut(name, length) + after for length in range(min(len(name), 300), 0, -1)]
    first = before.rstrip(", ") or after
    cut = [f"{first[:length]}…" for length in range(len(first) - 1, 0, -1)]
    return next(
        text for text in (*shorter, before.rstrip() + after, first, *cut, "") if _font().getlength(text) <= width
    )


def _cut(name: str, length: int) -> str:
    """Return a name with its middle left out where it is longer than so many characters."""
    if len(name) <= length:
        return name
    end = (length - 1) // 2
    return f"{name[: length - 1 - end]}…{name[len(name) - end :]}"


@cache
def _font() -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(str(Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")), TEXT)


def sheet(tiles: Sequence[tuple[Caption, Image.Image]]) -> bytes:
    """Return the contact sheet of at least one tile, row by row, in the order given."""
    return first_that_fits((partial(_sheet, tiles, colours, side) for colours, side in SHEET_STEPS), SHEET_BYTES)


def _sheet(tiles: Sequence[tuple[Caption, Image.Image]], colours: int, side: int) -> bytes:
    small = [(caption, shrunk(image, side)) for caption, image in tiles]
    made = _side_by_side(small)
    file = io.BytesIO()
    (made.quantize(colours) if colours else made).save(file, "png", compress_level=6)
    return file.getvalue()


def _side_by_side(tiles: list[tuple[Caption, Image.Image]]) -> Image.Image:
    columns = len(tiles) if len(tiles) <= 3 else math.ceil(math.sqrt(len(tiles)))
    rows = math.ceil(len(tiles) / columns)
    size = _size_of_all(image for _, image in tiles)
    width = size[0] + GAP
    height = size[1] + STRIP + GAP
    made = Image.new("RGB", (columns * width + GAP, rows * height + GAP), "white")
    for number, (caption, image) in enumerate(tiles):
        row, column = divmod(number, columns)
        made.paste(captioned(image, caption, size), (GAP + column * width, GAP + row * height))
    return made


def film(frames: Sequence[tuple[float, Caption, Image.Image]]) -> bytes:
    """Return the film of frames that are (how much of the time has gone, caption, image), which runs for ever.

    The last is held longer. Fewer than all are spread evenly over them, with the first and the last.
    """
    return first_that_fits((partial(_film, frames, most, side) for most, side in FILM_STEPS), FILM_BYTES)


def _film(frames: Sequence[tuple[float, Caption, Image.Image]], most: int, side: int) -> bytes:
    chosen = sorted(evenly(range(len(frames)))[:most])
    small = []
    for number in chosen:
        gone, caption, image = frames[number]
        small.append((gone, caption, shrunk(image, side)))
    size = _size_of_all(image for *_, image in small)
    made = []
    for gone, caption, image in small:
        frame = captioned(image, caption, size)
        bar = (0, STRIP - 3, round(gone * size[0]), STRIP - 1)
        ImageDraw.Draw(frame).rectangle(bar, FRONT)
        made.append(frame)
    return _gif(made)


def _size_of_all(images: Iterable[Image.Image]) -> tuple[int, int]:
    """Return the width and the height that hold each of these images."""
    sizes = [image.size for image in images]
    return max(width for width, _ in sizes), max(height for _, height in sizes)


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
    width, height = (max(1, side // 3) for side in frames[0].size)
    sample = Image.new("RGB", (width, height * len(frames)))
    for at, frame in enumerate(frames):
        sample.paste(frame.resize((width, height), Image.Resampling.NEAREST), (0, at * height))
    palette = sample.quantize(256)
    colours = np.array(palette.getpalette()).reshape(-1, 3)
    colours[colours.min(axis=1) >= 250] = 255  # white, not nearly white
    palette.putpalette(colours.ravel().tolist())
    return palette


def evenly(items: Sequence[T]) -> list[T]:
    """Return the last, the first, then what halves the gaps: the first few are then spread over all."""
    last = len(items) - 1
    if last <= 0:
        return list(items)
    order = [last, 0]
    gaps = deque([(0, last)])
    while gaps:
        low, high = gaps.popleft()
        if high - low > 1:
            middle = (low + high) // 2
            order.append(middle)
            gaps += [(low, middle), (middle, high)]
    return [items[number] for number in order]

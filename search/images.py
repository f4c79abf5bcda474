"""Figures of any size as small images under a caption: what contact sheets and films are put together from."""

import io
import sys
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib
from matplotlib.figure import Figure
from PIL import Image, ImageDraw, ImageFont

SIDE = 480
"""Pixels of the longer side of an image."""
INK = "#2b2b2b"
STRIP, TEXT, MARGIN = 28, 14, 8
"""Pixels: the height of a caption, of its letters, and what is free left and right of it."""


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

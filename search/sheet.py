"""A contact sheet: images of any sizes side by side, each under its caption, in one PNG of a bounded size."""

import io
import math
from collections.abc import Sequence

from PIL import Image

from search import images
from search.images import Caption

AIM = 700_000
"""Bytes over which a sheet gets fewer colours, and then a smaller side of its tiles."""
STEPS = ((0, images.SIDE), (256, images.SIDE), (256, 320), (256, 200))
"""Colours (0: all) and side."""
GAP = 12
"""Pixels between tiles, and around them."""


def compose(tiles: Sequence[tuple[Caption, Image.Image]]) -> bytes:
    """Return the PNG of at least one tile, row by row, in the order given."""
    made = b""
    for colours, side in STEPS:
        sheet = _compose([(caption, images.shrunk(image, side)) for caption, image in tiles])
        file = io.BytesIO()
        (sheet.quantize(colours) if colours else sheet).save(file, "png", compress_level=6)
        made = file.getvalue()
        if len(made) <= AIM:
            break
    return made


def _compose(tiles: list[tuple[Caption, Image.Image]]) -> Image.Image:
    columns = len(tiles) if len(tiles) <= 3 else math.ceil(math.sqrt(len(tiles)))
    rows = math.ceil(len(tiles) / columns)
    size = max(image.width for _, image in tiles), max(image.height for _, image in tiles)
    width, height = size[0] + GAP, size[1] + images.STRIP + GAP
    sheet = Image.new("RGB", (columns * width + GAP, rows * height + GAP), "white")
    for at, (caption, image) in enumerate(tiles):
        place = (GAP + at % columns * width, GAP + at // columns * height)
        sheet.paste(images.captioned(image, caption, size), place)
    return sheet

"""A film: images of any sizes one after the other, each under its caption, in one animated GIF of a bounded size."""

import io
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from search import images
from search.checkpoints import MOST, evenly
from search.colours import FRONT
from search.images import Caption

FRAME, LAST = 200, 2500
"""Milliseconds."""
AIM = 500_000
"""Bytes over which a film gets fewer and smaller frames."""
STEPS = ((MOST, images.SIDE), (12, 400), (12, 280), (10, 160))
"""Frames and side. The last are less than 500,000 bytes, whatever they show: 1.5 a pixel is the most that GIF takes."""


def compose(frames: Sequence[tuple[float, Caption, Image.Image]]) -> bytes:
    """Return the GIF of frames that are (how much of the time has gone, caption, image), which runs for ever.

    The last is held longer. Fewer than all are spread evenly over them, with the first and the last.
    """
    made = b""
    for most, side in STEPS:
        chosen = sorted(evenly(range(len(frames)))[:most])
        made = _encode(_compose([frames[at] for at in chosen], side))
        if len(made) <= AIM:
            break
    return made


def _compose(frames: list[tuple[float, Caption, Image.Image]], side: int) -> list[Image.Image]:
    small = [(gone, caption, images.shrunk(image, side)) for gone, caption, image in frames]
    size = max(image.width for *_, image in small), max(image.height for *_, image in small)
    found = []
    for gone, caption, image in small:
        frame = images.captioned(image, caption, size)
        bar = (0, images.STRIP - 3, round(gone * size[0]), images.STRIP - 1)
        ImageDraw.Draw(frame).rectangle(bar, FRONT)
        found.append(frame)
    return found


def _encode(frames: list[Image.Image]) -> bytes:
    """Return the GIF, all in the same colours: what does not change then takes no room."""
    palette = _palette(frames)
    coloured = [frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]
    durations = [FRAME] * (len(frames) - 1) + [LAST]
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

"""What tests look at pictures with."""

import io

from PIL import Image


def frames_of(content: bytes) -> list[Image.Image]:
    """Return what an image file shows: one image, or the frames of a film."""
    with Image.open(io.BytesIO(content)) as opened:
        found = []
        for at in range(getattr(opened, "n_frames", 1)):
            opened.seek(at)
            found.append(opened.convert("RGB"))
        return found

"""A picture compressed too hard."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
from PIL import Image

from fusion_core.faults.fault import Fault, Injection, fault, on_picture
from fusion_core.reading.pictures import Picture

QUALITIES = (40, 25, 15, 10, 6)


def jpeg(picture: Picture, given: Injection) -> Picture:
    """Send the picture through JPEG at a low quality."""
    buffer = io.BytesIO()
    Image.fromarray(picture.pixels).save(buffer, "JPEG", quality=int(given.amount(QUALITIES)))
    return replace(picture, pixels=np.asarray(Image.open(buffer).convert("RGB")))


fault("image.jpeg")(Fault("image", "corrupted", on_picture(jpeg)))

"""A picture of which a part is left, at the size it had."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from PIL import Image

from fusion_core.faults.fault import KEPT, Fault, Injection, fault, on_picture
from fusion_core.reading.pictures import Picture


def crop(picture: Picture, given: Injection) -> Picture:
    """Keep a share of the area, of the picture's own shape and at a random place, and enlarge it again."""
    height, width = picture.pixels.shape[:2]
    rows, columns = (max(1, round(side * math.sqrt(given.amount(KEPT)))) for side in (height, width))
    top, left = given.random.integers(height - rows + 1), given.random.integers(width - columns + 1)
    part = Image.fromarray(picture.pixels[top : top + rows, left : left + columns])
    return replace(picture, pixels=np.asarray(part.resize((width, height), Image.Resampling.BICUBIC)))


fault("image.crop")(Fault("image", "truncated", on_picture(crop)))

"""A crop around the middle, which the encoder sees at full size again."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from fusion_core.change.kind import Kind, kind, steps
from fusion_core.reading.pictures import Picture


def crop(picture: Picture, share: float, rng: np.random.Generator) -> Picture:
    """Cut a share of the picture's height and width away, half of it at either end; one pixel is always left."""
    height, width = picture.pixels.shape[:2]
    top, left = (min(int(side * share / 2), (side - 1) // 2) for side in (height, width))
    return replace(picture, pixels=picture.pixels[top : height - top, left : width - left])


kind("image_crop")(Kind("image", "of each side", steps(0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9), crop))

"""Blur: a Gaussian over the whole picture."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.ndimage import gaussian_filter

from fusion_core.change.kind import Kind, kind, steps
from fusion_core.reading.pictures import Picture

SIDE = 224  # pixels of the shorter side that sigma refers to


def blur(picture: Picture, sigma: float, rng: np.random.Generator) -> Picture:
    """Blur with a Gaussian of `sigma` pixels, counted on a picture whose shorter side has 224."""
    own = sigma * min(picture.pixels.shape[:2]) / SIDE
    blurred = gaussian_filter(picture.pixels.astype(np.float32), sigma=(own, own, 0), mode="nearest")
    return replace(picture, pixels=np.clip(np.rint(blurred), 0, 255).astype(np.uint8))


kind("image_blur")(Kind("image", "px", steps(0.5, 1, 1.5, 2, 3, 4, 5, 6, 8, 10, 12, 16, 20), blur))

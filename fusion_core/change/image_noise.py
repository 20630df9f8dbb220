"""Noise on every pixel and channel."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from fusion_core.change.kind import Kind, kind, steps
from fusion_core.reading.pictures import Picture


def noise(picture: Picture, share: float, rng: np.random.Generator) -> Picture:
    """Add Gaussian noise whose standard deviation is a share of the range of a pixel."""
    added = rng.standard_normal(picture.pixels.shape, dtype=np.float32) * np.float32(255 * share)
    return replace(picture, pixels=np.clip(np.rint(picture.pixels + added), 0, 255).astype(np.uint8))


kind("image_noise")(
    Kind("image", "of the range", steps(0.02, 0.04, 0.06, 0.08, 0.1, 0.13, 0.16, 0.2, 0.25, 0.3, 0.4, 0.5), noise)
)

"""A blank in place of a picture, as a thumbnail service sends when it fails; whatever the severity."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from fusion_core.faults.fault import Fault, Injection, fault, on_picture
from fusion_core.reading.pictures import Picture


def blank(picture: Picture, given: Injection) -> Picture:
    """Return one grey, of the picture's size."""
    return replace(picture, pixels=np.full_like(picture.pixels, given.random.integers(96, 240)))


fault("image.blank")(Fault("image", "missing", on_picture(blank), graded=False))

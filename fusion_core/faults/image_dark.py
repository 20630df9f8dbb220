"""A picture taken with too little light."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from fusion_core.faults.fault import Fault, Injection, fault, on_picture
from fusion_core.reading.pictures import Picture

EXPOSURES = (0.70, 0.55, 0.40, 0.25, 0.12)  # of the light


def dark(picture: Picture, given: Injection) -> Picture:
    """Keep a share of every value."""
    return replace(picture, pixels=(picture.pixels * given.amount(EXPOSURES)).astype(np.uint8))


fault("image.dark")(Fault("image", "corrupted", on_picture(dark)))

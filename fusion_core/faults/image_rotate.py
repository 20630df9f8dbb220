"""A picture turned: measured and reported, but no fault a diagnosis is asked to name."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from PIL import Image

from fusion_core.faults.fault import Fault, Injection, fault, on_picture
from fusion_core.reading.pictures import Picture

ANGLES = (10, 20, 45, 90, 180)  # degrees


def rotate(picture: Picture, given: Injection) -> Picture:
    """Turn the picture about its middle; corners get the colour of its first pixel."""
    corner = tuple(int(value) for value in picture.pixels[0, 0])
    turned = Image.fromarray(picture.pixels).rotate(given.amount(ANGLES), Image.Resampling.BICUBIC, fillcolor=corner)
    return replace(picture, pixels=np.asarray(turned))


fault("image.rotate")(Fault("image", "corrupted", on_picture(rotate)))

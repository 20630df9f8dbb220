"""Red and blue exchanged, as when one library writes BGR and another reads RGB; whatever the severity."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from fusion_core.faults.fault import Fault, Injection, fault, on_picture
from fusion_core.reading.pictures import Picture


def channel_swap(picture: Picture, given: Injection) -> Picture:
    """Exchange the first and last channel."""
    return replace(picture, pixels=np.ascontiguousarray(picture.pixels[..., ::-1]))


fault("image.channel_swap")(Fault("image", "corrupted", on_picture(channel_swap), graded=False))

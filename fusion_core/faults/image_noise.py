"""Noise of a dark sensor: every pixel off by chance."""

from __future__ import annotations

from fusion_core.change.image_noise import noise
from fusion_core.faults.fault import Fault, Injection, fault, on_picture
from fusion_core.reading.pictures import Picture

SIGMAS = (0.04, 0.08, 0.12, 0.18, 0.26)  # of full scale


def grain(picture: Picture, given: Injection) -> Picture:
    """Add Gaussian noise to every channel of every pixel."""
    return noise(picture, given.amount(SIGMAS), given.random)


fault("image.noise")(Fault("image", "corrupted", on_picture(grain)))

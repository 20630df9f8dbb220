"""A picture out of focus."""

from __future__ import annotations

from fusion_core.change.image_blur import blur
from fusion_core.faults.fault import Fault, Injection, fault, on_picture
from fusion_core.reading.pictures import Picture

SIGMAS = (1, 2, 3, 5, 8)  # px, of a picture whose shorter side has 224


def out_of_focus(picture: Picture, given: Injection) -> Picture:
    """Blur by a Gaussian."""
    return blur(picture, given.amount(SIGMAS), given.random)


fault("image.blur")(Fault("image", "corrupted", on_picture(out_of_focus)))

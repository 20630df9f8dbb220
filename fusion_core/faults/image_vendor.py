"""Another vendor's art: a stand-in that redraws a picture flat, outlined and in other colours.

The sample log holds real art of another vendor; this is for sets whose pictures nobody else has drawn.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_gradient_magnitude, median_filter

from fusion_core.faults.fault import Fault, Injection, fault, on_picture
from fusion_core.reading.pictures import Picture

TURNS = (12, 20, 30, 45, 70)  # of the hue, of 255
LEVELS = 6  # of each channel that are left
OUTLINE = 24.0  # steepness, of 255 levels per pixel, from which an edge is drawn


def vendor(picture: Picture, given: Injection) -> Picture:
    """Flatten shades, turn the hue and draw the edges."""
    flat = median_filter(picture.pixels, size=(3, 3, 1)).astype(np.float32)
    step = 255.0 / (LEVELS - 1)
    image = Image.fromarray((np.rint(flat / step) * step).astype(np.uint8)).convert("HSV")
    hue, saturation, value = (np.asarray(band).astype(np.int64) for band in image.split())
    turned = np.stack([(hue + int(given.amount(TURNS))) % 256, np.minimum(saturation * 5 // 4, 255), value], axis=-1)
    colours = np.asarray(Image.fromarray(turned.astype(np.uint8), "HSV").convert("RGB"))
    edges = gaussian_gradient_magnitude(flat.mean(axis=-1), 1.0) > OUTLINE
    return replace(picture, pixels=np.where(edges[..., None], colours // 3, colours).astype(np.uint8))


fault("image.vendor")(Fault("image", "out_of_domain", on_picture(vendor)))

"""Distance: a clean picture of something else."""

from __future__ import annotations

import math

from fusion_core.diagnose.rules.case import NOTHING, Case, Rule, Score, rule


def image_far(case: Case) -> Score:
    """Judge whether the image is out of domain by this sign."""
    raw = math.hypot(
        min(case.above("image.distance"), case.above("image.spread")) * math.sqrt(2), case.above("image.colour")
    )
    if raw == 0.0:
        return NOTHING
    return Score(
        raw,
        f"Its tokens and colours lie far from clean ones: distance {case.beside('image.distance')}, "
        f"colours {case.beside('image.colour')}.",
    )


rule("image_far")(
    Rule(
        "image",
        "out_of_domain",
        image_far,
        "Compare the source of these images with the training images.",
        (
            "image_missing",
            "image_blur",
            "image_noise",
            "image_blocks",
            "image_dark",
            "image_channels",
        ),
    )
)

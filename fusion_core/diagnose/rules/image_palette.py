"""Palette: vivid colours that no clean image has."""

from __future__ import annotations

from fusion_core.diagnose.rules.case import NOTHING, Case, Rule, Score, rule


def image_palette(case: Case) -> Score:
    """Judge whether the image is out of domain by this sign."""
    raw = case.above("image.new_colours")
    if raw == 0.0:
        return NOTHING
    return Score(
        raw, f"{case.value('image.new_colours'):.0%} of its vivid pixels have colours clean images do not have."
    )


rule("image_palette")(
    Rule(
        "image",
        "out_of_domain",
        image_palette,
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

"""Colour: unlike all clean images, but like them once its channels change places."""

from __future__ import annotations

from fusion_core.diagnose.rules.case import NOTHING, Case, Rule, Score, rule


def image_channels(case: Case) -> Score:
    """Judge whether the image is corrupted by this sign."""
    raw = case.above("image.colour_swapped", "image.new_colours")
    if case.z("image.colour_swapped") < 1.0 or case.value("image.colour_swapped") <= 0.0:
        return NOTHING
    return Score(
        raw,
        f"With its colour channels in another order it would be {case.value('image.colour_swapped'):.2f} nearer "
        "to clean images.",
    )


rule("image_channels")(
    Rule(
        "image",
        "corrupted",
        image_channels,
        "Check the channel order (RGB or BGR) of what reads these images.",
        ("image_missing",),
    )
)
